// SPDX-License-Identifier: Apache-2.0
// Instrument filters, as Binance applies them to spot orders.
//
// Source: Binance Spot API documentation, "Filters": PRICE_FILTER, PERCENT_PRICE_BY_SIDE, LOT_SIZE,
// MARKET_LOT_SIZE, NOTIONAL. Where Binance takes the average price of some minutes, the reference
// price stands in (see core.hpp); without one the filters that need it do not apply.
#pragma once

#include "plugins/trading/engine/core/instrument_table.hpp"

#include <tenon/abi/trading.h>
#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <cstdint>
#include <optional>

namespace tenon::trading {

// price * quantity in units of the quote asset; empty when it leaves 64 bits.
[[nodiscard]] inline std::optional<std::int64_t>
quote_amount(const Instrument& instrument, std::int64_t price, std::int64_t quantity) noexcept {
    std::int64_t amount = 0;
    if (__builtin_mul_overflow(price, quantity, &amount) ||
        __builtin_mul_overflow(amount, instrument.quote_unit, &amount)) {
        return std::nullopt;
    }
    return amount;
}

// quantity in units of the base asset.
[[nodiscard]] inline std::optional<std::int64_t>
base_amount(const Instrument& instrument, std::int64_t quantity) noexcept {
    return checked_multiply(quantity, instrument.base_unit);
}

// Whether the fields of an order make sense together: TENON_REJECT_NONE, INVALID or UNSUPPORTED.
[[nodiscard]] std::uint32_t check_shape(const tenon_order_request& order) noexcept;

// The filters above, on an order of good shape; `reference_price` 0: there is none. Gives
// TENON_REJECT_* of the first filter that fails, or OVERFLOW.
[[nodiscard]] std::uint32_t check_filters(
    const Instrument& instrument,
    const tenon_order_request& order,
    std::int64_t reference_price
) noexcept;

}  // namespace tenon::trading
