// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/list_render.hpp"

namespace tenon::binance {
namespace {

constexpr std::string_view k_contingency = "OCO";

[[nodiscard]] bool is_done(const tenon_order_list& list) noexcept {
    return list.status == TENON_LIST_ALL_DONE;
}

[[nodiscard]] std::string_view status_type(const tenon_order_list& list) noexcept {
    return is_done(list) ? "ALL_DONE" : "EXEC_STARTED";
}

[[nodiscard]] std::string_view order_status(const tenon_order_list& list) noexcept {
    return is_done(list) ? "ALL_DONE" : "EXECUTING";
}

// All but the closing bracket.
void write_head(
    JsonWriter& json,
    const Market& market,
    const tenon_order_list& list,
    std::int64_t time_real_ns
) {
    json.next()
        .raw("{")
        .field("orderListId", list.list_id)
        .field("contingencyType", k_contingency)
        .field("listStatusType", status_type(list))
        .field("listOrderStatus", order_status(list))
        .field("listClientOrderId", text_of(list.client_id))
        .time_field("transactionTime", time_real_ns)
        .field("symbol", market.symbol())
        .key("orders")
        .raw("[");
    for (std::uint32_t i = 0; i < list.order_count; ++i) {
        json.next()
            .raw("{")
            .field("symbol", market.symbol())
            .field("orderId", list.orders[i].order_id)
            .field("clientOrderId", text_of(list.orders[i].client_id))
            .raw("}");
    }
    json.raw("]");
}

[[nodiscard]] const tenon_order_list*
list_of(const tenon_trading_reply& reply, std::uint64_t list_id) noexcept {
    for (std::uint32_t i = 0; i < reply.list_count; ++i) {
        const tenon_order_list& list = tenon::at(reply.lists, i);
        if (list.list_id == list_id) {
            return &list;
        }
    }
    return nullptr;
}

}  // namespace

void write_list(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_order_list& list
) {
    write_head(json, market_of(instruments, list.instrument), list, list.updated_real_ns);
    json.raw("}");
}

void write_list_placed(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_order_list& list,
    const tenon_trading_reply& reply,
    ResponseType type
) {
    write_head(json, market_of(instruments, list.instrument), list, reply.time_real_ns);
    json.key("orderReports").raw("[");
    for (std::uint32_t at = 0; at < reply.order_count; ++at) {
        write_placed(json, instruments, reply, type, at);
    }
    json.raw("]}");
}

void write_all_canceled(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_trading_reply& reply
) {
    std::uint64_t written =
        0;  // a list's orders lie side by side, or at least begin with its first
    for (std::uint32_t at = 0; at < reply.order_count; ++at) {
        const tenon_order& order = tenon::at(reply.orders, at);
        const Market market = market_of(instruments, order.instrument);
        const tenon_order_list* const list =
            order.list_id == 0 ? nullptr : list_of(reply, order.list_id);
        if (list == nullptr) {
            write_canceled(json, market, order, reply.time_real_ns);
            continue;
        }
        if (order.list_id <= written) {
            continue;  // within its list already
        }
        written = order.list_id;
        write_head(json, market, *list, reply.time_real_ns);
        json.key("orderReports").raw("[");
        for (std::uint32_t other = at; other < reply.order_count; ++other) {
            const tenon_order& leg = tenon::at(reply.orders, other);
            if (leg.list_id == order.list_id) {
                write_canceled(json, market, leg, reply.time_real_ns);
            }
        }
        json.raw("]}");
    }
}

void write_list_status(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_execution_event& event
) {
    const tenon_order_list& list = *event.list;
    const Market market = market_of(instruments, list.instrument);
    json.raw("{")
        .field("e", "listStatus")
        .time_field("E", event.time_real_ns)
        .field("s", market.symbol())
        .field("g", list.list_id)
        .field("c", k_contingency)
        .field("l", status_type(list))
        .field("L", order_status(list))
        .field("r", "NONE")
        .field("C", text_of(list.client_id))
        .time_field("T", event.time_real_ns)
        .key("O")
        .raw("[");
    for (std::uint32_t i = 0; i < list.order_count; ++i) {
        json.next()
            .raw("{")
            .field("s", market.symbol())
            .field("i", list.orders[i].order_id)
            .field("c", text_of(list.orders[i].client_id))
            .raw("}");
    }
    json.raw("]}");
}

}  // namespace tenon::binance
