// SPDX-License-Identifier: Apache-2.0
// What becomes of a request that waits for the engine: its completions, and its one answer.
//
// Reactor 0. Each gives the Pending back with its answer, however that was.
#pragma once

#include "plugins/gateway/binance/api.hpp"

#include <string_view>

namespace tenon::binance {

// Of tenon.trading/1's submit and cancel; the context is a Pending.
void on_placed(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept;
// Of submit_list.
void on_list_placed(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept;
void on_canceled(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept;
void on_amended(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept;

// The answer is this JSON, or this error. A cancel that a new order is to follow is not answered
// yet: that order is placed (replacement.hpp).
void settle(Pending& pending, std::string_view body) noexcept;
void settle(Pending& pending, const ApiError& error) noexcept;

}  // namespace tenon::binance
