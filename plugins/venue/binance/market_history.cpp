// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/market_history.hpp"

#include <tenon/decimal.hpp>
#include <tenon/structs.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_ms_ns = 1'000'000;
constexpr std::int64_t k_minute_ns = 60'000'000'000;
constexpr std::string_view k_unreadable = "the exchange's answer cannot be read";

// As the exchange names TENON_INTERVAL_*.
constexpr std::array<std::string_view, TENON_INTERVAL_COUNT> k_intervals{
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M"};

// "-1:30": hours and minutes from UTC.
[[nodiscard]] std::string time_zone(std::int64_t offset_ns) {
    const std::int64_t minutes = std::abs(offset_ns) / k_minute_ns;
    std::string text = offset_ns < 0 ? "-" : "";
    text += std::to_string(minutes / 60) + ":" + (minutes % 60 < 10 ? "0" : "");
    return text + std::to_string(minutes % 60);
}

// A start within a millisecond is the next one's: the exchange's times are whole milliseconds.
void add_times(std::string& query, std::int64_t start_ns, std::int64_t end_ns) {
    if (start_ns > 0) {
        query += "&startTime=" + std::to_string((start_ns + k_ms_ns - 1) / k_ms_ns);
    }
    if (end_ns > 0) {
        query += "&endTime=" + std::to_string(end_ns / k_ms_ns);
    }
}

[[nodiscard]] std::int64_t quote_amount(const MarketTrade& trade, Scales scales) {
    const int spare = scales.quote - scales.price - scales.quantity;
    const Int128 product = Int128{trade.price} * trade.quantity;
    if (spare < 0 || !fits_int64(product)) {
        return spare < 0 ? static_cast<std::int64_t>(product / power_of_ten(-spare))
                         : std::numeric_limits<std::int64_t>::max();
    }
    const Int128 amount = product * power_of_ten(spare);
    return fits_int64(amount) ? static_cast<std::int64_t>(amount)
                              : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::uint64_t MarketHistory::fetch(const tenon_history_query& query, Feed::Fetched done) {
    const auto symbol = std::find_if(symbols_.begin(), symbols_.end(), [&](const auto& one) {
        return one.instrument == query.instrument;
    });
    if (symbol == symbols_.end()) {
        throw Error{TENON_NOT_FOUND, "the instrument is not served"};
    }
    if (query.limit == 0 || query.limit > TENON_HISTORY_ROWS_MAX) {
        throw Error{TENON_INVALID, "limit: from 1 to " + std::to_string(TENON_HISTORY_ROWS_MAX)};
    }
    if (query.kind == TENON_HISTORY_CANDLES && query.interval >= k_intervals.size()) {
        throw Error{TENON_INVALID, "interval: unknown"};
    }
    if (query.kind < TENON_HISTORY_TRADES || query.kind > TENON_HISTORY_CANDLES) {
        throw Error{TENON_UNSUPPORTED, "kind: unknown"};
    }
    if (asked_.size() >= k_under_way_max) {
        throw Error{TENON_LIMITED, "too many reads of the exchange's history are under way"};
    }
    const std::uint64_t handle = ++last_handle_;
    const Asked& asked =
        asked_.emplace(handle, Asked{query, &*symbol, std::move(done)}).first->second;
    if (query.kind == TENON_HISTORY_CANDLES) {
        ask_candles(handle, asked);
    } else if (query.kind == TENON_HISTORY_TRADES) {
        ask_trades(handle, asked, query.limit, &MarketHistory::read_trade_rows);
    } else if (query.from_id != 0) {
        // The exchange numbers aggregates in its own way: their first trade's time finds them.
        ask_trades(handle, asked, 1, &MarketHistory::agg_trades_from);
    } else {
        ask_agg_trades(handle, asked, query.start_real_ns);
    }
    return handle;
}

void MarketHistory::ask(
    std::uint64_t handle,
    const std::string& path,
    const std::string& query,
    Read read
) {
    RestRequest request;
    request.path = path;
    request.query = query;
    request.lane = Lane::backfill;
    request.deadline_ns = asked_.at(handle).query.deadline_ns;
    request.client = "history";
    rest_.send(
        std::move(request),
        [this, handle, read, alive = std::weak_ptr<int>{alive_}](RestReply reply) {
            const auto found = alive.expired() ? asked_.end() : asked_.find(handle);
            if (alive.expired() || found == asked_.end()) {
                return;
            }
            if (reply.outcome == Outcome::answered && reply.status == 200) {
                (this->*read)(handle, found->second, reply);
                return;
            }
            const bool answered = reply.outcome == Outcome::answered;
            const bool limited =
                answered ? reply.status == 429 || reply.status == 418 : reply.retry_after_ns > 0;
            answer(
                handle,
                limited ? TENON_LIMITED : TENON_UNAVAILABLE,
                {},
                answered ? "the exchange answers with status " + std::to_string(reply.status)
                         : reply.reason
            );
        }
    );
}

void MarketHistory::ask_candles(std::uint64_t handle, const Asked& asked) {
    const tenon_history_query& query = asked.query;
    std::string text = "symbol=" + asked.symbol->name + "&interval=";
    text.append(k_intervals.at(query.interval));
    add_times(text, query.start_real_ns, query.end_real_ns);
    if (query.offset_ns != 0) {
        text += "&timeZone=" + time_zone(query.offset_ns);
    }
    text += "&limit=" + std::to_string(query.limit);
    ask(handle, "/api/v3/klines", text, &MarketHistory::read_candle_rows);
}

void MarketHistory::ask_trades(
    std::uint64_t handle,
    const Asked& asked,
    std::uint32_t limit,
    Read read
) {
    std::string text = "symbol=" + asked.symbol->name;
    if (asked.query.from_id != 0) {
        text += "&fromId=" + std::to_string(asked.query.from_id);
    }
    text += "&limit=" + std::to_string(limit);
    ask(handle, "/api/v3/historicalTrades", text, read);
}

void MarketHistory::ask_agg_trades(
    std::uint64_t handle,
    const Asked& asked,
    std::int64_t start_ns
) {
    std::string text = "symbol=" + asked.symbol->name;
    add_times(text, start_ns, asked.query.from_id != 0 ? 0 : asked.query.end_real_ns);
    text += "&limit=" + std::to_string(asked.query.limit);
    ask(handle, "/api/v3/aggTrades", text, &MarketHistory::read_agg_rows);
}

void MarketHistory::agg_trades_from(std::uint64_t handle, const Asked& asked, RestReply& reply) {
    const auto trades = read_trades(reply.body, asked.symbol->scales);
    if (!trades) {
        answer(handle, TENON_CORRUPT, {}, std::string{k_unreadable});
    } else if (trades->empty()) {
        answer(handle, TENON_OK, {}, "");
    } else {
        ask_agg_trades(handle, asked, trades->front().real_ns);
    }
}

void MarketHistory::read_trade_rows(std::uint64_t handle, const Asked& asked, RestReply& reply) {
    const auto trades = read_trades(reply.body, asked.symbol->scales);
    if (!trades) {
        answer(handle, TENON_CORRUPT, {}, std::string{k_unreadable});
        return;
    }
    HistoryRows rows;
    for (const MarketTrade& trade : *trades) {
        auto row = sized<tenon_public_trade>();
        row.instrument = asked.query.instrument;
        row.trade_id = trade.id;
        row.price = trade.price;
        row.quantity = trade.quantity;
        row.quote_amount = quote_amount(trade, asked.symbol->scales);
        row.time_real_ns = trade.real_ns;
        row.buyer_is_maker = trade.buyer_is_maker ? 1 : 0;
        rows.trades.push_back(row);
    }
    answer(handle, TENON_OK, rows, "");
}

void MarketHistory::read_agg_rows(std::uint64_t handle, const Asked& asked, RestReply& reply) {
    auto trades = read_agg_trades(reply.body, asked.symbol->scales);
    if (!trades) {
        answer(handle, TENON_CORRUPT, {}, std::string{k_unreadable});
        return;
    }
    std::erase_if(*trades, [&](const tenon_agg_trade& one) {
        return one.last_trade_id < asked.query.from_id;
    });
    HistoryRows rows;
    rows.agg_trades = std::move(*trades);
    for (tenon_agg_trade& row : rows.agg_trades) {
        row.instrument = asked.query.instrument;
    }
    answer(handle, TENON_OK, rows, "");
}

void MarketHistory::read_candle_rows(std::uint64_t handle, const Asked& asked, RestReply& reply) {
    auto candles = read_candles(reply.body, asked.query.interval, asked.symbol->scales);
    if (!candles) {
        answer(handle, TENON_CORRUPT, {}, std::string{k_unreadable});
        return;
    }
    HistoryRows rows;
    rows.candles = std::move(*candles);
    for (tenon_candle& row : rows.candles) {
        row.instrument = asked.query.instrument;
    }
    answer(handle, TENON_OK, rows, "");
}

void MarketHistory::answer(
    std::uint64_t handle,
    tenon_status status,
    const HistoryRows& rows,
    const std::string& why
) {
    const auto mine = asked_.extract(handle);
    if (!mine.empty()) {
        mine.mapped().done(status, rows, why);
    }
}

}  // namespace tenon::binance_venue
