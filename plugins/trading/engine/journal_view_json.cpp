// SPDX-License-Identifier: Apache-2.0
// The view as JSON. Amounts are decimals as text, as everywhere else.
#include "plugins/trading/engine/journal_view.hpp"
#include "plugins/trading/engine/risk_args.hpp"

#include <tenon/decimal.hpp>

#include <boost/json.hpp>

#include <array>
#include <map>

namespace tenon::engine {
namespace {

namespace json = boost::json;

template <std::size_t Count>
std::string_view word(const std::array<std::string_view, Count>& words, std::uint8_t at) {
    return at >= 1 && at <= Count ? words[at - 1U] : "?";
}

std::string_view status_word(std::uint8_t status) {
    return status == TENON_STATUS_NEW                ? "NEW"
           : status == TENON_STATUS_PARTIALLY_FILLED ? "PARTIALLY_FILLED"
                                                     : "PENDING_NEW";
}

class Page {
public:
    Page(
        const View& view,
        const Service<tenon_instruments_1>& instruments,
        const std::string& account,
        const std::string& symbol
    )
        : core_{*view.core}, instruments_{instruments} {
        if (!account.empty()) {
            account_ = core_.find_account(account);
            if (account_ == nullptr) {
                throw Error{TENON_NOT_FOUND, "there was no account \"" + account + "\" then"};
            }
        }
        if (!symbol.empty() &&
            instruments_->find_instrument(instruments_.self, str(symbol), &symbol_) != TENON_OK) {
            throw Error{TENON_NOT_FOUND, "there is no instrument \"" + symbol + "\""};
        }
    }

    [[nodiscard]] json::array accounts() const {
        json::array rows;
        for (const trading::Account& account : core_.accounts()) {
            if (account_ == nullptr || account_->id == account.id) {
                rows.push_back(
                    {{"id", account.id},
                     {"name", account.name},
                     {"enabled", account.enabled},
                     {"balances", balances(account.id)}}
                );
            }
        }
        return rows;
    }

    [[nodiscard]] json::array risk() const {
        return risk_rows(core_, instruments_, account_ == nullptr ? 0 : account_->id);
    }

    [[nodiscard]] json::array orders() const {
        json::array rows;
        for (const trading::Account& account : core_.accounts()) {
            if (account_ != nullptr && account_->id != account.id) {
                continue;
            }
            core_.for_each_open_order(account.id, symbol_, [&](const tenon_order& order) {
                rows.push_back(order_row(account.name, order));
            });
        }
        return rows;
    }

    [[nodiscard]] json::array books() const {
        json::array rows;
        const std::uint32_t count = instruments_->instrument_count(instruments_.self);
        for (std::uint32_t id = 0; id < count; ++id) {
            const tenon_instrument& rules = *instruments_->instrument(instruments_.self, id);
            if ((symbol_ == TENON_ANY_INSTRUMENT || symbol_ == id) && is_market(rules.venue)) {
                json::object book = levels(rules);
                if (!book.at("bids").as_array().empty() || !book.at("asks").as_array().empty()) {
                    rows.push_back(std::move(book));
                }
            }
        }
        return rows;
    }

private:
    [[nodiscard]] json::object balances(std::uint64_t account) const {
        json::object row;
        const std::uint32_t assets = instruments_->asset_count(instruments_.self);
        for (std::uint32_t id = 0; id < assets; ++id) {
            if (core_.balance_used(account, id)) {
                const tenon_asset& asset = *instruments_->asset(instruments_.self, id);
                const tenon_balance balance = core_.balance(account, id);
                row[view(asset.name)] = {
                    {"free", decimal_text(balance.free, asset.scale)},
                    {"locked", decimal_text(balance.locked, asset.scale)}};
            }
        }
        return row;
    }

