// SPDX-License-Identifier: Apache-2.0
// WebSocket connections of market streams: /ws, /ws/<stream>, /stream?streams=a/b, and their
// control messages. An unknown name in a path or query means no initial stream (ccxt connects to
// /ws/0); in a SUBSCRIBE it is an error.
#pragma once

#include "plugins/gateway/binance/control.hpp"
#include "plugins/gateway/binance/settings.hpp"
#include "plugins/gateway/binance/topics.hpp"

#include <functional>
#include <memory>
#include <unordered_map>

namespace tenon::binance {

class Streams {
public:
    Streams(const Services& services, AddressLimits& addresses, const StreamSettings& settings);
    ~Streams();
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    // For connections and subscriptions from now on; the age also for those that are.
    void set(const StreamSettings& settings) noexcept {
        settings_ = settings;
        topics_.set_slow_above(settings.conflate_above_bytes);
    }

    // `combined`: the path is /stream. TENON_OK | TENON_UNAVAILABLE (too many connections of this
    // address) | TENON_INVALID (too many streams). *connection stays until close.
    tenon_status open(
        std::uint64_t id,
        const tenon_http_request& request,
        bool combined,
        StreamConnection** connection
    );
    void text(StreamConnection& connection, std::string_view message);
    void close(StreamConnection& connection) noexcept;

    // At the end of a turn: some slow reader can take what it waits for.
    [[nodiscard]] bool can_catch_up() noexcept { return topics_.can_catch_up(); }

    void catch_up(std::int64_t now_real_ns) { topics_.catch_up(now_real_ns); }

    void on_market(const tenon_md_event& event) { topics_.on_market(event); }

    // Every 100 ms while there are connections.
    void tick(std::int64_t now_real_ns);

    // About 60 times a second while wants_frames().
    void tick_frames() { topics_.tick_frames(); }

    [[nodiscard]] bool wants_frames() const noexcept { return topics_.has_frames(); }

    // Tells every client that the server is about to stop.
    void announce_shutdown();

    // Called when the first connection comes, and with it the need for ticks.
    void on_first_connection(std::function<void()> fn) { on_first_ = std::move(fn); }

    [[nodiscard]] std::size_t connection_count() const noexcept { return connections_.size(); }

    [[nodiscard]] const Topics& topics() const noexcept { return topics_; }

private:
    void subscribe_initial(StreamConnection& connection, std::string_view names);
    [[nodiscard]] std::string answer(StreamConnection& connection, const ControlRequest& request);
    [[nodiscard]] std::string
    subscribe(StreamConnection& connection, const ControlRequest& request);
    // Before the handler's failure closes it without a reason.
    tenon_status refuse(std::uint64_t connection, tenon_status status, std::string_view why);
    void send(std::uint64_t connection, std::string_view text);
    void close_old();

    Services services_;
    AddressLimits& addresses_;
    StreamSettings settings_;
    Topics topics_;
    std::unordered_map<std::uint64_t, std::unique_ptr<StreamConnection>> connections_;
    std::function<void()> on_first_;
    std::int64_t last_age_check_ns_ = 0;
};

}  // namespace tenon::binance
