// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <deque>
#include <random>
#include <thread>

using tenon::token_bucket::k_second_ns;
using tenon::token_bucket::LimitSettings;
using tenon::token_bucket::TokenBuckets;

namespace {

LimitSettings
custom(std::string name, std::int64_t count, std::int64_t period_ns, std::int64_t burst) {
    return {std::move(name), "custom", count, period_ns, burst, 1024};
}

LimitSettings at_level(std::string name, std::string level) {
    return {std::move(name), std::move(level), 0, 0, 0, 1024};
}

struct Taken {
    tenon_status status;
    std::int64_t retry_ns;
};

Taken take(
    TokenBuckets& buckets,
    std::string_view key,
    std::uint32_t cost,
    std::int64_t now_ns,
    std::uint32_t limit = 0
) {
    const tenon_throttle_claim claim{limit, cost, tenon::str(key)};
    std::int64_t retry_ns = -1;
    const tenon_status status = buckets.take({&claim, 1}, now_ns, retry_ns);
    return {status, retry_ns};
}

std::int64_t available(
    TokenBuckets& buckets,
    std::string_view key,
    std::int64_t now_ns,
    std::uint32_t limit = 0
) {
    tenon_throttle_state state{};
    REQUIRE(buckets.state(limit, key, now_ns, state));
    return state.available;
}

}  // namespace

TEST_CASE("the levels have the rates and bursts that they promise", "[throttle][H1]") {
    TokenBuckets buckets;
    buckets.apply(
        {at_level("a", "conservative"),
         at_level("b", "moderate"),
         at_level("c", "aggressive"),
         at_level("d", "unlimited"),
         custom("e", 1000, 60 * k_second_ns, 50)}
    );
    const std::int64_t rates[] = {5, 20, 50, 1000, 16};
    const std::int64_t bursts[] = {10, 40, 100, 2000, 50};
    for (std::uint32_t i = 0; i < 5; ++i) {
        tenon_throttle_state state{};
        REQUIRE(buckets.state(i, "k", 0, state));
        CHECK(state.rate_per_second == rates[i]);
        CHECK(state.burst == bursts[i]);
        CHECK(state.available == bursts[i]);
        CHECK(take(buckets, "k", static_cast<std::uint32_t>(bursts[i]), 0, i).status == TENON_OK);
        CHECK(take(buckets, "k", 1, 0, i).status == TENON_LIMITED);
    }
    CHECK(buckets.find("c") == 2U);
    CHECK_FALSE(buckets.find("x"));
}

TEST_CASE("a refused take leaves the bucket as it was and says when to come", "[throttle][H3]") {
    TokenBuckets buckets;
    buckets.apply({custom("a", 10, k_second_ns, 5)});
    CHECK(take(buckets, "k", 5, 1000).status == TENON_OK);
    const Taken refused = take(buckets, "k", 2, 1000);
    CHECK(refused.status == TENON_LIMITED);
    CHECK(refused.retry_ns > k_second_ns / 5 - 100);
    CHECK(refused.retry_ns < k_second_ns / 5 + 1000);
    for (int i = 0; i < 100; ++i) {
        CHECK(take(buckets, "k", 2, 1000).retry_ns == refused.retry_ns);
    }
    CHECK(take(buckets, "k", 2, 1000 + refused.retry_ns - 100).status == TENON_LIMITED);
    CHECK(take(buckets, "k", 2, 1000 + refused.retry_ns).status == TENON_OK);
}

TEST_CASE("what waiting would never help is refused as a mistake", "[throttle][H2]") {
    TokenBuckets buckets;
    buckets.apply({custom("a", 10, k_second_ns, 5)});
    CHECK(take(buckets, "k", 6, 0).status == TENON_INVALID);
    CHECK(take(buckets, "k", 0, 0).status == TENON_INVALID);
    CHECK(take(buckets, "k", 1, 0, 7).status == TENON_INVALID);
    CHECK(take(buckets, std::string(129, 'k'), 1, 0).status == TENON_INVALID);
    CHECK(take(buckets, std::string(128, 'k'), 1, 0).status == TENON_OK);
    CHECK(take(buckets, "", 1, 0).status == TENON_OK);
    std::int64_t retry = 0;
    CHECK(buckets.take({}, 0, retry) == TENON_INVALID);
    const tenon_throttle_claim same[] = {{0, 3, tenon::str("z")}, {0, 3, tenon::str("z")}};
    CHECK(buckets.take(same, 0, retry) == TENON_INVALID);
    CHECK(available(buckets, "z", 0) == 5);
}

