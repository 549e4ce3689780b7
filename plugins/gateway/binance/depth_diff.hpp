// SPDX-License-Identifier: Apache-2.0
// Gathers the diffs of a book between two sendings into one: the last quantity of every price that
// changed, and the range of update ids. Diffs that follow each other make events that follow each
// other (U = the previous event's u + 1); after a snapshot the ids jump, which is how a client
// learns that it must start afresh.
#pragma once

#include <tenon/abi/feed.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::binance {

class DepthDiff {
public:
    void add(const tenon_feed_event& diff);
    // As if this one's diffs had been added: they follow what has been gathered.
    void add(DepthDiff& later);
    // What has been gathered does not fit what comes: forget it.
    void reset() noexcept;

    [[nodiscard]] bool empty() const noexcept { return last_id_ == 0; }

    [[nodiscard]] std::uint64_t first_update_id() const noexcept { return first_id_; }

    [[nodiscard]] std::uint64_t last_update_id() const noexcept { return last_id_; }

    // Prices that bids() and asks() would give; sorts them to know it.
    [[nodiscard]] std::size_t level_count() { return bids().size() + asks().size(); }

    // Levels that are kept: of a price also several, until they are joined.
    [[nodiscard]] std::size_t kept() const noexcept { return bids_.size() + asks_.size(); }

    // Best price first, each price once. Valid until the next add or reset.
    [[nodiscard]] std::span<const tenon_level> bids();
    [[nodiscard]] std::span<const tenon_level> asks();

private:
    // Levels in order of arrival, until they are asked for.
    static void compact(std::vector<tenon_level>& levels, bool descending);
    static void append(std::vector<tenon_level>& to, const tenon_level* from, std::uint32_t count);

    std::uint64_t first_id_ = 0, last_id_ = 0;
    std::vector<tenon_level> bids_, asks_;
    std::size_t compact_bids_at_ = k_compact_at, compact_asks_at_ = k_compact_at;
    static constexpr std::size_t k_compact_at = 4'096;
};

}  // namespace tenon::binance
