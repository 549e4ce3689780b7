// SPDX-License-Identifier: Apache-2.0
// Keeps candles over a restart: what was stored is put before what came since the start, once for
// an instrument, and what changes is written at intervals. The market's answers never wait for it;
// while the database is down candles stay in memory, and what is still there is written later.
//
// watch [reactor 0]; the constructor and stop [control]; the work runs on the blocking pool.
#pragma once

#include "plugins/market-data/service/candle_store.hpp"
#include "plugins/market-data/service/market.hpp"

#include <tenon/background_job.hpp>
#include <tenon/plugin.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

namespace tenon::market_data {

struct HistorySettings {
    std::chrono::seconds every{10};
    std::chrono::seconds timeout{30};
    CandleBounds bounds;
};

// Which candles of a tier are on disk: all that opened before, and the one at `open_ns` with so
// many trades.
struct CandleMark {
    std::int64_t open_ns = -1;
    std::uint64_t trades = 0;
};

// Appends the candles that the mark does not cover, oldest first, until `out` has `most`, and moves
// the mark behind them.
void take_changed(
    const CandleTier& tier,
    std::uint32_t interval,
    std::size_t most,
    CandleMark& mark,
    std::vector<tenon_candle>& out
);

class CandleHistory {
public:
    // `market` is reactor 0's and outlives this. Begins at once.
    CandleHistory(
        const Host& host,
        Storage storage,
        Market& market,
        const HistorySettings& settings
    );
    CandleHistory(const CandleHistory&) = delete;
    CandleHistory& operator=(const CandleHistory&) = delete;

    // An instrument that the market knows from now on.
    void watch(StoredInstrument instrument);
    // Writes what is left, if the database takes it in time.
    void stop() noexcept;

private:
    static constexpr std::size_t k_tiers = 2;
    static constexpr std::size_t k_candles_a_write = 5'000;
    static constexpr std::array<std::uint32_t, k_tiers> k_intervals{
        TENON_INTERVAL_1M,
        TENON_INTERVAL_1H};
    using Marks = std::array<CandleMark, k_tiers>;

    struct Watched {
        StoredInstrument instrument;
        Marks marks;
        bool restored = false;
    };

    // What one transaction writes, and the marks that hold once it is written.
    struct Batch {
        std::vector<StoredInstrument> instruments;
        std::vector<tenon_candle> candles;
        std::vector<Marks> marks;  // by position in watched_
    };

    void round();
    void restore_new(std::int64_t deadline_ns);
    void restore(std::size_t at, const StoredInstrument& instrument, std::int64_t deadline_ns);
    [[nodiscard]] Batch changed();
    void write_changed(std::int64_t deadline_ns);
    void prune();

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    [[nodiscard]] std::int64_t deadline_ns() const;

    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Log log_;
    CandleStore store_;
    HistorySettings settings_;
    std::uint64_t* written_ = nullptr;
    std::uint64_t* restored_ = nullptr;
    std::int64_t write_at_ns_ = 0;  // the job's
    std::int64_t prune_at_ns_ = 0;  // the job's
    // Reactor 0's.
    Market& market_;
    std::vector<Watched> watched_;
    BackgroundJob job_;  // last: stops first
};

}  // namespace tenon::market_data
