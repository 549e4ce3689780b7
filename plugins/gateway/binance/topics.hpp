// SPDX-License-Identifier: Apache-2.0
// Who listens to what, and what is sent when. A payload is written once for each form that somebody
// listens in (raw or combined, milliseconds or microseconds), framed once, and shared by all. What
// nobody listens to is not looked at. Who reads too slowly gets the newest state when it reads
// again (slow_readers.hpp).
//
// Sent as it happens: trade, aggTrade, bookTicker. Sent on tick(), every 100 ms or second, when
// there is something new: the rest, but the books of tick_frames(). Everything runs on reactor 0.
#pragma once

#include "plugins/gateway/binance/api.hpp"
#include "plugins/gateway/binance/slow_readers.hpp"
#include "plugins/gateway/binance/stream_render.hpp"
#include "plugins/gateway/binance/topic_name.hpp"

#include <array>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon::binance {

struct StreamConnection;

struct Topic {
    static constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::min();

    std::string text;  // the name as it was asked for
    TopicName name;
    std::vector<StreamConnection*> subscribers;  // NULL: left during a delivery
    bool fresh = true;                           // somebody came: send at the next tick
    std::uint64_t version_sent = 0;              // of the data
    DepthDiff diff;                              // depth
    std::int64_t open_sent_ns = k_never;         // the candle, or the window, sent last
    bool closed_sent = false;                    // and whether as closed
    std::vector<std::uint64_t> versions_sent;    // all markets: by instrument
    std::map<std::uint32_t, Frames> kept;        // newest ones that slow readers wait for
};

struct StreamConnection {
    std::uint64_t id = 0;
    bool combined = false;
    bool micro = false;
    std::int64_t opened_ns = 0;  // monotonic
    std::vector<Topic*> topics;
    bool slow = false;  // what may wait does, until its queue is short again
    Backlog backlog;
};

class Topics {
public:
    // Since the start.
    struct Counts {
        std::uint64_t frames = 0;      // handed out
        std::uint64_t conflated = 0;   // messages that a slow reader gets as part of a newer one
        std::uint64_t depth_gaps = 0;  // differences that one did not get, as its update ids show
    };

    // A connection with more bytes queued than `slow_above_bytes` is slow.
    Topics(const Services& services, std::uint64_t slow_above_bytes);
    ~Topics();
    Topics(const Topics&) = delete;
    Topics& operator=(const Topics&) = delete;

    // No effect when the connection listens already.
    void subscribe(StreamConnection& connection, std::string_view text, const TopicName& name);
    // No effect when it does not.
    void unsubscribe(StreamConnection& connection, std::string_view text);
    void drop(StreamConnection& connection) noexcept;

    void on_market(const tenon_md_event& event);
    void tick(std::int64_t now_real_ns);
    // About 60 times a second while has_frames(): books that are sent as a screen shows them.
    void tick_frames();
    // Sends what slow readers wait for, to those who can take it by now.
    void catch_up(std::int64_t now_real_ns);
    // True when catch_up would send or release something. Looks at some slow readers, the next ones
    // at the next call: it is asked every turn, however many there are.
    [[nodiscard]] bool can_catch_up() noexcept;

    [[nodiscard]] bool has_frames() const noexcept { return !frames_.empty(); }

    void set_slow_above(std::uint64_t bytes) noexcept { slow_above_bytes_ = bytes; }

    [[nodiscard]] std::size_t topic_count() const noexcept { return topics_.size(); }

    [[nodiscard]] std::size_t slow_count() const noexcept { return slow_.size(); }

    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

private:
    // Topics of an instrument that look at events.
    struct Listeners {
        std::vector<Topic*> trade, agg_trade, book_ticker, depth;
    };

    // What becomes of a message for a slow reader.
    struct IfSlow {
        enum class Way : std::uint8_t { send, keep, skip } way = Way::send;
        std::uint32_t key = 0;  // keep: replaces the one that is kept under it
    };

    template <class Write>
    void publish(Topic& topic, IfSlow if_slow, Write&& write);
    template <class Write>
    [[nodiscard]] tenon_ws_frame* frame(const Topic& topic, std::size_t form, Write&& write);
    template <class Write>
    void send_one(const StreamConnection& connection, const Backlog::Missed& missed, Write&& write);

    [[nodiscard]] std::vector<Topic*>* ticked_of(const TopicName& name) noexcept;
    [[nodiscard]] std::vector<Topic*>* listeners_of(const TopicName& name);
    void remove(Topic& topic, StreamConnection& connection) noexcept;
    void forget_if_idle(Topic& topic) noexcept;
    void sweep() noexcept;
    [[nodiscard]] bool is_slow(StreamConnection& connection);
    [[nodiscard]] std::uint64_t queued(const StreamConnection& connection) const noexcept;
    void send_missed(StreamConnection& connection, Backlog::Missed& missed, std::int64_t now);
    void forget_slow(StreamConnection& connection) noexcept;
    void on_book(std::uint32_t instrument, const tenon_feed_event* feed);
    void on_best(const tenon_md_event& event);
    [[nodiscard]] Market market(const Topic& topic) const;
    void tick_topic(Topic& topic, std::int64_t now_real_ns, bool second);
    void send_depth(Topic& topic, std::int64_t now_real_ns);
    void send_partial_depth(Topic& topic);
    void send_kline(Topic& topic, std::int64_t now_real_ns);
    void send_ticker(Topic& topic, std::int64_t now_real_ns);
    void send_window(Topic& topic, std::int64_t now_real_ns);
    void send_average(Topic& topic, std::int64_t now_real_ns);
    void send_all(Topic& topic, std::int64_t now_real_ns);
    [[nodiscard]] bool is_new(Topic& topic) const;
    [[nodiscard]] static bool has_moved(Topic& topic, std::int64_t now_real_ns) noexcept;
    [[nodiscard]] bool read_ticker(
        const TopicName& name,
        std::uint32_t instrument,
        std::int64_t now_real_ns,
        tenon_ticker& out
    ) const;
    void write_all(
        JsonWriter& json,
        const Topic& topic,
        const std::vector<tenon_ticker>& tickers,
        std::int64_t now_real_ns
    ) const;

    Services services_;
    std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
    std::vector<Listeners> listeners_;  // by instrument
    std::vector<Topic*> all_book_tickers_;
    std::vector<Topic*> timed_;
    std::vector<Topic*> frames_;
    std::string buffer_;
    std::int64_t last_second_ = -1;
    std::uint64_t slow_above_bytes_;
    std::vector<StreamConnection*> slow_;
    static constexpr std::size_t k_looks_a_turn = 32;
    std::size_t look_at_ = 0;  // position in slow_
    Counts counts_;
    int delivering_ = 0;
    bool left_during_delivery_ = false;
};

}  // namespace tenon::binance
