// SPDX-License-Identifier: Apache-2.0
// Events of an account as Binance writes them (user-data-stream.md). One JSON object each; the
// envelope is the sender's.
#pragma once

#include "plugins/gateway/binance/render.hpp"

#include <span>

namespace tenon::binance {

// Room for 65,536 events of one command; ids rise over restarts, since sequence numbers do.
[[nodiscard]] constexpr std::uint64_t
execution_id(std::uint64_t sequence, std::uint32_t index) noexcept {
    return (sequence << 16U) + index;
}

// The first command whose first event has this id or a later one.
[[nodiscard]] constexpr std::uint64_t sequence_from(std::uint64_t execution_id) noexcept {
    return (execution_id >> 16U) + ((execution_id & 0xffffU) != 0 ? 1 : 0);
}

// An order event that a client hears of. Not those of an order that its venue has not answered
// yet: nobody knows whether it works.
[[nodiscard]] bool is_reported(const tenon_execution_event& event) noexcept;

// `order` is the order's state to tell, mostly *event.order.
void write_execution_report(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_execution_event& event,
    const tenon_order& order
);
// The balances of one account that a command changed.
void write_account_position(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    std::span<const tenon_balance> balances,
    std::int64_t time_real_ns
);
// One side of a transfer: what `account` got (or gave, negative).
void write_balance_update(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_execution_event& event,
    std::uint64_t account
);
// {"e":NAME,"E":TIME}
void write_bare_event(JsonWriter& json, std::string_view name, std::int64_t time_real_ns);

}  // namespace tenon::binance
