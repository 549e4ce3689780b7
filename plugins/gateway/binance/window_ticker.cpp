// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/window_ticker.hpp"

#include <tenon/decimal.hpp>
#include <tenon/structs.hpp>

#include <algorithm>
#include <limits>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;
constexpr std::int64_t k_hour_ns = 60 * k_minute_ns;
constexpr std::uint32_t k_rows = 1'000;

void merge(tenon_ticker& into, const tenon_candle& candle) noexcept {
    if (into.open == 0) {
        into.open = into.high = into.low = candle.open;
    }
    into.last = candle.close;
    if (candle.trade_count == 0) {
        return;
    }
    const auto add = [](std::int64_t& sum, std::int64_t more) {
        if (__builtin_add_overflow(sum, more, &sum)) {
            sum = std::numeric_limits<std::int64_t>::max();
        }
    };
    into.high = std::max(into.high, candle.high);
    into.low = std::min(into.low, candle.low);
    into.first_trade_id = into.trade_count == 0 ? candle.first_trade_id : into.first_trade_id;
    into.last_trade_id = candle.last_trade_id;
    into.trade_count += candle.trade_count;
    add(into.volume, candle.volume);
    add(into.quote_volume, candle.quote_volume);
}

// Candles that open in [start, end].
[[nodiscard]] tenon_status add_candles(
    Service<tenon_market_data_1> data,
    std::uint32_t interval,
    std::int64_t start_ns,
    std::int64_t end_ns,
    tenon_ticker& sum
) noexcept {
    if (start_ns > end_ns) {
        return TENON_OK;
    }
    const auto row = [](void* ctx, const tenon_candle* candle) noexcept -> tenon_status {
        merge(*static_cast<tenon_ticker*>(ctx), *candle);
        return TENON_OK;
    };
    const tenon_status status =
        data->candles(data.self, sum.instrument, interval, start_ns, end_ns, 0, k_rows, &sum, row);
    return status == TENON_NOT_FOUND ? TENON_OK : status;
}

[[nodiscard]] std::int64_t fitting(Int128 value) noexcept {
    return fits_int64(value) ? static_cast<std::int64_t>(value) : 0;
}

void derive(tenon_ticker& sum, const Market& market) noexcept {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    const Int128 volume =
        Int128{sum.volume} * power_of_ten(std::max(market.quote->scale - price - quantity, 0));
    sum.price_change = sum.last - sum.open;
    sum.price_change_ppm =
        fitting(sum.open == 0 ? 0 : Int128{sum.price_change} * 1'000'000 / sum.open);
    sum.weighted_average =
        fitting(volume == 0 ? 0 : (Int128{sum.quote_volume} + volume / 2) / volume);
}

}  // namespace

Window rolling_window(std::int64_t length_ns, std::int64_t now_real_ns) noexcept {
    return {(now_real_ns - length_ns) / k_minute_ns * k_minute_ns, now_real_ns};
}

// Whole hours are taken whole.
tenon_status sum_window(
    Service<tenon_market_data_1> data,
    const Market& market,
    const Window& window,
    std::int64_t now_real_ns,
    tenon_ticker& out
) noexcept {
    out = sized<tenon_ticker>();
    out.instrument = market.id();
    out.open_real_ns = window.open_ns;
    out.close_real_ns = window.close_ns;
    const std::int64_t end = std::min(window.close_ns, now_real_ns);
    const std::int64_t hour = (window.open_ns + k_hour_ns - 1) / k_hour_ns * k_hour_ns;
    tenon_status status =
        add_candles(data, TENON_INTERVAL_1M, window.open_ns, std::min(hour - 1, end), out);
    if (status == TENON_OK) {
        status = add_candles(data, TENON_INTERVAL_1H, hour, end, out);
    }
    derive(out, market);
    return status;
}

}  // namespace tenon::binance
