// SPDX-License-Identifier: Apache-2.0
// The live half: sends orders and cancels, asks what became of them, hears the user stream, and
// hands everything that the exchange says to the engine as evidence.
//
// It never changes the table: that changes when the engine applies the evidence. What it does not
// hear, it asks for; what it could not hand over, it asks for again: nothing here has to survive.
//
//   new order   leaves once, when its command is on disk. No answer, or one that does not say,
//   makes
//               it unknown; then it is asked about, never sent again. That the exchange does not
//               know it counts only when it was asked after it could no longer have accepted the
//               request (the signed time, its window and a margin, by the exchange's clock as it is
//               known and by ours), twice.
//   cancel      leaves when the order's own request is answered or given up. It may be sent again,
//               after the exchange said that the order still lives: repeating it cannot do harm.
//   fills       from answers and the stream; whenever the exchange says that more was executed than
//               the fills known here add up to, the order's trades are asked for.
//   a break     at the start, after every break of the user stream, and now and then: openOrders is
//               compared with the table, and what is missing there is asked for one by one.
//
// Orders of others on the same account are counted and told, and otherwise left alone; an order
// with one of our ids that the table does not have is an alarm.
//
// Reactor 0. The owner calls tick() by the time that the last tick() gave, and soon after
// changed().
#pragma once

#include "plugins/venue/binance/orders/messages.hpp"
#include "plugins/venue/binance/orders/order_table.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance_venue {

struct DeskSettings {
    std::int64_t order_timeout_ns = 10'000'000'000;
    std::int64_t query_timeout_ns = 10'000'000'000;
    std::int64_t recv_window_ms = 5'000;      // of requests whose own is not known
    std::int64_t absence_margin_ms = 5'000;   // for the clocks, and for the exchange's own delay
    std::uint32_t absences = 2;               // answers that it is not there, before it counts
    std::int64_t pause_min_ns = 250'000'000;  // between questions about one order; doubles
    std::int64_t pause_max_ns = 15'000'000'000;
    std::int64_t compare_ns = 60'000'000'000;       // openOrders, while the user stream is up
    std::int64_t compare_blind_ns = 5'000'000'000;  // and while it is not
    std::int64_t balances_ns = 0;                   // between looks at the balances; 0: none
};

struct DeskCounts {
    std::uint64_t sent = 0;     // new orders
    std::uint64_t unknown = 0;  // new orders whose request ended without an outcome
    std::uint64_t refused = 0;  // new orders
    std::uint64_t absent = 0;   // new orders that certainly never arrived
    std::uint64_t queries = 0;
    std::uint64_t compared = 0;  // openOrders that were compared
    std::uint64_t put_off = 0;   // evidence that the engine did not take; it is asked for again
    std::uint64_t unread = 0;    // messages that could not be read
    std::uint64_t orphans = 0;   // orders with an id of ours that the table does not have
    std::uint64_t foreign = 0;   // open orders of others, at the last comparison
    std::uint64_t contradictions = 0;  // see order_state.hpp
};

class Desk final : public UserStreamListener {
public:
    struct Hooks {
        std::function<std::int64_t()> now_ns;  // monotonic
        // Journals evidence and applies it before it returns, or refuses.
        std::function<tenon_status(std::string_view)> command;
        // May be empty. Something may be due earlier than the last tick() said.
        std::function<void()> changed;
        // Something that an operator should see.
        std::function<void(std::string_view event, std::string_view detail)> warn;
    };

    static constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();
    static constexpr std::size_t k_outbox_max = 4'096;

    // All of them outlive the desk; answers that come after it are dropped.
    Desk(
        const OrderTable& table,
        const Listing& listing,
        const OrderIds& ids,
        RestClient& rest,
        const DeskSettings& settings,
        Hooks hooks
    );
    ~Desk() = default;
    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;

    // The table is as the journal left it: whatever is pending may have been sent.
    void start();
    // The table has a new order; the table's order is wished to be cancelled.
    void submitted(std::uint64_t order_id);
    void cancel_wanted(std::uint64_t order_id);
    // What was submitted and wished so far is on disk.
    void durable();
    // The table took evidence about this order.
    void applied(std::uint64_t order_id);
    // Does what is due; returns when it should be called next.
    std::int64_t tick();

