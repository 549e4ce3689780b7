// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.token-bucket: settings, metrics, admin commands, and the throttle's functions.
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/admin.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>
#include <tenon/throttle.hpp>

#include <memory>
#include <string>
#include <vector>

namespace tenon::token_bucket {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

std::vector<LimitSettings> read_limits(const Settings& settings) {
    std::vector<LimitSettings> limits;
    for (const auto& s : settings.get<std::vector<Settings>>("limits")) {
        LimitSettings limit;
        limit.name = s.get<std::string>("name");
        limit.custom_count = s.get<std::int64_t>("rate", 0);
        limit.custom_period_ns = s.get<std::int64_t>("period_ms", 1000) * k_ms;
        limit.custom_burst = s.get<std::int64_t>("burst", 0);
        limit.keys_max = settings.get<std::uint32_t>("keys_max");
        limit.level = s.get<std::string>(
            "level", limit.custom_count != 0 ? "custom" : settings.get<std::string>("level")
        );
        (void)rate_of_level(limit, limit.level);
        limits.push_back(std::move(limit));
    }
    return limits;
}

class TokenBucketPlugin final : public Plugin, public Throttle {
public:
    explicit TokenBucketPlugin(const tenon_host* raw) : Plugin{raw} { provide<Throttle>(this); }

    // The limits change at once, also while they are in use; keys_max counts for new ones.
    void configure(std::string_view json, bool dry_run) override {
        const std::vector<LimitSettings> limits = read_limits(Settings{json});
        if (dry_run) {
            TokenBuckets{}.apply(limits);
        } else {
            buckets_.apply(limits);
            make_series();
        }
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
    }

    std::optional<std::uint32_t> find(std::string_view limit) const override {
        return buckets_.find(limit);
    }

    tenon_status take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept
        override {
        return buckets_.take(claims, now_ns, retry_after_ns);
    }

    void refund(Claims claims, std::int64_t now_ns) noexcept override {
        buckets_.refund(claims, now_ns);
    }

    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept override {
        buckets_.observe(limit, key, feedback, now_ns);
    }

    bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept override {
        return buckets_.state(limit, key, now_ns, out);
    }

    std::string level(std::string_view limit) const override { return buckets_.level(limit); }

    void set_level(std::string_view limit, std::string_view level) override {
        buckets_.set_level(limit, level);
    }

    std::string stats() const override { return buckets_.stats(); }

private:
    void begin() {
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        make_series();
        collect_ = metrics_->on_collect(
            metrics_.self,
            [](void* self) noexcept {
                (void)guard(nullptr, [&] { static_cast<TokenBucketPlugin*>(self)->publish(); });
            },
            this
        );
        commands_.open(host());
        commands_.add(
            "throttle.stats",
            "{}: limits, their levels, what they let through",
            [this](const Settings&) { return buckets_.stats(); }
        );
        commands_.add(
            "throttle.level",
            R"({"level":LEVEL,"limit":NAME}: change the level of a limit, or without "limit" of all)",
            [this](const Settings& args) {
                buckets_.set_level(
                    args.get<std::string>("limit", ""), args.get<std::string>("level")
                );
                host().log().info(
                    "throttle_level",
                    {{"limit", args.get<std::string>("limit", "")},
                     {"level", args.get<std::string>("level")}}
                );
                return buckets_.stats();
            }
        );
    }

    struct Series {
        Counter taken, limited;
        std::uint64_t published_taken = 0, published_limited = 0;
    };

    // Of limits that have none yet. Before start there are no metrics.
    void make_series() {
        if (!metrics_) {
            return;
        }
        const Metrics metrics{metrics_};
        const std::lock_guard lock{mutex_};
        std::size_t i = 0;
        buckets_.each([&](const Limit& limit) {
            if (i++ == series_.size()) {
                series_.push_back(
                    {metrics.counter(
                         "tenon_throttle_taken_total",
                         "Requests let through",
                         {{"limit", limit.name()}}
                     ),
                     metrics.counter(
                         "tenon_throttle_limited_total",
                         "Requests told to wait",
                         {{"limit", limit.name()}}
                     )}
                );
            }
        });
    }

    void publish() {
        const std::lock_guard lock{mutex_};
        std::size_t i = 0;
        buckets_.each([&](const Limit& limit) {
            if (i == series_.size()) {
                return;
            }
            Series& series = series_[i++];
            const std::uint64_t taken = limit.taken();
            const std::uint64_t limited = limit.limited();
            series.taken.add(taken - std::exchange(series.published_taken, taken));
            series.limited.add(limited - std::exchange(series.published_limited, limited));
        });
    }

    TokenBuckets buckets_;
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    std::mutex mutex_;  // of series_
    std::vector<Series> series_;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::token_bucket

TENON_EXPORT_PLUGIN(tenon::token_bucket::TokenBucketPlugin)
