// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/intervals.hpp"

#include <tenon/abi/market_data.h>

#include <array>
#include <chrono>

namespace tenon::market_data {
namespace {

constexpr std::array<std::int64_t, TENON_INTERVAL_COUNT> k_lengths{
    k_second_ns,
    k_minute_ns,
    3 * k_minute_ns,
    5 * k_minute_ns,
    15 * k_minute_ns,
    30 * k_minute_ns,
    k_hour_ns,
    2 * k_hour_ns,
    4 * k_hour_ns,
    6 * k_hour_ns,
    8 * k_hour_ns,
    12 * k_hour_ns,
    k_day_ns,
    3 * k_day_ns,
    7 * k_day_ns,
    0};

[[nodiscard]] std::int64_t floor_to(std::int64_t value, std::int64_t unit) {
    const std::int64_t rest = value % unit;
    return value - (rest < 0 ? rest + unit : rest);
}

[[nodiscard]] std::int64_t month_open(std::int64_t local_ns, std::int64_t steps) {
    namespace chrono = std::chrono;
    const chrono::sys_days day{chrono::days{floor_to(local_ns, k_day_ns) / k_day_ns}};
    const chrono::year_month_day date{day};
    const chrono::year_month month =
        chrono::year_month{date.year(), date.month()} + chrono::months{steps};
    const chrono::sys_days first{month / chrono::day{1}};
    return first.time_since_epoch().count() * k_day_ns;
}

}  // namespace

std::int64_t interval_length(std::uint32_t interval) {
    return interval < k_lengths.size() ? k_lengths[interval] : 0;
}

std::int64_t candle_open(std::uint32_t interval, std::int64_t time_ns, std::int64_t offset_ns) {
    const std::int64_t offset = interval >= TENON_INTERVAL_1H ? offset_ns : 0;
    const std::int64_t local = time_ns + offset;
    if (interval == TENON_INTERVAL_1MO) {
        return month_open(local, 0) - offset;
    }
    // The epoch was a Thursday: weeks are counted from the Monday before it.
    const std::int64_t phase = interval == TENON_INTERVAL_1W ? 3 * k_day_ns : 0;
    return floor_to(local + phase, interval_length(interval)) - phase - offset;
}

std::int64_t candle_step(
    std::uint32_t interval,
    std::int64_t open_ns,
    std::int64_t steps,
    std::int64_t offset_ns
) {
    if (interval == TENON_INTERVAL_1MO) {
        return month_open(open_ns + offset_ns, steps) - offset_ns;
    }
    return open_ns + steps * interval_length(interval);
}

}  // namespace tenon::market_data
