// SPDX-License-Identifier: Apache-2.0
// When candles open, for every TENON_INTERVAL_*. Pure functions of UTC nanoseconds.
//
// `offset_ns` moves the boundaries of 1h and more to another time zone (+2 h: a day opens at 22:00
// UTC of the day before); shorter intervals ignore it. Weeks open on Monday, three-day candles
// count from the epoch, months are those of the calendar.
#pragma once

#include <cstdint>

namespace tenon::market_data {

inline constexpr std::int64_t k_second_ns = 1'000'000'000;
inline constexpr std::int64_t k_minute_ns = 60 * k_second_ns;
inline constexpr std::int64_t k_hour_ns = 60 * k_minute_ns;
inline constexpr std::int64_t k_day_ns = 24 * k_hour_ns;

// 0 for months.
[[nodiscard]] std::int64_t interval_length(std::uint32_t interval);

// The opening of the candle that holds `time_ns`.
[[nodiscard]] std::int64_t
candle_open(std::uint32_t interval, std::int64_t time_ns, std::int64_t offset_ns);

// The opening `steps` candles later (earlier when negative) than the one that opens at `open_ns`.
[[nodiscard]] std::int64_t candle_step(
    std::uint32_t interval,
    std::int64_t open_ns,
    std::int64_t steps,
    std::int64_t offset_ns
);

}  // namespace tenon::market_data
