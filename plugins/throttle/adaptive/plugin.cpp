// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.adaptive: settings, metrics, the command, and the throttle's functions.
#include "plugins/throttle/adaptive/adaptive_limits.hpp"
#include "plugins/throttle/adaptive/cpu_pressure.hpp"

#include <tenon/background_job.hpp>
#include <tenon/throttle_plugin.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::adaptive {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

std::vector<AdaptiveSettings> read_limits(const Settings& settings) {
    std::vector<AdaptiveSettings> out;
    for (const auto& s : settings.get<std::vector<Settings>>("limits")) {
        AdaptiveSettings limit;
        limit.name = s.get<std::string>("name");
        limit.gradient.floor = static_cast<double>(s.get<std::int64_t>("floor", 4));
        limit.gradient.ceiling = static_cast<double>(s.get<std::int64_t>("ceiling", 1'000));
        limit.gradient.initial = static_cast<double>(s.get<std::int64_t>("initial", 8));
        limit.gradient.tolerance =
            static_cast<double>(s.get<std::int64_t>("tolerance_percent", 200)) / 100;
        limit.gradient.half_life_ns = s.get<std::int64_t>("half_life_ms", 60'000) * k_ms;
        limit.answer_timeout_ns = s.get<std::int64_t>("answer_timeout_ms", 60'000) * k_ms;
        out.push_back(std::move(limit));
    }
    return out;
}

class AdaptivePlugin final : public ThrottlePlugin<AdaptiveLimits> {
public:
    using ThrottlePlugin::ThrottlePlugin;

    void configure(std::string_view json, bool dry_run) override {
        const auto wanted = read_limits(Settings{json});
        if (dry_run) {
            AdaptiveLimits{}.apply(wanted);
            return;
        }
        limits().apply(wanted);
        limits_changed();
        const Settings settings{json};
        limits().adapt(settings.get("adaptation", true));
        shedding_.store(settings.get("pressure_shedding", true));
        if (!running()) {
            pressure_max_ =
                static_cast<double>(settings.get<std::int64_t>("cpu_pressure_percent", 0)) / 100;
            lag_max_ns_ = settings.get<std::int64_t>("reactor_lag_ms", 0) * k_ms;
        }
    }

private:
    struct Gauges {
        Gauge limit, in_flight;
    };

    void opened() override {
        limits().set_rates(host().find<tenon_throttle_1>("tenon.throttle/1"));
        share_ = Metrics{host()}.gauge(
            "tenon_throttle_concurrency_percent", "How much of its limits is in force"
        );
        limits().squeeze(Squeeze::k_whole);
        if (pressure_max_ > 0 || lag_max_ns_ > 0) {
            watch();
        }
    }

    // Every 100 ms: how long the reactor needs to come to something, and whether somebody waits for
    // a processor.
    void watch() {
        const std::string path = pressure_max_ > 0 ? find_cpu_pressure() : std::string{};
        if (pressure_max_ > 0 && path.empty()) {
            host().log().warn(
                "cpu_pressure_absent",
                {{"reason", "neither a cpu.pressure of the control group nor /proc/pressure/cpu"}}
            );
        }
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        pressure_.emplace(path);
        squeeze_.emplace(pressure_max_, lag_max_ns_);
        watch_ = every(host(), "throttle-pressure", std::chrono::milliseconds{100}, [this] {
            const std::int64_t begin_ns = clock_->now_ns(clock_.self);
            if (lag_max_ns_ > 0) {
                call_on_reactor(exec_, 0, [] {});
            }
            const std::int64_t now_ns = clock_->now_ns(clock_.self);
            const std::int64_t share =
                squeeze_->sample(pressure_->sample(now_ns), now_ns - begin_ns);
            limits().squeeze(shedding_.load() ? share : Squeeze::k_whole);
        });
    }

    void closed() noexcept override {
        watch_.stop();
        (void)guard(nullptr, [this] { limits().set_rates({}); });
    }

    void add_commands(AdminCommands& commands) override {
        commands.add(
            "throttle.adaptive",
            "{}: limits that follow their upstreams, and what they are",
            [this](const Settings&) { return limits().stats(); }
        );
    }

    [[nodiscard]] std::pair<std::string_view, std::string_view> counter_names(
    ) const noexcept override {
        return {
            "tenon_throttle_concurrency_taken_total", "tenon_throttle_concurrency_limited_total"};
    }

    void make_more(const Metrics& metrics, std::size_t, const std::string& limit) override {
        gauges_.push_back(
            {metrics.gauge(
                 "tenon_throttle_concurrency_limit",
                 "Requests that may be under way, of the busiest key",
                 {{"limit", limit}}
             ),
             metrics.gauge("tenon_throttle_in_flight", "Requests under way", {{"limit", limit}})}
        );
    }

    void publish_more() override {
        share_.set(limits().share() / 10);
        const auto totals = limits().totals();
        for (std::size_t i = 0; i < std::min(gauges_.size(), totals.size()); ++i) {
            gauges_[i].limit.set(totals[i].limit);
            gauges_[i].in_flight.set(totals[i].in_flight);
        }
    }

    std::vector<Gauges> gauges_;
    Gauge share_;
    std::atomic<bool> shedding_{true};
    double pressure_max_ = 0;
    std::int64_t lag_max_ns_ = 0;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    std::optional<CpuPressure> pressure_;  // the job's, and squeeze_
    std::optional<Squeeze> squeeze_;
    BackgroundJob watch_;
};

}  // namespace
}  // namespace tenon::adaptive

TENON_EXPORT_PLUGIN(tenon::adaptive::AdaptivePlugin)
