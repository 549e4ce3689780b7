// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_params.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"
#include "plugins/gateway/binance/user_render.hpp"

#include <algorithm>

namespace tenon::binance::rest {
namespace {

constexpr std::int64_t k_day_ns = 86'400'000'000'000;
constexpr std::string_view k_no_order = "Order does not exist.";

void finish_rows(Pending& pending, tenon_status status, const tenon_err* err) {
    Api& api = *pending.api;
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw status_error(status, err);
    }
    if (pending.single && !pending.found) {
        throw ApiError{-2013, std::string{pending.none}};
    }
    if (!pending.single) {
        pending.text.push_back(']');
    }
    api.reply(pending.to, pending.text);
}

tenon_status put_order(void* ctx, const tenon_order* order) noexcept {
    return guard(nullptr, [&] {
        auto& pending = *static_cast<Pending*>(ctx);
        JsonWriter json{pending.text, pending.to.micro};
        write_order(
            json, market_of(pending.api->services().instruments, order->instrument), *order
        );
        pending.found = true;
    });
}

tenon_status put_trade(void* ctx, const tenon_trade* trade) noexcept {
    return guard(nullptr, [&] {
        auto& pending = *static_cast<Pending*>(ctx);
        const auto& instruments = pending.api->services().instruments;
        JsonWriter json{pending.text, pending.to.micro};
        write_own_trade(
            json,
            market_of(instruments, trade->instrument),
            *trade,
            instruments->asset(instruments.self, trade->fee_asset)
        );
    });
}

tenon_status put_prevented(void* ctx, const tenon_prevented_match* match) noexcept {
    return guard(nullptr, [&] {
        auto& pending = *static_cast<Pending*>(ctx);
        JsonWriter json{pending.text, pending.to.micro};
        write_prevented(
            json, market_of(pending.api->services().instruments, match->instrument), *match
        );
    });
}

tenon_status put_amendment(void* ctx, const tenon_amendment* amendment) noexcept {
    return guard(nullptr, [&] {
        auto& pending = *static_cast<Pending*>(ctx);
        JsonWriter json{pending.text, pending.to.micro};
        write_amendment(
            json, market_of(pending.api->services().instruments, amendment->instrument), *amendment
        );
    });
}

// Of an id that a query names; 0 there means any.
[[nodiscard]] std::uint64_t id_of(const std::optional<std::int64_t>& id) noexcept {
    return static_cast<std::uint64_t>(id.value_or(0));
}

// Runs a query whose rows go to a pending; what is complete at once is answered at once.
template <class Query>
void run(Api& api, const Call& call, bool single, Query&& query) {
    Pending& pending = hold_rows(api, call, single ? k_no_order : std::string_view{});
    ErrorBuffer err;
    const tenon_status status = query(pending, tenon_done{&pending, &on_rows}, &err);
    if (status != TENON_PENDING) {
        on_rows(&pending, status, &err);
    }
}

}  // namespace

Pending& hold_rows(Api& api, const Call& call, std::string_view none) {
    Pending& pending = api.hold(call);
    pending.single = !none.empty();
    pending.none = none;
    if (!pending.single) {
        pending.text.push_back('[');
    }
    return pending;
}

void on_rows(void* ctx, tenon_status status, const tenon_err* err) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    try {
        finish_rows(pending, status, err);
    } catch (const ApiError& error) {
        (void)guard(nullptr, [&] { pending.api->reply_error(pending.to, error); });
    } catch (...) {
        (void)guard(nullptr, [&] { pending.api->reply_error(pending.to, errors::unknown()); });
    }
    pending.api->release(pending);
}

void check_day(const std::optional<std::int64_t>& start, const std::optional<std::int64_t>& end) {
    // The end is the last nanosecond of its unit: exactly 24 hours are still one day.
    constexpr std::int64_t k_millisecond_ns = 1'000'000;
    if (start && end && *end - *start >= k_day_ns + k_millisecond_ns) {
        throw ApiError{-1127, "More than 24 hours between startTime and endTime."};
    }
}

void order_get(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto order_id = call.params.integer("orderId");
    const auto client_id = call.params.client_id("origClientOrderId");
    call.finish();
    if (!order_id && !client_id) {
        throw errors::either("origClientOrderId", "orderId");
    }
    if (order_id.value_or(1) == 0) {
        throw ApiError{-2013, std::string{k_no_order}};
    }
    const tenon_client_id wanted = make_client_id(client_id.value_or(std::string_view{}));
    const auto& trading = api.services().trading;
    run(api, call, true, [&](Pending& pending, tenon_done done, tenon_err* err) {
        return trading->order(
            trading.self,
            call.account,
            market.id(),
            static_cast<std::uint64_t>(order_id.value_or(0)),
            client_id ? &wanted : nullptr,
            &pending,
            &put_order,
            done,
            err
        );
    });
}

