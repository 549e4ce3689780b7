// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/history_plan.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace tenon::market_data {
namespace {

constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();
// What the exchange tells of the last seconds may still change: clocks differ.
constexpr std::int64_t k_settled_ns = 5 * k_second_ns;

// Of a first row that is told for an open start.
[[nodiscard]] std::int64_t first_open(const tenon_history_query& query, std::int64_t last) {
    if (query.start_real_ns > 0) {
        const std::int64_t open = candle_open(query.interval, query.start_real_ns, query.offset_ns);
        return open < query.start_real_ns ? candle_step(query.interval, open, 1, query.offset_ns)
                                          : open;
    }
    return candle_step(
        query.interval, last, 1 - static_cast<std::int64_t>(query.limit), query.offset_ns
    );
}

[[nodiscard]] std::optional<HistoryPlan>
plan_candles(Market& market, const tenon_history_query& query, std::int64_t now) {
    const std::int64_t end = query.end_real_ns > 0 ? std::min(query.end_real_ns, now) : now;
    const std::int64_t last = candle_open(query.interval, end, query.offset_ns);
    const std::int64_t whole =
        market.candles_of(query.instrument)->whole_from(query.interval, query.offset_ns);
    const std::int64_t first = std::max<std::int64_t>(first_open(query, last), 0);
    if (first > last || first >= whole) {
        return std::nullopt;
    }
    HistoryPlan plan{query, std::nullopt};
    const bool meets = whole <= last;
    const std::int64_t next = meets ? whole : candle_step(query.interval, last, 1, query.offset_ns);
    plan.newest = query.start_real_ns == 0;
    plan.memory_from_ns = meets ? whole : 0;
    plan.fetch.start_real_ns = std::max<std::int64_t>(first, 1);
    plan.fetch.end_real_ns = next - 1;
    if (query.offset_ns == 0) {
        plan.stretch = Stretch{query.kind, query.interval, first, next - 1, 0, query.limit};
    }
    return plan;
}

[[nodiscard]] std::optional<HistoryPlan>
plan_trades(Market& market, const tenon_history_query& query) {
    const Tape& tape = *market.tape(query.instrument);
    const std::uint64_t whole = tape.whole_from();
    HistoryPlan plan{query, std::nullopt};
    plan.newest = query.from_id == 0;
    if (plan.newest && whole != 0) {
        const std::uint64_t newest = tape.trades().back().trade_id;
        plan.fetch.from_id = newest >= query.limit ? newest - query.limit + 1 : 1;
    }
    const std::uint64_t from = plan.fetch.from_id;
    if (whole != 0 && from >= whole) {
        return std::nullopt;
    }
    if (from == 0) {
        return plan;  // nothing is known yet: the exchange tells its newest
    }
    const std::uint64_t to = from + query.limit - 1;
    const bool meets = whole != 0 && whole <= to;
    plan.memory_from_id = meets ? whole : 0;
    plan.stretch = Stretch{
        query.kind,
        0,
        static_cast<std::int64_t>(from),
        static_cast<std::int64_t>(meets ? whole - 1 : to),
        0,
        query.limit};
    return plan;
}

[[nodiscard]] std::optional<HistoryPlan>
plan_aggregates(Market& market, const tenon_history_query& query, std::int64_t now) {
    const Tape& tape = *market.tape(query.instrument);
    const std::size_t at = tape.whole_aggregates();
    const Ring<tenon_agg_trade>& all = tape.aggregates();
    const tenon_agg_trade* const first = at < all.size() ? &all[at] : nullptr;
    const std::int64_t to = query.end_real_ns > 0 ? std::min(query.end_real_ns, now) : now;
    HistoryPlan plan{query, std::nullopt};
    plan.newest = query.from_id == 0 && query.start_real_ns == 0;
    if (plan.newest) {
        const std::size_t end =
            all.partition_point([&](const auto& one) { return one.time_real_ns <= to; });
        return end >= at && end - at >= query.limit ? std::nullopt : std::optional{plan};
    }
    const bool has_all =
        first != nullptr && (query.from_id != 0 ? query.from_id >= first->first_trade_id
                                                : query.start_real_ns > first->time_real_ns);
    if (has_all) {
        return std::nullopt;
    }
    const bool meets = first != nullptr && first->time_real_ns <= to;
    plan.memory_from_id = meets ? first->first_trade_id : 0;
    plan.stretch = Stretch{
        query.kind,
        0,
        query.start_real_ns,
        meets ? first->time_real_ns - 1 : to,
        query.from_id,
        query.limit};
    return plan;
}

template <class Row, class Same>
void cut_from(std::vector<Row>& rows, std::size_t limit, Same is_memorys) {
    rows.erase(std::find_if(rows.begin(), rows.end(), is_memorys), rows.end());
    if (rows.size() > limit) {
        rows.resize(limit);
    }
}

}  // namespace

std::optional<HistoryPlan>
plan_history(Market& market, const tenon_history_query& query, std::int64_t now_real_ns) {
    if (query.limit == 0 || query.limit > TENON_HISTORY_ROWS_MAX) {
        throw Error{TENON_INVALID, "limit: from 1 to " + std::to_string(TENON_HISTORY_ROWS_MAX)};
    }
    if (query.start_real_ns < 0 || query.end_real_ns < 0 ||
        query.from_id > static_cast<std::uint64_t>(k_never) - query.limit) {
        throw Error{TENON_INVALID, "a time or an id is out of range"};
    }
    if (!market.knows(query.instrument)) {
        throw Error{TENON_NOT_FOUND, "no feed serves the instrument"};
    }
    switch (query.kind) {
        case TENON_HISTORY_TRADES:
            return plan_trades(market, query);
        case TENON_HISTORY_AGG_TRADES:
            return plan_aggregates(market, query, now_real_ns);
        case TENON_HISTORY_CANDLES:
            if (query.interval >= TENON_INTERVAL_COUNT) {
                throw Error{TENON_INVALID, "interval: unknown"};
            }
            return plan_candles(market, query, now_real_ns);
        default:
            throw Error{TENON_UNSUPPORTED, "kind: unknown"};
    }
}

