// SPDX-License-Identifier: Apache-2.0
// Which rows of a query memory lacks, and how what was found of them goes on with memory's.
//
// Whether memory has all of a stretch is told by the trades' ids, which an exchange counts one by
// one. Pure functions of the market's memory. [reactor 0]
#pragma once

#include "plugins/market-data/service/market.hpp"
#include "plugins/market-data/service/old_rows.hpp"

#include <tenon/history.hpp>

#include <cstdint>
#include <optional>

namespace tenon::market_data {

struct HistoryPlan {
    tenon_history_query fetch;       // of the exchange
    std::optional<Stretch> stretch;  // of the database; none: it cannot tell
    // Rows from here on memory has; 0: it has none that go on.
    std::uint64_t memory_from_id = 0;
    std::int64_t memory_from_ns = 0;
    bool newest = false;  // the newest rows are asked for, not certain ones
};

// Nothing: memory has all there is. Throws what is wrong with the query.
[[nodiscard]] std::optional<HistoryPlan>
plan_history(Market& market, const tenon_history_query& query, std::int64_t now_real_ns);

// What of the rows that the exchange told for the plan may be kept, and the stretch that they tell
// whole. Nothing: too little to keep. Takes what is in progress out of the rows.
[[nodiscard]] std::optional<Stretch>
told_by(const HistoryPlan& plan, HistoryRows& rows, std::int64_t now_real_ns);

// Cuts the rows where memory goes on, and puts memory's behind them, up to the query's limit. True:
// some of memory's are among them.
bool join_memory(
    Market& market,
    const tenon_history_query& query,
    const HistoryPlan& plan,
    std::int64_t now_real_ns,
    HistoryRows& rows
);

// What memory alone has of the query.
[[nodiscard]] HistoryRows
rows_of_memory(Market& market, const tenon_history_query& query, std::int64_t now_real_ns);

// When the newest of the rows was; 0: there is none.
[[nodiscard]] std::int64_t newest_of(const HistoryRows& rows);

}  // namespace tenon::market_data
