// SPDX-License-Identifier: Apache-2.0
// What an account's fills in one instrument come to: the quantity that was bought and is still
// held, what it cost, and the profit of what was sold, by average cost. Exact but for one division
// a sale, which is rounded down to the quote asset's unit.
//
// Fees in the quote asset add to the cost of a purchase and are taken from the proceeds of a sale;
// fees in the base asset are quantity that is not there any more. Fees in another asset are not
// counted here. What is sold beyond what was bought has no known cost: it makes no profit, and its
// quantity is told.
#pragma once

#include <tenon/abi/instruments.h>
#include <tenon/abi/trading.h>

#include <cstdint>

namespace tenon::console {

class Position {
public:
    Position(const tenon_instrument& instrument, int base_scale) noexcept;

    // Fills in the order of their ids. False: a sum leaves 64 bits; the position is worth nothing
    // from then on, and whole() says so.
    bool add(const tenon_trade& trade) noexcept;

    // In units of the base asset.
    [[nodiscard]] std::int64_t quantity() const noexcept { return quantity_; }

    [[nodiscard]] std::int64_t sold_without_cost() const noexcept { return uncovered_; }

    // In units of the quote asset.
    [[nodiscard]] std::int64_t cost() const noexcept { return cost_; }

    [[nodiscard]] std::int64_t realized() const noexcept { return realized_; }

    [[nodiscard]] bool whole() const noexcept { return whole_; }

private:
    void buy(std::int64_t quantity, std::int64_t fee_base, std::int64_t spent) noexcept;
    void sell(std::int64_t quantity, std::int64_t received) noexcept;
    void take(std::int64_t quantity) noexcept;

    std::uint32_t base_, quote_;
    std::int64_t unit_;  // of the base asset, one of the instrument's quantity
    std::int64_t quantity_ = 0, cost_ = 0, realized_ = 0, uncovered_ = 0;
    bool whole_ = true;
};

}  // namespace tenon::console
