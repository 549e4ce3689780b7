// SPDX-License-Identifier: Apache-2.0
// Parts of the WebSocket API's answers (web-socket-api.md, "Response format").
#pragma once

#include "plugins/gateway/binance/errors.hpp"
#include "plugins/gateway/binance/json_writer.hpp"
#include "plugins/gateway/binance/limits.hpp"

#include <optional>
#include <string>

namespace tenon::binance {

// {"code":…,"msg":…}; with `data` (times in milliseconds) when the client shall wait.
void write_socket_error(std::string& out, const ApiError& error, std::int64_t now_real_ns);

// The array "rateLimits"; `orders`: with the counts of unfilled orders.
void write_rate_limits(
    JsonWriter& json,
    const LimitSettings& limits,
    std::uint32_t used_weight,
    const std::optional<OrderLimits::Counts>& orders
);

}  // namespace tenon::binance
