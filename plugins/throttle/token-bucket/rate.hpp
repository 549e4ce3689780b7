// SPDX-License-Identifier: Apache-2.0
// Rates of limits, and the budget of one key as one word.
//
// The generic cell rate algorithm (ITU-T I.371, annex A): a budget is one time, the theoretical
// arrival time (TAT). A request of cost c is granted when max(TAT, now) + c * interval is at most
// now + burst * interval, and then that is the new TAT. So never more than burst + rate * t in any
// span of t, exactly. Times are ticks of 16 ns since the first call: 56 bits last 36 years, the
// other 8 bits of the word say under which rate the TAT was reckoned.
#pragma once

#include <tenon/decimal.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::token_bucket {

inline constexpr int k_tick_bits = 4;
inline constexpr std::int64_t k_second_ns = 1'000'000'000;
// The longest time that a whole burst may take to come back: 104 days.
inline constexpr std::int64_t k_burst_ticks_max = std::int64_t{1} << 49;

struct Rate {
    // Of one unit of cost, rounded up and one more: time is cut to whole ticks, and what that gains
    // must not pay for a unit.
    std::int64_t interval_ticks = 1;
    std::int64_t burst = 1;
    std::int64_t per_second = 0;  // as asked for, rounded down

    [[nodiscard]] std::int64_t burst_ticks() const noexcept { return interval_ticks * burst; }

    [[nodiscard]] bool operator==(const Rate&) const noexcept = default;
};

// `count` in each `period_ns`.
[[nodiscard]] inline Rate
make_rate(std::int64_t count, std::int64_t period_ns, std::int64_t burst) noexcept {
    const std::int64_t tick_ns = std::int64_t{1} << k_tick_bits;
    const std::int64_t step_ns = count * tick_ns;
    return {(period_ns + step_ns - 1) / step_ns + 1, burst, count * k_second_ns / period_ns};
}

// The word of a key.
struct Budget {
    std::int64_t tat = 0;         // ticks
    std::uint8_t generation = 0;  // of the rate

    [[nodiscard]] static Budget unpack(std::uint64_t word) noexcept {
        return {static_cast<std::int64_t>(word) >> 8, static_cast<std::uint8_t>(word & 0xff)};
    }

    [[nodiscard]] std::uint64_t pack() const noexcept {
        return (static_cast<std::uint64_t>(tat) << 8) | generation;
    }
};

// What has been taken stays taken under a new rate, counted in units. What an upstream blocked,
// which is a time beyond the whole burst, stays blocked for that time.
[[nodiscard]] inline std::int64_t
convert_tat(std::int64_t tat, std::int64_t now, const Rate& from, const Rate& to) noexcept {
    if (tat <= now) {
        return tat;
    }
    const std::int64_t debt = tat - now;
    if (const std::int64_t blocked = debt - from.burst_ticks(); blocked > 0) {
        return now + std::min(blocked, k_burst_ticks_max) + to.burst_ticks();
    }
    const Int128 units = Int128{debt} * to.interval_ticks / from.interval_ticks;
    return now + static_cast<std::int64_t>(std::min<Int128>(units, k_burst_ticks_max));
}

// Ticks until `cost` may be taken; 0: now.
[[nodiscard]] inline std::int64_t
wait_ticks(std::int64_t tat, std::int64_t now, std::int64_t cost, const Rate& rate) noexcept {
    const std::int64_t after = std::max(tat, now) + cost * rate.interval_ticks;
    return std::max<std::int64_t>(after - now - rate.burst_ticks(), 0);
}

}  // namespace tenon::token_bucket
