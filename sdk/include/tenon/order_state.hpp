// SPDX-License-Identifier: Apache-2.0
// What an order's numbers say of it.
#pragma once

#include <tenon/abi/trading.h>

namespace tenon {

// Self-trade prevention took what was left of it: what Binance calls EXPIRED_IN_MATCH. One that
// lost a part, and expired for another reason, has something left.
[[nodiscard]] constexpr bool is_expired_in_match(const tenon_order& order) noexcept {
    return order.status == TENON_STATUS_EXPIRED && order.prevented_quantity != 0 &&
           order.filled_quantity + order.prevented_quantity == order.quantity;
}

}  // namespace tenon
