// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_waits.hpp"

#include "plugins/gateway/binance/list_render.hpp"
#include "plugins/gateway/binance/order_answers.hpp"

#include <algorithm>
#include <utility>

namespace tenon::binance {
namespace {

[[nodiscard]] bool closed(const tenon_order& order) noexcept {
    return order.status >= TENON_STATUS_FILLED;
}

// False while the answer to this request cannot be given yet.
[[nodiscard]] bool decided(CommandKind command, const tenon_order& order) noexcept {
    return command == CommandKind::cancel ? closed(order)
                                          : order.status != TENON_STATUS_PENDING_NEW;
}

[[nodiscard]] std::string_view write_answer(
    Pending& pending,
    const std::vector<tenon_order>& orders,
    const tenon_trading_reply& reply
) {
    Api& api = *pending.api;
    JsonWriter json{api.buffer(), pending.to.micro};
    if (pending.command == CommandKind::new_order) {
        for (const tenon_order& order : orders) {
            if (order.status == TENON_STATUS_REJECTED) {
                api.orders().release(pending.account, api.now_real_ns(), pending.orders);
                throw reject_error(order.reject, CommandKind::new_order);
            }
        }
        if (pending.list) {
            write_list_placed(
                json, api.services().instruments, *pending.list, reply, pending.response
            );
        } else {
            write_placed(json, api.services().instruments, reply, pending.response);
        }
        return json.text();
    }
    json.raw(pending.single ? "" : "[");
    bool any = false;
    for (const tenon_order& order : orders) {
        if (order.status == TENON_STATUS_CANCELED) {
            any = true;
            write_canceled(
                json,
                market_of(api.services().instruments, order.instrument),
                order,
                reply.time_real_ns
            );
        }
    }
    if (!any) {  // a fill was faster
        throw reject_error(TENON_REJECT_UNKNOWN_ORDER, CommandKind::cancel);
    }
    json.raw(pending.single ? "" : "]");
    return json.text();
}

}  // namespace

OrderWaits::Wait* OrderWaits::keep(Pending& pending, const tenon_trading_reply& reply) {
    Wait wait;
    for (std::uint32_t at = 0; at < reply.order_count; ++at) {
        wait.orders.push_back(tenon::at(reply.orders, at));
        wait.open += decided(pending.command, wait.orders.back()) ? 0U : 1U;
    }
    if (wait.open == 0) {
        return nullptr;
    }
    if (waits_.size() >= k_waits_max) {
        throw errors::outcome_unknown();
    }
    wait.pending = &pending;
    wait.deadline_ns = pending.api->now_ns() + pending.api->order_wait_ns();
    wait.time_real_ns = reply.time_real_ns;
    waits_.push_back(std::move(wait));
    const Place place = std::prev(waits_.end());
    for (const tenon_order& order : place->orders) {
        if (!decided(pending.command, order)) {
            orders_.emplace(order.order_id, place);
        }
    }
    pending.api->waiting();
    return &*place;
}

bool OrderWaits::placed(Pending& pending, const tenon_trading_reply& reply) {
    return keep(pending, reply) != nullptr;
}

bool OrderWaits::canceled(Pending& pending, const tenon_trading_reply& reply) {
    return keep(pending, reply) != nullptr;
}

void OrderWaits::follow(Wait& wait, const tenon_execution_event& event) {
    const auto row = std::find_if(wait.orders.begin(), wait.orders.end(), [&](const auto& order) {
        return order.order_id == event.order->order_id;
    });
    const bool was = decided(wait.pending->command, *row);
    *row = *event.order;
    wait.open -= !was && decided(wait.pending->command, *row) ? 1U : 0U;
    wait.time_real_ns = event.time_real_ns;
    if (event.trade != nullptr) {
        wait.trades.push_back(*event.trade);
    }
}

void OrderWaits::on_execution(const tenon_execution_event* events, std::uint32_t count) {
    if (orders_.empty()) {
        return;
    }
    for (std::uint32_t at = 0; at < count; ++at) {
        const tenon_execution_event& event = tenon::at(events, at);
        if (event.kind != TENON_EVENT_ORDER || event.order == nullptr) {
            continue;
        }
        const auto [first, last] = orders_.equal_range(event.order->order_id);
        for (auto one = first; one != last; ++one) {
            follow(*one->second, event);
        }
    }
    // After all of them, so that the fills of the command that decides are in the answer.
    for (Place place = waits_.begin(); place != waits_.end();) {
        const Place one = place++;
        if (one->open == 0) {
            answer(one);
        }
    }
}

void OrderWaits::give_up(std::int64_t now_ns, bool all) {
    while (!waits_.empty() && (all || waits_.front().deadline_ns <= now_ns)) {
        answer(waits_.begin());
    }
}

void OrderWaits::answer(Place place) {
    Wait wait = std::move(*place);
    for (const tenon_order& order : wait.orders) {
        const auto [first, last] = orders_.equal_range(order.order_id);
        for (auto one = first; one != last;) {
            one = one->second == place ? orders_.erase(one) : std::next(one);
        }
    }
    waits_.erase(place);
    Pending& pending = *wait.pending;
    auto reply = sized<tenon_trading_reply>();
    reply.time_real_ns = wait.time_real_ns;
    reply.orders = wait.orders.data();
    reply.order_count = static_cast<std::uint32_t>(wait.orders.size());
    reply.trades = wait.trades.data();
    reply.trade_count = static_cast<std::uint32_t>(wait.trades.size());
    try {
        if (wait.open != 0) {
            throw errors::outcome_unknown();
        }
        settle(pending, write_answer(pending, wait.orders, reply));
    } catch (const ApiError& error) {
        settle(pending, error);
    } catch (...) {
        settle(pending, errors::unknown());
    }
}

}  // namespace tenon::binance
