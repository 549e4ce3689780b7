// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/positions.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::console {
namespace {

// a * b / c for 0 <= b <= c, c > 0: fits, since it is at most a.
[[nodiscard]] std::int64_t share(std::int64_t a, std::int64_t b, std::int64_t c) noexcept {
    return static_cast<std::int64_t>(Int128{a} * b / c);
}

[[nodiscard]] bool add_to(std::int64_t& sum, std::int64_t amount) noexcept {
    return !__builtin_add_overflow(sum, amount, &sum);
}

}  // namespace

Position::Position(const tenon_instrument& instrument, int base_scale) noexcept
    : base_{instrument.base},
      quote_{instrument.quote},
      unit_{power_of_ten(std::max(base_scale - instrument.quantity_scale, 0))} {}

void Position::take(std::int64_t quantity) noexcept {
    const std::int64_t held = std::min(quantity, quantity_);
    if (held > 0) {
        cost_ -= share(cost_, held, quantity_);
        quantity_ -= held;
    }
}

void Position::buy(std::int64_t quantity, std::int64_t fee_base, std::int64_t spent) noexcept {
    whole_ = whole_ && add_to(quantity_, quantity - std::min(fee_base, quantity)) &&
             add_to(cost_, spent);
}

void Position::sell(std::int64_t quantity, std::int64_t received) noexcept {
    const std::int64_t held = std::min(quantity, quantity_);
    const std::int64_t before = cost_;
    take(held);
    whole_ = whole_ && add_to(realized_, share(received, held, quantity) - (before - cost_)) &&
             add_to(uncovered_, quantity - held);
}

bool Position::add(const tenon_trade& trade) noexcept {
    std::int64_t quantity = 0;
    if (!whole_ || __builtin_mul_overflow(trade.quantity, unit_, &quantity) || quantity <= 0) {
        whole_ = false;
        return false;
    }
    const std::int64_t fee_quote = trade.fee_asset == quote_ ? trade.fee : 0;
    const std::int64_t fee_base = trade.fee_asset == base_ ? trade.fee : 0;
    if (trade.side == TENON_SIDE_BUY) {
        std::int64_t spent = trade.quote_amount;
        whole_ = add_to(spent, fee_quote);
        buy(quantity, fee_base, spent);
    } else {
        sell(quantity, trade.quote_amount - fee_quote);
        take(fee_base);
    }
    return whole_;
}

}  // namespace tenon::console
