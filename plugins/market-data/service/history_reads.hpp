// SPDX-License-Identifier: Apache-2.0
// Reads of rows that memory does not have: the database, then the exchange, whose rows are kept.
// When neither has them, who asked for the newest rows gets what memory has, marked as stale;
// others get the reason.
//
// Equal reads under way are one. Reads, those who wait and rows on their way into the database are
// bounded. A database that fails is left alone for some seconds. Everything [reactor 0] but the
// constructor and stop, which are [control].
#pragma once

#include "plugins/market-data/service/history_plan.hpp"

#include <tenon/in_flight.hpp>
#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tenon::market_data {

struct HistoryMetrics {
    std::array<Counter, 4> reads;  // by TENON_MD_SOURCE_*; 0: failed
    Counter kept, not_kept;        // rows
};

class HistoryReads {
public:
    static constexpr std::size_t k_reads_max = 64;
    static constexpr std::size_t k_waiting_max = 1'000;
    static constexpr std::size_t k_writes_max = 16;

    // Without storage nothing is kept. `market` is reactor 0's and outlives this.
    HistoryReads(
        const Host& host,
        std::optional<Storage> storage,
        Market& market,
        std::size_t rows_kept
    );
    HistoryReads(const HistoryReads&) = delete;
    HistoryReads& operator=(const HistoryReads&) = delete;

    // As tenon_market_data_1.history. `feed` is the instrument's; 0: memory has all there is.
    std::uint64_t ask(
        const tenon_history_query& query,
        const StoredInstrument& instrument,
        HistoryCalls* feed,
        tenon_history_done done
    );
    void cancel(std::uint64_t handle) noexcept;

    // Whether the database is asked before the exchange, and whether equal reads are one. For
    // reads from now on.
    void set(bool from_storage, bool joins) noexcept {
        from_storage_ = from_storage;
        joins_ = joins;
    }

    // Nobody is answered afterwards.
    void stop() noexcept;

private:
    struct Waiter {
        std::uint64_t handle;
        tenon_history_done done;
    };

    struct Due {
        HistoryReads* owner;
        std::uint64_t id;
    };

    struct Read {
        std::string key;
        tenon_history_query query;
        HistoryPlan plan;
        StoredInstrument instrument;
        HistoryCalls* feed;
        std::vector<Waiter> waiters;
        std::string storage_reason;
        std::uint64_t call = 0;   // of the feed
        std::uint64_t timer = 0;  // its deadline
        std::unique_ptr<Due> due;
    };

    struct Alive {
        HistoryReads* owner;
        InFlight jobs;
    };

    void look_in_storage(std::uint64_t id);
    void storage_answered(
        std::uint64_t id,
        const OldRows::Found& found,
        tenon_status status,
        const std::string& reason
    );
    void ask_feed(std::uint64_t id);
    void feed_answered(
        std::uint64_t id,
        tenon_status status,
        const tenon_history_rows* rows,
        std::string_view reason
    );
    void keep(const Read& read, HistoryRows rows);
    void arm(std::uint64_t id);
    void expired(std::uint64_t id);
    void give(std::uint64_t id, std::uint32_t source, HistoryRows rows);
    void fail_read(std::uint64_t id, tenon_status status, const std::string& reason);
    void answer(
        std::uint64_t id,
        tenon_status status,
        const HistoryRows& rows,
        const tenon_md_origin& origin,
        const std::string& reason
    );

    [[nodiscard]] std::int64_t now_real() const { return clock_->now_real_ns(clock_.self); }

    [[nodiscard]] std::int64_t now_ns() const { return exec_->turn_now_ns(exec_.self); }

    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Log log_;
    std::optional<OldRows> rows_;
    Market& market_;
    std::size_t rows_kept_;
    bool from_storage_ = true, joins_ = true;
    HistoryMetrics metrics_;
    std::map<std::uint64_t, Read> reads_;
    std::unordered_map<std::string, std::uint64_t> by_key_;
    std::size_t waiting_ = 0;
    std::size_t writes_ = 0;
    // By instrument, kind and unit.
    std::map<std::array<std::uint32_t, 3>, std::uint64_t> written_;
    std::uint64_t last_id_ = 0;
    std::int64_t storage_again_ns_ = 0;
    std::vector<Waiter>* answering_ = nullptr;  // those who are not told yet
    std::shared_ptr<Alive> alive_;
};

}  // namespace tenon::market_data
