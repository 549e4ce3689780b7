// SPDX-License-Identifier: Apache-2.0
// The trades of one symbol in order and without holes: the exchange numbers them one by one, so a
// number that is missing is seen, asked for, and put in before those that came later. What cannot
// be had (too many, or the request failed) is left out and counted. An exchange that numbers anew,
// as test exchanges do when they are emptied, is followed: a trade of a later time far below what
// was sent cannot be one that is told twice.
//
// Decides only: no clock, no socket, one thread.
#pragma once

#include "plugins/venue/binance/market_message.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace tenon::binance_venue {

class TradeSync {
public:
    using Emit = std::function<void(const MarketTrade&)>;

    static constexpr std::size_t k_held_max = 20'000;  // trades that wait for missing ones
    static constexpr std::uint64_t k_anew = 100'000;   // so far below the newest is another count

    // fill_max: of one hole, as many of its last trades are asked for.
    TradeSync(std::uint64_t fill_max, Emit emit) : fill_max_{fill_max}, emit_{std::move(emit)} {}

    void on_trade(const MarketTrade& trade);
    // Answers wanted(), with trades in order; an empty answer ends the search.
    void on_fill(const std::vector<MarketTrade>& trades);

    // The first number that is missing, while some are.
    [[nodiscard]] std::optional<std::uint64_t> wanted() const noexcept;

    [[nodiscard]] std::uint64_t filled() const noexcept { return filled_; }

    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

private:
    void give(const MarketTrade& trade);
    void release();

    std::uint64_t fill_max_;
    Emit emit_;
    std::uint64_t last_id_ = 0;   // sent; 0: none yet
    std::int64_t latest_ns_ = 0;  // of all that were told
    std::deque<MarketTrade> held_;
    std::uint64_t filled_ = 0, missed_ = 0;
};

}  // namespace tenon::binance_venue
