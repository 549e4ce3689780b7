// SPDX-License-Identifier: Apache-2.0
// Pre-trade risk limits: what operators allow accounts to do, beyond what an instrument allows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tenon::trading {

// Append only: the numbers are in the journal.
enum class RiskLimit : std::uint8_t {
    price_band_ppm,  // how far a limit price may be from the reference price
    order_notional,  // of one order, in units of the quote asset
    position,        // held and being bought, in units of the instrument's quantity
    exposure,        // the same at the reference price, in units of the quote asset
    open_orders,     // of a row for any instrument: over all instruments
    order_rate,      // orders taken within order_rate_ms, likewise
    order_rate_ms
};

inline constexpr std::size_t k_risk_limits = 7;
inline constexpr std::array<std::string_view, k_risk_limits> k_risk_limit_names{
    "price_band_ppm",
    "order_notional",
    "position",
    "exposure",
    "open_orders",
    "order_rate",
    "order_rate_ms"};
inline constexpr std::int64_t k_keep_limit = -1;
inline constexpr std::int64_t k_order_rate_max = 1'000'000;
inline constexpr std::int64_t k_order_rate_ms_max = 86'400'000;
inline constexpr std::size_t k_risk_rows_max = 65'536;

// By RiskLimit; 0: none.
using RiskLimits = std::array<std::int64_t, k_risk_limits>;

[[nodiscard]] constexpr std::int64_t limit_of(const RiskLimits& limits, RiskLimit which) noexcept {
    return limits[static_cast<std::size_t>(which)];
}

// Whether a row for that instrument may have these limits: none below 0, amounts only for one
// instrument, a rate with its time and within its bounds.
[[nodiscard]] bool good_limits(std::uint32_t instrument, const RiskLimits& limits) noexcept;

}  // namespace tenon::trading
