// SPDX-License-Identifier: Apache-2.0
// The parameters of POST /api/v3/orderList/oco and of its older form POST /api/v3/order/oco.
#pragma once

#include "plugins/gateway/binance/params.hpp"
#include "plugins/gateway/binance/render.hpp"

#include <tenon/abi/trading.h>

#include <array>

namespace tenon::binance {

// The stop comes first, as in Binance's answers.
struct NewList {
    Market market;
    tenon_client_id client_id{};
    std::array<tenon_order_request, TENON_LIST_ORDERS_MAX> orders{};
    ResponseType response = ResponseType::result;
};

// Both read everything but timestamp, recvWindow and signature; throw ApiError.
[[nodiscard]] NewList
read_oco(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account);
[[nodiscard]] NewList
read_old_oco(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account);

}  // namespace tenon::binance
