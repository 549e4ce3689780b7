// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/clock_offset.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>

using tenon::binance_venue::ClockOffset;

TEST_CASE("the offset is that of the quick answers, within its own error", "[binance][T4]") {
    const auto seed = GENERATE(take(20, random(1U, 1'000'000U)));
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    constexpr std::int64_t k_ms = 1'000'000;
    const std::int64_t truth_ns = 1'700'000'000'123'456'789;
    ClockOffset offset;
    std::int64_t now = 5'000 * k_ms;
    for (int i = 0; i < 30; ++i) {
        const bool is_slow = random() % 3 == 0;
        const auto there = static_cast<std::int64_t>(random() % (5 * 1'000'000));
        const auto back = is_slow ? 800 * k_ms : static_cast<std::int64_t>(random() % 5'000'000);
        const std::int64_t exchange_ns = now + there + truth_ns;
        offset.sample(now, now + there + back, exchange_ns / k_ms);
        now += 200 * k_ms;
        if (i >= 9) {
            CHECK(std::abs(offset.offset_ns() - truth_ns) <= offset.error_ns());
        }
    }
    CHECK(offset.samples() == ClockOffset::k_samples_max);
    offset.forget();
    CHECK(offset.samples() == 0);
}
