// SPDX-License-Identifier: Apache-2.0
// Conditional orders: stop-loss and take-profit, with and without a limit; and the bounds of
// trailing stops and icebergs, which are the same for all instruments.
//
// Source: Binance Spot API documentation, "New order": which last price triggers which order.
#pragma once

#include <tenon/abi/trading.h>

#include <cstdint>

namespace tenon {

// Filters TRAILING_DELTA, in basis points, and ICEBERG_PARTS.
inline constexpr std::uint32_t k_trailing_delta_min = 10;
inline constexpr std::uint32_t k_trailing_delta_max = 2'000;
inline constexpr std::int64_t k_iceberg_parts_max = 100;

[[nodiscard]] constexpr bool is_conditional(std::uint8_t type) noexcept {
    return type >= TENON_ORDER_STOP_LOSS && type <= TENON_ORDER_TAKE_PROFIT_LIMIT;
}

// What the order is once it works: LIMIT, LIMIT_MAKER or MARKET.
[[nodiscard]] constexpr std::uint8_t working_type(std::uint8_t type) noexcept {
    if (type == TENON_ORDER_STOP_LOSS || type == TENON_ORDER_TAKE_PROFIT) {
        return TENON_ORDER_MARKET;
    }
    return is_conditional(type) ? std::uint8_t{TENON_ORDER_LIMIT} : type;
}

// Of a conditional order: it is triggered at the stop price and above, else there and below.
[[nodiscard]] constexpr bool waits_for_rise(std::uint8_t side, std::uint8_t type) noexcept {
    const bool stop_loss = type == TENON_ORDER_STOP_LOSS || type == TENON_ORDER_STOP_LOSS_LIMIT;
    return (side == TENON_SIDE_BUY) == stop_loss;
}

[[nodiscard]] constexpr bool is_triggered(
    std::uint8_t side,
    std::uint8_t type,
    std::int64_t stop_price,
    std::int64_t last_price
) noexcept {
    return waits_for_rise(side, type) ? last_price >= stop_price : last_price <= stop_price;
}

}  // namespace tenon