void open_orders(Api& api, Call& call) {
    const auto symbol = call.params.symbol();
    call.finish();
    tenon_order_query query{};
    query.size = sizeof query;
    query.which = TENON_ORDERS_OPEN;
    query.account = call.account;
    query.instrument =
        symbol ? market_of(api.services().instruments, *symbol).id() : TENON_ANY_INSTRUMENT;
    query.limit = 1'000;
    const auto& trading = api.services().trading;
    run(api, call, false, [&](Pending& pending, tenon_done done, tenon_err* err) {
        return trading->orders(trading.self, &query, &pending, &put_order, done, err);
    });
}

void all_orders(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto order_id = call.params.integer("orderId");
    const auto start = call.params.time_from("startTime");
    const auto end = call.params.time_to("endTime");
    tenon_order_query query{};
    query.size = sizeof query;
    query.which = TENON_ORDERS_ALL;
    query.account = call.account;
    query.instrument = market.id();
    query.limit = call.params.limit(500, 1'000);
    call.finish();
    check_day(start, end);
    if (order_id && (start || end)) {
        throw errors::combination();
    }
    // From order 0 on means from the first one on.
    query.from_order_id =
        order_id ? static_cast<std::uint64_t>(std::max<std::int64_t>(*order_id, 1)) : 0;
    query.start_real_ns = start.value_or(0);
    query.end_real_ns = end.value_or(0);
    const auto& trading = api.services().trading;
    run(api, call, false, [&](Pending& pending, tenon_done done, tenon_err* err) {
        return trading->orders(trading.self, &query, &pending, &put_order, done, err);
    });
}

void prevented_matches(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto match_id = call.params.integer("preventedMatchId");
    const auto order_id = call.params.integer("orderId");
    const auto from_id = call.params.integer("fromPreventedMatchId");
    auto query = sized<tenon_prevented_query>();
    query.instrument = market.id();
    query.account = call.account;
    query.limit = call.params.limit(500, 1'000);
    call.finish();
    if (match_id.has_value() == order_id.has_value() || (from_id && !order_id)) {
        throw errors::combination();
    }
    const auto& trading = api.services().trading;
    if (match_id.value_or(order_id.value_or(0)) == 0 ||
        !TENON_HAS(trading.table, tenon_trading_1, prevented)) {
        api.reply(call.to, "[]");
        return;
    }
    query.match_id = id_of(match_id);
    query.order_id = id_of(order_id);
    query.from_match_id = from_id ? std::max<std::uint64_t>(id_of(from_id), 1) : 0;
    run(api, call, false, [&](Pending& pending, tenon_done done, tenon_err* err) {
        return trading->prevented(trading.self, &query, &pending, &put_prevented, done, err);
    });
}

void order_amendments(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto order_id = call.params.integer("orderId");
    const auto from_id = call.params.integer("fromExecutionId");
    auto query = sized<tenon_amendment_query>();
    query.instrument = market.id();
    query.account = call.account;
    query.limit = call.params.limit(500, 1'000);
    call.finish();
    if (!order_id) {
        throw errors::mandatory("orderId");
    }
    query.order_id = id_of(order_id);
    query.from_sequence = from_id ? std::max<std::uint64_t>(sequence_from(id_of(from_id)), 1) : 0;
    const auto& trading = api.services().trading;
    if (!TENON_HAS(trading.table, tenon_trading_1, amendments)) {
        api.reply(call.to, "[]");
        return;
    }
    run(api, call, false, [&](Pending& pending, tenon_done done, tenon_err* err) {
        return trading->amendments(trading.self, &query, &pending, &put_amendment, done, err);
    });
}

void my_trades(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto order_id = call.params.integer("orderId");
    const auto from_id = call.params.integer("fromId");
    const auto start = call.params.time_from("startTime");
    const auto end = call.params.time_to("endTime");
    tenon_trade_query query{};
    query.size = sizeof query;
    query.instrument = market.id();
    query.account = call.account;
    query.limit = call.params.limit(500, 1'000);
    call.finish();
    check_day(start, end);
    if ((order_id || from_id) && (start || end)) {
        throw errors::combination();
    }
    if (order_id && *order_id == 0) {
        api.reply(call.to, "[]");  // no order has this id, and to the service it means any order
        return;
    }
    query.order_id = static_cast<std::uint64_t>(order_id.value_or(0));
    query.from_trade_id =
        from_id ? static_cast<std::uint64_t>(std::max<std::int64_t>(*from_id, 1)) : 0;
    query.start_real_ns = start.value_or(0);
    query.end_real_ns = end.value_or(0);
    const auto& trading = api.services().trading;
    run(api, call, false, [&](Pending& pending, tenon_done done, tenon_err* err) {
        return trading->trades(trading.self, &query, &pending, &put_trade, done, err);
    });
}

}  // namespace tenon::binance::rest