    [[nodiscard]] json::object order_row(const std::string& account, const tenon_order& order)
        const {
        const tenon_instrument& rules =
            *instruments_->instrument(instruments_.self, order.instrument);
        const auto price = [&](std::int64_t value) {
            return decimal_text(value, rules.price_scale);
        };
        const auto quantity = [&](std::int64_t value) {
            return decimal_text(value, rules.quantity_scale);
        };
        return {
            {"order_id", order.order_id},
            {"client_order_id", std::string_view{order.client_id.text, order.client_id.length}},
            {"account", account},
            {"symbol", view(rules.symbol)},
            {"side", order.side == TENON_SIDE_BUY ? "BUY" : "SELL"},
            {"type", order_type_word(order.type)},
            {"status", status_word(order.status)},
            {"price", price(order.price)},
            {"stop_price", price(order.stop_price)},
            {"quantity", quantity(order.quantity)},
            {"filled", quantity(order.filled_quantity)},
            {"prevented", quantity(order.prevented_quantity)},
            {"created", moment_text(order.created_real_ns)}};
    }

    // A venue that takes nothing from outside: its market is the orders that rest in it.
    [[nodiscard]] bool is_market(tenon_str venue) const {
        for (const trading::VenueBinding& binding : core_.venues()) {
            if (binding.name == view(venue)) {
                return binding.venue->evidence == nullptr && binding.venue->apply == nullptr;
            }
        }
        return false;
    }

    [[nodiscard]] json::object levels(const tenon_instrument& rules) const {
        std::map<std::int64_t, std::int64_t> bids;
        std::map<std::int64_t, std::int64_t> asks;
        for (const trading::Account& account : core_.accounts()) {
            core_.for_each_open_order(account.id, rules.id, [&](const tenon_order& order) {
                if (order.working_real_ns != 0) {
                    auto& side = order.side == TENON_SIDE_BUY ? bids : asks;
                    side[order.price] += order.quantity - order.filled_quantity;
                }
            });
        }
        json::array bid_rows;
        json::array ask_rows;
        const auto put = [&](json::array& rows, const auto& level) {
            rows.push_back(json::array{
                decimal_text(level.first, rules.price_scale),
                decimal_text(level.second, rules.quantity_scale)});
        };
        for (auto level = bids.rbegin(); level != bids.rend(); ++level) {
            put(bid_rows, *level);
        }
        for (const auto& level : asks) {
            put(ask_rows, level);
        }
        return {
            {"symbol", view(rules.symbol)},
            {"venue", view(rules.venue)},
            {"bids", std::move(bid_rows)},
            {"asks", std::move(ask_rows)}};
    }

    const trading::Core& core_;
    Service<tenon_instruments_1> instruments_;
    const trading::Account* account_ = nullptr;
    std::uint32_t symbol_ = TENON_ANY_INSTRUMENT;
};

}  // namespace

std::string_view order_type_word(std::uint8_t type) {
    static_assert(TENON_ORDER_LIMIT == 1 && TENON_ORDER_TAKE_PROFIT_LIMIT == 7);
    constexpr std::array<std::string_view, 7> k_words{
        "LIMIT",
        "MARKET",
        "LIMIT_MAKER",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT"};
    return word(k_words, type);
}

std::string view_json(
    const View& view,
    const Service<tenon_instruments_1>& instruments,
    const std::string& account,
    const std::string& symbol
) {
    const Page page{view, instruments, account, symbol};
    const std::int64_t time = view.core->time_real_ns();
    return json::serialize(json::object{
        {"sequence", view.sequence},
        {"time", time == 0 ? json::value(nullptr) : json::value(moment_text(time))},
        {"time_ns", time},
        {"state_hash", std::to_string(view.core->state_hash())},
        {"halted", view.core->halted()},
        {"snapshot", view.base_sequence},
        {"replayed", view.replayed},
        {"hashes_compared", view.hashes_compared},
        {"accounts", page.accounts()},
        {"risk", page.risk()},
        {"open_orders", page.orders()},
        {"books", page.books()}});
}

}  // namespace tenon::engine
