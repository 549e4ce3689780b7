// SPDX-License-Identifier: Apache-2.0
// Keeps public trades over a restart: what was stored is put before what came since the start, once
// for an instrument, and what is new is written at intervals. The market's answers never wait for
// it; while the database is down trades stay in memory, and what is still there is written later.
//
// watch [reactor 0]; the constructor and stop [control]; the work runs on the blocking pool.
#pragma once

#include "plugins/market-data/service/market.hpp"
#include "plugins/market-data/service/trade_store.hpp"

#include <tenon/background_job.hpp>
#include <tenon/plugin.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::market_data {

class TradeHistory {
public:
    // `market` is reactor 0's and outlives this. Begins at once.
    TradeHistory(
        const Host& host,
        Storage storage,
        Market& market,
        std::chrono::seconds every,
        std::size_t kept
    );
    TradeHistory(const TradeHistory&) = delete;
    TradeHistory& operator=(const TradeHistory&) = delete;

    // An instrument that the market knows from now on.
    void watch(StoredInstrument instrument);
    // Writes what is left, if the database takes it in time.
    void stop() noexcept;

private:
    static constexpr std::size_t k_trades_a_write = 5'000;

    struct Watched {
        StoredInstrument instrument;
        bool restored = false;
        std::uint64_t written_id = 0;  // the last one on disk
        std::uint64_t restarts = 0;    // of the ids, up to that one
    };

    // What one transaction writes.
    struct Batch {
        bool afresh = false;
        std::uint64_t restarts = 0;
        std::vector<TapedTrade> trades;
    };

    void round();
    [[nodiscard]] std::vector<Watched> watched();
    void restore(std::size_t at, const StoredInstrument& instrument, std::int64_t deadline_ns);
    void write_new(std::int64_t deadline_ns);
    [[nodiscard]] Batch next_batch(std::size_t at);
    void prune();

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    [[nodiscard]] std::int64_t deadline_ns() const;

    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Log log_;
    TradeStore store_;
    std::chrono::seconds every_;
    std::size_t kept_;
    std::uint64_t* written_ = nullptr;
    std::uint64_t* restored_ = nullptr;
    std::int64_t prune_at_ns_ = 0;  // the job's
    // Reactor 0's.
    Market& market_;
    std::vector<Watched> watched_;
    BackgroundJob job_;  // last: stops first
};

}  // namespace tenon::market_data
