// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_answers.hpp"

#include "plugins/gateway/binance/list_render.hpp"
#include "plugins/gateway/binance/order_waits.hpp"
#include "plugins/gateway/binance/replacement.hpp"

#include <optional>
#include <string>

namespace tenon::binance {
namespace {

// `body` returns what the answer is; nothing when it has to wait for the venue.
template <class Body>
void answer(Pending& pending, Body&& body) noexcept {
    try {
        if (const std::optional<std::string_view> text = body()) {
            settle(pending, *text);
        }
    } catch (const ApiError& error) {
        settle(pending, error);
    } catch (...) {
        settle(pending, errors::unknown());
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

// The same of orders that were placed.
void require_placed(
    const Pending& pending,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) {
    // Orders that never came to be do not count; those in doubt do.
    const bool refused = status == TENON_OK ? reply != nullptr && reply->reject != TENON_REJECT_NONE
                                            : status != TENON_IN_DOUBT;
    if (refused) {
        Api& api = *pending.api;
        api.orders().release(pending.account, api.now_real_ns(), pending.orders);
    }
    require_accepted(pending, status, reply, err);
    if (reply->order_count == 0) {
        throw errors::unknown();
    }
}

}  // namespace

void settle(Pending& pending, std::string_view body) noexcept {
    if (pending.replacement) {
        replacement_told(pending, body, Told::done);
        return;
    }
    (void)guard(nullptr, [&] { pending.api->reply(pending.to, body); });
    pending.api->release(pending);
}

void settle(Pending& pending, const ApiError& error) noexcept {
    if (pending.replacement) {
        (void)guard(nullptr, [&] {
            std::string text;
            write_error(text, error);
            replacement_told(pending, text, error.code() == -1007 ? Told::unknown : Told::failed);
        });
        return;
    }
    (void)guard(nullptr, [&] { pending.api->reply_error(pending.to, error); });
    pending.api->release(pending);
}

void on_placed(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    answer(pending, [&]() -> std::optional<std::string_view> {
        Api& api = *pending.api;
        require_placed(pending, status, reply, err);
        if (api.waits().placed(pending, *reply)) {
            return std::nullopt;
        }
        JsonWriter json{api.buffer(), pending.to.micro};
        write_placed(json, api.services().instruments, *reply, pending.response);
        return json.text();
    });
}

void on_list_placed(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    answer(pending, [&]() -> std::optional<std::string_view> {
        Api& api = *pending.api;
        require_placed(pending, status, reply, err);
        if (reply->list_count == 0) {
            throw errors::unknown();
        }
        pending.list = tenon::at(reply->lists, 0);
        if (api.waits().placed(pending, *reply)) {
            return std::nullopt;
        }
        JsonWriter json{api.buffer(), pending.to.micro};
        write_list_placed(
            json, api.services().instruments, *pending.list, *reply, pending.response
        );
        return json.text();
    });
}

void on_amended(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    answer(pending, [&]() -> std::optional<std::string_view> {
        Api& api = *pending.api;
        require_accepted(pending, status, reply, err);
        if (reply->order_count == 0 || reply->amendment == nullptr) {
            throw errors::unknown();
        }
        const tenon_order& order = tenon::at(reply->orders, 0);
        JsonWriter json{api.buffer(), pending.to.micro};
        write_amended(
            json, market_of(api.services().instruments, order.instrument), order, *reply->amendment
        );
        return json.text();
    });
}

void on_canceled(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    answer(pending, [&]() -> std::optional<std::string_view> {
        Api& api = *pending.api;
        require_accepted(pending, status, reply, err);
        if (reply->order_count == 0) {
            throw reject_error(TENON_REJECT_UNKNOWN_ORDER, CommandKind::cancel);
        }
        if (api.waits().canceled(pending, *reply)) {
            return std::nullopt;
        }
        JsonWriter json{api.buffer(), pending.to.micro};
        if (!pending.single) {
            json.raw("[");
        }
        write_all_canceled(json, api.services().instruments, *reply);
        if (!pending.single) {
            json.raw("]");
        }
        return json.text();
    });
}

}  // namespace tenon::binance
