// SPDX-License-Identifier: Apache-2.0
// The conditional orders of one instrument: what waits for the last price to reach a stop price.
//
// Two sorted arrays, one for orders that wait for the price to rise and one for it to fall; the
// next to come true lies last, so that a price that triggers nothing costs two comparisons. Nothing
// is allocated once the pools are as large as the number of waiting orders.
#pragma once

#include "sdk/triggers/id_table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon {

struct Trigger {
    std::uint64_t order_id = 0;
    std::int64_t stop_price = 0;
    bool rising = false;  // comes true at stop_price and above, else there and below
};

class TriggerBook {
public:
    // False when the order is there already.
    [[nodiscard]] bool add(const Trigger& trigger);
    // False when it is not there.
    bool erase(std::uint64_t order_id);

    [[nodiscard]] bool contains(std::uint64_t order_id) const noexcept {
        return ids_.find(order_id) != IdTable::k_none;
    }

    [[nodiscard]] std::size_t size() const noexcept { return sides_[0].size() + sides_[1].size(); }

    // Takes out what comes true when the last price moves over low .. high; their ids are appended,
    // ascending.
    void take_triggered(std::int64_t low, std::int64_t high, std::vector<std::uint64_t>& out);

    // Calls visit(order_id) for what would come true at this price.
    template <class Visit>
    void for_each_triggered(std::int64_t price, Visit&& visit) const {
        for (const bool rising : {false, true}) {
            const std::vector<Key>& side = sides_[rising ? 1 : 0];
            const std::int64_t reached = rising ? -price : price;
            for (auto at = side.rbegin(); at != side.rend() && at->key >= reached; ++at) {
                visit(at->order_id);
            }
        }
    }

    // All of them, falling ones first, in a fixed order.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const bool rising : {false, true}) {
            for (const Key& key : sides_[rising ? 1 : 0]) {
                visit(Trigger{key.order_id, rising ? -key.key : key.key, rising});
            }
        }
    }

private:
    // Ascending by key, which is the stop price, negative for rising ones.
    struct Key {
        std::int64_t key = 0;
        std::uint64_t order_id = 0;

        auto operator<=>(const Key&) const = default;
    };

    void forget(std::uint64_t order_id);

    std::vector<Key> sides_[2];  // [0] falling, [1] rising
    std::vector<Trigger> pool_;
    std::vector<std::uint32_t> free_;
    IdTable ids_;  // places in pool_
};

}  // namespace tenon
