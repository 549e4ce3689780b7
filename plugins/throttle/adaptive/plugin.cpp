// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.adaptive: settings, metrics, the command, and the throttle's functions.
#include "plugins/throttle/adaptive/adaptive_limits.hpp"

#include <tenon/admin.hpp>
#include <tenon/json_text.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>
#include <tenon/throttle.hpp>

#include <mutex>
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

class AdaptivePlugin final : public Plugin, public Throttle {
public:
    explicit AdaptivePlugin(const tenon_host* raw) : Plugin{raw} { provide<Throttle>(this); }

    void configure(std::string_view json, bool dry_run) override {
        const auto limits = read_limits(Settings{json});
        if (dry_run) {
            AdaptiveLimits{}.apply(limits);
            return;
        }
        limits_.apply(limits);
        make_series();
    }

    void start() override {
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    void stop() noexcept override {
        commands_.clear();
        if (collect_ != 0) {
            metrics_->remove_on_collect(metrics_.self, std::exchange(collect_, 0));
        }
        metrics_ = {};
        (void)guard(nullptr, [this] { limits_.set_rates({}); });
    }

    std::optional<std::uint32_t> find(std::string_view limit) const override {
        return limits_.find(limit);
    }

    tenon_status take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept
        override {
        return limits_.take(claims, now_ns, retry_after_ns);
    }

    void refund(Claims claims, std::int64_t now_ns) noexcept override {
        limits_.refund(claims, now_ns);
    }

    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept override {
        limits_.observe(limit, key, feedback, now_ns);
    }

    bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept override {
        return limits_.state(limit, key, now_ns, out);
    }

    std::string level(std::string_view limit) const override { return limits_.level(limit); }

    void set_level(std::string_view limit, std::string_view level) override {
        limits_.set_level(limit, level);
    }

    std::string stats() const override {
        std::string out{"{"};
        for (const auto& each : limits_.totals()) {
            out.append(out.size() == 1 ? "" : ",");
            append_json(out, each.name);
            out.append(":{\"level\":\"custom\",\"rate_per_second\":0,\"burst\":")
                .append(std::to_string(each.limit))
                .append(",\"keys\":")
                .append(std::to_string(each.keys))
                .append(",\"taken\":")
                .append(std::to_string(each.taken))
                .append(",\"limited\":")
                .append(std::to_string(each.limited))
                .append(",\"in_flight\":")
                .append(std::to_string(each.in_flight))
                .append(",\"unloaded_us\":")
                .append(std::to_string(static_cast<std::int64_t>(each.unloaded_seconds * 1e6)))
                .append("}");
        }
        return out.append("}");
    }

private:
    struct Series {
        Gauge limit, in_flight;
        Counter taken, limited;
        std::uint64_t published_taken = 0, published_limited = 0;
    };

    void begin() {
        limits_.set_rates(host().find<tenon_throttle_1>("tenon.throttle/1"));
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        make_series();
        collect_ = metrics_->on_collect(
            metrics_.self,
            [](void* self) noexcept {
                (void)guard(nullptr, [&] { static_cast<AdaptivePlugin*>(self)->publish(); });
            },
            this
        );
        commands_.open(host());
        commands_.add(
            "throttle.adaptive",
            "{}: limits that follow their upstreams, and what they are",
            [this](const Settings&) { return stats(); }
        );
    }

    // Of limits that have none yet. Before start there are no metrics.
    void make_series() {
        if (!metrics_) {
            return;
        }
        const Metrics metrics{metrics_};
        const auto totals = limits_.totals();
        const std::lock_guard lock{mutex_};
        for (std::size_t i = series_.size(); i < totals.size(); ++i) {
            const std::string& name = totals[i].name;
            series_.push_back(
                {metrics.gauge(
                     "tenon_throttle_concurrency_limit",
                     "Requests that may be under way, of the busiest key",
                     {{"limit", name}}
                 ),
                 metrics.gauge("tenon_throttle_in_flight", "Requests under way", {{"limit", name}}),
                 metrics.counter(
                     "tenon_throttle_concurrency_taken_total",
                     "Requests let through by a limit that follows its upstream",
                     {{"limit", name}}
                 ),
                 metrics.counter(
                     "tenon_throttle_concurrency_limited_total",
                     "Requests told to wait by a limit that follows its upstream, or by its rate",
                     {{"limit", name}}
                 )}
            );
        }
    }

    void publish() {
        const auto totals = limits_.totals();
        const std::lock_guard lock{mutex_};
        for (std::size_t i = 0; i < std::min(series_.size(), totals.size()); ++i) {
            Series& series = series_[i];
            series.limit.set(totals[i].limit);
            series.in_flight.set(totals[i].in_flight);
            series.taken.add(
                totals[i].taken - std::exchange(series.published_taken, totals[i].taken)
            );
            series.limited.add(
                totals[i].limited - std::exchange(series.published_limited, totals[i].limited)
            );
        }
    }

    AdaptiveLimits limits_;
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    std::mutex mutex_;  // of series_
    std::vector<Series> series_;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::adaptive

TENON_EXPORT_PLUGIN(tenon::adaptive::AdaptivePlugin)
