// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/adaptive/adaptive_limits.hpp"

#include "tests/support/fake_host.hpp"
#include "tests/support/loaded_plugin.hpp"

#include <tenon/json.hpp>
#include <tenon/limited.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using tenon::adaptive::AdaptiveLimits;
using tenon::adaptive::AdaptiveSettings;
using tenon::test::FakeHost;
using tenon::test::LoadedPlugin;

namespace {

constexpr std::int64_t k_ms = 1'000'000;

AdaptiveSettings limit_of(std::string name, double initial) {
    AdaptiveSettings out;
    out.name = std::move(name);
    out.gradient = {2, 100, initial, 2, 60'000 * k_ms};
    return out;
}

tenon_status take(AdaptiveLimits& limits, std::string_view key, std::int64_t now_ns) {
    const tenon_throttle_claim claim{limits.find("a").value(), 1, tenon::str(key)};
    std::int64_t retry_ns = 0;
    const tenon_status status = limits.take({&claim, 1}, now_ns, retry_ns);
    CHECK((status == TENON_OK || retry_ns > 0));
    return status;
}

tenon_throttle_feedback ended(std::uint32_t outcome, std::int64_t latency_ns) {
    auto out = tenon::sized<tenon_throttle_feedback>();
    out.outcome = outcome;
    out.latency_ns = latency_ns;
    return out;
}

}  // namespace

TEST_CASE("so many are under way as the limit says, by key", "[throttle][H5]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 3)});
    const std::uint32_t id = limits.find("a").value();
    for (int i = 0; i < 3; ++i) {
        CHECK(take(limits, "k", 0) == TENON_OK);
    }
    CHECK(take(limits, "k", 0) == TENON_LIMITED);
    CHECK(take(limits, "other", 0) == TENON_OK);
    limits.observe(id, "k", ended(TENON_UPSTREAM_OK, k_ms), k_ms);
    CHECK(take(limits, "k", k_ms) == TENON_OK);
    const tenon_throttle_claim claim{id, 1, tenon::str("k")};
    limits.refund({&claim, 1}, k_ms);
    CHECK(take(limits, "k", k_ms) == TENON_OK);
    CHECK(take(limits, "k", k_ms) == TENON_LIMITED);
    tenon_throttle_state state{};
    REQUIRE(limits.state(id, "k", k_ms, state));
    CHECK(state.burst == 3);
    CHECK(state.available == 0);
    const auto totals = limits.totals().at(0);
    CHECK(totals.in_flight == 4);
    CHECK(totals.keys == 2);
    CHECK(totals.taken == 6);
    CHECK(totals.limited == 2);
}

TEST_CASE("requests that nobody ended are lost when nothing has begun for long", "[throttle][H5]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 3)});
    for (int i = 0; i < 3; ++i) {
        CHECK(take(limits, "k", 0) == TENON_OK);
    }
    CHECK(take(limits, "k", 60'000 * k_ms) == TENON_LIMITED);
    CHECK(take(limits, "k", 60'001 * k_ms) == TENON_OK);
    CHECK(limits.totals().at(0).in_flight == 1);
}

TEST_CASE("more is allowed when it goes well and less when it does not", "[throttle][H5]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 4)});
    const std::uint32_t id = limits.find("a").value();
    const auto play = [&](std::int64_t begin_ns, std::uint32_t outcome) {
        for (std::int64_t now = begin_ns; now < begin_ns + 1'000 * k_ms; now += 10 * k_ms) {
            int given = 0;
            while (take(limits, "k", now) == TENON_OK) {
                ++given;
            }
            for (; given > 0; --given) {
                limits.observe(id, "k", ended(outcome, 10 * k_ms), now + 10 * k_ms);
            }
        }
        return limits.totals().at(0).limit;
    };
    CHECK(play(0, TENON_UPSTREAM_OK) >= 32);
    CHECK(play(2'000 * k_ms, TENON_UPSTREAM_FAILED) == 2);
    CHECK(play(4'000 * k_ms, TENON_UPSTREAM_OK) > 2);
}

TEST_CASE("bad settings are refused whole, and changes keep what is under way", "[throttle][H5]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 8)});
    CHECK(take(limits, "k", 0) == TENON_OK);
    CHECK_THROWS_AS(limits.apply({limit_of("b", 8), limit_of("c", 1'000)}), tenon::Error);
    CHECK_THROWS_AS(limits.apply({limit_of("b", 8), limit_of("b", 8)}), tenon::Error);
    CHECK_FALSE(limits.find("b"));
    AdaptiveSettings smaller = limit_of("a", 2);
    smaller.gradient.ceiling = 2;
    limits.apply({smaller});
    CHECK(limits.totals().at(0).limit == 2);
    CHECK(take(limits, "k", 0) == TENON_OK);
    CHECK(take(limits, "k", 0) == TENON_LIMITED);
    CHECK(limits.level("a") == "custom");
    CHECK_THROWS_AS(limits.set_level("a", "moderate"), tenon::Error);
    CHECK_THROWS_AS(limits.level("x"), tenon::Error);
    std::int64_t retry_ns = 0;
    const tenon_throttle_claim unknown{77, 1, tenon::str("k")};
    CHECK(limits.take({&unknown, 1}, 0, retry_ns) == TENON_INVALID);
    CHECK(limits.take({}, 0, retry_ns) == TENON_INVALID);
}

TEST_CASE("more keys than places share one", "[throttle][H5]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 2)});
    int given = 0;
    for (int i = 0; i < 1'000; ++i) {
        given += take(limits, "k" + std::to_string(i), 0) == TENON_OK ? 1 : 0;
    }
    CHECK(given >= 64);
    CHECK(given <= 66 + 64);
}

TEST_CASE("a new key gets the place of one that is idle", "[throttle][H5]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 2)});
    const std::uint32_t id = limits.find("a").value();
    const auto key = [](int i) { return "k" + std::to_string(i); };
    const auto end = [&](const std::string& of, std::int64_t now_ns) {
        limits.observe(id, of, ended(TENON_UPSTREAM_OK, 10 * k_ms), now_ns);
    };
    const auto burst_of = [&](const std::string& of) {
        auto state = tenon::sized<tenon_throttle_state>();
        REQUIRE(limits.state(id, of, 0, state));
        return state.burst;
    };
    // All places are taken; the first key is under way, the others are idle.
    for (int i = 0; i < 64; ++i) {
        REQUIRE(take(limits, key(i), i) == TENON_OK);
        if (i > 0) {
            end(key(i), i);
        }
    }
    for (std::int64_t now = 100; now < 100 + 2'000 * k_ms; now += 10 * k_ms) {
        int given = 0;
        while (take(limits, key(1), now) == TENON_OK) {
            ++given;
        }
        for (; given > 0; --given) {
            end(key(1), now);
        }
    }
    CHECK(burst_of(key(1)) > 2);
    // Soon it is too early, and new keys share one place.
    CHECK(take(limits, "x0", 200 * k_ms) == TENON_OK);
    CHECK(take(limits, "x1", 200 * k_ms) == TENON_OK);
    CHECK(take(limits, "x2", 200 * k_ms) == TENON_LIMITED);
    CHECK(limits.totals().at(0).keys == 64);
    // Later 63 of them can come and go, again and again, each with a fresh measure.
    const std::int64_t later = 70'000 * k_ms;
    REQUIRE(take(limits, key(0), later - 1) == TENON_OK);  // what it had was lost
    for (int i = 0; i < 1'000; ++i) {
        const std::string of = "y" + std::to_string(i);
        const std::int64_t now = later + i * 1'000 * k_ms;
        REQUIRE(take(limits, key(0), now) == TENON_OK);  // never idle
        end(key(0), now);
        REQUIRE(take(limits, of, now) == TENON_OK);
        REQUIRE(take(limits, of, now) == TENON_OK);
        REQUIRE(take(limits, of, now) == TENON_LIMITED);
        end(of, now);
        end(of, now);
    }
    CHECK(limits.totals().at(0).keys == 64);
    CHECK(limits.totals().at(0).in_flight <= 4);  // x0 and x1, which nobody ended, and the first
    CHECK(burst_of("y999") == 2);
}

TEST_CASE("keys that come and go by many threads leave nothing behind", "[throttle][H5]") {
    AdaptiveLimits limits;
    AdaptiveSettings fixed = limit_of("a", 3);
    fixed.gradient.floor = fixed.gradient.ceiling = 3;
    fixed.answer_timeout_ns = 1;  // every place is idle as soon as nothing is under way in it
    limits.apply({fixed});
    const std::uint32_t id = limits.find("a").value();
    std::atomic<std::int64_t> clock{0};
    std::atomic<std::int64_t> granted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 20'000; ++i) {
                const std::string key = "k" + std::to_string((i * 7 + t) % 200);
                const tenon_throttle_claim claim{id, 1, tenon::str(key)};
                std::int64_t retry_ns = 0;
                if (limits.take({&claim, 1}, clock.load(), retry_ns) == TENON_OK) {
                    ++granted;
                    limits.observe(id, key, ended(TENON_UPSTREAM_OK, 1'000), clock.load());
                }
                if (i % 16 == 0) {
                    clock += 2;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(granted > 0);
    CHECK(limits.totals().at(0).in_flight == 0);
    CHECK(limits.totals().at(0).keys == 64);
}

TEST_CASE("threads never have more under way than allowed", "[throttle][H5]") {
    AdaptiveLimits limits;
    AdaptiveSettings fixed = limit_of("a", 5);
    fixed.gradient.floor = fixed.gradient.ceiling = 5;
    limits.apply({fixed});
    const std::uint32_t id = limits.find("a").value();
    std::atomic<int> under_way{0};
    std::atomic<int> most{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            const tenon_throttle_claim claim{id, 1, tenon::str("k")};
            for (int i = 0; i < 20'000; ++i) {
                std::int64_t retry_ns = 0;
                if (limits.take({&claim, 1}, i, retry_ns) != TENON_OK) {
                    continue;
                }
                const int now = ++under_way;
                int seen = most.load();
                while (now > seen && !most.compare_exchange_weak(seen, now)) {}
                --under_way;
                limits.observe(id, "k", ended(TENON_UPSTREAM_OK, 1'000), i);
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(most <= 5);
    CHECK(limits.totals().at(0).in_flight == 0);
}

TEST_CASE(
    "over a throttle for rates both have to grant, and its limits pass through",
    "[throttle][H5]"
) {
    FakeHost host;
    LoadedPlugin rates{
        host,
        "throttle-token-bucket",
        R"({"level":"conservative","keys_max":64,"limits":[{"name":"upstream"},{"name":"other"}]})"};
    host.bind("tenon.throttle/1", rates.query("tenon.throttle/1"), "rates");
    LoadedPlugin plugin{
        host,
        "throttle-adaptive",
        R"({"limits":[{"name":"upstream","initial":50},{"name":"alone","initial":5}]})"};
    const tenon::Service<tenon_throttle_1> service =
        tenon::service_from<tenon_throttle_1>(plugin.query("tenon.throttle/1"));
    const auto given = [&](const char* name, int tries) {
        std::uint32_t id = 0;
        REQUIRE(service->find(service.self, tenon::str(name), &id) == TENON_OK);
        const tenon_throttle_claim claim{id, 1, tenon::str("k")};
        int out = 0;
        for (int i = 0; i < tries; ++i) {
            std::int64_t retry_ns = 0;
            out += service->take(service.self, &claim, 1, 1'000, &retry_ns) == TENON_OK ? 1 : 0;
        }
        return out;
    };
    CHECK(given("upstream", 30) == 10);  // the rate's burst
    CHECK(given("other", 30) == 10);
    CHECK(given("alone", 30) == 5);
    const auto level = [&](const char* limit, const char* to) {
        return service->set_level(service.self, tenon::str(limit), tenon::str(to), nullptr);
    };
    CHECK(level("upstream", "moderate") == TENON_OK);
    CHECK(given("upstream", 60) == 30);
    CHECK(level("alone", "moderate") == TENON_INVALID);
    CHECK(level("nothing", "moderate") == TENON_NOT_FOUND);
    const auto stats = tenon::Json::parse(host.admin("throttle.adaptive", "{}"));
    CHECK(stats.find("upstream")->find("in_flight")->integer<int>() == 40);
    CHECK(stats.find("alone")->find("burst")->integer<int>() == 5);
    tenon::StringSink text;
    const auto metrics = tenon::Host{host.raw()}.service<tenon_metrics_1>("tenon.metrics/1");
    REQUIRE(metrics->collect(metrics.self, text.sink()) == TENON_OK);
    CHECK(host.metric("tenon_throttle_in_flight", "limit=\"alone\"") == 5);
    CHECK(host.metric("tenon_throttle_concurrency_limit", "limit=\"alone\"") == 5);
}

namespace {

// Keeps reactor 0 busy, 20 ms at a time, until it goes.
class Busy {
public:
    explicit Busy(FakeHost& host) : host_{host} { step(); }

    ~Busy() {
        goes_ = false;
        while (!is_over_) {
            std::this_thread::yield();
        }
    }

    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    void step() {
        tenon::post(host_.exec(), 0, [this] {
            const std::int64_t until_ns = host_.reactor().now_ns() + 20 * k_ms;
            while (host_.reactor().now_ns() < until_ns) {}
            if (goes_) {
                step();
            } else {
                is_over_ = true;
            }
        });
    }

    FakeHost& host_;
    std::atomic<bool> goes_{true}, is_over_{false};
};

}  // namespace

TEST_CASE(
    "limits shrink under pressure while the flag of a running throttle is on",
    "[throttle][K8]"
) {
    FakeHost host;
    const auto config = [](bool on) {
        return std::string{R"({"reactor_lag_ms":1,"pressure_shedding":)"} +
               (on ? "true" : "false") + R"(,"limits":[{"name":"upstream","initial":50}]})";
    };
    LoadedPlugin plugin{host, "throttle-adaptive", config(true)};
    const auto metrics = tenon::Host{host.raw()}.service<tenon_metrics_1>("tenon.metrics/1");
    const auto eventually = [&](auto is_so) {
        const std::int64_t until_ns = host.reactor().now_ns() + 60'000 * k_ms;
        while (host.reactor().now_ns() < until_ns) {
            tenon::StringSink text;
            REQUIRE(metrics->collect(metrics.self, text.sink()) == TENON_OK);
            if (is_so(host.metric("tenon_throttle_concurrency_percent"))) {
                return true;
            }
            std::this_thread::yield();
        }
        return false;
    };
    const Busy busy{host};
    CHECK(eventually([](std::int64_t percent) { return percent < 80; }));
    plugin.reload(config(false));
    CHECK(eventually([](std::int64_t percent) { return percent == 100; }));
    plugin.reload(config(true));
    CHECK(eventually([](std::int64_t percent) { return percent < 80; }));
}

TEST_CASE("a limit that does not adapt is its ceiling, and learns nothing", "[throttle][K8]") {
    AdaptiveLimits limits;
    limits.apply({limit_of("a", 3)});  // up to 100
    const std::uint32_t id = limits.find("a").value();
    limits.adapt(false);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(take(limits, "k", 0) == TENON_OK);
    }
    CHECK(take(limits, "k", 0) == TENON_LIMITED);
    for (int i = 0; i < 100; ++i) {
        limits.observe(id, "k", ended(TENON_UPSTREAM_FAILED, k_ms), k_ms);
    }
    limits.adapt(true);
    for (int i = 0; i < 3; ++i) {
        CHECK(take(limits, "k", k_ms) == TENON_OK);
    }
    CHECK(take(limits, "k", k_ms) == TENON_LIMITED);
}
