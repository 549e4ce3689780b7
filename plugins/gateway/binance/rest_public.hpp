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

}  // namespace tenon::binance::rest
