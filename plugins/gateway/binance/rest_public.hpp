// SPDX-License-Identifier: Apache-2.0
// Endpoints that need no key: general information, market data, tickers.
#pragma once

#include "plugins/gateway/binance/api.hpp"

namespace tenon::binance::rest {

// rest_info.cpp
void ping(Api& api, Call& call);
void time(Api& api, Call& call);
void exchange_info(Api& api, Call& call);
void system_status(Api& api, Call& call);

// rest_market.cpp
void depth(Api& api, Call& call);
void trades(Api& api, Call& call);
void historical_trades(Api& api, Call& call);
void agg_trades(Api& api, Call& call);
void klines(Api& api, Call& call);
void average_price(Api& api, Call& call);

// rest_tickers.cpp
void ticker_24hr(Api& api, Call& call);
void ticker_price(Api& api, Call& call);
void ticker_book(Api& api, Call& call);

// rest_windows.cpp
void ticker_window(Api& api, Call& call);
void ticker_trading_day(Api& api, Call& call);

// The trading status that is asked for; nothing: any.
using SymbolStatus = std::optional<std::uint32_t>;

// TRADING, HALT, BREAK; throws ApiError -1122.
[[nodiscard]] SymbolStatus read_symbol_status(Params& params);
[[nodiscard]] bool has_status(Api& api, std::uint32_t instrument, const SymbolStatus& asked);
// Throws ApiError -1220 when the market has another one.
void require_status(Api& api, const Market& market, const SymbolStatus& asked);

// "-1:00", "05:45", "0", "14": hours and minutes from UTC, -12:00 to +14:00. Throws ApiError.
[[nodiscard]] std::int64_t read_time_zone(std::string_view text);

}  // namespace tenon::binance::rest
