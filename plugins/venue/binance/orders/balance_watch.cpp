// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/balance_watch.hpp"

#include <limits>

namespace tenon::binance_venue {
namespace {

// Kept in 64 bits: a sum that leaves them is a difference in any case.
[[nodiscard]] std::int64_t bounded_sum(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) {
        return a < 0 ? std::numeric_limits<std::int64_t>::min() + 1
                     : std::numeric_limits<std::int64_t>::max();
    }
    return sum;
}

}  // namespace

void BalanceWatch::booked(std::uint32_t asset, std::int64_t amount) {
    ++changes_;
    if (expected_) {
        std::int64_t& total = (*expected_)[asset];
        total = bounded_sum(total, amount);
    }
}

BalanceWatch::Totals BalanceWatch::difference(const Totals& totals) const {
    Totals out;
    for (const auto& [asset, total] : totals) {
        out[asset] = total;
    }
    for (const auto& [asset, total] : *expected_) {
        out[asset] = bounded_sum(out[asset], -total);
    }
    std::erase_if(out, [](const auto& entry) { return entry.second == 0; });
    return out;
}

bool BalanceWatch::told(const Totals& totals, std::uint64_t changes_when_asked) {
    if (changes_ != changes_when_asked) {
        return false;  // it may or may not have what was booked meanwhile
    }
    ++compared_;
    if (!expected_) {
        expected_ = totals;
        return false;
    }
    Totals now = difference(totals);
    const bool again = seen_ && *seen_ == now && seen_changes_ == changes_;
    seen_ = now;
    seen_changes_ = changes_;
    if (now == differences_ || !(again || now.empty())) {
        return false;
    }
    differences_ = std::move(now);
    return true;
}

}  // namespace tenon::binance_venue
