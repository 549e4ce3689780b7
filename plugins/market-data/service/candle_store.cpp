// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/candle_store.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <tenon/structs.hpp>

#include <algorithm>

namespace tenon::market_data {
namespace {

[[nodiscard]] std::int64_t seconds_of(std::uint32_t interval) {
    return interval_length(interval) / k_second_ns;
}

}  // namespace

std::vector<tenon_candle> CandleStore::read(
    const StoredInstrument& instrument,
    std::uint32_t interval,
    std::size_t limit,
    std::int64_t deadline_ns
) const {
    std::vector<tenon_candle> candles;
    storage_.read(deadline_ns, [&](Session& session) {
        candles.clear();
        Statement rows = session.prepare(
            "SELECT c.open_real_ns, c.open, c.high, c.low, c.close, c.volume, c.quote_volume, "
            "c.trades, c.taker_buy_volume, c.taker_buy_quote_volume, c.first_trade_id, "
            "c.last_trade_id FROM candles c JOIN instruments i ON i.id = c.instrument "
            "WHERE c.instrument = ? AND c.interval_s = ? AND i.symbol = ? AND i.price_scale = ? "
            "AND i.quantity_scale = ? ORDER BY c.open_real_ns DESC LIMIT ?"
        );
        rows.bind_all(
            instrument.id,
            seconds_of(interval),
            instrument.symbol,
            instrument.price_scale,
            instrument.quantity_scale,
            limit
        );
        while (rows.step()) {
            auto candle = sized<tenon_candle>();
            candle.instrument = instrument.id;
            candle.interval = interval;
            candle.open_real_ns = rows.integer(0);
            candle.close_real_ns = candle.open_real_ns + interval_length(interval) - 1;
            candle.open = rows.integer(1);
            candle.high = rows.integer(2);
            candle.low = rows.integer(3);
            candle.close = rows.integer(4);
            candle.volume = rows.integer(5);
            candle.quote_volume = rows.integer(6);
            candle.trade_count = rows.as<std::uint64_t>(7);
            candle.taker_buy_volume = rows.integer(8);
            candle.taker_buy_quote_volume = rows.integer(9);
            candle.first_trade_id = rows.as<std::uint64_t>(10);
            candle.last_trade_id = rows.as<std::uint64_t>(11);
            candles.push_back(candle);
        }
    });
    std::reverse(candles.begin(), candles.end());
    return candles;
}

void CandleStore::write(
    std::span<const StoredInstrument> instruments,
    std::span<const tenon_candle> candles,
    std::int64_t deadline_ns
) const {
    storage_.write(deadline_ns, [&](Session& session) {
        for (const StoredInstrument& instrument : instruments) {
            put_instrument(session, instrument);
        }
        for (const tenon_candle& c : candles) {
            session
                .prepare(
                    "INSERT INTO candles (instrument, interval_s, open_real_ns, open, high, low, "
                    "close, volume, quote_volume, trades, taker_buy_volume, "
                    "taker_buy_quote_volume, first_trade_id, last_trade_id) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (instrument, interval_s, open_real_ns) DO UPDATE SET "
                    "open = excluded.open, high = excluded.high, low = excluded.low, "
                    "close = excluded.close, volume = excluded.volume, "
                    "quote_volume = excluded.quote_volume, trades = excluded.trades, "
                    "taker_buy_volume = excluded.taker_buy_volume, "
                    "taker_buy_quote_volume = excluded.taker_buy_quote_volume, "
                    "first_trade_id = excluded.first_trade_id, "
                    "last_trade_id = excluded.last_trade_id "
                    "WHERE excluded.trades >= candles.trades"
                )
                .bind_all(
                    c.instrument,
                    seconds_of(c.interval),
                    c.open_real_ns,
                    c.open,
                    c.high,
                    c.low,
                    c.close,
                    c.volume,
                    c.quote_volume,
                    c.trade_count,
                    c.taker_buy_volume,
                    c.taker_buy_quote_volume,
                    c.first_trade_id,
                    c.last_trade_id
                )
                .run();
        }
    });
}

std::uint64_t CandleStore::prune(
    std::uint32_t interval,
    std::int64_t before_real_ns,
    std::int64_t deadline_ns
) const {
    std::uint64_t gone = 0;
    std::uint64_t last = 0;
    do {
        storage_.write(deadline_ns, [&](Session& session) {
            session
                .prepare(
                    "DELETE FROM candles WHERE (instrument, interval_s, open_real_ns) IN (SELECT "
                    "instrument, interval_s, open_real_ns FROM candles WHERE open_real_ns < ? AND "
                    "interval_s = ? LIMIT ?)"
                )
                .bind_all(before_real_ns, seconds_of(interval), k_rows_a_delete)
                .run();
            last = session.changes();
        });
        gone += last;
    } while (last == k_rows_a_delete);
    return gone;
}

}  // namespace tenon::market_data
