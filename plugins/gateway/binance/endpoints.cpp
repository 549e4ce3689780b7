// SPDX-License-Identifier: Apache-2.0
// Every endpoint that is served, as data. What is not here answers that it is not supported.
#include "plugins/gateway/binance/rest_public.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"

namespace tenon::binance {
namespace {

constexpr std::array k_endpoints{
    Endpoint{"GET", "/api/v3/ping", Security::none, 0, &rest::ping},
    Endpoint{"GET", "/api/v3/time", Security::none, 0, &rest::time},
    Endpoint{"GET", "/api/v3/exchangeInfo", Security::none, 5, &rest::exchange_info, true},
    Endpoint{"GET", "/api/v3/depth", Security::none, 3, &rest::depth, true},
    Endpoint{"GET", "/api/v3/trades", Security::none, 2, &rest::trades, true},
    Endpoint{"GET", "/api/v3/historicalTrades", Security::none, 3, &rest::historical_trades, true},
    Endpoint{"GET", "/api/v3/aggTrades", Security::none, 5, &rest::agg_trades, true},
    Endpoint{"GET", "/api/v3/klines", Security::none, 6, &rest::klines, true},
    Endpoint{"GET", "/api/v3/uiKlines", Security::none, 6, &rest::klines, true},
    Endpoint{"GET", "/api/v3/avgPrice", Security::none, 1, &rest::average_price, true},
    Endpoint{"GET", "/api/v3/ticker/24hr", Security::none, 4, &rest::ticker_24hr, true},
    Endpoint{"GET", "/api/v3/ticker", Security::none, 5, &rest::ticker_window, true},
    Endpoint{
        "GET",
        "/api/v3/ticker/tradingDay",
        Security::none,
        5,
        &rest::ticker_trading_day,
        true},
    Endpoint{"GET", "/api/v3/ticker/price", Security::none, 3, &rest::ticker_price, true},
    Endpoint{"GET", "/api/v3/ticker/bookTicker", Security::none, 3, &rest::ticker_book, true},
    Endpoint{"POST", "/api/v3/order", Security::trade, 20, &rest::order_place},
    Endpoint{
        "POST",
        "/api/v3/order/cancelReplace",
        Security::trade,
        26,
        &rest::order_cancel_replace},
    Endpoint{"PUT", "/api/v3/order/amend/keepPriority", Security::trade, 5, &rest::order_amend},
    Endpoint{"GET", "/api/v3/order/amendments", Security::user_data, 4, &rest::order_amendments},
    Endpoint{"GET", "/api/v3/myPreventedMatches", Security::user_data, 5, &rest::prevented_matches},
    Endpoint{"POST", "/api/v3/orderList/oco", Security::trade, 30, &rest::list_place_oco},
    Endpoint{"POST", "/api/v3/order/oco", Security::trade, 19, &rest::list_place_old_oco},
    Endpoint{"DELETE", "/api/v3/orderList", Security::trade, 4, &rest::list_cancel},
    Endpoint{"GET", "/api/v3/orderList", Security::user_data, 2, &rest::list_get},
    Endpoint{"GET", "/api/v3/openOrderList", Security::user_data, 0, &rest::open_lists},
    Endpoint{"GET", "/api/v3/allOrderList", Security::user_data, 4, &rest::all_lists},
    Endpoint{"POST", "/api/v3/order/test", Security::trade, 21, &rest::order_test},
    Endpoint{"DELETE", "/api/v3/order", Security::trade, 5, &rest::order_cancel},
    Endpoint{"DELETE", "/api/v3/openOrders", Security::trade, 1, &rest::open_orders_cancel},
    Endpoint{"POST", "/api/v3/userDataStream", Security::user_stream, 0, &rest::listen_key_create},
    Endpoint{"PUT", "/api/v3/userDataStream", Security::user_stream, 1, &rest::listen_key_prolong},
    Endpoint{
        "DELETE",
        "/api/v3/userDataStream",
        Security::user_stream,
        1,
        &rest::listen_key_remove},
    Endpoint{"GET", "/api/v3/order", Security::user_data, 3, &rest::order_get},
    Endpoint{"GET", "/api/v3/openOrders", Security::user_data, 1, &rest::open_orders},
    Endpoint{"GET", "/api/v3/allOrders", Security::user_data, 5, &rest::all_orders},
    Endpoint{"GET", "/api/v3/myTrades", Security::user_data, 6, &rest::my_trades},
    Endpoint{"GET", "/api/v3/account", Security::user_data, 1, &rest::account},
    Endpoint{
        "GET",
        "/api/v3/account/commission",
        Security::user_data,
        1,
        &rest::account_commission},
    Endpoint{"GET", "/api/v3/rateLimit/order", Security::user_data, 0, &rest::rate_limit_order},
    Endpoint{
        "GET",
        "/sapi/v1/capital/config/getall",
        Security::user_data,
        0,
        &rest::capital_config},
    Endpoint{"GET", "/sapi/v1/asset/tradeFee", Security::user_data, 1, &rest::trade_fee},
    Endpoint{"GET", "/sapi/v1/margin/allPairs", Security::user_data, 1, &rest::margin_pairs},
    Endpoint{
        "GET",
        "/sapi/v1/margin/isolated/allPairs",
        Security::user_data,
        1,
        &rest::margin_pairs},
    Endpoint{"GET", "/sapi/v1/system/status", Security::none, 0, &rest::system_status},
};

}  // namespace

std::span<const Endpoint> Api::endpoints() noexcept {
    return k_endpoints;
}

}  // namespace tenon::binance
