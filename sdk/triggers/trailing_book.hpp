// SPDX-License-Identifier: Apache-2.0
// The trailing stops of one instrument: conditional orders whose stop price follows the market.
//
// An order begins to follow when the last price reaches its stop price, or at its start when it has
// none. A sell remembers the highest price since then and is triggered when the price has fallen
// from there by its delta; a buy the lowest, and by a rise. The delta is in basis points, 1/10,000.
// Source: Binance Spot API documentation, "Spot Trailing Stop order FAQ".
//
// A price that moves no stop and triggers none costs four comparisons; any other a walk over the
// orders, of which an instrument has few (MAX_NUM_ALGO_ORDERS an account).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon {

struct Trailing {
    std::uint64_t order_id = 0;
    std::int64_t stop_price = 0;  // begins there; 0: it has begun, or begins with the next price
    bool begins_rising = false;   // at stop_price and above, else there and below
    bool falls = false;           // triggered by a fall (sell), else by a rise (buy)
    std::uint32_t delta = 0;      // basis points
    std::int64_t best = 0;        // highest of a sell, lowest of a buy; 0: it has not begun
};

class TrailingBook {
public:
    // False when the order is there already, or its delta is not 1 .. 9,999.
    [[nodiscard]] bool add(const Trailing& order);
    // False when it is not there.
    bool erase(std::uint64_t order_id);
    [[nodiscard]] bool contains(std::uint64_t order_id) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return orders_.size(); }

    // True when a trade at this price would change nothing.
    [[nodiscard]] bool is_quiet(std::int64_t price) const noexcept {
        return orders_.empty() || (price > quiet_.above && price < quiet_.below);
    }

    // A trade at this price: moves the stops, takes out what it triggers and appends those ids,
    // ascending.
    void see(std::int64_t price, std::vector<std::uint64_t>& triggered);

    // By id, ascending.
    [[nodiscard]] const std::vector<Trailing>& orders() const noexcept { return orders_; }

private:
    // Prices that change nothing: above the first and below the second.
    struct Quiet {
        std::int64_t above = INT64_MIN, below = INT64_MAX;
    };

    void narrow(const Trailing& order) noexcept;

    std::vector<Trailing> orders_;
    Quiet quiet_;
};

}  // namespace tenon
