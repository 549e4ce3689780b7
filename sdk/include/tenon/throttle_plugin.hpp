// SPDX-License-Identifier: Apache-2.0
// The glue of a plugin that provides tenon.throttle/1: the contract's functions passed on, the
// counters of each limit, the admin commands, start and stop. What is left to a plugin is its
// settings, and what it has beside that:
//
//   class MyThrottle final : public tenon::ThrottlePlugin<MyLimits> {
//       using ThrottlePlugin::ThrottlePlugin;
//       void configure(std::string_view json, bool dry_run) override {
//           if (!dry_run) { limits().apply(…); limits_changed(); } …
//
// MyLimits has find, take, refund, observe, state, level, set_level and stats as tenon::Throttle
// has them, at(i), whose limits have name(), taken() and limited(), and a null one behind the last;
// tenon/throttle_limits.hpp is a base for it. Its functions are called from any thread.
#pragma once

#include <tenon/admin.hpp>
#include <tenon/metrics.hpp>
#include <tenon/throttle.hpp>
#include <tenon/throttle_limits.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

template <class Limits>
class ThrottlePlugin : public Plugin, public Throttle {
public:
    explicit ThrottlePlugin(const tenon_host* raw) : Plugin{raw} { provide<Throttle>(this); }

    void start() final {
        try {
            metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
            opened();
            limits_changed();
            collect_ = metrics_->on_collect(
                metrics_.self,
                [](void* self) noexcept {
                    (void)guard(nullptr, [&] { static_cast<ThrottlePlugin*>(self)->publish(); });
                },
                this
            );
            commands_.open(host());
            add_commands(commands_);
        } catch (...) {
            stop();
            throw;
        }
    }

    void stop() noexcept final {
        commands_.clear();
        if (collect_ != 0) {
            metrics_->remove_on_collect(metrics_.self, std::exchange(collect_, 0));
        }
        metrics_ = {};
        closed();
    }

    std::optional<std::uint32_t> find(std::string_view limit) const final {
        return limits_.find(limit);
    }

    tenon_status take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept
        final {
        return limits_.take(claims, now_ns, retry_after_ns);
    }

    void refund(Claims claims, std::int64_t now_ns) noexcept final {
        limits_.refund(claims, now_ns);
    }

    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept final {
        limits_.observe(limit, key, feedback, now_ns);
    }

    bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept final {
        return limits_.state(limit, key, now_ns, out);
    }

    std::string level(std::string_view limit) const final { return limits_.level(limit); }

    void set_level(std::string_view limit, std::string_view level) final {
        limits_.set_level(limit, level);
        level_changed(limit, level);
    }

    std::string stats() const final { return limits_.stats(); }

protected:
    [[nodiscard]] Limits& limits() noexcept { return limits_; }

    [[nodiscard]] const Limits& limits() const noexcept { return limits_; }

    // [control] Between start and stop; both are told how they may be used by Plugin.
    [[nodiscard]] bool running() const noexcept { return collect_ != 0; }

    // [control] At the start, before anything else, with metrics; and at its end, or after a start
    // that failed.
    virtual void opened() {}

    virtual void closed() noexcept {}

    // [any] After somebody has set a level by the contract or by the command.
    virtual void level_changed(std::string_view limit, std::string_view level) {
        (void)limit;
        (void)level;
    }

    // At the start. The base has throttle.stats and throttle.level.
    virtual void add_commands(AdminCommands& commands) {
        commands.add(
            "throttle.stats",
            "{}: limits, their levels, what they let through",
            [this](const Settings&) { return limits_.stats(); }
        );
        commands.add(
            "throttle.level",
            R"({"level":LEVEL,"limit":NAME}: change the level of a limit, or without "limit" of all)",
            [this](const Settings& args) {
                const auto limit = args.get<std::string>("limit", "");
                const auto level = args.get<std::string>("level");
                set_level(limit, level);
                host().log().info("throttle_level", {{"limit", limit}, {"level", level}});
                return limits_.stats();
            }
        );
    }

    // The names of the two counters of each limit.
    [[nodiscard]] virtual std::pair<std::string_view, std::string_view> counter_names(
    ) const noexcept {
        return {"tenon_throttle_taken_total", "tenon_throttle_limited_total"};
    }

    // Series beside the counters: made for each limit once, `index` counting up, and published at
    // each collection. One of them at a time.
    virtual void make_more(const Metrics& metrics, std::size_t index, const std::string& limit) {
        (void)metrics;
        (void)index;
        (void)limit;
    }

    virtual void publish_more() {}

    // [control] Makes the series of limits that have none yet. Before start there are no metrics.
    void limits_changed() {
        if (!metrics_) {
            return;
        }
        const Metrics metrics{metrics_};
        const auto [taken, limited] = counter_names();
        const std::lock_guard lock{mutex_};
        for (std::size_t i = series_.size(); const auto* const limit = limits_.at(i); ++i) {
            const std::string& name = limit->name();
            series_.push_back(
                {metrics.counter(taken, "Requests let through", {{"limit", name}}),
                 metrics.counter(limited, "Requests told to wait", {{"limit", name}})}
            );
            make_more(metrics, i, name);
        }
    }

private:
    struct Series {
        Counter taken, limited;
        std::uint64_t published_taken = 0, published_limited = 0;
    };

    void publish() {
        const std::lock_guard lock{mutex_};
        for (std::size_t i = 0; i < series_.size(); ++i) {
            const auto* const limit = limits_.at(i);
            if (limit == nullptr) {
                break;
            }
            Series& series = series_[i];
            const std::uint64_t taken = limit->taken();
            const std::uint64_t limited = limit->limited();
            series.taken.add(taken - std::exchange(series.published_taken, taken));
            series.limited.add(limited - std::exchange(series.published_limited, limited));
        }
        publish_more();
    }

    Limits limits_;
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    std::mutex mutex_;  // of series_ and what make_more and publish_more keep
    std::vector<Series> series_;
    AdminCommands commands_;
};

}  // namespace tenon
