// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_params.hpp"
#include "plugins/gateway/binance/order_waits.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"

namespace tenon::binance::rest {
namespace {

// Gives the pending back when its answer has gone, however that was.
struct Finish {
    Pending& pending;
    bool waits = false;  // somebody else answers, and gives it back

    ~Finish() {
        if (!waits) {
            pending.api->release(pending);
        }
    }
};

// `body` returns true when the answer has to wait for the venue.
template <class Body>
void answer(Pending& pending, Body&& body) noexcept {
    Finish finish{pending};
    try {
        finish.waits = body();
    } catch (const ApiError& error) {
        (void)guard(nullptr, [&] { pending.api->reply_error(pending.to, error); });
    } catch (...) {
        (void)guard(nullptr, [&] { pending.api->reply_error(pending.to, errors::unknown()); });
    }
}

// Throws unless there is a reply and the command was accepted.
void require_accepted(
    const Pending& pending,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) {
    if (status != TENON_OK || reply == nullptr) {
        throw status_error(status, err);
    }
    if (reply->reject != TENON_REJECT_NONE) {
        throw reject_error(reply->reject, pending.command);
    }
}

void on_placed(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    answer(pending, [&]() -> bool {
        Api& api = *pending.api;
        // An order that never came to be does not count; one in doubt does.
        const bool refused = status == TENON_OK
                                 ? reply != nullptr && reply->reject != TENON_REJECT_NONE
                                 : status != TENON_IN_DOUBT;
        if (refused) {
            api.orders().release(pending.account, api.now_real_ns());
        }
        require_accepted(pending, status, reply, err);
        if (reply->order_count == 0) {
            throw errors::unknown();
        }
        if (api.waits().placed(pending, *reply)) {
            return true;
        }
        JsonWriter json{api.buffer(), pending.to.micro};
        write_placed(json, api.services().instruments, *reply, pending.response);
        api.reply(pending.to, json.text());
        return false;
    });
}

void on_canceled(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    answer(pending, [&]() -> bool {
        Api& api = *pending.api;
        require_accepted(pending, status, reply, err);
        if (reply->order_count == 0) {
            throw reject_error(TENON_REJECT_UNKNOWN_ORDER, CommandKind::cancel);
        }
        if (api.waits().canceled(pending, *reply)) {
            return true;
        }
        JsonWriter json{api.buffer(), pending.to.micro};
        if (!pending.single) {
            json.raw("[");
        }
        for (std::uint32_t at = 0; at < reply->order_count; ++at) {
            const tenon_order& order = tenon::at(reply->orders, at);
            write_canceled(
                json,
                market_of(api.services().instruments, order.instrument),
                order,
                reply->time_real_ns
            );
        }
        if (!pending.single) {
            json.raw("]");
        }
        api.reply(pending.to, json.text());
        return false;
    });
}

[[nodiscard]] Market mandatory_market(Api& api, Call& call) {
    const auto symbol = call.params.symbol();
    if (!symbol) {
        throw errors::mandatory("symbol");
    }
    return market_of(api.services().instruments, *symbol);
}

// The engine did not take the command: nothing will come later.
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

void admit_order(Api& api, std::uint64_t account) {
    const auto refusal = api.orders().admit(account, api.now_real_ns());
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

}  // namespace

void order_place(Api& api, Call& call) {
    const Services& services = api.services();
    const NewOrder order = read_new_order(call.params, services.instruments, call.account);
    call.finish();
    call.to.order_count_of = call.account;
    admit_order(api, call.account);
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
    tenon_ticker ticker{};
    ticker.size = sizeof ticker;
    const auto& data = services.market_data;
    const bool traded = data->ticker(data.self, order.market.id(), &ticker) == TENON_OK;
    check_filters(order.market, order.request, traded ? ticker.last : 0);
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
    const auto order_id = call.params.integer("orderId");
    const auto client_id = call.params.client_id("origClientOrderId");
    const auto new_id = call.params.client_id("newClientOrderId");
    if (call.params.text("cancelRestrictions")) {
        throw errors::unsupported("Parameter 'cancelRestrictions'");
    }
    call.finish();
    if (!order_id && !client_id) {
        throw errors::either("origClientOrderId", "orderId");
    }
    tenon_cancel_request request{};
    request.size = sizeof request;
    request.instrument = market.id();
    request.account = call.account;
    request.order_id = static_cast<std::uint64_t>(order_id.value_or(0));
    if (client_id) {
        request.client_id = make_client_id(*client_id);
    } else if (request.order_id == 0) {
        throw reject_error(TENON_REJECT_UNKNOWN_ORDER, CommandKind::cancel);
    }
    if (new_id) {
        request.cancel_client_id = make_client_id(*new_id);
    }
    Pending& pending = api.hold(call);
    pending.command = CommandKind::cancel;
    pending.single = true;
    ErrorBuffer err;
    const tenon_status status =
        services.trading->cancel(services.trading.self, &request, {&pending, &on_canceled}, &err);
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
