// SPDX-License-Identifier: Apache-2.0
#include "sdk/triggers/trailing_book.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon {
namespace {

constexpr std::int64_t k_whole = 10'000;

[[nodiscard]] auto place_of(const std::vector<Trailing>& orders, std::uint64_t order_id) noexcept {
    return std::lower_bound(
        orders.begin(),
        orders.end(),
        order_id,
        [](const Trailing& order, std::uint64_t id) { return order.order_id < id; }
    );
}

[[nodiscard]] bool is_begun_by(const Trailing& order, std::int64_t price) noexcept {
    return order.stop_price == 0 ||
           (order.begins_rising ? price >= order.stop_price : price <= order.stop_price);
}

// The price at which an order that follows is triggered, within the whole prices on its far side.
[[nodiscard]] std::int64_t stop_of(const Trailing& order) noexcept {
    const Int128 delta = order.delta;
    if (order.falls) {
        return static_cast<std::int64_t>(Int128{order.best} * (k_whole - delta) / k_whole);
    }
    const Int128 stop = (Int128{order.best} * (k_whole + delta) + k_whole - 1) / k_whole;
    return stop > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(stop);
}

[[nodiscard]] bool is_triggered_by(const Trailing& order, std::int64_t price) noexcept {
    return order.falls ? price <= stop_of(order) : price >= stop_of(order);
}

}  // namespace

bool TrailingBook::add(const Trailing& order) {
    const auto at = place_of(orders_, order.order_id);
    if ((at != orders_.end() && at->order_id == order.order_id) || order.delta == 0 ||
        order.delta >= k_whole) {
        return false;
    }
    orders_.insert(at, order);
    narrow(order);
    return true;
}

bool TrailingBook::contains(std::uint64_t order_id) const noexcept {
    const auto at = place_of(orders_, order_id);
    return at != orders_.end() && at->order_id == order_id;
}

bool TrailingBook::erase(std::uint64_t order_id) {
    if (!contains(order_id)) {
        return false;
    }
    orders_.erase(place_of(orders_, order_id));
    return true;
}

// Bounds that are too narrow for lack of an order that left cost a walk, no more.
void TrailingBook::narrow(const Trailing& order) noexcept {
    const auto acts_above = [&](std::int64_t price) {
        quiet_.below = std::min(quiet_.below, price);
    };
    const auto acts_below = [&](std::int64_t price) {
        quiet_.above = std::max(quiet_.above, price);
    };
    if (order.best != 0) {
        // A price at the best one itself changes nothing; just beyond it does.
        acts_above(order.falls ? order.best + 1 : stop_of(order));
        acts_below(order.falls ? stop_of(order) : order.best - 1);
    } else if (order.stop_price == 0) {
        acts_above(INT64_MIN);
    } else if (order.begins_rising) {
        acts_above(order.stop_price);
    } else {
        acts_below(order.stop_price);
    }
}

void TrailingBook::see(std::int64_t price, std::vector<std::uint64_t>& triggered) {
    if (is_quiet(price)) {
        return;
    }
    quiet_ = {};
    std::size_t kept = 0;
    for (Trailing order : orders_) {
        if (order.best == 0) {
            order.best = is_begun_by(order, price) ? price : 0;
        } else if (is_triggered_by(order, price)) {
            triggered.push_back(order.order_id);
            continue;
        } else {
            order.best = order.falls ? std::max(order.best, price) : std::min(order.best, price);
        }
        narrow(order);
        orders_[kept++] = order;
    }
    orders_.resize(kept);
}

}  // namespace tenon
