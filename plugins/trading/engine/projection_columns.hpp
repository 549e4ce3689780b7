// SPDX-License-Identifier: Apache-2.0
// What the writer and the reader of the projection's tables share. Columns in the order of both.
#pragma once

#include <tenon/abi/trading.h>

#include <algorithm>
#include <string_view>

namespace tenon::engine {

inline constexpr std::string_view k_order_columns =
    "order_id, account, instrument, side, type, time_in_force, status, price, quantity, "
    "quote_quantity, filled_quantity, filled_quote, created_real_ns, updated_real_ns, "
    "update_sequence, reject, client_id, cancel_client_id, stop_price, working_real_ns, list_id, "
    "display_quantity, prevented_quantity, prevented_match_id, trailing_delta, stp_mode, "
    "expires_real_ns";

inline constexpr std::string_view k_trade_columns =
    "trade_id, order_id, account, instrument, side, is_maker, price, quantity, quote_amount, fee, "
    "fee_asset, time_real_ns, sequence";

inline constexpr std::string_view k_prevented_columns =
    "match_id, instrument, taker_order_id, maker_order_id, account, stp_mode, price, "
    "taker_quantity, maker_quantity, time_real_ns, sequence";

inline constexpr std::string_view k_amendment_columns =
    "order_id, sequence, account, instrument, old_client_id, client_id, old_quantity, quantity, "
    "time_real_ns";

[[nodiscard]] inline std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, std::min<std::size_t>(id.length, sizeof id.text)};
}

}  // namespace tenon::engine
