// SPDX-License-Identifier: Apache-2.0
// What the core with an internal book must do, said as plainly as can be: maps, vectors, 128-bit
// numbers everywhere, a scan of all orders for each match. Slow and obvious on purpose. It shares
// no code with the core; its words are those of core.hpp, of abi/venue.h and of Binance's filters.
#pragma once

#include "plugins/trading/engine/core/command.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/decimal.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

struct ModelOrder {
    std::uint64_t id = 0, account = 0;
    std::uint32_t instrument = 0;
    int side = 0, type = 0, time_in_force = 0, status = 0;
    std::int64_t price = 0, quantity = 0, quote_quantity = 0, filled = 0, filled_quote = 0;
    std::int64_t created_ns = 0, updated_ns = 0;
    std::uint64_t update_sequence = 0;
    std::string client_id, cancel_client_id;
    std::int64_t locked = 0;
    std::int64_t stop_price = 0, working_ns = 0;  // 0: it waits for the stop price
    std::uint64_t place = 0;                      // among those that work, by age
    std::uint64_t list = 0;
    int stp_mode = 0;
    std::int64_t prevented = 0, prevented_quote = 0;
    std::uint64_t prevented_match = 0;
    std::int64_t display = 0, shown = 0;  // shown: of what rests
    std::uint32_t trailing_delta = 0;
    std::int64_t best = 0;  // of a trailing stop that follows the price
    std::int64_t expires_ns = 0;

    [[nodiscard]] std::int64_t left() const { return quantity - filled - prevented; }
};

// Two orders of which one cancels the other.
struct ModelList {
    std::uint64_t id = 0, account = 0;
    std::uint32_t instrument = 0;
    std::string client_id;
    std::vector<std::uint64_t> orders;
    std::int64_t locked = 0;
    std::uint64_t chosen = 0;  // by a trade, a trigger or an end; 0: none yet
    bool done = false;
};

struct ModelTrade {
    std::uint64_t trade_id = 0, order_id = 0, account = 0;
    std::uint32_t instrument = 0, fee_asset = 0;
    int side = 0;
    bool maker = false;
    std::int64_t price = 0, quantity = 0, quote = 0, fee = 0;
};

struct ModelPrevented {
    std::uint64_t match_id = 0, taker = 0, maker = 0;
    std::int64_t price = 0, taker_quantity = 0, maker_quantity = 0;
};

struct ModelOutcome {
    std::uint32_t reject = TENON_REJECT_NONE;
    std::uint64_t account = 0;
    std::vector<ModelOrder> orders;  // every change of an order, in order
    std::vector<ModelTrade> trades;  // taker's, then maker's, of each trade
    std::vector<ModelList> lists;    // every change of a list, in order
    std::vector<ModelPrevented> prevented;
};

struct ModelBalance {
    std::int64_t free = 0, locked = 0;
};

struct ModelKey {
    std::uint64_t account = 0;
    std::uint32_t kind = 0, permissions = 0;
    std::string material, label;
    bool revoked = false;
    std::string addresses;

    bool operator==(const ModelKey&) const = default;
};

// Limits of an account's orders (0: each account's) in an instrument (or TENON_ANY_INSTRUMENT).
struct ModelRisk {
    trading::RiskLimits limits{};
    std::map<std::uint64_t, std::int64_t> busy_until_ns;  // by account
};

// At the market's price, at once or when the order is triggered.
[[nodiscard]] inline bool at_market(int type) {
    return type == TENON_ORDER_MARKET || type == TENON_ORDER_STOP_LOSS ||
           type == TENON_ORDER_TAKE_PROFIT;
}

// The table of Binance's "stop price" rules, a row an order type and side.
[[nodiscard]] inline bool comes_true(int type, int side, std::int64_t stop, std::int64_t price) {
    const bool loss = type == TENON_ORDER_STOP_LOSS || type == TENON_ORDER_STOP_LOSS_LIMIT;
    if (loss && side == TENON_SIDE_BUY) {
        return price >= stop;
    }
    if (loss) {
        return price <= stop;
    }
    return side == TENON_SIDE_BUY ? price <= stop : price >= stop;
}

class ReferenceModel {
public:
    struct Bounds {
        std::size_t open_orders = 0, accounts = 0, keys = 0, closed_ids = 0, references = 0;
    };

    ReferenceModel(
        std::vector<tenon_instrument> instruments,
        std::vector<int> asset_scales,
        const Bounds& bounds
    );

    ModelOutcome apply(const trading::Command& command);

    [[nodiscard]] const std::map<std::uint64_t, ModelOrder>& open_orders() const { return open_; }

    [[nodiscard]] const std::map<std::uint64_t, ModelList>& lists() const { return lists_; }

    [[nodiscard]] ModelBalance balance(std::uint64_t account, std::uint32_t asset) const;

    [[nodiscard]] const std::map<std::uint64_t, std::string>& accounts() const { return accounts_; }

    [[nodiscard]] const std::map<std::string, ModelKey>& keys() const { return keys_; }

    // An account's, or 0: that of all trading.
    [[nodiscard]] bool is_enabled(std::uint64_t account) const {
        return !disabled_.contains(account);
    }

    using RiskKey = std::pair<std::uint64_t, std::uint32_t>;  // account, instrument

    [[nodiscard]] const std::map<RiskKey, ModelRisk>& risk() const { return risk_; }

    [[nodiscard]] std::uint32_t status(std::uint32_t instrument) const {
        return status_.at(instrument);
    }

