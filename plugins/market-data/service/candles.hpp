// SPDX-License-Identifier: Apache-2.0
// Candles of every interval, and the rolling statistics, of one instrument's trades.
//
// Three tiers are kept, of 1 second, 1 minute and 1 hour, each with a bounded number of candles
// that had trades; every interval is folded from the coarsest tier whose boundaries fit. So history
// reaches as far back as the tier it comes from. Trades come in order of time; one that is dated
// before the newest candle counts into that one. Volumes that leave 64 bits stay at the maximum.
// One thread.
#pragma once

#include "plugins/market-data/service/ring.hpp"

#include <tenon/abi/market_data.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace tenon::market_data {

struct CandleBounds {
    std::size_t seconds = 7'200;
    std::size_t minutes = 20'160;
    std::size_t hours = 26'280;
};

// a + b, at most the maximum; neither is negative.
[[nodiscard]] std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept;

class CandleTier {
public:
    CandleTier(std::int64_t length_ns, std::size_t kept)
        : length_ns_{length_ns}, kept_{kept}, bars_{kept} {}

    void add(const tenon_public_trade& trade);
    // Puts what was kept of an earlier time before what is there: ascending, with trades. A bar in
    // both is one; kept bars that open later than the first one here are left out.
    void put_before(std::span<const tenon_candle> kept);

    [[nodiscard]] const Ring<tenon_candle>& bars() const noexcept { return bars_; }

    // Bars that open at or after this time have every trade of theirs, as the trades' ids tell,
    // which an exchange counts one by one; those before may lack some. Without bars: the maximum.
    [[nodiscard]] std::int64_t whole_from() const;

    // Position of the first bar that opens at or after the time.
    [[nodiscard]] std::size_t at(std::int64_t open_ns) const;

private:
    void find_whole();

    std::int64_t length_ns_;
    std::size_t kept_;
    Ring<tenon_candle> bars_;
    std::int64_t whole_from_ = 0;  // while there are bars
};

struct WindowStatistics {
    std::int64_t open_ns = 0;  // of the window
    std::int64_t open = 0, high = 0, low = 0, close = 0, previous_close = 0;
    std::int64_t volume = 0, quote_volume = 0;
    std::uint64_t first_trade_id = 0, last_trade_id = 0, trade_count = 0;
};

struct CandleQuery {
    std::uint32_t interval = TENON_INTERVAL_1M;
    std::int64_t start_ns = 0, end_ns = 0, offset_ns = 0;  // 0: open
    std::uint32_t limit = 500;
};

class Candles {
public:
    explicit Candles(const CandleBounds& bounds);

    void add(const tenon_public_trade& trade);

    // Candles of an earlier time, of the tiers of minutes and hours; as CandleTier::put_before.
    void put_before(std::span<const tenon_candle> minutes, std::span<const tenon_candle> hours);

    [[nodiscard]] const CandleTier& minutes() const noexcept { return minutes_; }

    [[nodiscard]] const CandleTier& hours() const noexcept { return hours_; }

    // Candles of the interval that open at or after this time have every trade of theirs.
    [[nodiscard]] std::int64_t whole_from(std::uint32_t interval, std::int64_t offset_ns) const;

    [[nodiscard]] bool empty() const noexcept { return minutes_.bars().empty(); }

    // Ascending, up to and with the candle in progress at `now_ns`. A candle without trades between
    // two others, or after the last trade, is flat at the close before it. Stops when `row` fails
    // and returns its status.
    tenon_status query(
        const CandleQuery& query,
        std::int64_t now_ns,
        const std::function<tenon_status(const tenon_candle&)>& row
    ) const;

    // The 24 hours before `now_ns`. The window opens at a full minute, so it is up to 59.999…
    // seconds longer; its other end is exact. Empty without any trade.
    [[nodiscard]] std::optional<WindowStatistics> day(std::int64_t now_ns) const;

    // Sums over the last `minutes`; exact to the second where the seconds kept reach so far back,
    // else to the minute.
    [[nodiscard]] WindowStatistics recent(std::uint32_t minutes, std::int64_t now_ns) const;

private:
    [[nodiscard]] const CandleTier& tier_for(const CandleQuery& query) const;

    CandleTier seconds_, minutes_, hours_;
    CandleBounds bounds_;

    // The closed minutes of the day's window, summed when the minute changes.
    struct Closed {
        std::int64_t window_open_ns = -1, newest_open_ns = -1;
        WindowStatistics sum;
    };

    mutable Closed closed_;
};

}  // namespace tenon::market_data
