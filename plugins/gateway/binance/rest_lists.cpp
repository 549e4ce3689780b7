// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/list_params.hpp"
#include "plugins/gateway/binance/list_render.hpp"
#include "plugins/gateway/binance/order_answers.hpp"
#include "plugins/gateway/binance/order_params.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"

#include <algorithm>

namespace tenon::binance::rest {
namespace {

constexpr std::string_view k_no_list = "Order list does not exist.";

// tenon.trading/1 before 1.7 has no lists.
void require_lists(const Service<tenon_trading_1>& trading) {
    if (!TENON_HAS(trading.table, tenon_trading_1, lists)) {
        throw errors::unsupported("An order list");
    }
}

void place(Api& api, Call& call, const NewList& list) {
    const auto& trading = api.services().trading;
    require_lists(trading);
    for (const tenon_order_request& order : list.orders) {
        require_taken(venue_takes(api, order.instrument), order);
    }
    call.to.order_count_of = call.account;
    constexpr std::uint32_t k_orders = TENON_LIST_ORDERS_MAX;
    admit_orders(api, call.account, k_orders);
    Pending& pending = api.hold(call);
    pending.command = CommandKind::new_order;
    pending.response = list.response;
    pending.orders = k_orders;
    auto request = sized<tenon_list_request>();
    request.contingency = TENON_CONTINGENCY_OCO;
    request.client_id = list.client_id;
    request.order_count = k_orders;
    request.orders = list.orders.data();
    ErrorBuffer err;
    const tenon_status status =
        trading->submit_list(trading.self, &request, {&pending, &on_list_placed}, &err);
    if (status != TENON_PENDING) {
        api.orders().release(call.account, api.now_real_ns(), k_orders);
    }
    require_pending(pending, status, err);
}

tenon_status put_row(void* ctx, const tenon_order_list* list) noexcept {
    return guard(nullptr, [&] {
        auto& pending = *static_cast<Pending*>(ctx);
        JsonWriter json{pending.text, pending.to.micro};
        write_list(json, pending.api->services().instruments, *list);
        pending.found = true;
    });
}

void query(Api& api, const Call& call, tenon_list_query wanted, bool single) {
    const auto& trading = api.services().trading;
    require_lists(trading);
    wanted.account = call.account;
    Pending& pending = hold_rows(api, call, single ? k_no_list : std::string_view{});
    ErrorBuffer err;
    const tenon_status status = trading->lists(
        trading.self, &wanted, &pending, &put_row, tenon_done{&pending, &on_rows}, &err
    );
    if (status != TENON_PENDING) {
        on_rows(&pending, status, &err);
    }
}

}  // namespace

void list_place_oco(Api& api, Call& call) {
    const NewList list = read_oco(call.params, api.services().instruments, call.account);
    call.finish();
    place(api, call, list);
}

void list_place_old_oco(Api& api, Call& call) {
    const NewList list = read_old_oco(call.params, api.services().instruments, call.account);
    call.finish();
    place(api, call, list);
}

void list_cancel(Api& api, Call& call) {
    const auto& trading = api.services().trading;
    const Market market = mandatory_market(api, call);
    const auto list_id = call.params.integer("orderListId");
    const auto client_id = call.params.client_id("listClientOrderId");
    const auto new_client_id = call.params.client_id("newClientOrderId");
    call.finish();
    if (!list_id && !client_id) {
        throw errors::either("listClientOrderId", "orderListId");
    }
    if (list_id.value_or(1) == 0) {
        throw reject_error(TENON_REJECT_UNKNOWN_LIST, CommandKind::cancel);
    }
    require_lists(trading);
    auto request = sized<tenon_list_cancel>();
    request.instrument = market.id();
    request.account = call.account;
    request.list_id = static_cast<std::uint64_t>(list_id.value_or(0));
    request.client_id = make_client_id(client_id.value_or(std::string_view{}));
    request.cancel_client_id = make_client_id(new_client_id.value_or(std::string_view{}));
    Pending& pending = api.hold(call);
    pending.command = CommandKind::cancel;
    pending.single = true;
    ErrorBuffer err;
    const tenon_status status =
        trading->cancel_list(trading.self, &request, {&pending, &on_canceled}, &err);
    require_pending(pending, status, err);
}

void list_get(Api& api, Call& call) {
    const auto list_id = call.params.integer("orderListId");
    const auto client_id = call.params.client_id("origClientOrderId");
    call.finish();
    if (!list_id && !client_id) {
        throw errors::either("origClientOrderId", "orderListId");
    }
    if (list_id.value_or(1) == 0) {
        throw ApiError{-2013, std::string{k_no_list}};
    }
    auto wanted = sized<tenon_list_query>();
    wanted.which = TENON_ORDERS_ALL;
    wanted.limit = 1;
    wanted.list_id = static_cast<std::uint64_t>(list_id.value_or(0));
    wanted.client_id = make_client_id(client_id.value_or(std::string_view{}));
    query(api, call, wanted, true);
}

void open_lists(Api& api, Call& call) {
    call.finish();
    auto wanted = sized<tenon_list_query>();
    wanted.which = TENON_ORDERS_OPEN;
    query(api, call, wanted, false);
}

void all_lists(Api& api, Call& call) {
    const auto from_id = call.params.integer("fromId");
    const auto start = call.params.time_from("startTime");
    const auto end = call.params.time_to("endTime");
    auto wanted = sized<tenon_list_query>();
    wanted.which = TENON_ORDERS_ALL;
    wanted.limit = call.params.limit(500, 1'000);
    call.finish();
    check_day(start, end);
    if (from_id && (start || end)) {
        throw errors::combination();
    }
    wanted.from_list_id =
        from_id ? static_cast<std::uint64_t>(std::max<std::int64_t>(*from_id, 1)) : 0;
    wanted.start_real_ns = start.value_or(0);
    wanted.end_real_ns = end.value_or(0);
    query(api, call, wanted, false);
}

}  // namespace tenon::binance::rest