    [[nodiscard]] std::int64_t last_price(std::uint32_t instrument) const {
        const auto found = last_price_.find(instrument);
        return found == last_price_.end() ? 0 : found->second;
    }

private:
    using Cell = std::pair<std::uint64_t, std::uint32_t>;  // account, asset

    struct Moved {
        std::uint64_t from = 0, to = 0;
        std::uint32_t asset = 0;
        std::int64_t amount = 0;
    };

    void on(const trading::SubmitCommand&);
    void on(const trading::CancelCommand&);
    void on(const trading::CancelAllCommand&);
    void on(const trading::VenueApplyCommand&);
    void on(const trading::AccountOpenCommand&);
    void on(const trading::TransferCommand&);
    void on(const trading::KeyAddCommand&);
    void on(const trading::KeyRevokeCommand&);
    void on(const trading::KeyAddressesCommand&);
    void on(const trading::InstrumentStatusCommand&);
    void on(const trading::AccountStatusCommand&);
    void on(const trading::SubmitListCommand&);
    void on(const trading::CancelListCommand&);
    void on(const trading::AmendCommand&);
    void on(const trading::ExpireCommand&);
    void on(const trading::RiskLimitsCommand&);
    void cancel(const std::vector<std::uint64_t>& ids);

    [[nodiscard]] Int128 base_units(std::uint32_t instrument, Int128 quantity) const;
    [[nodiscard]] Int128 quote_units(std::uint32_t instrument, Int128 price, Int128 quantity) const;
    [[nodiscard]] std::uint32_t judge_shape(const tenon_order_request& order) const;
    [[nodiscard]] std::uint32_t judge_filters(const tenon_order_request& order, std::int64_t last)
        const;
    // Of the orders that the command has placed already, `ahead` and of them `conditional_ahead`.
    [[nodiscard]] std::uint32_t judge_limits(
        const tenon_order_request& order,
        std::size_t ahead,
        std::size_t conditional_ahead
    ) const;
    [[nodiscard]] std::uint32_t judge_risk(const tenon_order_request& order, std::size_t ahead)
        const;
    void took(const ModelOrder& order);
    [[nodiscard]] std::uint32_t judge(
        const tenon_order_request& order,
        std::size_t ahead,
        std::size_t conditional_ahead,
        std::int64_t& locked
    ) const;
    [[nodiscard]] std::uint32_t judge_pair(const trading::SubmitListCommand& command) const;
    [[nodiscard]] ModelOrder make(const tenon_order_request& request, std::uint64_t id) const;
    [[nodiscard]] bool would_match(const ModelOrder& order) const;
    void lock(const ModelOrder& order, std::int64_t amount);
    void cancel_list(ModelList list, const std::string& cancel_id);
    void decide(ModelOrder& order, bool works);
    void end_others();
    [[nodiscard]] std::uint32_t judge_funds(const tenon_order_request& order, std::int64_t& locked)
        const;
    [[nodiscard]] bool client_id_taken(std::uint64_t account, const std::string& id) const;
    [[nodiscard]] std::vector<std::uint64_t> opposite(const ModelOrder& order) const;
    [[nodiscard]] static bool crosses(const ModelOrder& order, const ModelOrder& resting);
    void execute(ModelOrder& order);
    std::vector<std::int64_t> match(ModelOrder& order);
    void work_off_triggers();
    void see_price(std::uint32_t instrument, const std::vector<std::int64_t>& prices);
    [[nodiscard]] std::int64_t takes(const ModelOrder& taker, const ModelOrder& maker) const;
    void trade(ModelOrder& taker, ModelOrder& maker, std::int64_t quantity);
    [[nodiscard]] bool can_fill(const ModelOrder& order) const;
    void prevent(ModelOrder& taker, ModelOrder& maker, std::int64_t quantity);
    void lose(ModelOrder& order, std::int64_t quantity, bool ends);
    void give_back(ModelOrder& order, std::int64_t quantity);
    void show_more(std::uint64_t id, std::int64_t taken);
    [[nodiscard]] static bool follow(ModelOrder& order, std::int64_t price);
    void settle(ModelOrder& order, bool maker, std::int64_t price, std::int64_t quantity);
    void finish(ModelOrder& order, int status);
    void change(ModelOrder& order, int status);
    void close(const ModelOrder& order);
    [[nodiscard]] std::string text_of(const tenon_client_id& id) const;

    std::vector<tenon_instrument> instruments_;
    std::map<RiskKey, ModelRisk> risk_;
    std::set<std::uint64_t> disabled_;  // accounts; 0: all trading
    std::vector<int> scales_;
    Bounds bounds_;
    std::map<std::uint64_t, std::string> accounts_;
    std::map<Cell, ModelBalance> balances_;
    std::map<std::uint64_t, ModelOrder> open_;
    std::map<std::uint64_t, ModelList> lists_;
    std::deque<std::pair<std::uint64_t, std::string>> closed_ids_;
    std::deque<std::pair<std::string, Moved>> references_;
    std::map<std::string, ModelKey> keys_;
    std::map<std::uint32_t, std::uint32_t> status_;
    std::map<std::uint32_t, std::int64_t> last_price_;
    std::map<std::uint32_t, std::uint64_t> trades_so_far_, prevented_so_far_;
    std::uint64_t next_order_ = 1;
    std::uint64_t next_account_ = TENON_ACCOUNT_FIRST;

    std::deque<std::uint64_t> triggered_;
    std::vector<std::pair<std::uint64_t, std::string>> decided_;  // lists, and what cancelled them
    std::uint64_t places_ = 0;
    std::uint64_t sequence_ = 0;
    std::int64_t now_ns_ = 0;
    ModelOutcome outcome_;
};

}  // namespace tenon::test
