// SPDX-License-Identifier: Apache-2.0
// The deterministic trading core: accounts, balances, orders, risk, keys, and the venues it drives.
//
// What it does: takes commands one at a time, decides, changes its state, says what happened. What
// it does not do: it reads no clock, no random source, no file, no market data, and it starts no
// thread; it keeps no history (closed orders and trades leave with the Output). The same commands
// on the same state give the same state and the same Output, on any machine.
//
// Refused commands change nothing but the sequence. All checks come before the first change; only
// the venue's own refusal comes later, and it is undone to the last bit.
//
// Memory is bounded by CoreOptions; a bound that is reached refuses with TENON_REJECT_CAPACITY.
//
// Not thread-safe: one thread uses a Core and the venues bound to it. References and rows that
// queries give are valid until the next apply.
//
// Life of an order. Arrows are the only transitions; the last four are closed, and leave the core.
//
//   PENDING_NEW --ACCEPTED--> NEW --TRADE--> PARTIALLY_FILLED --TRADE--> FILLED
//        |                     |                    |
//        +---------------------+--------------------+--CANCELED--> CANCELED (by cancel)
//        |                     |                    |
//        +---------------------+--------------------+--EXPIRED---> EXPIRED  (the rest was not
//        traded) |                                                         FILLED   (quote order:
//        the rest buys
//        +--REJECTED--> REJECTED (only when it comes later: in        not one step)
//                       the submit itself the command is refused)
//   An order that is good till a date is cancelled at its venue then, and EXPIRED.
//   A conditional order is NEW while it waits (working_real_ns 0) and after TRIGGERED or WORKING.
//   After TRIGGERED it goes back to its venue as a market or limit order, at the end of the same
//   command; if the venue refuses it then, it is EXPIRED.
//   TRADE is also taken in PENDING_NEW (an exchange may report it first). Reports for orders that
//   are not open are ignored; trades that break the contract of tenon.venue/1 are dropped, counted,
//   and end the order as EXPIRED.
//   A prevented match takes quantity from one or both of two orders of one account, without a
//   trade; an order of which nothing is left by that is EXPIRED, even where it has traded before.
//   When an order of a list trades, is triggered or ends, the list is decided: its money becomes
//   that order's, and the others are cancelled at their venue before anything else goes there.
//
// Money. Every change is a transfer between accounts, so that the sum of free + locked over all
// accounts, the three system accounts included, is 0 for every asset at all times.
//   locked   limit buy: price * rest of the quantity, in quote; sell: the rest of the quantity, in
//            base; market buy by quote: the quote quantity; market buy by base, and market sell by
//            quote: all that is free of the paying asset, for as long as the order lives (with a
//            synchronous venue: within the command). What it needs by the reference price must be
//            there, else TENON_REJECT_BALANCE; the venue stops before fills would take more than
//            was locked. A conditional market buy: the stop price * quantity, and all that is free
//            when it is triggered. So no balance of a user ever goes below 0. A list locks what
//            the dearer of its orders needs, until it is decided.
//   fill     the buyer pays price * quantity, the seller gives quantity; what a limit buy had
//   locked
//            beyond the price goes back at once. The fee is taken from what is received:
//            amount * ppm / 1,000,000, rounded half up in units of the asset, to account FEES;
//            a venue that charges by itself says how much of what, and gets it as far as the
//            account has it.
//   less     what a prevented match or an amendment takes of an order gives back what it had locked
//            of a limit order; of others it stays locked until the order ends.
//   bound    the balances of EXTERNAL and VENUES stay within +-2^61 units; so no sum of balances
//   can
//            leave 64 bits.
#pragma once

#include "plugins/trading/engine/core/command.hpp"
#include "plugins/trading/engine/core/instrument_table.hpp"
#include "plugins/trading/engine/core/ledger.hpp"
#include "plugins/trading/engine/core/order_lists.hpp"
#include "plugins/trading/engine/core/order_store.hpp"
#include "plugins/trading/engine/core/output.hpp"
#include "plugins/trading/engine/core/risk_table.hpp"

#include <tenon/abi/venue.h>
#include <tenon/byte_codec.hpp>
#include <tenon/plugin.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon::trading {

// A venue and the instance name by which instruments refer to it.
struct VenueBinding {
    std::string name;
    Service<tenon_venue_1> venue;
};

