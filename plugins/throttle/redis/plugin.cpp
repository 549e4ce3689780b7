// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.redis: settings, metrics, health, admin commands, and the throttle's functions.
#include "plugins/throttle/redis/shared_limits.hpp"

#include <tenon/throttle_plugin.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::redis_throttle {
namespace {

std::vector<LimitSettings> read_limits(const Settings& settings) {
    std::vector<LimitSettings> limits;
    for (ThrottleLimitSettings& limit : read_throttle_limits(settings)) {
        limits.push_back({std::move(limit), settings.get<std::int64_t>("servers")});
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
        client.address.ca_file =
            s.get<std::optional<std::string>>("ca_file").value_or(std::string{});
        (void)redis::trusted(client.address);
        client.address.password =
            s.get<std::optional<std::string>>("password").value_or(std::string{});
        client.command_timeout = s.get<milliseconds>("command_timeout_ms");
        client.connect_timeout = s.get<milliseconds>("connect_timeout_ms");
        client.ping_interval = s.get<milliseconds>("ping_interval_ms");
        client.dead_after = s.get<milliseconds>("dead_after_ms");
        client.backoff_max = s.get<milliseconds>("reconnect_max_ms");
        client.name = "tenon-throttle";
        servers = s.get<std::int64_t>("servers");
        heartbeat = s.get<milliseconds>("heartbeat_ms");
        const auto allowed = [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
        };
        if (!std::all_of(name_space.begin(), name_space.end(), allowed)) {
            throw Error{TENON_INVALID, "setting /namespace: expected letters, digits, _ . and -"};
        }
    }

    redis::ClientOptions client;
    std::string name_space;
    std::int64_t servers = 1;
    std::chrono::milliseconds heartbeat{1'000};
};

class RedisThrottlePlugin final : public ThrottlePlugin<SharedLimits> {
public:
    using ThrottlePlugin::ThrottlePlugin;

    // The limits change at once, also while they are in use; keys_max counts for new ones.
    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        const std::vector<LimitSettings> wanted = read_limits(settings);
        Connecting connecting{settings};
        if (dry_run) {
            SharedLimits{}.apply(wanted);
            return;
        }
        limits().apply(wanted);
        if (!running()) {  // while running only the limits change
            connecting_ = std::move(connecting);
        }
        limits_changed();
    }

private:
    void opened() override {
        health_ = host().service<tenon_health_1>("tenon.health/1");
        const Metrics metrics{host()};
        up_ = metrics.gauge("tenon_throttle_redis_up", "1 while limits are shared through Redis");
        servers_ = metrics.gauge(
            "tenon_throttle_redis_servers", "Servers that share the limits, as last heard"
        );
        refills_ = metrics.counter("tenon_throttle_redis_refills_total", "Refills asked for");
        lost_ = metrics.counter("tenon_throttle_redis_lost_total", "Refills without an answer");
        limits().lease(nullptr);
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        LeaseOptions options{
            connecting_->client,
            connecting_->name_space,
            connecting_->servers,
            connecting_->heartbeat};
        leases_ = std::make_unique<Leases>(
            std::move(options),
            LeaseOwner{
                [this](std::size_t i) { return limits().at(i); },
                [this](const std::string& reason) { state_changed(reason); },
                [this](std::string_view limit, std::string_view level) { follow(limit, level); },
                [this] { return clock_->now_ns(clock_.self); }}
        );
        leases_->start();
        if (!leases_->wait_up(connecting_->client.connect_timeout)) {
            state_changed(leases_->reason());
        }
        limits().lease(leases_.get());
        published_refills_ = published_lost_ = 0;
    }

    void closed() noexcept override {
        if (leases_) {
            leases_->stop();  // take may still look at it: it goes with the next start
        }
    }

    void level_changed(std::string_view limit, std::string_view level) override {
        if (running()) {
            leases_->tell_level(limit, level);
        }
    }

    // A level that was set on another server. On the leases' thread.
    void follow(std::string_view limit, std::string_view level) {
        ErrorBuffer err;
        const tenon_status status = guard(&err, [&] {
            if (limits().level(limit) != level) {
                limits().set_level(limit, level);
                host().log().info("throttle_level_elsewhere", {{"limit", limit}, {"level", level}});
            }
        });
        // Told at each heartbeat, and so once only when it cannot be.
        if (status != TENON_OK && std::exchange(not_followed_, level) != level) {
            host().log().warn(
                "throttle_level_refused",
                {{"limit", limit}, {"level", level}, {"reason", err.message()}}
            );
        }
    }

    // On the leases' thread, or at the start.
    void state_changed(const std::string& reason) {
        (void)guard(nullptr, [&] {
            const std::string address = connecting_->client.address.shown();
            if (reason.empty()) {
                health_->set(health_.self, str("redis"), TENON_HEALTHY, str(""));
                host().log().info("redis_up", {{"address", address}});
            } else {
                health_->set(health_.self, str("redis"), TENON_DEGRADED, str(reason));
                host().log().warn("redis_degraded", {{"address", address}, {"reason", reason}});
            }
        });
    }

    void publish_more() override {
        const LeaseCounts& counts = leases_->counts();
        const std::uint64_t refills = counts.refills.load();
        const std::uint64_t lost = counts.lost.load();
        up_.set(leases_->mode().leased ? 1 : 0);
        servers_.set(leases_->servers());
        refills_.add(refills - std::exchange(published_refills_, refills));
        lost_.add(lost - std::exchange(published_lost_, lost));
    }

    std::optional<Connecting> connecting_;
    std::unique_ptr<Leases> leases_;
    Service<tenon_health_1> health_;
    Service<tenon_clock_1> clock_;
    std::string not_followed_;  // the leases' thread's
    Gauge up_, servers_;
    Counter refills_, lost_;
    std::uint64_t published_refills_ = 0, published_lost_ = 0;
};

}  // namespace
}  // namespace tenon::redis_throttle

TENON_EXPORT_PLUGIN(tenon::redis_throttle::RedisThrottlePlugin)
