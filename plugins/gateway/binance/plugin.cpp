// SPDX-License-Identifier: Apache-2.0
// Registration: settings, routes, subscriptions.
#include "plugins/gateway/binance/api.hpp"
#include "plugins/gateway/binance/order_waits.hpp"
#include "plugins/gateway/binance/settings.hpp"
#include "plugins/gateway/binance/socket_api.hpp"
#include "plugins/gateway/binance/streams.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace tenon::binance {
namespace {

[[nodiscard]] std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) {
        throw Error{TENON_NOT_FOUND, "weights_file: cannot read " + path.string()};
    }
    return {std::istreambuf_iterator<char>{in}, {}};
}

constexpr std::int64_t k_tick_ns = 100'000'000;
constexpr std::int64_t k_frame_ns = 16'000'000;
// After the connections have written: who was slow may have room now.
constexpr std::int32_t k_after_writing = TENON_TURN_FLUSH + 50;

class BinancePlugin : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        Settings settings = read_settings(json);
        std::string weights{builtin_weights()};
        if (!settings.weights_file.empty()) {
            weights = read_file(
                std::filesystem::path{host().environment("deployment_dir")} / settings.weights_file
            );
        }
        const Weights check{weights};
        if (dry_run) {
            return;
        }
        if (started_) {
            // The weights' file alone is not live.
            call_on_reactor(exec_, 0, [&] {
                api_->set(settings.limits);
                api_->set_cdn_seconds(settings.cdn_seconds);
                api_->rendered().keep(settings.hot_answers);
                api_->set_stale_book_ms(settings.stale_book_ms);
                streams_->set(settings.streams);
                sockets_->set(settings.streams);
            });
        }
        settings_ = std::move(settings);
        weights_ = std::move(weights);
    }

    // One that fails leaves nothing behind that calls this object: it may be destroyed next.
    void start() override {
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    // Returns when who is connected had the notice to prepare for the stop and nothing waits for
    // the engine any more, or at the deadline.
    void drain(std::int64_t deadline_ns) override {
        bool heard = false;
        call_on_reactor(exec_, 0, [&] {
            streams_->announce_shutdown();
            sockets_->announce_shutdown();
            heard = streams_->connection_count() + sockets_->connection_count() != 0;
        });
        if (heard) {
            give_notice(deadline_ns);
        }
        wait_until_idle(deadline_ns);
    }

    void stop() noexcept override {
        started_ = false;
        for (const std::uint64_t handle : mounts_) {
            services_.http->unmount(services_.http.self, handle);
        }
        mounts_.clear();
        if (execution_subscription_ != 0) {
            services_.trading->unsubscribe(services_.trading.self, execution_subscription_);
            execution_subscription_ = 0;
        }
        if (market_subscription_ != 0) {
            services_.market_data->unsubscribe(services_.market_data.self, market_subscription_);
            market_subscription_ = 0;
        }
        if (exec_ && api_) {
            (void)guard(nullptr, [&] {
                call_on_reactor(exec_, 0, [&] {
                    exec_->cancel_timer(exec_.self, tick_);
                    tick_ = 0;
                    exec_->cancel_timer(exec_.self, frame_);
                    frame_ = 0;
                    if (turn_hook_ != 0) {
                        exec_->remove_turn_hook(exec_.self, std::exchange(turn_hook_, 0));
                    }
                    api_->waits().give_up(0, true);
                    api_->history().clear();
                });
            });
        }
    }

private:
    void begin() {
        services_.http = host().require<tenon_http_routes_1>("tenon.http_routes/1");
        services_.instruments = host().require<tenon_instruments_1>("tenon.instruments/1");
        services_.market_data = host().require<tenon_market_data_1>("tenon.market_data/1");
        services_.trading = host().require<tenon_trading_1>("tenon.trading/1");
        services_.auth = host().require<tenon_auth_1>("tenon.auth/1");
        services_.clock = host().service<tenon_clock_1>("tenon.clock/1");
        find_key_limit();
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        api_.emplace(services_, settings_.limits, weights_);
        api_->set_cdn_seconds(settings_.cdn_seconds);
        api_->rendered().keep(settings_.hot_answers);
        api_->set_stale_book_ms(settings_.stale_book_ms);
        streams_.emplace(services_, api_->addresses(), settings_.streams);
        streams_->on_first_connection([this] { arm_tick(); });
        sockets_.emplace(*api_, settings_.streams);
        api_->on_wait([this] { arm_tick(); });
        count_with_metrics();
        check_call(
            services_.trading->subscribe(
                services_.trading.self, &*api_, &on_execution, &execution_subscription_
            ),
            "subscribe to executions"
        );
        check_call(
            services_.market_data->subscribe(
                services_.market_data.self,
                TENON_MD_BOOK | TENON_MD_TRADE | TENON_MD_BEST | TENON_MD_GAP | TENON_MD_AGG,
                &*streams_,
                &on_market,
                &market_subscription_
            ),
            "subscribe to market data"
        );
        mount_streams();
        call_on_reactor(exec_, 0, [&] {
            turn_hook_ = exec_->at_turn_end(exec_.self, k_after_writing, &on_turn_end, this);
        });
        for (const std::string_view path :
             {"/api/v3/<tail>", "/sapi/<tail>", "/fapi/<tail>", "/dapi/<tail>"}) {
            std::uint64_t handle = 0;
            check_call(
                services_.http->mount(
                    services_.http.self, str("*"), str(path), &*api_, &on_request, &handle
                ),
                path
            );
            mounts_.push_back(handle);
        }
        started_ = true;
    }

    void find_key_limit() {
        services_.throttle = {};
        if (settings_.key_limit.empty()) {
            return;
        }
        const auto throttle = host().find<tenon_throttle_1>("tenon.throttle/1");
        if (!throttle ||
            throttle->find(throttle.self, str(settings_.key_limit), &services_.key_limit) !=
                TENON_OK) {
            throw Error{
                TENON_NOT_FOUND,
                "key_limit: " +
                    std::string{throttle ? "the throttle has no limit " : "no throttle for "} +
                    settings_.key_limit};
        }
        services_.throttle = throttle;
    }

    static void on_request(void* ctx, const tenon_http_request* request) noexcept {
        static_cast<Api*>(ctx)->handle(*request);
    }

    static void
    on_execution(void* ctx, const tenon_execution_event* events, std::uint32_t count) noexcept {
        static_cast<Api*>(ctx)->on_execution(events, count);
    }

    static void on_market(void* ctx, const tenon_md_event* event) noexcept {
        (void)guard(nullptr, [&] { static_cast<Streams*>(ctx)->on_market(*event); });
    }

    template <bool combined>
    static tenon_status on_open(
        void* ctx,
        std::uint64_t connection,
        const tenon_http_request* request,
        void** user
    ) noexcept {
        return guard(nullptr, [&] {
            auto& plugin = *static_cast<BinancePlugin*>(ctx);
            StreamConnection* made = nullptr;
            const tenon_status status =
                plugin.streams_->open(connection, *request, combined, &made);
            *user = made;
            if (status == TENON_OK) {
                follow_listen_keys(*plugin.api_, connection, *request, combined);
                plugin.arm_frame();
            }
            return status;
        });
    }

    static void on_text(void* ctx, std::uint64_t, void* user, tenon_str message) noexcept {
        (void)guard(nullptr, [&] {
            auto& plugin = *static_cast<BinancePlugin*>(ctx);
            plugin.streams_->text(*static_cast<StreamConnection*>(user), view(message));
            plugin.arm_frame();
        });
    }

    static void on_close(void* ctx, std::uint64_t connection, void* user) noexcept {
        auto& plugin = *static_cast<BinancePlugin*>(ctx);
        plugin.api_->user_streams().drop(connection);
        plugin.streams_->close(*static_cast<StreamConnection*>(user));
    }

    static tenon_status on_api_open(
        void* ctx,
        std::uint64_t connection,
        const tenon_http_request* request,
        void** user
    ) noexcept {
        return guard(nullptr, [&] {
            auto& plugin = *static_cast<BinancePlugin*>(ctx);
            SocketConnection* made = nullptr;
            const tenon_status status = plugin.sockets_->open(connection, *request, &made);
            *user = made;
            if (status == TENON_OK) {
                plugin.arm_tick();
            }
            return status;
        });
    }

    static void on_api_text(void* ctx, std::uint64_t, void* user, tenon_str message) noexcept {
        (void)guard(nullptr, [&] {
            auto& plugin = *static_cast<BinancePlugin*>(ctx);
            plugin.sockets_->text(*static_cast<SocketConnection*>(user), view(message));
        });
    }

    static void on_api_close(void* ctx, std::uint64_t, void* user) noexcept {
        auto& plugin = *static_cast<BinancePlugin*>(ctx);
        plugin.sockets_->close(*static_cast<SocketConnection*>(user));
        if (plugin.sockets_->owes_cancels()) {
            plugin.arm_tick();
        }
    }

    static void on_tick(void* ctx) noexcept {
        auto& plugin = *static_cast<BinancePlugin*>(ctx);
        plugin.tick_ = 0;
        const auto& clock = plugin.services_.clock;
        (void)guard(nullptr, [&] { plugin.streams_->tick(clock->now_real_ns(clock.self)); });
        const std::int64_t now_ns = clock->now_ns(clock.self);
        (void)guard(nullptr, [&] { plugin.api_->waits().give_up(now_ns, false); });
        (void)guard(nullptr, [&] {
            plugin.sockets_->tick(now_ns);
            plugin.api_->user_streams().tick(now_ns);
        });
        plugin.publish_metrics();
        if (plugin.streams_->connection_count() > 0 || plugin.sockets_->connection_count() > 0 ||
            plugin.sockets_->owes_cancels() || plugin.api_->waits().size() > 0 ||
            plugin.api_->user_streams().listen_keys().size() > 0) {
            plugin.arm_tick();
        }
    }

    // What is sent now leaves at the end of a turn that has to come.
    static void on_turn_end(void* ctx) noexcept {
        auto& plugin = *static_cast<BinancePlugin*>(ctx);
        if (plugin.catching_up_ || !plugin.streams_->can_catch_up()) {
            return;
        }
        const auto run = [](void* self) noexcept {
            auto& mine = *static_cast<BinancePlugin*>(self);
            mine.catching_up_ = false;
            const auto& clock = mine.services_.clock;
            (void)guard(nullptr, [&] { mine.streams_->catch_up(clock->now_real_ns(clock.self)); });
        };
        plugin.catching_up_ = plugin.exec_->post(plugin.exec_.self, 0, run, ctx) == TENON_OK;
    }

    static void on_frame(void* ctx) noexcept {
        auto& plugin = *static_cast<BinancePlugin*>(ctx);
        plugin.frame_ = 0;
        (void)guard(nullptr, [&] { plugin.streams_->tick_frames(); });
        plugin.arm_frame();
    }

    void arm_frame() noexcept {
        if (frame_ != 0 || !streams_->wants_frames()) {
            return;
        }
        const std::int64_t now_ns = services_.clock->now_ns(services_.clock.self);
        frame_ = exec_->timer(exec_.self, now_ns + k_frame_ns, &on_frame, this);
    }

    // At the next tenth of a second of the clock.
    void arm_tick() noexcept {
        if (tick_ != 0) {
            return;
        }
        const auto& clock = services_.clock;
        const std::int64_t left = k_tick_ns - clock->now_real_ns(clock.self) % k_tick_ns;
        tick_ = exec_->timer(exec_.self, clock->now_ns(clock.self) + left, &on_tick, this);
    }

    void mount_streams() {
        static constexpr tenon_ws_handler k_raw{
            sizeof(tenon_ws_handler), 0, &on_open<false>, &on_text, &on_close};
        static constexpr tenon_ws_handler k_combined{
            sizeof(tenon_ws_handler), 0, &on_open<true>, &on_text, &on_close};
        static constexpr tenon_ws_handler k_api{
            sizeof(tenon_ws_handler), 0, &on_api_open, &on_api_text, &on_api_close};
        // ccxt takes a URL for spot when it has "/stream" in it: hence the aliases.
        mount_ws("/ws", k_raw);
        mount_ws("/ws/<tail>", k_raw);
        mount_ws("/stream/ws", k_raw);
        mount_ws("/stream/ws/<tail>", k_raw);
        mount_ws("/stream", k_combined);
        mount_ws("/ws-api/v3", k_api);
    }

    void mount_ws(std::string_view path, const tenon_ws_handler& handler) {
        std::uint64_t handle = 0;
        check_call(
            services_.http->mount_ws(services_.http.self, str(path), &handler, this, &handle), path
        );
        mounts_.push_back(handle);
    }

    static void check_call(tenon_status status, std::string_view what) {
        if (status != TENON_OK) {
            throw Error{status, std::string{what} + ": status " + std::to_string(status)};
        }
    }

    void count_with_metrics() {
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        const auto& metrics = metrics_;
        const auto counter = [&](std::string_view name, std::string_view help) {
            return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
        };
        api_->count_in(
            counter("tenon_binance_requests_total", "Requests below the API's prefixes"),
            counter("tenon_binance_errors_total", "Requests answered with an error code"),
            counter("tenon_binance_refused_total", "Requests refused by a limit (429, 418)")
        );
        const auto gauge = [&](std::string_view name, std::string_view help) {
            return metrics->gauge(metrics.self, str(name), str(help), nullptr, 0);
        };
        connections_ = gauge("tenon_binance_connections", "Connections of market streams");
        streams_listened_ = gauge("tenon_binance_streams", "Market streams that are listened to");
        frames_ = counter("tenon_binance_frames_total", "Frames of market streams handed out");
        slow_ = gauge("tenon_binance_slow_connections", "Connections that read too slowly now");
        conflated_ = counter(
            "tenon_binance_conflated_total",
            "Messages that a slow reader gets as part of a newer one"
        );
        depth_gaps_ = counter(
            "tenon_binance_depth_gaps_total",
            "Differences of a book that a slow reader did not get, as its update ids show"
        );
        api_connections_ =
            gauge("tenon_binance_api_connections", "Connections of the WebSocket API");
        followers_ = gauge("tenon_binance_user_streams", "Subscriptions of accounts' events");
        hot_answers_ = counter(
            "tenon_binance_hot_answers_total",
            "Answers that were rendered for an earlier request already"
        );
        user_events_ = counter("tenon_binance_user_events_total", "Events of accounts handed out");
    }

    // On every tick, the last one after the last connection went included.
    void publish_metrics() noexcept {
        const auto set = [](auto* cell, std::uint64_t value) {
            if (cell != nullptr) {
                using Cell = std::remove_pointer_t<decltype(cell)>;
                std::atomic_ref{*cell}.store(static_cast<Cell>(value), std::memory_order_relaxed);
            }
        };
        const Topics::Counts& counts = streams_->topics().counts();
        set(connections_, streams_->connection_count());
        set(streams_listened_, streams_->topics().topic_count());
        set(slow_, streams_->topics().slow_count());
        set(frames_, counts.frames);
        set(conflated_, counts.conflated);
        set(hot_answers_, api_->rendered().hits());
        set(depth_gaps_, counts.depth_gaps);
        set(api_connections_, sockets_->connection_count());
        set(followers_, api_->user_streams().size());
        set(user_events_, api_->user_streams().events_sent());
    }

    void give_notice(std::int64_t deadline_ns) const {
        const std::int64_t left = deadline_ns - services_.clock->now_ns(services_.clock.self);
        const std::chrono::milliseconds notice{settings_.shutdown_notice_ms};
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock lock{mutex};
        (void)never.wait_for(
            lock,
            std::min<std::chrono::nanoseconds>(notice, std::chrono::nanoseconds{left / 2}),
            [] { return false; }
        );
    }

    void wait_until_idle(std::int64_t deadline_ns) {
        std::mutex mutex;
        std::condition_variable idle;
        bool reached = false;
        call_on_reactor(exec_, 0, [&] {
            api_->when_idle([&] {
                const std::lock_guard lock{mutex};
                reached = true;
                idle.notify_one();
            });
        });
        const std::int64_t left = deadline_ns - services_.clock->now_ns(services_.clock.self);
        {
            std::unique_lock lock{mutex};
            idle.wait_for(lock, std::chrono::nanoseconds{left}, [&] { return reached; });
        }
        call_on_reactor(exec_, 0, [&] { api_->when_idle({}); });
    }

    Settings settings_;
    std::string weights_;
    bool started_ = false;  // touched by control calls alone
    Services services_;
    Service<tenon_exec_1> exec_;
    std::optional<Api> api_;
    std::vector<std::uint64_t> mounts_;
    std::uint64_t execution_subscription_ = 0;
    std::uint64_t market_subscription_ = 0;
    std::uint64_t tick_ = 0;
    std::uint64_t frame_ = 0;
    std::uint64_t turn_hook_ = 0;
    bool catching_up_ = false;
    Service<tenon_metrics_1> metrics_;
    std::int64_t* connections_ = nullptr;
    std::int64_t* streams_listened_ = nullptr;
    std::uint64_t* frames_ = nullptr;
    std::int64_t* slow_ = nullptr;
    std::uint64_t* conflated_ = nullptr;
    std::uint64_t* hot_answers_ = nullptr;
    std::uint64_t* depth_gaps_ = nullptr;
    std::int64_t* api_connections_ = nullptr;
    std::int64_t* followers_ = nullptr;
    std::uint64_t* user_events_ = nullptr;
    std::optional<Streams> streams_;
    std::optional<SocketApi> sockets_;
};

}  // namespace
}  // namespace tenon::binance

TENON_EXPORT_PLUGIN(tenon::binance::BinancePlugin)
