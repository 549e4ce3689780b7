// SPDX-License-Identifier: Apache-2.0
// POST /api/v3/order/cancelReplace: one order is cancelled, another placed, and one answer tells of
// both. The new order is submitted when the cancel has its outcome; between the two other commands
// may come, and after a crash between them the cancel alone has happened.
//
// A cancel whose outcome is unknown (-1007) is no failure: nothing is placed after it in either
// mode, since the old order may live on. Reactor 0.
#pragma once

#include "plugins/gateway/binance/errors.hpp"
#include "plugins/gateway/binance/render.hpp"

#include <tenon/abi/trading.h>

#include <optional>
#include <string>
#include <string_view>

namespace tenon::binance {

struct Pending;

struct Replacement {
    bool stop_on_failure = true;      // of the cancel
    std::optional<ApiError> no_room;  // the account has used up its orders: nothing is placed
    tenon_order_request order{};
    ResponseType response = ResponseType::full;
    std::optional<std::string> canceled;  // JSON: the cancel's answer or error; empty: not yet told
    bool cancel_failed = false;
};

enum class Told : std::uint8_t { done, failed, unknown };

// The outcome of the step that is under way, as JSON. Goes on with the next one, or answers and
// gives the pending back.
void replacement_told(Pending& pending, std::string_view body, Told told) noexcept;

}  // namespace tenon::binance