std::optional<Stretch>
told_by(const HistoryPlan& plan, HistoryRows& rows, std::int64_t now_real_ns) {
    if (!plan.stretch) {
        return std::nullopt;
    }
    Stretch told = *plan.stretch;
    const bool full = rows.size() >= plan.fetch.limit;
    const std::int64_t settled = now_real_ns - k_settled_ns;
    if (told.kind == TENON_HISTORY_TRADES) {
        if (rows.trades.empty()) {
            return std::nullopt;
        }
        told.to = static_cast<std::int64_t>(rows.trades.back().trade_id);
    } else if (told.kind == TENON_HISTORY_AGG_TRADES) {
        if (rows.agg_trades.empty() && told.from_id != 0) {
            return std::nullopt;
        }
        if (told.from_id != 0) {
            // Others of its millisecond may have been before it.
            told.from = rows.agg_trades.front().time_real_ns + 1;
        }
        // By id the exchange tells up to now, else up to the plan's end; a full page ends within a
        // millisecond that may have more.
        const std::int64_t to = told.from_id != 0 ? settled : std::min(told.to, settled);
        const std::int64_t last = full ? rows.agg_trades.back().time_real_ns : to;
        told.to = std::min(full ? last - 1 : to, settled);
        std::erase_if(rows.agg_trades, [end = std::min(last, settled)](const auto& one) {
            return one.time_real_ns > end;
        });
    } else {
        const std::int64_t open = candle_open(told.unit, settled, 0);
        told.to = std::min(full ? rows.candles.back().close_real_ns : told.to, open - 1);
        std::erase_if(rows.candles, [&](const auto& one) { return one.close_real_ns > told.to; });
    }
    return told.to >= told.from ? std::optional{told} : std::nullopt;
}

HistoryRows
rows_of_memory(Market& market, const tenon_history_query& query, std::int64_t now_real_ns) {
    HistoryRows rows;
    if (query.kind == TENON_HISTORY_CANDLES) {
        (void)market.candles(
            query.instrument,
            {query.interval, query.start_real_ns, query.end_real_ns, query.offset_ns, query.limit},
            now_real_ns,
            [&](const tenon_candle& candle) {
                rows.candles.push_back(candle);
                return TENON_OK;
            }
        );
        return rows;
    }
    const Tape& tape = *market.tape(query.instrument);
    if (query.kind == TENON_HISTORY_TRADES) {
        (void)each_trade(tape.trades(), query.from_id, query.limit, [&](const auto& trade) {
            rows.trades.push_back(trade);
            return TENON_OK;
        });
        return rows;
    }
    (void)each_aggregate(
        tape.aggregates(),
        {query.from_id, query.start_real_ns, query.end_real_ns, query.limit},
        [&](const auto& trade) {
            rows.agg_trades.push_back(trade);
            return TENON_OK;
        }
    );
    return rows;
}

bool join_memory(
    Market& market,
    const tenon_history_query& query,
    const HistoryPlan& plan,
    std::int64_t now_real_ns,
    HistoryRows& rows
) {
    const std::size_t limit = query.limit;
    const std::uint64_t id =
        plan.memory_from_id != 0 ? plan.memory_from_id : std::numeric_limits<std::uint64_t>::max();
    const std::int64_t open = plan.memory_from_ns != 0 ? plan.memory_from_ns : k_never;
    cut_from(rows.trades, limit, [&](const auto& one) { return one.trade_id >= id; });
    // One that reaches into memory is whole only here.
    cut_from(rows.agg_trades, limit, [&](const auto& one) { return one.first_trade_id >= id; });
    cut_from(rows.candles, limit, [&](const auto& one) { return one.open_real_ns >= open; });
    if (rows.size() >= limit || (plan.memory_from_id == 0 && plan.memory_from_ns == 0)) {
        return false;
    }
    tenon_history_query rest = query;
    rest.limit = static_cast<std::uint32_t>(limit - rows.size());
    rest.start_real_ns = plan.memory_from_ns;
    rest.from_id = plan.memory_from_id;
    if (!rows.agg_trades.empty()) {
        rest.from_id = std::max(rest.from_id, rows.agg_trades.back().last_trade_id + 1);
    }
    const HistoryRows more = rows_of_memory(market, rest, now_real_ns);
    rows.trades.insert(rows.trades.end(), more.trades.begin(), more.trades.end());
    rows.agg_trades.insert(rows.agg_trades.end(), more.agg_trades.begin(), more.agg_trades.end());
    rows.candles.insert(rows.candles.end(), more.candles.begin(), more.candles.end());
    return more.size() != 0;
}

std::int64_t newest_of(const HistoryRows& rows) {
    if (!rows.trades.empty()) {
        return rows.trades.back().time_real_ns;
    }
    if (!rows.agg_trades.empty()) {
        return rows.agg_trades.back().time_real_ns;
    }
    return rows.candles.empty() ? 0 : rows.candles.back().close_real_ns;
}

}  // namespace tenon::market_data