TEST_CASE("several limits are taken together or not at all", "[throttle][H2]") {
    TokenBuckets buckets;
    buckets.apply(
        {custom("weight", 100, k_second_ns, 100), custom("orders", 2, 10 * k_second_ns, 2)}
    );
    const tenon_throttle_claim claims[] = {{0, 10, tenon::str("ip")}, {1, 1, tenon::str("acc")}};
    std::int64_t retry = 0;
    CHECK(buckets.take(claims, 0, retry) == TENON_OK);
    CHECK(buckets.take(claims, 0, retry) == TENON_OK);
    CHECK(buckets.take(claims, 0, retry) == TENON_LIMITED);
    CHECK(retry > 4 * k_second_ns);
    CHECK(available(buckets, "ip", 0, 0) == 80);
    CHECK(available(buckets, "acc", 0, 1) == 0);
    buckets.refund(claims, 0);
    CHECK(available(buckets, "ip", 0, 0) == 90);
    CHECK(available(buckets, "acc", 0, 1) == 1);
    for (int i = 0; i < 20; ++i) {
        buckets.refund(claims, 0);
    }
    CHECK(available(buckets, "ip", 0, 0) == 100);
    CHECK(available(buckets, "acc", 0, 1) == 2);
}

TEST_CASE("a clock that goes back changes nothing", "[throttle][H1]") {
    TokenBuckets buckets;
    buckets.apply({custom("a", 10, k_second_ns, 5)});
    CHECK(take(buckets, "k", 5, 100 * k_second_ns).status == TENON_OK);
    CHECK(take(buckets, "k", 1, 50 * k_second_ns).status == TENON_LIMITED);
    CHECK(take(buckets, "j", 5, 1).status == TENON_OK);
    CHECK(take(buckets, "k", 5, 101 * k_second_ns).status == TENON_OK);
    TokenBuckets negative;
    negative.apply({custom("a", 10, k_second_ns, 5)});
    CHECK(take(negative, "k", 5, INT64_MIN).status == TENON_OK);
}

TEST_CASE("no span of time ever gets more than burst and rate allow", "[throttle][H1]") {
    const unsigned seed = 4711;
    INFO("seed " << seed);
    std::mt19937_64 random{seed};

    struct Case {
        std::int64_t count, period_ns, burst, mean_gap_ns;
    };

    for (const Case& c :
         {Case{10, k_second_ns, 5, 20'000'000},
          Case{1000, k_second_ns, 4, 100'000},
          Case{7, 3 * k_second_ns, 20, 100'000'000},
          Case{1'000'000, k_second_ns, 100, 300}}) {
        TokenBuckets buckets;
        buckets.apply({custom("a", c.count, c.period_ns, c.burst)});
        std::deque<std::pair<std::int64_t, std::int64_t>> given;  // time, sum up to and with it
        std::int64_t now = 12'345;
        std::int64_t sum = 0;
        const std::int64_t begin = now;
        for (int i = 0; i < 100'000; ++i) {
            now +=
                static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * c.mean_gap_ns));
            const auto cost = static_cast<std::int64_t>(
                1 + random() % static_cast<std::uint64_t>(std::min<std::int64_t>(c.burst, 3))
            );
            if (take(buckets, "k", static_cast<std::uint32_t>(cost), now).status != TENON_OK) {
                continue;
            }
            given.emplace_back(now, sum);
            sum += cost;
            for (const auto& [then, before] : given) {
                const std::int64_t allowed = c.burst + (now - then) * c.count / c.period_ns;
                if (sum - before > allowed) {
                    FAIL(
                        "from " << then << " to " << now << " " << sum - before << " of " << allowed
                    );
                }
            }
            if (given.size() > 200) {
                given.pop_front();
            }
        }
        const auto whole = static_cast<double>(now - begin) * static_cast<double>(c.count) /
                           static_cast<double>(c.period_ns);
        CHECK(static_cast<double>(sum) > 0.97 * whole);  // demand is above the rate
    }
}

