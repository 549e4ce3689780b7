// SPDX-License-Identifier: Apache-2.0
// The parameters of POST /api/v3/order, checked as far as that can be done without the engine.
#pragma once

#include "plugins/gateway/binance/params.hpp"
#include "plugins/gateway/binance/render.hpp"

#include <tenon/abi/trading.h>

#include <optional>

namespace tenon::binance {

struct NewOrder {
    Market market;
    tenon_order_request request{};
    ResponseType response = ResponseType::full;
};

// Reads everything but timestamp, recvWindow and signature; throws ApiError. `account` goes into
// the request as it is.
[[nodiscard]] NewOrder
read_new_order(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account);

// The parameters of an order that are called otherwise in a list.
struct OrderNames {
    std::string_view time_in_force, price, stop_price, iceberg, trailing;
    std::string_view good_till_date;  // empty: GTD is not taken
};

// What all requests for orders read alike. Throw ApiError. read_amounts: of a request whose side
// and type are known.
[[nodiscard]] std::uint8_t read_side(std::string_view text);
[[nodiscard]] std::uint8_t read_type(std::string_view text);
[[nodiscard]] ResponseType read_response(Params& params, ResponseType otherwise);
// TENON_STP_*; NONE when nothing is sent.
[[nodiscard]] std::uint8_t read_prevention(Params& params);
void read_amounts(
    Params& params,
    const OrderNames& names,
    const Market& market,
    tenon_order_request& request
);

// Which order is to be cancelled, by parameters of these names; views of the request's.
struct CancelNames {
    std::string_view order_id, client_id, new_client_id;
};

struct CancelParams {
    CancelNames names;
    std::optional<std::int64_t> order_id;
    std::optional<std::string_view> client_id, new_client_id;
    std::uint32_t restriction = TENON_CANCEL_ANY;
};

// Both throw ApiError.
[[nodiscard]] CancelParams read_cancel(Params& params, const CancelNames& names);
[[nodiscard]] tenon_cancel_request
make_cancel(const CancelParams& which, const Market& market, std::uint64_t account);

// A quantity of k_precision decimals, in the instrument's. Throws ApiError when it is 0 or finer.
[[nodiscard]] std::int64_t quantity_to_scale(const Market& market, std::int64_t quantity);

[[nodiscard]] tenon_client_id make_client_id(std::string_view text) noexcept;

// Throws ApiError when a venue with these TENON_VENUE_* does not take the order.
void require_taken(std::uint32_t venue_takes, const tenon_order_request& order);

// The filters that an order can be held against without the account and its other orders:
// PRICE_FILTER, PERCENT_PRICE_BY_SIDE (against `last_price`, 0: none), LOT_SIZE, MARKET_LOT_SIZE,
// ICEBERG_PARTS, TRAILING_DELTA, NOTIONAL. Throws ApiError -1013. The engine has the last word;
// this is what order/test checks.
void check_filters(const Market& market, const tenon_order_request& order, std::int64_t last_price);

}  // namespace tenon::binance
