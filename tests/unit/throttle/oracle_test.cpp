// SPDX-License-Identifier: Apache-2.0
// The throttle against a bucket that is counted the long way round.
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

using tenon::token_bucket::k_second_ns;
using tenon::token_bucket::k_tick_bits;
using tenon::token_bucket::make_rate;
using tenon::token_bucket::Rate;
using tenon::token_bucket::TokenBuckets;

namespace {

// A bucket that holds time: it fills by what passes, a unit costs its interval.
class Bucket {
public:
    explicit Bucket(const Rate& rate) : rate_{rate}, level_{rate.burst_ticks()} {}

    // Ticks to wait; 0: taken.
    std::int64_t take(std::int64_t cost, std::int64_t tick) {
        level_ = std::min(level_ + (tick - last_), rate_.burst_ticks());
        last_ = tick;
        const std::int64_t missing = cost * rate_.interval_ticks - level_;
        if (missing > 0) {
            return missing;
        }
        level_ = -missing;
        return 0;
    }

private:
    Rate rate_;
    std::int64_t level_;
    std::int64_t last_ = 0;
};

}  // namespace

TEST_CASE("a million arrivals are decided as an exact bucket decides them", "[throttle][H1]") {
    const unsigned seed = 1'000'003;
    INFO("seed " << seed);
    std::mt19937_64 random{seed};

    struct Case {
        std::int64_t count, period_ns, burst;
        std::uint64_t keys;
        std::int64_t mean_gap_ns;  // between arrivals of all keys
    };

    for (const Case& c :
         {Case{1'000, 60 * k_second_ns, 50, 1'000, 40'000},
          Case{5, k_second_ns, 10, 100, 900'000},
          Case{6'000, 60 * k_second_ns, 6'000, 3, 2'500'000},
          Case{1'000'000, k_second_ns, 3, 1, 700}}) {
        TokenBuckets buckets;
        buckets.apply({{"a", "custom", c.count, c.period_ns, c.burst, 4'096}});
        const Rate rate = make_rate(c.count, c.period_ns, c.burst);
        std::unordered_map<std::uint64_t, Bucket> exact;
        const std::int64_t base = 77'777;
        std::int64_t now = base;
        std::int64_t given = 0;
        for (int i = 0; i < 250'000; ++i) {
            const std::uint64_t id = random() % c.keys;
            const std::string key = "k" + std::to_string(id);
            const auto cost = static_cast<std::int64_t>(
                1 + random() % static_cast<std::uint64_t>(std::min<std::int64_t>(c.burst, 25))
            );
            const tenon_throttle_claim claim{0, static_cast<std::uint32_t>(cost), tenon::str(key)};
            std::int64_t retry_ns = 0;
            const tenon_status status = buckets.take({&claim, 1}, now, retry_ns);
            const std::int64_t tick = (now - base) >> k_tick_bits;
            const std::int64_t wait = exact.try_emplace(id, rate).first->second.take(cost, tick);
            const std::int64_t exact_ns = ((tick + wait) << k_tick_bits) + base - now;
            if ((status == TENON_OK) != (wait == 0) ||
                (wait != 0 && retry_ns != std::max<std::int64_t>(exact_ns, 1))) {
                FAIL("arrival " << i << ": " << status << " for " << wait << ", " << retry_ns);
            }
            given += status == TENON_OK ? cost : 0;
            now +=
                static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * c.mean_gap_ns));
        }
        CHECK(given > 0);
    }
}

TEST_CASE("at least 99 % of the rate is given when more is wanted", "[throttle][H1]") {
    for (const std::int64_t per_second : {5, 20, 50, 1'000, 100'000}) {
        TokenBuckets buckets;
        buckets.apply({{"a", "custom", per_second, k_second_ns, 10, 16}});
        const tenon_throttle_claim claim{0, 1, tenon::str("k")};
        std::int64_t retry_ns = 0;
        std::int64_t given = 0;
        const std::int64_t end = 20'000 * k_second_ns / per_second;
        for (std::int64_t now = 0; now < end; now += k_second_ns / per_second / 7) {
            given += buckets.take({&claim, 1}, now, retry_ns) == TENON_OK ? 1 : 0;
        }
        CHECK(given >= 19'800);
        CHECK(given <= 20'010);
    }
}