struct CoreOptions {
    std::uint32_t open_orders_max = 1U << 20;
    std::uint32_t accounts_max = 1U << 16;
    std::uint32_t keys_max = 1U << 16;
    // Ids of closed orders that stay taken, the oldest forgotten first; part of the state.
    std::uint32_t closed_ids_remembered = 65'536;
    // References of transfers that stay known, likewise.
    std::uint32_t references_remembered = 65'536;
    // Against clients who choose ids that collide in a table: any secret value. Changes no result.
    std::uint64_t hash_seed = 0;
};

// True when it is not too long and has no space and no control character.
[[nodiscard]] bool printable(const tenon_client_id& id) noexcept;

// The id with zeros behind its text, as the state keeps it; too long a length is cut.
[[nodiscard]] tenon_client_id normal(const tenon_client_id& id) noexcept;

// An account as the core has it. Names live as long as the core.
struct Account {
    std::uint64_t id = 0;
    std::string name;
    bool enabled = true;
    std::int64_t created_real_ns = 0;
    std::int64_t updated_real_ns = 0;
};

struct ApiKey {
    std::string key;
    std::uint64_t account = 0;
    std::uint32_t kind = 0;
    std::uint32_t permissions = 0;
    std::string material;
    std::string label;
    std::int64_t created_real_ns = 0;
    bool revoked = false;
    std::string addresses;
};

class Core {
public:
    // Instruments and venues outlive the core; the venues' state is the core's from here on. An
    // instrument whose venue is not among `venues` is halted. Throws Error when the tables break
    // their contract.
    Core(
        Service<tenon_instruments_1> instruments,
        std::vector<VenueBinding> venues,
        const CoreOptions& options = {}
    );
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // Applies a command and appends its result to `out`; the reference is valid until the next
    // apply into the same Output. Sequences ascend; what else is wrong with a command refuses it.
    const Result& apply(const Command& command, Output& out);

    // Live only, before the command is made: lets the venue of the order put its evidence. TENON_OK
    // also when the venue needs none or the instrument is unknown (submit will refuse it).
    tenon_status evidence(const tenon_order_request& request, std::int64_t now_real_ns, tenon_sink)
        const;

