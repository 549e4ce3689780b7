// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "random_walk.hpp"

#include <map>

int main() {
    RandomWalk walk{3, 10, 5};
    walk.begin(2, 42);
    RandomWalk same{3, 10, 5};
    same.begin(2, 42);

    // Who applies the diffs to the snapshot has one level a side, and never a crossed book.
    std::map<std::int64_t, std::int64_t> bids, asks;
    tenon_feed_event first = walk.snapshot(1);
    CHECK(first.kind == TENON_FEED_SNAPSHOT && first.instrument == 3 && first.bid_count == 1);
    bids[first.bids[0].price] = first.bids[0].quantity;
    asks[first.asks[0].price] = first.asks[0].quantity;
    std::uint64_t update = first.last_update_id;
    for (int i = 0; i < 10'000; ++i) {
        const RandomWalk::Step step = walk.step(i);
        CHECK(step.book.first_update_id == update + 1);
        update = step.book.last_update_id;
        for (std::uint32_t n = 0; n < step.book.bid_count; ++n) {
            bids[step.book.bids[n].price] = step.book.bids[n].quantity;
            asks[step.book.asks[n].price] = step.book.asks[n].quantity;
        }
        std::erase_if(bids, [](const auto& level) { return level.second == 0; });
        std::erase_if(asks, [](const auto& level) { return level.second == 0; });
        CHECK(bids.size() == 1 && asks.size() == 1);
        CHECK(bids.begin()->first > 0 && bids.begin()->first < asks.begin()->first);
        CHECK(step.trade.trade_id == static_cast<std::uint64_t>(i) + 1);
        CHECK(step.trade.price == same.step(i).trade.price);
    }
    return failures();
}
