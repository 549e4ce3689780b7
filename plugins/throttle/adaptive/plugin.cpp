// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.adaptive: settings, metrics, the command, and the throttle's functions.
#include "plugins/throttle/adaptive/adaptive_limits.hpp"

#include <tenon/throttle_plugin.hpp>

#include <algorithm>
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
    }

private:
    struct Gauges {
        Gauge limit, in_flight;
    };

    void opened() override {
        limits().set_rates(host().find<tenon_throttle_1>("tenon.throttle/1"));
    }

    void closed() noexcept override {
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
        const auto totals = limits().totals();
        for (std::size_t i = 0; i < std::min(gauges_.size(), totals.size()); ++i) {
            gauges_[i].limit.set(totals[i].limit);
            gauges_[i].in_flight.set(totals[i].in_flight);
        }
    }

    std::vector<Gauges> gauges_;
};

}  // namespace
}  // namespace tenon::adaptive

TENON_EXPORT_PLUGIN(tenon::adaptive::AdaptivePlugin)
