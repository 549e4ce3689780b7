// SPDX-License-Identifier: Apache-2.0
// Payloads of market streams (web-socket-streams.md). `now_real_ns` is the event time E.
#pragma once

#include "plugins/gateway/binance/depth_diff.hpp"
#include "plugins/gateway/binance/render.hpp"

namespace tenon::binance {

void write_trade_event(
    JsonWriter& json,
    const Market& market,
    const tenon_public_trade& trade,
    std::int64_t now_real_ns
);
void write_agg_trade_event(
    JsonWriter& json,
    const Market& market,
    const tenon_agg_trade& trade,
    std::int64_t now_real_ns
);
void write_book_ticker_event(
    JsonWriter& json,
    const Market& market,
    std::uint64_t update_id,
    const tenon_level& bid,
    const tenon_level& ask
);
void write_depth_event(
    JsonWriter& json,
    const Market& market,
    DepthDiff& diff,
    std::int64_t now_real_ns
);
void write_kline_event(
    JsonWriter& json,
    const Market& market,
    const tenon_candle& candle,
    bool closed,
    std::int64_t now_real_ns
);
void write_ticker_event(
    JsonWriter& json,
    const Market& market,
    const tenon_ticker& ticker,
    std::int64_t now_real_ns
);
void write_mini_ticker_event(
    JsonWriter& json,
    const Market& market,
    const tenon_ticker& ticker,
    std::int64_t now_real_ns
);
// Of a window of 1, 4 or 24 hours.
void write_window_ticker_event(
    JsonWriter& json,
    const Market& market,
    const tenon_ticker& ticker,
    std::uint32_t hours,
    std::int64_t now_real_ns
);
void write_average_price_event(
    JsonWriter& json,
    const Market& market,
    std::int64_t price,
    std::int64_t close_real_ns,
    std::int64_t now_real_ns
);

}  // namespace tenon::binance
