// SPDX-License-Identifier: Apache-2.0
// tenon.cache.redis: settings, metrics, health, and the tier's functions.
#include "plugins/cache/redis/redis_tier.hpp"

#include <tenon/cache_tier.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

namespace tenon::redis_cache {
namespace {

TierOptions read_options(const Settings& s) {
    using std::chrono::milliseconds;
    TierOptions options;
    options.client.address = redis::parse_url(s.get<std::string>("url"));
    if (!options.client.address.password.empty()) {
        throw Error{
            TENON_INVALID, "setting /url: a password does not belong here, but in /password"};
    }
    options.client.address.ca_file =
        s.get<std::optional<std::string>>("ca_file").value_or(std::string{});
    (void)redis::trusted(options.client.address);
    options.client.address.password =
        s.get<std::optional<std::string>>("password").value_or(std::string{});
    options.client.command_timeout = s.get<milliseconds>("command_timeout_ms");
    options.client.connect_timeout = s.get<milliseconds>("connect_timeout_ms");
    options.client.ping_interval = s.get<milliseconds>("ping_interval_ms");
    options.client.dead_after = s.get<milliseconds>("dead_after_ms");
    options.client.backoff_max = s.get<milliseconds>("reconnect_max_ms");
    options.client.name = "tenon-cache";
    options.name_space = s.get<std::string>("namespace");
    const auto allowed = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
    };
    if (!std::all_of(options.name_space.begin(), options.name_space.end(), allowed)) {
        throw Error{TENON_INVALID, "setting /namespace: expected letters, digits, _ . and -"};
    }
    options.value_bytes_max = s.get<std::size_t>("value_bytes_max");
    return options;
}

class RedisPlugin final : public Plugin, public SharedCacheTier {
public:
    explicit RedisPlugin(const tenon_host* raw) : Plugin{raw} { provide<SharedCacheTier>(this); }

    void configure(std::string_view json, bool dry_run) override {
        TierOptions options = read_options(Settings{json});
        if (!dry_run) {
            options_ = std::move(options);
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

    void drain(std::int64_t) override { open_.store(false); }

    void stop() noexcept override {
        open_.store(false);
        if (collect_ != 0) {
            metrics_->remove_on_collect(metrics_.self, std::exchange(collect_, 0));
        }
        if (tier_) {
            tier_->watch(nullptr, nullptr, 0);
            tier_->stop();
        }
    }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        if (key.empty() || key.size() > TENON_CACHE_KEY_MAX) {
            return std::nullopt;  // nothing can have been put under it
        }
        return tier().get(key, now_ns, [&out](std::string_view value) { out(value); });
    }

    void put(std::string_view key, std::string_view value, std::int64_t, std::int64_t ttl_ns)
        override {
        tier().put(key, value, ttl_ns);
    }

    bool erase(std::string_view key) override {
        return !key.empty() && key.size() <= TENON_CACHE_KEY_MAX && tier().erase(key);
    }

    void clear(std::string_view prefix) override { tier().clear(prefix); }

    void stats(tenon_cache_tier_stats& out) override {
        if (!tier_) {
            return;
        }
        const TierCounts& counts = tier_->counts();
        out.hits = counts.hits.load();
        out.misses = counts.misses.load();
        out.puts = counts.puts.load();
        out.erased = counts.erased.load();
        std::tie(out.bytes, out.bytes_max) = tier_->bytes_and_max();
    }

    void watch(void* ctx, Watcher fn) override {
        if (fn == nullptr && !tier_) {
            return;
        }
        const auto clock = host().service<tenon_clock_1>("tenon.clock/1");
        any_tier().watch(ctx, fn, clock->now_ns(clock.self) - redis::Client::now_ns());
    }

    void announce(std::string_view subject) override { tier().announce(subject); }

    std::uint64_t token(std::string_view key) override { return tier().token(key); }

    bool put_if(
        std::string_view key,
        std::string_view value,
        std::int64_t,
        std::int64_t ttl_ns,
        std::uint64_t token
    ) override {
        return tier().put_if(key, value, ttl_ns, token);
    }

private:
    void begin() {
        health_ = host().service<tenon_health_1>("tenon.health/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        const Metrics metrics{metrics_};
        up_ = metrics.gauge("tenon_cache_redis_up", "1 while Redis answers");
        connects_ = metrics.counter("tenon_cache_redis_connects_total", "Connections made");
        timeouts_ = metrics.counter("tenon_cache_redis_timeouts_total", "Answers that were late");
        refused_ = metrics.counter("tenon_cache_redis_refused_total", "Commands not sent");
        conflicts_ = metrics.counter(
            "tenon_cache_redis_conflicts_total", "Entries not put, their key changed meanwhile"
        );
        events_ = metrics.counter("tenon_cache_redis_events_total", "Changes and states heard");
        published_ = {};
        published_conflicts_ = published_events_ = 0;
        tier_ = std::make_unique<RedisTier>(options_, [this](const std::string& reason) {
            state_changed(reason);
        });
        tier_->start();
        if (!tier_->wait_up(options_.client.connect_timeout)) {
            state_changed(tier_->client().reason());
        }
        open_.store(true);
        collect_ = metrics_->on_collect(
            metrics_.self,
            [](void* self) noexcept {
                (void)guard(nullptr, [&] { static_cast<RedisPlugin*>(self)->publish(); });
            },
            this
        );
    }

    [[nodiscard]] RedisTier& any_tier() const {
        if (!tier_) {
            throw Error{TENON_UNAVAILABLE, "the Redis tier is not started"};
        }
        return *tier_;
    }

    [[nodiscard]] RedisTier& tier() const {
        if (!open_.load(std::memory_order_relaxed)) {
            throw Error{TENON_UNAVAILABLE, "the Redis tier is not started"};
        }
        return *tier_;
    }

    // On the client's thread, or at the start.
    void state_changed(const std::string& reason) {
        (void)guard(nullptr, [&] {
            const std::string address = options_.client.address.shown();
            if (reason.empty()) {
                health_->set(health_.self, str("redis"), TENON_HEALTHY, str(""));
                host().log().info("redis_up", {{"address", address}});
            } else {
                health_->set(health_.self, str("redis"), TENON_DEGRADED, str(reason));
                host().log().warn("redis_down", {{"address", address}, {"reason", reason}});
            }
        });
    }

    void publish() {
        const redis::ClientStats now = tier_->client().stats();
        up_.set(tier_->client().is_up() ? 1 : 0);
        connects_.add(now.connects - published_.connects);
        timeouts_.add(now.timeouts - published_.timeouts);
        refused_.add(now.refused - published_.refused);
        published_ = now;
        const std::uint64_t conflicts = tier_->counts().conflicts.load();
        const std::uint64_t events = tier_->events();
        conflicts_.add(conflicts - std::exchange(published_conflicts_, conflicts));
        events_.add(events - std::exchange(published_events_, events));
    }

    TierOptions options_;
    std::unique_ptr<RedisTier> tier_;
    std::atomic<bool> open_{false};
    Service<tenon_health_1> health_;
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    Gauge up_;
    Counter connects_, timeouts_, refused_, conflicts_, events_;
    redis::ClientStats published_;  // the collector's, with the two below
    std::uint64_t published_conflicts_ = 0, published_events_ = 0;
};

}  // namespace
}  // namespace tenon::redis_cache

TENON_EXPORT_PLUGIN(tenon::redis_cache::RedisPlugin)
