// SPDX-License-Identifier: Apache-2.0
// Registration: settings, routes, subscriptions.
#include "plugins/gateway/binance/api.hpp"
#include "plugins/gateway/binance/settings.hpp"

#include <tenon/plugin.hpp>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>

namespace tenon::binance {
namespace {

[[nodiscard]] std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) {
        throw Error{TENON_NOT_FOUND, "weights_file: cannot read " + path.string()};
    }
    return {std::istreambuf_iterator<char>{in}, {}};
}

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
        if (!dry_run) {
            settings_ = std::move(settings);
            weights_ = std::move(weights);
        }
    }

    void start() override {
        services_.http = host().require<tenon_http_routes_1>("tenon.http_routes/1");
        services_.instruments = host().require<tenon_instruments_1>("tenon.instruments/1");
        services_.market_data = host().require<tenon_market_data_1>("tenon.market_data/1");
        services_.trading = host().require<tenon_trading_1>("tenon.trading/1");
        services_.auth = host().require<tenon_auth_1>("tenon.auth/1");
        services_.clock = host().service<tenon_clock_1>("tenon.clock/1");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        api_.emplace(services_, settings_.limits, weights_);
        count_with_metrics();
        check_call(
            services_.trading->subscribe(
                services_.trading.self, &*api_, &on_execution, &execution_subscription_
            ),
            "subscribe to executions"
        );
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
    }

    // Returns when nothing waits for the engine any more, or at the deadline.
    void drain(std::int64_t deadline_ns) override { wait_until_idle(deadline_ns); }

    void stop() noexcept override {
        for (const std::uint64_t handle : mounts_) {
            services_.http->unmount(services_.http.self, handle);
        }
        mounts_.clear();
        if (execution_subscription_ != 0) {
            services_.trading->unsubscribe(services_.trading.self, execution_subscription_);
            execution_subscription_ = 0;
        }
    }

private:
    static void on_request(void* ctx, const tenon_http_request* request) noexcept {
        static_cast<Api*>(ctx)->handle(*request);
    }

    static void
    on_execution(void* ctx, const tenon_execution_event* events, std::uint32_t count) noexcept {
        static_cast<Api*>(ctx)->on_execution(events, count);
    }

    static void check_call(tenon_status status, std::string_view what) {
        if (status != TENON_OK) {
            throw Error{status, std::string{what} + ": status " + std::to_string(status)};
        }
    }

    void count_with_metrics() {
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        const auto counter = [&](std::string_view name, std::string_view help) {
            return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
        };
        api_->count_in(
            counter("tenon_binance_requests_total", "Requests below the API's prefixes"),
            counter("tenon_binance_errors_total", "Requests answered with an error code"),
            counter("tenon_binance_refused_total", "Requests refused by a limit (429, 418)")
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
    Services services_;
    Service<tenon_exec_1> exec_;
    std::optional<Api> api_;
    std::vector<std::uint64_t> mounts_;
    std::uint64_t execution_subscription_ = 0;
};

}  // namespace
}  // namespace tenon::binance

TENON_EXPORT_PLUGIN(tenon::binance::BinancePlugin)
