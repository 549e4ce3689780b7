// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_answers.hpp"
#include "plugins/gateway/binance/order_params.hpp"
#include "plugins/gateway/binance/replacement.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"

namespace tenon::binance {
namespace {

constexpr std::string_view k_done = "SUCCESS";
constexpr std::string_view k_failed = "FAILURE";
constexpr std::string_view k_not_attempted = "NOT_ATTEMPTED";

[[nodiscard]] std::string results(
    std::string_view cancel,
    std::string_view canceled,
    std::string_view place,
    std::string_view placed
) {
    std::string text;
    JsonWriter json{text};
    json.raw("{").field("cancelResult", cancel).field("newOrderResult", place);
    json.key("cancelResponse").raw(canceled).key("newOrderResponse").raw(placed).raw("}");
    return text;
}

void end(Pending& pending, std::string_view place, std::string_view placed) {
    const Replacement& it = *pending.replacement;
    const std::string_view cancel = it.cancel_failed ? k_failed : k_done;
    std::string both = results(cancel, *it.canceled, place, placed);
    if (cancel == k_done && place == k_done) {
        pending.api->reply(pending.to, both);
        return;
    }
    ApiError error{400, -2022, "Order cancel-replace failed."};
    if (it.no_room) {
        error = *it.no_room;
    } else if (cancel == k_done || place == k_done) {
        error = ApiError{409, -2021, "Order cancel-replace partially failed."};
    }
    error.data = std::move(both);
    pending.api->reply_error(pending.to, error);
}

void place(Pending& pending) {
    const Services& services = pending.api->services();
    pending.command = CommandKind::new_order;
    pending.single = false;
    pending.response = pending.replacement->response;
    ErrorBuffer err;
    const tenon_status status = services.trading->submit(
        services.trading.self, &pending.replacement->order, {&pending, &on_placed}, &err
    );
    if (status == TENON_PENDING) {
        return;
    }
    pending.api->orders().release(pending.account, pending.api->now_real_ns());
    settle(
        pending,
        status == TENON_INVALID ? reject_error(TENON_REJECT_INVALID, CommandKind::new_order)
                                : status_error(status, &err)
    );
}

[[nodiscard]] bool read_stops(std::string_view mode) {
    if (mode != "STOP_ON_FAILURE" && mode != "ALLOW_FAILURE") {
        throw errors::invalid("cancelReplaceMode");
    }
    return mode == "STOP_ON_FAILURE";
}

[[nodiscard]] bool read_cancel_only(Params& params) {
    const auto mode = params.text("orderRateLimitExceededMode");
    if (mode && *mode != "DO_NOTHING" && *mode != "CANCEL_ONLY") {
        throw errors::invalid("orderRateLimitExceededMode");
    }
    return mode && *mode == "CANCEL_ONLY";
}

}  // namespace

void replacement_told(Pending& pending, std::string_view body, Told told) noexcept {
    bool goes_on = false;
    (void)guard(nullptr, [&] {
        Replacement& it = *pending.replacement;
        if (it.canceled) {
            end(pending, told == Told::done ? k_done : k_failed, body);
            return;
        }
        it.canceled = body;
        it.cancel_failed = told != Told::done;
        if (it.no_room || told == Told::unknown || (it.cancel_failed && it.stop_on_failure)) {
            end(pending, k_not_attempted, "null");
            return;
        }
        goes_on = true;
        place(pending);
    });
    if (!goes_on) {
        pending.api->release(pending);
    }
}

void rest::order_cancel_replace(Api& api, Call& call) {
    const Services& services = api.services();
    auto replacement = std::make_unique<Replacement>();
    replacement->stop_on_failure = read_stops(call.params.mandatory("cancelReplaceMode"));
    const bool cancel_only = read_cancel_only(call.params);
    const CancelParams which = read_cancel(
        call.params, {"cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId"}
    );
    const NewOrder order = read_new_order(call.params, services.instruments, call.account);
    call.finish();
    rest::check_beforehand(api, order);
    const tenon_cancel_request request = make_cancel(which, order.market, call.account);
    call.to.order_count_of = call.account;
    try {
        admit_orders(api, call.account);
    } catch (ApiError& error) {
        if (!cancel_only) {
            error.data = results(k_not_attempted, "null", k_not_attempted, "null");
            throw;
        }
        replacement->no_room = std::move(error);
    }
    replacement->order = order.request;
    replacement->response = order.response;
    const bool counted = !replacement->no_room;
    Pending& pending = api.hold(call);
    pending.command = CommandKind::cancel;
    pending.single = true;
    pending.replacement = std::move(replacement);
    ErrorBuffer err;
    const tenon_status status =
        services.trading->cancel(services.trading.self, &request, {&pending, &on_canceled}, &err);
    if (status != TENON_PENDING && counted) {
        api.orders().release(call.account, api.now_real_ns());
    }
    require_pending(pending, status, err);
}

}  // namespace tenon::binance
