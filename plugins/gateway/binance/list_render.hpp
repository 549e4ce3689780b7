// SPDX-License-Identifier: Apache-2.0
// Order lists as Binance writes them (rest-api.md, user-data-stream.md).
#pragma once

#include "plugins/gateway/binance/render.hpp"

namespace tenon::binance {

// As queries show it.
void write_list(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_order_list& list
);
// The answer to a new list; the reply has its orders.
void write_list_placed(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_order_list& list,
    const tenon_trading_reply& reply,
    ResponseType type
);
// The orders that a cancel closed, those of a list within it.
void write_all_canceled(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_trading_reply& reply
);
// The event of the user data stream.
void write_list_status(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_execution_event& event
);

}  // namespace tenon::binance
