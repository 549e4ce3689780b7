// SPDX-License-Identifier: Apache-2.0
// The price levels of one instrument, best first, built from snapshots and diffs of tenon.feed/1.
//
// Levels are contiguous, so that a reader can borrow them; a change near the best moves the levels
// behind it, which is one memmove of some kilobytes. It knows nothing of update ids or of trust:
// who feeds it decides what may be applied. One thread.
#pragma once

#include <tenon/abi/feed.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace tenon {

class DepthBook {
public:
    // The whole book: bids descend, asks ascend.
    void assign(std::span<const tenon_level> bids, std::span<const tenon_level> asks) {
        bids_.assign(bids.begin(), bids.end());
        asks_.assign(asks.begin(), asks.end());
    }

    void clear() noexcept {
        bids_.clear();
        asks_.clear();
    }

    // Absolute quantities in any order; 0 removes the level, and removing what is not there is no
    // mistake.
    void apply(std::span<const tenon_level> bids, std::span<const tenon_level> asks) {
        for (const tenon_level& level : bids) {
            set(bids_, level, [](std::int64_t a, std::int64_t b) { return a > b; });
        }
        for (const tenon_level& level : asks) {
            set(asks_, level, [](std::int64_t a, std::int64_t b) { return a < b; });
        }
    }

    [[nodiscard]] std::span<const tenon_level> bids() const noexcept { return bids_; }

    [[nodiscard]] std::span<const tenon_level> asks() const noexcept { return asks_; }

    // {0, 0} when the side is empty.
    [[nodiscard]] tenon_level best_bid() const noexcept {
        return bids_.empty() ? tenon_level{} : bids_.front();
    }

    [[nodiscard]] tenon_level best_ask() const noexcept {
        return asks_.empty() ? tenon_level{} : asks_.front();
    }

private:
    template <class Better>
    static void set(std::vector<tenon_level>& side, const tenon_level& level, Better better) {
        const auto at = std::lower_bound(
            side.begin(),
            side.end(),
            level.price,
            [&](const tenon_level& have, std::int64_t price) { return better(have.price, price); }
        );
        const bool found = at != side.end() && at->price == level.price;
        if (level.quantity == 0) {
            if (found) {
                side.erase(at);
            }
        } else if (found) {
            at->quantity = level.quantity;
        } else {
            side.insert(at, level);
        }
    }

    std::vector<tenon_level> bids_;
    std::vector<tenon_level> asks_;
};

// The changes that turn one side of a book into another. Both sorted by `better`.
template <class Better>
void level_changes(
    std::span<const tenon_level> from,
    std::span<const tenon_level> to,
    Better better,
    std::vector<tenon_level>& out
) {
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < from.size() || j < to.size()) {
        if (j == to.size() || (i < from.size() && better(from[i].price, to[j].price))) {
            out.push_back({from[i++].price, 0});
        } else if (i == from.size() || better(to[j].price, from[i].price)) {
            out.push_back(to[j++]);
        } else {
            if (from[i].quantity != to[j].quantity) {
                out.push_back(to[j]);
            }
            ++i;
            ++j;
        }
    }
}

}  // namespace tenon
