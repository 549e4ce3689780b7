// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.redis: settings, metrics, health, admin commands, and the throttle's functions.
#include "plugins/throttle/redis/shared_limits.hpp"

#include <tenon/admin.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>
#include <tenon/throttle.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::redis_throttle {
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
        limit.servers = settings.get<std::int64_t>("servers");
        limit.level = s.get<std::string>(
            "level", limit.custom_count != 0 ? "custom" : settings.get<std::string>("level")
        );
        limits.push_back(std::move(limit));
    }
    return limits;
}

struct Connecting {
    explicit Connecting(const Settings& s) : name_space{s.get<std::string>("namespace")} {
        using std::chrono::milliseconds;
        client.address = redis::parse_url(s.get<std::string>("url"));
        if (!client.address.password.empty()) {
            throw Error{
                TENON_INVALID, "setting /url: a password does not belong here, but in /password"};
        }
        client.address.password =
            s.get<std::optional<std::string>>("password").value_or(std::string{});
        client.command_timeout = s.get<milliseconds>("command_timeout_ms");
        client.connect_timeout = s.get<milliseconds>("connect_timeout_ms");
        client.ping_interval = s.get<milliseconds>("ping_interval_ms");
        client.dead_after = s.get<milliseconds>("dead_after_ms");
        client.backoff_max = s.get<milliseconds>("reconnect_max_ms");
        client.name = "tenon-throttle";
        const auto allowed = [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
        };
        if (!std::all_of(name_space.begin(), name_space.end(), allowed)) {
            throw Error{TENON_INVALID, "setting /namespace: expected letters, digits, _ . and -"};
        }
    }

    redis::ClientOptions client;
    std::string name_space;
};

class RedisThrottlePlugin final : public Plugin, public Throttle {
public:
    explicit RedisThrottlePlugin(const tenon_host* raw) : Plugin{raw} { provide<Throttle>(this); }

    // The limits change at once, also while they are in use; keys_max counts for new ones.
    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        const std::vector<LimitSettings> limits = read_limits(settings);
        Connecting connecting{settings};
        if (dry_run) {
            SharedLimits{}.apply(limits);
            return;
        }
        limits_.apply(limits);
        if (collect_ == 0) {  // while running only the limits change
            connecting_ = std::move(connecting);
        }
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
        if (leases_) {
            leases_->stop();  // take may still look at it: it goes with the next start
        }
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

    std::string stats() const override { return limits_.stats(); }

private:
    void begin() {
        health_ = host().service<tenon_health_1>("tenon.health/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        make_series();
        limits_.lease(nullptr);
        leases_ = std::make_unique<Leases>(
            connecting_->client,
            connecting_->name_space,
            [this](std::size_t i) { return limits_.at(i); },
            [this](const std::string& reason) { state_changed(reason); }
        );
        leases_->start();
        if (!leases_->wait_up(connecting_->client.connect_timeout)) {
            state_changed(leases_->client().reason());
        }
        limits_.lease(leases_.get());
        published_refills_ = published_lost_ = 0;
        collect_ = metrics_->on_collect(
            metrics_.self,
            [](void* self) noexcept {
                (void)guard(nullptr, [&] { static_cast<RedisThrottlePlugin*>(self)->publish(); });
            },
            this
        );
        add_commands();
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "throttle.stats",
            "{}: limits, their levels, what they let through",
            [this](const Settings&) { return limits_.stats(); }
        );
        commands_.add(
            "throttle.level",
            R"({"level":LEVEL,"limit":NAME}: change the level of a limit, or without "limit" of all, on this server)",
            [this](const Settings& args) {
                const auto limit = args.get<std::string>("limit", "");
                const auto level = args.get<std::string>("level");
                limits_.set_level(limit, level);
                host().log().info("throttle_level", {{"limit", limit}, {"level", level}});
                return limits_.stats();
            }
        );
    }

    // On the client's thread, or at the start.
    void state_changed(const std::string& reason) {
        (void)guard(nullptr, [&] {
            const std::string address = connecting_->client.address.shown();
            if (reason.empty()) {
                health_->set(health_.self, str("redis"), TENON_HEALTHY, str(""));
                host().log().info("redis_up", {{"address", address}});
            } else {
                health_->set(health_.self, str("redis"), TENON_DEGRADED, str(reason));
                host().log().warn("redis_down", {{"address", address}, {"reason", reason}});
            }
        });
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
        up_ = metrics.gauge("tenon_throttle_redis_up", "1 while limits are shared through Redis");
        refills_ = metrics.counter("tenon_throttle_redis_refills_total", "Refills asked for");
        lost_ = metrics.counter("tenon_throttle_redis_lost_total", "Refills without an answer");
        for (std::size_t i = series_.size(); SharedLimit* const limit = limits_.at(i); ++i) {
            series_.push_back(
                {metrics.counter(
                     "tenon_throttle_taken_total",
                     "Requests let through",
                     {{"limit", limit->name()}}
                 ),
                 metrics.counter(
                     "tenon_throttle_limited_total",
                     "Requests told to wait",
                     {{"limit", limit->name()}}
                 )}
            );
        }
    }

    void publish() {
        const std::lock_guard lock{mutex_};
        std::size_t i = 0;
        for (Series& series : series_) {
            const SharedLimit* const limit = limits_.at(i++);
            if (limit == nullptr) {
                break;
            }
            const std::uint64_t taken = limit->taken();
            const std::uint64_t limited = limit->limited();
            series.taken.add(taken - std::exchange(series.published_taken, taken));
            series.limited.add(limited - std::exchange(series.published_limited, limited));
        }
        const LeaseCounts& counts = leases_->counts();
        const std::uint64_t refills = counts.refills.load();
        const std::uint64_t lost = counts.lost.load();
        up_.set(leases_->mode().leased ? 1 : 0);
        refills_.add(refills - std::exchange(published_refills_, refills));
        lost_.add(lost - std::exchange(published_lost_, lost));
    }

    SharedLimits limits_;
    std::optional<Connecting> connecting_;
    std::unique_ptr<Leases> leases_;
    Service<tenon_health_1> health_;
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    std::mutex mutex_;  // of the series
    std::vector<Series> series_;
    Gauge up_;
    Counter refills_, lost_;
    std::uint64_t published_refills_ = 0, published_lost_ = 0;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::redis_throttle

TENON_EXPORT_PLUGIN(tenon::redis_throttle::RedisThrottlePlugin)
