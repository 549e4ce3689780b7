// SPDX-License-Identifier: Apache-2.0
// The ticker of a stretch of time, summed from the candles of a minute and of an hour: what
// ticker, ticker/tradingDay and the streams ticker_1h, ticker_4h and ticker_1d tell. Knows what
// memory has, and asks nobody for older candles.
#pragma once

#include "plugins/gateway/binance/render.hpp"

#include <cstdint>

namespace tenon::binance {

struct Window {
    std::int64_t open_ns = 0, close_ns = 0;  // real time, both inclusive
};

// The last `length_ns` before now, opened with the minute in which it begins.
[[nodiscard]] Window rolling_window(std::int64_t length_ns, std::int64_t now_real_ns) noexcept;

// All of `out`, in the market's own scales; without trades its prices are those of the candles, or
// 0 without any. TENON_OK, or what the service failed with.
[[nodiscard]] tenon_status sum_window(
    Service<tenon_market_data_1> data,
    const Market& market,
    const Window& window,
    std::int64_t now_real_ns,
    tenon_ticker& out
) noexcept;

}  // namespace tenon::binance