    void user_stream_connected() override;
    void user_stream_broken(std::string_view reason) override;
    void user_stream_event(std::string_view json) override;

    [[nodiscard]] const DeskCounts& counts() const noexcept { return counts_; }

    // Orders whose outcome nobody knows at the moment.
    [[nodiscard]] std::size_t unknown_now() const;

    [[nodiscard]] bool stream_up() const noexcept { return stream_up_; }

    // Nothing is under way: no request waits for its answer, and nothing is unknown.
    [[nodiscard]] bool quiet() const;

private:
    // One moment by both clocks: the exchange's as it is estimated, which may be corrected, and our
    // monotonic one.
    struct Moment {
        std::int64_t exchange_ms = 0;
        std::int64_t own_ns = 0;
    };

    struct Track {
        SendPhase send = SendPhase::held;
        CancelPhase cancel = CancelPhase::none;
        bool asking = false;  // a question about it is on its way
        bool denied = false;  // it was told that the exchange never had it
        std::uint32_t absences = 0;
        Moment accept_until;        // after that, by either clock, it is not taken any more
        std::int64_t executed = 0;  // the most that the exchange has told
        std::int64_t ask_ns = k_never;
        std::int64_t cancel_ns = k_never;
        std::int64_t pause_ns = 0;
    };

    using Answer = std::function<void(const RestReply&)>;

    // desk.cpp
    [[nodiscard]] Track* find(std::uint64_t order_id);
    void step(Track& track, SendEvent event);
    void step(Track& track, CancelEvent event);
    void send_order(std::uint64_t order_id);
    void on_placed(std::uint64_t order_id, const RestReply& reply);
    void in_doubt(std::uint64_t order_id);
    void try_cancel(std::uint64_t order_id);
    void on_cancel(std::uint64_t order_id, const RestReply& reply);
    void tell(OrderNews news);
    // The order never was at the exchange.
    void deny(std::uint64_t order_id, End end, std::uint32_t reject = 0, std::string reason = {});
    [[nodiscard]] bool flush();
    [[nodiscard]] bool is_new(const OrderNews& news) const;
    void request(RestRequest request, Answer answer);
    void changed() const;
    void not_taken(const std::string& evidence);

    // desk_questions.cpp
    void ask_soon(Track& track);
    void ask_later(Track& track);
    void ask(std::uint64_t order_id);
    void on_order(
        std::uint64_t order_id,
        const Moment& asked,
        bool after_cancel,
        const RestReply& reply
    );
    void on_missing(std::uint64_t order_id, const Moment& asked);
    [[nodiscard]] Moment now() const;
    [[nodiscard]] static Moment later(const Moment& moment, std::int64_t ms);
    void ask_trades(std::uint64_t order_id, std::uint64_t from_trade_id);
    void on_trades(std::uint64_t order_id, const RestReply& reply);
    [[nodiscard]] bool misses_fills(std::uint64_t order_id, const Track& track) const;
    void compare();
    void on_open_orders(const RestReply& reply);
    // The order that a message is about; 0: none of the table.
    std::uint64_t learn(Told told);
    [[nodiscard]] std::uint64_t ours(const std::string& client_id);
    [[nodiscard]] bool is_of_others(const Json& report) const;
    [[nodiscard]] RestRequest question(std::string path, std::string query) const;

    const OrderTable& table_;
    const Listing& listing_;
    const OrderIds& ids_;
    RestClient& rest_;
    DeskSettings settings_;
    Hooks hooks_;
    DeskCounts counts_;
    std::map<std::uint64_t, Track> tracks_;
    std::vector<std::uint64_t> held_, wished_;  // until they are on disk
    std::deque<std::string> outbox_;
    std::deque<std::uint64_t> gone_;  // ids that ended lately: messages about them may still come
    std::vector<std::uint64_t> expected_;  // open here when openOrders was asked for
    bool started_ = false;
    bool stream_up_ = false;
    bool comparing_ = false;
    bool compare_again_ = false;
    std::int64_t compare_due_ns_ = k_never;
    std::int64_t compared_ns_ = 0;  // when openOrders was last asked for
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace tenon::binance_venue