TEST_CASE("a new level counts at once and keeps what was taken", "[throttle][H1]") {
    TokenBuckets buckets;
    buckets.apply({at_level("a", "conservative"), at_level("b", "moderate")});
    CHECK(take(buckets, "k", 8, 0).status == TENON_OK);
    buckets.set_level("a", "moderate");
    CHECK(available(buckets, "k", 0) == 32);
    buckets.set_level("a", "conservative");
    CHECK(available(buckets, "k", 0) == 2);
    CHECK(buckets.level("a") == "conservative");
    CHECK(buckets.level("") == "mixed");
    buckets.set_level("", "aggressive");
    CHECK(buckets.level("") == "aggressive");
    CHECK(available(buckets, "k", 0) == 92);
    CHECK_THROWS_WITH(buckets.set_level("x", "moderate"), "there is no limit x");
    CHECK_THROWS_AS(buckets.set_level("a", "wild"), tenon::Error);
    CHECK_THROWS_AS(buckets.set_level("a", "custom"), tenon::Error);
    CHECK_THROWS_AS(
        buckets.apply({at_level("a", "moderate"), at_level("a", "moderate")}), tenon::Error
    );
    CHECK_THROWS_AS(
        buckets.apply({at_level("a", "moderate"), custom("d", 1, 86'400 * k_second_ns, 1000)}),
        tenon::Error
    );
    CHECK(buckets.level("a") == "aggressive");
    for (int i = 0; i < 600; ++i) {
        buckets.set_level("a", i % 2 == 0 ? "conservative" : "unlimited");
    }
    CHECK(available(buckets, "k", 0) == 1992);
}

TEST_CASE("limits that find no room change nothing", "[throttle][H1]") {
    TokenBuckets buckets;
    buckets.apply({at_level("a", "conservative")});
    std::vector<LimitSettings> many{at_level("a", "moderate")};
    for (std::size_t i = 0; i < TokenBuckets::k_limits_max; ++i) {
        many.push_back(at_level("limit" + std::to_string(i), "moderate"));
    }
    CHECK_THROWS_WITH(buckets.apply(many), "at most 256 limits");
    CHECK(buckets.level("a") == "conservative");
    CHECK_FALSE(buckets.find("limit0"));
    many.pop_back();
    buckets.apply(many);
    CHECK(buckets.level("") == "moderate");
    CHECK(buckets.find("limit254") == 255U);
}

TEST_CASE("the upstream's word restricts the budget", "[throttle][H2]") {
    TokenBuckets buckets;
    buckets.apply({custom("a", 10, k_second_ns, 100)});
    tenon_throttle_feedback feedback{};
    feedback.size = sizeof feedback;
    feedback.used = 40;
    buckets.observe(0, "k", feedback, 0);
    CHECK(available(buckets, "k", 0) == 60);
    feedback.used = 10;
    buckets.observe(0, "k", feedback, 0);
    CHECK(available(buckets, "k", 0) == 60);
    feedback.used = 0;
    feedback.outcome = TENON_UPSTREAM_LIMITED;
    feedback.retry_after_ns = 5 * k_second_ns;
    buckets.observe(0, "k", feedback, 0);
    tenon_throttle_state state{};
    REQUIRE(buckets.state(0, "k", 0, state));
    CHECK(state.available == 0);
    CHECK(state.blocked_ns > 4 * k_second_ns);
    CHECK(take(buckets, "k", 1, 5 * k_second_ns - 1000).status == TENON_LIMITED);
    CHECK(take(buckets, "k", 1, 5 * k_second_ns + 32).status == TENON_OK);
    CHECK(take(buckets, "k", 1, 5 * k_second_ns + 32).status == TENON_LIMITED);
    CHECK(take(buckets, "other", 100, 5 * k_second_ns).status == TENON_OK);
}

TEST_CASE(
    "memory is bounded whatever the number of keys, and nobody gets around the limit",
    "[throttle][H2]"
) {
    TokenBuckets buckets;
    LimitSettings small = custom("a", 10, k_second_ns, 5);
    small.keys_max = 16;
    buckets.apply({small});
    int given = 0;
    for (int i = 0; i < 10'000; ++i) {
        given += take(buckets, "k" + std::to_string(i), 5, 0).status == TENON_OK ? 1 : 0;
    }
    CHECK(given >= 16);
    CHECK(given <= 33);  // the places of the table, and the shared budget
    const auto stats = tenon::Json::parse(buckets.stats());
    CHECK(stats.find("a")->find("keys")->integer<int>() <= 32);
    // Idle keys make room for new ones, whose budget is full.
    CHECK(take(buckets, "new", 5, 2 * k_second_ns).status == TENON_OK);
}

TEST_CASE("the same calls give the same decisions", "[throttle][H1]") {
    const auto run = [] {
        TokenBuckets buckets;
        buckets.apply({custom("a", 100, k_second_ns, 20), at_level("b", "conservative")});
        std::mt19937_64 random{7};
        std::string decisions;
        std::int64_t now = 0;
        for (int i = 0; i < 20'000; ++i) {
            now += static_cast<std::int64_t>(random() % 3'000'000);
            const std::string key = "k" + std::to_string(random() % 5);
            const tenon_throttle_claim claims[] = {
                {0, 1 + static_cast<std::uint32_t>(random() % 3), tenon::str(key)},
                {1, 1, tenon::str(key)}};
            std::int64_t retry = 0;
            const auto count = 1 + random() % 2;
            decisions += std::to_string(buckets.take({claims, count}, now, retry)) + ":" +
                         std::to_string(retry) + " ";
        }
        return decisions;
    };
    CHECK(run() == run());
}

TEST_CASE(
    "keys that take each other's places keep their budgets, on four threads",
    "[throttle][H1]"
) {
    const unsigned seed = 20'261;
    INFO("seed " << seed);
    constexpr std::size_t k_keys = 60;
    constexpr std::int64_t k_burst = 3;
    TokenBuckets buckets;
    LimitSettings small = custom("a", 1'000, k_second_ns, k_burst);
    small.keys_max = 1;  // as few places as there are, so that keys have to wait for each other's
    buckets.apply({small});
    std::atomic<std::int64_t> now{0};
    std::array<std::atomic<std::int64_t>, k_keys> given{};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random{seed + t};
            for (int i = 0; i < 100'000; ++i) {
                const std::size_t id = random() % k_keys;
                const std::string key = "key " + std::to_string(id);
                const tenon_throttle_claim claim{0, 1, tenon::str(key)};
                std::int64_t retry = 0;
                const std::int64_t at = now.fetch_add(20'000);
                given[id] += buckets.take({&claim, 1}, at, retry) == TENON_OK ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    std::uint64_t all = 0;
    for (const auto& of_key : given) {
        CHECK(of_key <= k_burst + now / 1'000'000);
        all += static_cast<std::uint64_t>(of_key);
    }
    CHECK(all > 8'000);
    const auto stats = tenon::Json::parse(buckets.stats());
    CHECK(stats.find("a")->find("taken")->integer<std::uint64_t>() == all);
    CHECK(stats.find("a")->find("limited")->integer<std::uint64_t>() == 400'000 - all);
}

TEST_CASE("threads that share a key share its budget", "[throttle][H1]") {
    TokenBuckets buckets;
    buckets.apply(
        {custom("a", 1, 100 * k_second_ns, 10'000), custom("b", 1, 100 * k_second_ns, 40'000)}
    );
    std::atomic<std::int64_t> given{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            const tenon_throttle_claim claims[] = {
                {1, 1, tenon::str("k")}, {0, 1, tenon::str("k")}};
            for (int i = 0; i < 10'000; ++i) {
                std::int64_t retry = 0;
                given += buckets.take(claims, 1, retry) == TENON_OK ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(given == 10'000);
    CHECK(available(buckets, "k", 1, 0) == 0);
    CHECK(available(buckets, "k", 1, 1) == 30'000);
}
