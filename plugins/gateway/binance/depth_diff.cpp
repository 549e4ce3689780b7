// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/depth_diff.hpp"

#include <algorithm>

namespace tenon::binance {

void DepthDiff::append(std::vector<tenon_level>& to, const tenon_level* from, std::uint32_t count) {
    to.insert(to.end(), from, from + count);
}

void DepthDiff::add(const tenon_feed_event& diff) {
    if (last_id_ == 0) {
        first_id_ = diff.first_update_id;
    }
    last_id_ = diff.last_update_id;
    append(bids_, diff.bids, diff.bid_count);
    append(asks_, diff.asks, diff.ask_count);
    // Memory stays bounded by the number of prices, not of changes.
    if (bids_.size() > compact_bids_at_) {
        compact(bids_, true);
        compact_bids_at_ = std::max(k_compact_at, bids_.size() * 2);
    }
    if (asks_.size() > compact_asks_at_) {
        compact(asks_, false);
        compact_asks_at_ = std::max(k_compact_at, asks_.size() * 2);
    }
}

void DepthDiff::add(DepthDiff& later) {
    const auto bids = later.bids();
    const auto asks = later.asks();
    tenon_feed_event diff{};
    diff.size = sizeof diff;
    diff.kind = TENON_FEED_DIFF;
    diff.first_update_id = later.first_id_;
    diff.last_update_id = later.last_id_;
    diff.bids = bids.data();
    diff.bid_count = static_cast<std::uint32_t>(bids.size());
    diff.asks = asks.data();
    diff.ask_count = static_cast<std::uint32_t>(asks.size());
    add(diff);
}

void DepthDiff::reset() noexcept {
    first_id_ = 0;
    last_id_ = 0;
    bids_.clear();
    asks_.clear();
}

void DepthDiff::compact(std::vector<tenon_level>& levels, bool descending) {
    std::stable_sort(levels.begin(), levels.end(), [&](const tenon_level& a, const tenon_level& b) {
        return descending ? a.price > b.price : a.price < b.price;
    });
    // Of equal prices the last one counts.
    std::size_t kept = 0;
    for (std::size_t at = 0; at < levels.size(); ++at) {
        if (at + 1 < levels.size() && levels[at + 1].price == levels[at].price) {
            continue;
        }
        levels[kept++] = levels[at];
    }
    levels.resize(kept);
}

std::span<const tenon_level> DepthDiff::bids() {
    compact(bids_, true);
    return bids_;
}

std::span<const tenon_level> DepthDiff::asks() {
    compact(asks_, false);
    return asks_;
}

}  // namespace tenon::binance
