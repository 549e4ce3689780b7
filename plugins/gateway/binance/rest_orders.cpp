// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_answers.hpp"
#include "plugins/gateway/binance/order_params.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"

namespace tenon::binance::rest {

Market mandatory_market(Api& api, Call& call) {
    const auto symbol = call.params.symbol();
    if (!symbol) {
        throw errors::mandatory("symbol");
    }
    return market_of(api.services().instruments, *symbol);
}

void require_pending(Pending& pending, tenon_status status, const ErrorBuffer& err) {
    if (status == TENON_PENDING) {
        return;
    }
    pending.api->release(pending);
    if (status == TENON_INVALID) {
        throw reject_error(TENON_REJECT_INVALID, pending.command);
    }
    throw status_error(status, &err);
}

void admit_orders(Api& api, std::uint64_t account, std::uint32_t orders) {
    const auto refusal = api.orders().admit(account, api.now_real_ns(), orders);
    if (!refusal) {
        return;
    }
    ApiError error{
        429,
        -1015,
        "Too many new orders; current limit is " + std::to_string(refusal->limit) + " orders per " +
            std::string{refusal->interval} + "."};
    error.retry_after_s = refusal->retry_after_s;
    throw error;
}

std::int64_t last_price(Api& api, const Market& market) {
    auto ticker = sized<tenon_ticker>();
    const auto& data = api.services().market_data;
    return data->ticker(data.self, market.id(), &ticker) == TENON_OK ? ticker.last : 0;
}

std::uint32_t venue_takes(Api& api, std::uint32_t instrument) {
    const auto& trading = api.services().trading;
    return TENON_HAS(trading.table, tenon_trading_1, venue_takes)
               ? trading->venue_takes(trading.self, instrument)
               : 0;
}

void check_beforehand(Api& api, const NewOrder& order) {
    require_taken(venue_takes(api, order.market.id()), order.request);
    if (order.request.expires_real_ns != 0 && order.request.expires_real_ns <= api.now_real_ns()) {
        throw reject_error(TENON_REJECT_TIME_OVER, CommandKind::new_order);
    }
    check_filters(order.market, order.request, last_price(api, order.market));
}

void order_place(Api& api, Call& call) {
    const Services& services = api.services();
    const NewOrder order = read_new_order(call.params, services.instruments, call.account);
    call.finish();
    require_taken(venue_takes(api, order.market.id()), order.request);
    call.to.order_count_of = call.account;
    admit_orders(api, call.account);
    Pending& pending = api.hold(call);
    pending.command = CommandKind::new_order;
    pending.response = order.response;
    ErrorBuffer err;
    const tenon_status status = services.trading->submit(
        services.trading.self, &order.request, {&pending, &on_placed}, &err
    );
    if (status != TENON_PENDING) {
        api.orders().release(call.account, api.now_real_ns());
    }
    require_pending(pending, status, err);
}

void order_test(Api& api, Call& call) {
    const Services& services = api.services();
    const bool rates = call.params.boolean("computeCommissionRates").value_or(false);
    const NewOrder order = read_new_order(call.params, services.instruments, call.account);
    call.finish();
    check_beforehand(api, order);
    if (!rates) {
        api.reply(call.to, "{}");
        return;
    }
    const tenon_instrument& i = *order.market.instrument;
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw(R"({"standardCommissionForOrder":{"maker":)")
        .decimal(i.maker_fee_ppm, 6)
        .raw(R"(,"taker":)")
        .decimal(i.taker_fee_ppm, 6)
        .raw(R"(},"specialCommissionForOrder":{"maker":"0.00000000","taker":"0.00000000"})")
        .raw(R"(,"taxCommissionForOrder":{"maker":"0.00000000","taker":"0.00000000"})")
        .raw(R"(,"discount":{"enabledForAccount":false,"enabledForSymbol":false)")
        .raw(R"(,"discountAsset":"BNB","discount":"0.00000000"}})");
    api.reply(call.to, json.text());
}

void order_cancel(Api& api, Call& call) {
    const Services& services = api.services();
    const Market market = mandatory_market(api, call);
    const CancelParams which =
        read_cancel(call.params, {"orderId", "origClientOrderId", "newClientOrderId"});
    call.finish();
    const tenon_cancel_request request = make_cancel(which, market, call.account);
    Pending& pending = api.hold(call);
    pending.command = CommandKind::cancel;
    pending.single = true;
    ErrorBuffer err;
    const tenon_status status =
        services.trading->cancel(services.trading.self, &request, {&pending, &on_canceled}, &err);
    require_pending(pending, status, err);
}

void order_amend(Api& api, Call& call) {
    const auto& trading = api.services().trading;
    const Market market = mandatory_market(api, call);
    const auto order_id = call.params.integer("orderId");
    const auto client_id = call.params.client_id("origClientOrderId");
    const auto new_client_id = call.params.client_id("newClientOrderId");
    const auto quantity = call.params.decimal("newQty");
    call.finish();
    if (!order_id && !client_id) {
        throw errors::either("origClientOrderId", "orderId");
    }
    if (!quantity) {
        throw errors::mandatory("newQty");
    }
    if (!TENON_HAS(trading.table, tenon_trading_1, amend)) {
        throw reject_error(TENON_REJECT_UNSUPPORTED, CommandKind::amend);
    }
    auto request = sized<tenon_amend_request>();
    request.instrument = market.id();
    request.account = call.account;
    request.order_id = static_cast<std::uint64_t>(order_id.value_or(0));
    request.quantity = quantity_to_scale(market, *quantity);
    if (client_id) {
        request.client_id = make_client_id(*client_id);
    } else if (request.order_id == 0) {
        throw reject_error(TENON_REJECT_UNKNOWN_ORDER, CommandKind::amend);
    }
    request.new_client_id = make_client_id(new_client_id.value_or(std::string_view{}));
    Pending& pending = api.hold(call);
    pending.command = CommandKind::amend;
    pending.single = true;
    ErrorBuffer err;
    const tenon_status status =
        trading->amend(trading.self, &request, {&pending, &on_amended}, &err);
    require_pending(pending, status, err);
}

void open_orders_cancel(Api& api, Call& call) {
    const Services& services = api.services();
    const Market market = mandatory_market(api, call);
    call.finish();
    Pending& pending = api.hold(call);
    pending.command = CommandKind::cancel;
    ErrorBuffer err;
    const tenon_status status = services.trading->cancel_all(
        services.trading.self, call.account, market.id(), {&pending, &on_canceled}, &err
    );
    require_pending(pending, status, err);
}

}  // namespace tenon::binance::rest
