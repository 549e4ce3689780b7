// SPDX-License-Identifier: Apache-2.0
// Every endpoint that is served, as data. What is not here answers that it is not supported.
#include "plugins/gateway/binance/rest_public.hpp"

namespace tenon::binance {
namespace {

constexpr std::array k_endpoints{
    Endpoint{"GET", "/api/v3/ping", Security::none, 0, &rest::ping},
    Endpoint{"GET", "/api/v3/time", Security::none, 0, &rest::time},
    Endpoint{"GET", "/api/v3/exchangeInfo", Security::none, 5, &rest::exchange_info},
    Endpoint{"GET", "/api/v3/depth", Security::none, 2, &rest::depth},
    Endpoint{"GET", "/api/v3/trades", Security::none, 2, &rest::trades},
    Endpoint{"GET", "/api/v3/historicalTrades", Security::none, 3, &rest::historical_trades},
    Endpoint{"GET", "/api/v3/aggTrades", Security::none, 5, &rest::agg_trades},
    Endpoint{"GET", "/api/v3/klines", Security::none, 6, &rest::klines},
    Endpoint{"GET", "/api/v3/uiKlines", Security::none, 6, &rest::klines},
    Endpoint{"GET", "/api/v3/avgPrice", Security::none, 1, &rest::average_price},
    Endpoint{"GET", "/api/v3/ticker/24hr", Security::none, 3, &rest::ticker_24hr},
    Endpoint{"GET", "/api/v3/ticker/price", Security::none, 2, &rest::ticker_price},
    Endpoint{"GET", "/api/v3/ticker/bookTicker", Security::none, 2, &rest::ticker_book},
    Endpoint{"GET", "/sapi/v1/system/status", Security::none, 0, &rest::system_status},
};

}  // namespace

std::span<const Endpoint> Api::endpoints() noexcept {
    return k_endpoints;
}

}  // namespace tenon::binance
