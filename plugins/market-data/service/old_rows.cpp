// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/old_rows.hpp"

#include <tenon/structs.hpp>

#include <algorithm>

namespace tenon::market_data {
namespace {

// Until when everything is known that is not before `from`; below `from`: nothing is.
[[nodiscard]] std::int64_t
known_to(Session& session, const StoredInstrument& instrument, const Stretch& asked) {
    Statement rows = session.prepare(
        "SELECT k.last_at FROM known_history k JOIN instruments i ON i.id = k.instrument "
        "WHERE k.instrument = ? AND k.kind = ? AND k.unit = ? AND k.first_at <= ? "
        "AND i.symbol = ? AND i.price_scale = ? AND i.quantity_scale = ? "
        "ORDER BY k.first_at DESC LIMIT 1"
    );
    rows.bind_all(
        instrument.id,
        asked.kind,
        asked.unit,
        asked.from,
        instrument.symbol,
        instrument.price_scale,
        instrument.quantity_scale
    );
    return rows.step() ? rows.integer(0) : -1;
}

// The time of the aggregate that holds the trade; -1: it is not here.
[[nodiscard]] std::int64_t
time_of(Session& session, std::uint32_t instrument, std::uint64_t trade_id) {
    Statement rows = session.prepare(
        "SELECT time_real_ns, first_trade_id FROM old_trades WHERE instrument = ? AND kind = 2 "
        "AND last_trade_id >= ? ORDER BY last_trade_id LIMIT 1"
    );
    rows.bind_all(instrument, trade_id);
    return rows.step() && rows.as<std::uint64_t>(1) <= trade_id ? rows.integer(0) : -1;
}

[[nodiscard]] std::vector<tenon_candle>
read_candles(Session& session, std::uint32_t instrument, const Stretch& asked, std::int64_t to) {
    Statement rows = session.prepare(
        "SELECT open_real_ns, close_real_ns, open, high, low, close, volume, quote_volume, trades, "
        "taker_buy_volume, taker_buy_quote_volume FROM old_candles WHERE instrument = ? "
        "AND unit = ? AND open_real_ns >= ? AND open_real_ns <= ? ORDER BY open_real_ns LIMIT ?"
    );
    rows.bind_all(instrument, asked.unit, asked.from, to, asked.limit);
    std::vector<tenon_candle> candles;
    while (rows.step()) {
        auto candle = sized<tenon_candle>();
        candle.instrument = instrument;
        candle.interval = asked.unit;
        candle.open_real_ns = rows.integer(0);
        candle.close_real_ns = rows.integer(1);
        candle.open = rows.integer(2);
        candle.high = rows.integer(3);
        candle.low = rows.integer(4);
        candle.close = rows.integer(5);
        candle.volume = rows.integer(6);
        candle.quote_volume = rows.integer(7);
        candle.trade_count = rows.as<std::uint64_t>(8);
        candle.taker_buy_volume = rows.integer(9);
        candle.taker_buy_quote_volume = rows.integer(10);
        candles.push_back(candle);
    }
    return candles;
}

[[nodiscard]] std::vector<tenon_public_trade>
read_trades(Session& session, std::uint32_t instrument, const Stretch& asked, std::int64_t to) {
    Statement rows = session.prepare(
        "SELECT last_trade_id, time_real_ns, price, quantity, quote_amount, buyer_is_maker "
        "FROM old_trades WHERE instrument = ? AND kind = 1 AND last_trade_id >= ? "
        "AND last_trade_id <= ? ORDER BY last_trade_id LIMIT ?"
    );
    rows.bind_all(instrument, asked.from, to, asked.limit);
    std::vector<tenon_public_trade> trades;
    while (rows.step()) {
        auto trade = sized<tenon_public_trade>();
        trade.instrument = instrument;
        trade.trade_id = rows.as<std::uint64_t>(0);
        trade.time_real_ns = rows.integer(1);
        trade.price = rows.integer(2);
        trade.quantity = rows.integer(3);
        trade.quote_amount = rows.integer(4);
        trade.buyer_is_maker = rows.as<std::uint32_t>(5);
        trades.push_back(trade);
    }
    return trades;
}

[[nodiscard]] std::vector<tenon_agg_trade>
read_aggregates(Session& session, std::uint32_t instrument, const Stretch& asked, std::int64_t to) {
    Statement rows = session.prepare(
        "SELECT last_trade_id, first_trade_id, time_real_ns, price, quantity, buyer_is_maker "
        "FROM old_trades WHERE instrument = ? AND kind = 2 AND time_real_ns >= ? "
        "AND time_real_ns <= ? AND last_trade_id >= ? ORDER BY time_real_ns, last_trade_id LIMIT ?"
    );
    rows.bind_all(instrument, asked.from, to, asked.from_id, asked.limit);
    std::vector<tenon_agg_trade> trades;
    while (rows.step()) {
        auto trade = sized<tenon_agg_trade>();
        trade.instrument = instrument;
        trade.agg_id = trade.last_trade_id = rows.as<std::uint64_t>(0);
        trade.first_trade_id = rows.as<std::uint64_t>(1);
        trade.time_real_ns = rows.integer(2);
        trade.price = rows.integer(3);
        trade.quantity = rows.integer(4);
        trade.buyer_is_maker = rows.as<std::uint32_t>(5);
        trades.push_back(trade);
    }
    return trades;
}

// Cuts what does not follow row on row: the exchange counts trades one by one. True: all did.
[[nodiscard]] bool cut_at_hole(std::vector<tenon_agg_trade>& trades) {
    const auto hole =
        std::adjacent_find(trades.begin(), trades.end(), [](const auto& a, const auto& b) {
            return b.first_trade_id != a.last_trade_id + 1;
        });
    const bool whole = hole == trades.end();
    trades.erase(whole ? hole : hole + 1, trades.end());
    return whole;
}

[[nodiscard]] OldRows::Found
find(Session& session, const StoredInstrument& instrument, Stretch asked) {
    OldRows::Found found;
    if (asked.from_id != 0) {
        asked.from = time_of(session, instrument.id, asked.from_id);
        if (asked.from < 0) {
            return found;
        }
        // The aggregate itself is here; what must be known begins after its millisecond.
        ++asked.from;
    }
    const std::int64_t known = known_to(session, instrument, asked);
    if (known < asked.from) {
        return found;
    }
    const std::int64_t to = std::min(known, asked.to);
    bool whole = true;
    if (asked.kind == TENON_HISTORY_CANDLES) {
        found.rows.candles = read_candles(session, instrument.id, asked, to);
    } else if (asked.kind == TENON_HISTORY_TRADES) {
        found.rows.trades = read_trades(session, instrument.id, asked, to);
    } else {
        asked.from -= asked.from_id != 0 ? 1 : 0;
        // A page ends within a millisecond: its last rows stand behind what is known, and count
        // while they follow.
        auto& rows = found.rows.agg_trades;
        rows = read_aggregates(session, instrument.id, asked, asked.to);
        if (!rows.empty() && rows.front().time_real_ns > known + 1) {
            rows.clear();  // of a later stretch: what is between is not known
        }
        whole = cut_at_hole(rows);
    }
    found.known = found.rows.size() == asked.limit || (whole && known >= asked.to);
    return found;
}

void put_rows(Session& session, std::uint32_t instrument, const HistoryRows& rows) {
    for (const tenon_candle& c : rows.candles) {
        session
            .prepare(
                "INSERT INTO old_candles (instrument, unit, open_real_ns, close_real_ns, open, "
                "high, low, close, volume, quote_volume, trades, taker_buy_volume, "
                "taker_buy_quote_volume) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (instrument, unit, open_real_ns) DO NOTHING"
            )
            .bind_all(
                instrument,
                c.interval,
                c.open_real_ns,
                c.close_real_ns,
                c.open,
                c.high,
                c.low,
                c.close,
                c.volume,
                c.quote_volume,
                c.trade_count,
                c.taker_buy_volume,
                c.taker_buy_quote_volume
            )
            .run();
    }
    const auto put_trade = [&](const auto& trade,
                               int kind,
                               std::uint64_t first,
                               std::uint64_t last,
                               std::int64_t quote_amount) {
        session
            .prepare(
                "INSERT INTO old_trades (instrument, kind, last_trade_id, first_trade_id, "
                "time_real_ns, price, quantity, quote_amount, buyer_is_maker) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (instrument, kind, last_trade_id) DO NOTHING"
            )
            .bind_all(
                instrument,
                kind,
                last,
                first,
                trade.time_real_ns,
                trade.price,
                trade.quantity,
                quote_amount,
                trade.buyer_is_maker
            )
            .run();
    };
    for (const tenon_public_trade& trade : rows.trades) {
        put_trade(trade, 1, trade.trade_id, trade.trade_id, trade.quote_amount);
    }
    for (const tenon_agg_trade& trade : rows.agg_trades) {
        put_trade(trade, 2, trade.first_trade_id, trade.last_trade_id, 0);
    }
}

// One stretch of it and of those that it touches.
void put_known(Session& session, std::uint32_t instrument, const Stretch& told) {
    std::int64_t first = told.from;
    std::int64_t last = told.to;
    {
        Statement touching = session.prepare(
            "SELECT first_at, last_at FROM known_history WHERE instrument = ? AND kind = ? "
            "AND unit = ? AND first_at <= ? AND last_at >= ?"
        );
        touching.bind_all(instrument, told.kind, told.unit, told.to + 1, told.from - 1);
        while (touching.step()) {
            first = std::min(first, touching.integer(0));
            last = std::max(last, touching.integer(1));
        }
    }
    session
        .prepare(
            "DELETE FROM known_history WHERE instrument = ? AND kind = ? AND unit = ? "
            "AND first_at >= ? AND last_at <= ?"
        )
        .bind_all(instrument, told.kind, told.unit, first, last)
        .run();
    session
        .prepare(
            "INSERT INTO known_history (instrument, kind, unit, first_at, last_at) "
            "VALUES (?, ?, ?, ?, ?)"
        )
        .bind_all(instrument, told.kind, told.unit, first, last)
        .run();
}

// Where the rows begin that stay, in the kind's measure; -1: all stay.
[[nodiscard]] std::int64_t
cut_of(Session& session, std::uint32_t instrument, const Stretch& of, std::size_t kept) {
    const bool candles = of.kind == TENON_HISTORY_CANDLES;
    Statement rows = candles ? session.prepare(
                                   "SELECT open_real_ns FROM old_candles WHERE instrument = ? "
                                   "AND unit = ? ORDER BY open_real_ns DESC LIMIT 1 OFFSET ?"
                               )
                             : session.prepare(
                                   "SELECT last_trade_id FROM old_trades WHERE instrument = ? "
                                   "AND kind = ? ORDER BY last_trade_id DESC LIMIT 1 OFFSET ?"
                               );
    rows.bind_all(instrument, candles ? of.unit : of.kind, kept - 1);
    return rows.step() ? rows.integer(0) : -1;
}

}  // namespace

OldRows::Found OldRows::read(
    const StoredInstrument& instrument,
    const Stretch& asked,
    std::int64_t deadline_ns
) const {
    Found found;
    storage_.read(deadline_ns, [&](Session& session) { found = find(session, instrument, asked); });
    return found;
}

void OldRows::write(
    const StoredInstrument& instrument,
    const Stretch& told,
    const HistoryRows& rows,
    std::int64_t deadline_ns
) const {
    storage_.write(deadline_ns, [&](Session& session) {
        put_instrument(session, instrument);
        // What is known is read and written anew: not while another server does, or prunes.
        hold_instrument(session, instrument.id);
        put_rows(session, instrument.id, rows);
        put_known(session, instrument.id, told);
    });
}

std::uint64_t OldRows::prune(
    std::uint32_t instrument,
    const Stretch& of,
    std::size_t kept,
    std::int64_t deadline_ns
) const {
    std::uint64_t gone = 0;
    storage_.write(deadline_ns, [&](Session& session) {
        gone = 0;
        hold_instrument(session, instrument);
        std::int64_t cut = cut_of(session, instrument, of, kept);
        if (cut < 0) {
            return;
        }
        if (of.kind == TENON_HISTORY_CANDLES) {
            session
                .prepare(
                    "DELETE FROM old_candles WHERE instrument = ? AND unit = ? AND open_real_ns < ?"
                )
                .bind_all(instrument, of.unit, cut)
                .run();
            gone = session.changes();
        } else {
            session
                .prepare(
                    "DELETE FROM old_trades WHERE instrument = ? AND kind = ? AND last_trade_id < ?"
                )
                .bind_all(instrument, of.kind, cut)
                .run();
            gone = session.changes();
            if (of.kind == TENON_HISTORY_AGG_TRADES) {
                // Others of its millisecond may be gone.
                cut = time_of(session, instrument, static_cast<std::uint64_t>(cut)) + 1;
            }
        }
        if (gone == 0) {
            return;
        }
        session
            .prepare(
                "DELETE FROM known_history WHERE instrument = ? AND kind = ? AND unit = ? "
                "AND last_at < ?"
            )
            .bind_all(instrument, of.kind, of.unit, cut)
            .run();
        session
            .prepare(
                "UPDATE known_history SET first_at = ? WHERE instrument = ? AND kind = ? "
                "AND unit = ? AND first_at < ?"
            )
            .bind_all(cut, instrument, of.kind, of.unit, cut)
            .run();
    });
    return gone;
}

}  // namespace tenon::market_data