    // ---- queries
    [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

    [[nodiscard]] std::int64_t time_real_ns() const noexcept { return time_real_ns_; }

    [[nodiscard]] std::uint64_t next_order_id() const noexcept { return next_order_id_; }

    // For a replay under other rules, where orders keep the ids that were told: the id of the next
    // order, which no open one has.
    void number_orders_from(std::uint64_t order_id) noexcept { next_order_id_ = order_id; }

    // What a RiskLimitsCommand does; by itself for such a replay. TENON_REJECT_*, NONE: done.
    [[nodiscard]] std::uint32_t set_risk(const RiskLimitsCommand& command);

    [[nodiscard]] std::size_t open_order_count() const noexcept { return orders_.size(); }

    // Those that are not done.
    [[nodiscard]] const OrderLists& order_lists() const noexcept { return lists_; }

    // Trades and reports of venues that broke their contract and were dropped.
    [[nodiscard]] std::uint64_t anomalies() const noexcept { return anomalies_; }

    [[nodiscard]] const std::vector<VenueBinding>& venues() const noexcept { return venues_; }

    // An open order, or nullptr. Order id 0: by client id. Another account's order is not found;
    // instrument TENON_ANY_INSTRUMENT fits any.
    [[nodiscard]] const tenon_order* open_order(
        std::uint64_t account,
        std::uint32_t instrument,
        std::uint64_t order_id,
        const tenon_client_id& client_id
    ) const noexcept;

    // Calls visit(const tenon_order&) for each open order of the account, ids ascending.
    template <class Visit>
    void for_each_open_order(std::uint64_t account, std::uint32_t instrument, Visit&& visit) const {
        orders_.for_each_of(account, [&](const OrderSlot& slot) {
            if (instrument == TENON_ANY_INSTRUMENT || slot.order.instrument == instrument) {
                visit(slot.order);
            }
        });
    }

    // The user accounts and the system accounts (named external, fees, venues), ids ascending.
    [[nodiscard]] const std::vector<Account>& accounts() const noexcept { return accounts_; }

    [[nodiscard]] const Account* find_account(std::uint64_t id) const noexcept;
    [[nodiscard]] const Account* find_account(std::string_view name) const noexcept;

    // In the order of their adding, revoked ones too.
    [[nodiscard]] const std::vector<ApiKey>& keys() const noexcept { return keys_; }

    [[nodiscard]] const ApiKey* find_key(std::string_view key) const noexcept;

    // Balance of an account that exists and an asset that is listed; else zeros.
    [[nodiscard]] tenon_balance balance(std::uint64_t account, std::uint32_t asset) const noexcept;

    // True when the balance is or was not zero.
    [[nodiscard]] bool balance_used(std::uint64_t account, std::uint32_t asset) const noexcept;

    // TENON_INSTRUMENT_*; BREAK for an unknown one.
    [[nodiscard]] std::uint32_t instrument_status(std::uint32_t instrument) const noexcept;

    // TENON_VENUE_* of the venue of an instrument; 0 when there is none. From any thread.
    [[nodiscard]] std::uint32_t venue_takes(std::uint32_t instrument) const noexcept;

    // When the next open order's time is over, or INT64_MAX: from then on an expire command comes
    // before any other.
    [[nodiscard]] std::int64_t next_expiry_real_ns() const noexcept {
        return expiries_.empty() ? INT64_MAX : expiries_.begin()->first;
    }

    // True while no order of anybody is taken.
    [[nodiscard]] bool halted() const noexcept { return halted_; }

    [[nodiscard]] const RiskTable& risk() const noexcept { return risk_; }

    // 0: no trade yet.
    [[nodiscard]] std::int64_t last_price(std::uint32_t instrument) const noexcept;

    // Which rule of the money above is broken, or empty. Looks at everything: for tests and tools.
    [[nodiscard]] std::string check_invariants() const;

    // ---- state as a whole (format: snapshot_format.hpp)
    // Hash of the whole deterministic state, of the venues' too; the sequence and the time of the
    // last command are not in it, so that a refused command leaves it as it was. Costs a walk over
    // the state.
    [[nodiscard]] std::uint64_t state_hash() const;

    // Appends the state as bytes, the venues' included. Throws Error when a venue fails.
    void snapshot_write(std::string& out) const;

    // Replaces the state, and the venues'. Throws Error (TENON_CORRUPT, TENON_INVALID) with what
    // does not fit; the core is unusable then.
    void snapshot_read(std::string_view bytes);

    // True when these bytes are a snapshot of this version: the hash of a state is that of its
    // bytes, so that one of another version has another.
    [[nodiscard]] static bool is_of_this_version(std::string_view snapshot) noexcept;

    // Hash over assets and instruments as listed. A journal written under another value may replay
    // differently: compare before replaying.
    [[nodiscard]] std::uint64_t instruments_fingerprint() const noexcept {
        return table_.fingerprint();
    }

private:
    // A transfer that carried a reference.
    struct Transfer {
        std::uint64_t from = 0, to = 0;
        std::int64_t amount = 0;
        std::uint32_t asset = 0;
    };

    // What the checks of a submit find out.
    struct Admission {
        tenon_client_id client_id{};
        std::uint32_t client_tag = 0;
        std::int64_t funds = 0;
        std::int64_t reference_price = 0;
    };

    // One side of a trade: an open order, or the market (slot k_no_slot).
    struct TradeSide {
        std::uint32_t slot = k_no_slot;
        bool maker = false;
    };

    // What orders of the same command, before this one, count for.
    struct Ahead {
        std::uint32_t orders = 0, algo_orders = 0;
    };

    // A list of which one order works or ended. Those that a cancel ends with it have its id.
    struct Decision {
        std::uint64_t list_id = 0, order_id = 0;
        tenon_client_id cancel_client_id{};
    };

    // What a venue charges for the next trade of an order; order id 0: nothing was said.
    struct Commission {
        std::uint64_t order_id = 0;
        std::int64_t amount = 0;
        std::uint32_t asset = 0;
    };

    // A trade with its amounts worked out.
    struct Fill {
        const Instrument* instrument = nullptr;
        std::uint64_t trade_id = 0;
        std::int64_t price = 0, quantity = 0;
        std::int64_t base = 0, quote = 0;  // units of the assets
    };

    // core.cpp
    void refuse(std::uint32_t reject) noexcept { result_->reject = reject; }

    void put_touched_balances();
    [[nodiscard]] const tenon_venue_1* venue_of(const Instrument& instrument) const noexcept;

    // core_changes.cpp
    void on_prevented(const tenon_venue_report& report);
    void lose(std::uint32_t slot, std::int64_t quantity, bool ends, std::uint32_t row);
    void release(OrderSlot& slot, std::int64_t quantity) noexcept;
    void run(const AmendCommand&);
    void run(const ExpireCommand&);

    [[nodiscard]] bool is_over(const tenon_order& order) const noexcept {
        return order.expires_real_ns != 0 && order.expires_real_ns <= time_real_ns_;
    }

    void watch_expiry(const tenon_order& order);
    void forget_expiry(const tenon_order& order);
    [[nodiscard]] std::uint32_t
    check_amend(const tenon_amend_request& request, const tenon_order& order) const;

    // core_risk.cpp
    void run(const RiskLimitsCommand&);
    void run(const KeyAddressesCommand&);
    [[nodiscard]] std::uint32_t
    check_risk(const tenon_order_request& order, std::int64_t reference_price, Ahead ahead) const;
    [[nodiscard]] std::uint32_t check_risk_row(
        const RiskRow& row,
        const tenon_order_request& order,
        std::int64_t reference_price,
        Ahead ahead
    ) const;

    // Orders were taken.
    void charge_risk(std::uint64_t account, std::uint32_t instrument, std::int64_t orders) {
        if (!risk_.empty()) {
            risk_.charge(account, instrument, time_real_ns_, orders);
        }
    }

    // core_orders.cpp
    void run(const SubmitCommand&);
    void run(const CancelCommand&);
    void run(const CancelAllCommand&);
    void run(const VenueApplyCommand&);
    [[nodiscard]] bool is_taken_by_venue(const tenon_order_request& order) const noexcept;
    [[nodiscard]] const tenon_order* named_order(
        std::uint64_t account,
        std::uint32_t instrument,
        std::uint64_t order_id,
        const tenon_client_id& client_id
    ) const noexcept;
    void follow_up(tenon_bytes evidence);
    void submit_triggered(std::uint32_t at, tenon_bytes evidence);
    [[nodiscard]] std::uint32_t
    check_submit(const SubmitCommand& command, Admission& admission, Ahead ahead) const;
    [[nodiscard]] std::uint32_t find_funds(
        const tenon_order_request& order,
        std::int64_t reference_price,
        std::int64_t& funds
    ) const;
    [[nodiscard]] std::int64_t reference_price(const SubmitCommand& command) const;
    // Prefix and number, and more when a client has taken that very id.
    [[nodiscard]] tenon_client_id
    make_client_id(std::uint64_t account, std::string_view prefix, std::uint64_t number) const;
    [[nodiscard]] tenon_order make_order(const tenon_order_request& request) const;
    void hand_over(std::uint32_t slot, const Admission& admission, tenon_bytes evidence);
    [[nodiscard]] tenon_client_id make_cancel_id() const noexcept;
    // Those in scratch_.
    void cancel_these();
    void cancel_open(std::uint32_t slot, const tenon_client_id& cancel_client_id);

    // core_lists.cpp
    void run(const SubmitListCommand&);
    void run(const CancelListCommand&);
    [[nodiscard]] std::uint32_t check_list(
        const SubmitListCommand& command,
        std::array<Admission, TENON_LIST_ORDERS_MAX>& admissions
    ) const;
    [[nodiscard]] std::uint32_t check_pair(const SubmitListCommand& command) const;
    [[nodiscard]] tenon_client_id make_list_id(std::uint64_t account, std::uint64_t list_id) const;
    void cancel_list(const OrderList& list, const tenon_client_id& cancel_client_id);
    void put_list_rows(const tenon_order_list& list);
    void put_list(const tenon_order_list& list);

    // True for an order whose list has been decided against it.
    [[nodiscard]] bool is_doomed(const tenon_order& order) const noexcept {
        return order.list_id != 0 && lost_list(order);
    }

    [[nodiscard]] bool lost_list(const tenon_order& order) const noexcept;

    // The order works, or ends.
    void decide(std::uint32_t slot, bool works) {
        if (orders_[slot].order.list_id != 0) {
            decide_list(slot, works);
        }
    }

    void decide_list(std::uint32_t slot, bool works);
    void end_others();
    void left_list(std::uint64_t list_id);
    [[nodiscard]] std::uint32_t paying_asset(const tenon_order& order) const noexcept;
    [[nodiscard]] std::int64_t needed_funds(const tenon_order& order) const;

    // core_reports.cpp
    [[nodiscard]] tenon_venue_reports reports() noexcept { return {this, &Core::put_report}; }

    static void put_report(void* ctx, const tenon_venue_report* report);
    void on_report(const tenon_venue_report& report);
    void on_accepted(std::uint32_t slot);
    void on_rejected(std::uint32_t slot, std::uint32_t reject);
    void on_canceled(std::uint32_t slot);
    void on_triggered(std::uint32_t slot, bool comes_back);
    void on_commission(const tenon_venue_report& report);
    void on_trade(const tenon_venue_report& report);
    [[nodiscard]] bool side_can_trade(const TradeSide& side, const Fill& fill) const noexcept;
    [[nodiscard]] bool venues_can_trade(const Fill& fill, bool venues_buy) const noexcept;
    void settle(const TradeSide& side, const Fill& fill);
    void settle_venues(const Fill& fill, bool venues_buy);
    void pay_venue(std::uint64_t account, const Commission& charged);
    void end(std::uint32_t slot, std::uint8_t status);
    void close(std::uint32_t slot, std::uint8_t status, std::uint32_t prevented_row);
    void leave(std::uint32_t slot);
    void set_status(tenon_order& order, std::uint8_t status);
    void put_order(std::uint32_t slot, const tenon_trade* trade);

    // core_admin.cpp
    void run(const AccountOpenCommand&);
    void run(const TransferCommand&);
    void run(const KeyAddCommand&);
    void run(const KeyRevokeCommand&);
    void run(const InstrumentStatusCommand&);
    void run(const AccountStatusCommand&);
    [[nodiscard]] std::uint32_t check_transfer(const tenon_ledger_entry& entry) const;
    void open_account(std::string name, std::int64_t created_real_ns);
    void put_account(const Account& account);
    void put_key(const ApiKey& key);
    void remember_reference(std::string_view reference, const Transfer& transfer);

    // core_snapshot.cpp
    void write_state(std::string& bytes) const;
    void write_accounts(ByteWriter& out) const;
    void write_orders(ByteWriter& out) const;
    void write_lists(ByteWriter& out) const;
    void write_references_and_keys(ByteWriter& out) const;
    void read_state(ByteReader& in, std::uint16_t version);
    void read_instruments(ByteReader& in, std::uint16_t version);
    void read_accounts(ByteReader& in);
    void read_orders(ByteReader& in, std::uint16_t version);
    void read_lists(ByteReader& in);
    void read_references(ByteReader& in);
    void read_keys(ByteReader& in, std::uint16_t version);
    void read_venues(ByteReader& in, std::uint16_t version);
    void tell_owners() const;
    void reset();

    std::vector<VenueBinding> venues_;
    CoreOptions options_;
    InstrumentTable table_;
    Ledger ledger_;
    OrderStore orders_;
    OrderLists lists_;
    std::vector<Account> accounts_;
    std::vector<ApiKey> keys_;
    std::uint64_t sequence_ = 0;
    std::int64_t time_real_ns_ = 0;
    std::uint64_t next_order_id_ = 1;
    std::uint64_t anomalies_ = 0;
    bool halted_ = false;
    RiskTable risk_;
    std::set<std::pair<std::int64_t, std::uint64_t>> expiries_;  // of open orders: time and id
    std::unordered_map<std::string, std::uint64_t> account_ids_;
    std::unordered_map<std::string, std::uint32_t> key_rows_;
    std::unordered_map<std::string, Transfer> transfers_;
    std::deque<std::string> references_;  // keys of transfers_, oldest first

    // While a command is applied.
    Output* out_ = nullptr;
    Result* result_ = nullptr;
    std::uint32_t subject_ = k_no_slot;  // the order that the command is about
    bool refusable_ = false;             // its venue's refusal undoes the command
    std::uint32_t subject_row_ = 0;      // its last row
    bool subject_has_row_ = false;
    std::uint32_t venue_reject_ = TENON_REJECT_NONE;
    Commission commission_;
    std::vector<std::uint64_t> triggered_;  // ids of orders that go back to their venue
    std::uint32_t working_ = k_no_slot;     // the one of them that does
    std::vector<Decision> decisions_;
    std::vector<std::uint32_t> scratch_;
};

}  // namespace tenon::trading
