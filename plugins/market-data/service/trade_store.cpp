// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/trade_store.hpp"

#include <tenon/structs.hpp>

#include <algorithm>

namespace tenon::market_data {

std::vector<TapedTrade> TradeStore::read(
    const StoredInstrument& instrument,
    std::size_t limit,
    std::int64_t deadline_ns
) const {
    std::vector<TapedTrade> trades;
    storage_.read(deadline_ns, [&](Session& session) {
        trades.clear();
        Statement rows = session.prepare(
            "SELECT t.trade_id, t.agg_id, t.time_real_ns, t.price, t.quantity, t.quote_amount, "
            "t.buyer_is_maker FROM public_trades t JOIN instruments i ON i.id = t.instrument "
            "WHERE t.instrument = ? AND i.symbol = ? AND i.price_scale = ? AND i.quantity_scale = "
            "? "
            "ORDER BY t.trade_id DESC LIMIT ?"
        );
        rows.bind_all(
            instrument.id,
            instrument.symbol,
            instrument.price_scale,
            instrument.quantity_scale,
            limit
        );
        while (rows.step()) {
            TapedTrade row{sized<tenon_public_trade>(), rows.as<std::uint64_t>(1)};
            row.trade.instrument = instrument.id;
            row.trade.trade_id = rows.as<std::uint64_t>(0);
            row.trade.time_real_ns = rows.integer(2);
            row.trade.price = rows.integer(3);
            row.trade.quantity = rows.integer(4);
            row.trade.quote_amount = rows.integer(5);
            row.trade.buyer_is_maker = rows.as<std::uint32_t>(6);
            trades.push_back(row);
        }
    });
    std::reverse(trades.begin(), trades.end());
    if (trades.size() == limit && !trades.empty()) {
        const std::uint64_t cut = trades.front().agg_id;
        const auto whole = std::find_if(trades.begin(), trades.end(), [&](const TapedTrade& row) {
            return row.agg_id != cut;
        });
        trades.erase(trades.begin(), whole);
    }
    return trades;
}

void TradeStore::write(
    const StoredInstrument& instrument,
    std::span<const TapedTrade> trades,
    bool afresh,
    std::int64_t deadline_ns
) const {
    storage_.write(deadline_ns, [&](Session& session) {
        put_instrument(session, instrument);
        if (afresh) {
            session.prepare("DELETE FROM public_trades WHERE instrument = ?")
                .bind_all(instrument.id)
                .run();
        }
        for (const auto& [trade, agg_id] : trades) {
            session
                .prepare(
                    "INSERT INTO public_trades (instrument, trade_id, agg_id, time_real_ns, price, "
                    "quantity, quote_amount, buyer_is_maker) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (instrument, trade_id) DO NOTHING"
                )
                .bind_all(
                    instrument.id,
                    trade.trade_id,
                    agg_id,
                    trade.time_real_ns,
                    trade.price,
                    trade.quantity,
                    trade.quote_amount,
                    trade.buyer_is_maker
                )
                .run();
        }
    });
}

std::uint64_t
TradeStore::prune(std::uint32_t instrument, std::size_t kept, std::int64_t deadline_ns) const {
    std::uint64_t gone = 0;
    std::uint64_t last = 0;
    do {
        storage_.write(deadline_ns, [&](Session& session) {
            // What an aggregate began before the newest ones keeps, up to its first trade.
            session
                .prepare(
                    "DELETE FROM public_trades WHERE instrument = ? AND trade_id IN (SELECT "
                    "trade_id "
                    "FROM public_trades WHERE instrument = ? AND trade_id < (SELECT "
                    "min(a.trade_id) "
                    "FROM public_trades a WHERE a.instrument = ? AND a.agg_id = (SELECT o.agg_id "
                    "FROM public_trades o WHERE o.instrument = ? ORDER BY o.trade_id DESC "
                    "LIMIT 1 OFFSET ?)) ORDER BY trade_id LIMIT ?)"
                )
                .bind_all(instrument, instrument, instrument, instrument, kept, k_rows_a_delete)
                .run();
            last = session.changes();
        });
        gone += last;
    } while (last == k_rows_a_delete);
    return gone;
}

}  // namespace tenon::market_data
