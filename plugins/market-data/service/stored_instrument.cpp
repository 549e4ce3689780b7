// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/stored_instrument.hpp"

namespace tenon::market_data {

void put_instrument(Session& session, const StoredInstrument& instrument) {
    session
        .prepare(
            "INSERT INTO instruments (id, symbol, price_scale, quantity_scale) "
            "VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        .bind_all(
            instrument.id, instrument.symbol, instrument.price_scale, instrument.quantity_scale
        )
        .run();
}

void hold_instrument(Session& session, std::uint32_t id) {
    // The one way to lock a row that both dialects have.
    session.prepare("UPDATE instruments SET symbol = symbol WHERE id = ?").bind_all(id).run();
}

}  // namespace tenon::market_data
