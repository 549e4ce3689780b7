// SPDX-License-Identifier: Apache-2.0
// Endpoints of an account: orders in, orders and trades out, balances.
#pragma once

#include "plugins/gateway/binance/api.hpp"
#include "plugins/gateway/binance/order_params.hpp"

namespace tenon::binance::rest {

// rest_replace.cpp
void order_cancel_replace(Api& api, Call& call);

// rest_orders.cpp
// The engine did not take the command, and nothing will come later: gives `pending` back and throws
// why. No effect when it did.
void require_pending(Pending& pending, tenon_status status, const ErrorBuffer& err);
// Counts so many more orders of the account; throws ApiError 429 when that is too many.
void admit_orders(Api& api, std::uint64_t account, std::uint32_t orders = 1);
[[nodiscard]] Market mandatory_market(Api& api, Call& call);
// 0: nothing has traded.
[[nodiscard]] std::int64_t last_price(Api& api, const Market& market);
// What the engine would refuse of an order by itself, told before anything is done: of one that
// only comes after a cancel, and of one that is only tried.
void check_beforehand(Api& api, const NewOrder& order);
void order_place(Api& api, Call& call);
void order_test(Api& api, Call& call);
void order_cancel(Api& api, Call& call);
void open_orders_cancel(Api& api, Call& call);
void order_amend(Api& api, Call& call);
// TENON_VENUE_* of the venue of an instrument; 0 from an engine before 1.8.
[[nodiscard]] std::uint32_t venue_takes(Api& api, std::uint32_t instrument);

// rest_lists.cpp
void list_place_oco(Api& api, Call& call);
// In the form of before above and below.
void list_place_old_oco(Api& api, Call& call);
void list_cancel(Api& api, Call& call);
void list_get(Api& api, Call& call);
void open_lists(Api& api, Call& call);
void all_lists(Api& api, Call& call);

// rest_queries.cpp
// A query whose rows are written into the pending's text as they come: an array, or one row when
// `none` says what is told when it is not there. on_rows is its end, and answers.
[[nodiscard]] Pending& hold_rows(Api& api, const Call& call, std::string_view none);
void on_rows(void* ctx, tenon_status status, const tenon_err* err) noexcept;
// Throws ApiError when it is more than a day.
void check_day(const std::optional<std::int64_t>& start, const std::optional<std::int64_t>& end);
void order_get(Api& api, Call& call);
void open_orders(Api& api, Call& call);
void all_orders(Api& api, Call& call);
void my_trades(Api& api, Call& call);
void prevented_matches(Api& api, Call& call);
void order_amendments(Api& api, Call& call);

// rest_user_stream.cpp
void listen_key_create(Api& api, Call& call);
void listen_key_prolong(Api& api, Call& call);
void listen_key_remove(Api& api, Call& call);

// rest_account.cpp
void account(Api& api, Call& call);
void account_commission(Api& api, Call& call);
void rate_limit_order(Api& api, Call& call);
void capital_config(Api& api, Call& call);
void trade_fee(Api& api, Call& call);
// Spot only: there are none. ccxt asks while it loads its markets.
void margin_pairs(Api& api, Call& call);

// "commission" objects of an instrument: maker, taker, buyer, seller.
void write_commission(
    JsonWriter& json,
    std::string_view name,
    std::uint32_t maker_ppm,
    std::uint32_t taker_ppm
);

}  // namespace tenon::binance::rest
