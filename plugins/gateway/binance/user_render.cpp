// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/user_render.hpp"

#include "plugins/gateway/binance/errors.hpp"

namespace tenon::binance {
namespace {

[[nodiscard]] std::string_view
execution_type(const tenon_execution_event& event, const tenon_order& order) noexcept {
    if (event.trade != nullptr) {
        return "TRADE";
    }
    if (event.prevented != nullptr) {
        return "TRADE_PREVENTION";
    }
    if (event.amendment != nullptr) {
        return "REPLACED";
    }
    switch (order.status) {
        case TENON_STATUS_NEW:
            return "NEW";
        case TENON_STATUS_CANCELED:
            return "CANCELED";
        case TENON_STATUS_REJECTED:
            return "REJECTED";
        default:
            return "EXPIRED";  // also of a market order whose last bit of money buys nothing
    }
}

[[nodiscard]] std::string reason(const tenon_order& order) {
    if (order.status != TENON_STATUS_REJECTED) {
        return "NONE";
    }
    return std::string{reject_error(order.reject, CommandKind::new_order).message()};
}

[[nodiscard]] const tenon_asset*
asset_of(Service<tenon_instruments_1> instruments, std::uint32_t id) {
    return instruments->asset(instruments.self, id);
}

void write_fill(
    JsonWriter& json,
    const Market& market,
    const tenon_trade* trade,
    const tenon_asset* fee_asset
) {
    const tenon_instrument& i = *market.instrument;
    json.field("L", trade == nullptr ? 0 : trade->price, i.price_scale);
    if (trade == nullptr || fee_asset == nullptr) {
        json.raw(R"(,"n":"0","N":null)");
    } else {
        json.field("n", trade->fee, fee_asset->scale).field("N", view(fee_asset->name));
    }
}

// The client id that the event is about, and the one that the order had before.
struct ClientIds {
    std::string_view now, original;
};

[[nodiscard]] ClientIds
client_ids(const tenon_execution_event& event, const tenon_order& order) noexcept {
    if (event.amendment != nullptr) {
        return {text_of(order.client_id), text_of(event.amendment->old_client_id)};
    }
    if (order.status == TENON_STATUS_CANCELED && order.cancel_client_id.length > 0) {
        return {text_of(order.cancel_client_id), text_of(order.client_id)};
    }
    return {text_of(order.client_id), {}};
}

// Fields that are there only for some orders.
void write_conditional(
    JsonWriter& json,
    const Market& market,
    const tenon_execution_event& event,
    const tenon_order& order
) {
    const tenon_instrument& i = *market.instrument;
    if (order.trailing_delta != 0) {
        json.field("d", order.trailing_delta);
    }
    if (order.expires_real_ns != 0) {
        json.time_field("gtd", order.expires_real_ns);
    }
    if (order.prevented_match_id != 0) {
        json.field("v", order.prevented_match_id)
            .field("A", order.prevented_quantity, i.quantity_scale);
    }
    if (const tenon_prevented_match* match = event.prevented; match != nullptr) {
        const bool took = match->taker_order_id == order.order_id;
        json.field("B", took ? match->taker_quantity : match->maker_quantity, i.quantity_scale)
            .field("u", -1)
            .field("U", took ? match->maker_order_id : match->taker_order_id)
            .field("Cs", market.symbol())
            .field("pL", match->price, i.price_scale);
    }
}

}  // namespace

bool is_reported(const tenon_execution_event& event) noexcept {
    return event.kind == TENON_EVENT_ORDER && event.order != nullptr &&
           event.order->status != TENON_STATUS_PENDING_NEW;
}

void write_execution_report(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_execution_event& event,
    const tenon_order& order
) {
    const Market market = market_of(instruments, order.instrument);
    const tenon_instrument& i = *market.instrument;
    const int quote = market.quote->scale;
    const tenon_trade* const trade = event.trade;
    const ClientIds ids = client_ids(event, order);
    const bool open =
        order.status == TENON_STATUS_NEW || order.status == TENON_STATUS_PARTIALLY_FILLED;
    json.raw("{")
        .field("e", "executionReport")
        .time_field("E", event.time_real_ns)
        .field("s", market.symbol())
        .field("c", ids.now)
        .field("S", side_name(order.side))
        .field("o", order_type_name(order.type))
        .field("f", time_in_force_name(order))
        .field("q", shown_quantity(order), i.quantity_scale)
        .field("p", order.price, i.price_scale)
        .field("P", order.stop_price, i.price_scale)
        .field("F", order.display_quantity, i.quantity_scale)
        .field("g", shown_list_id(order))
        .field("C", ids.original)
        .field("x", execution_type(event, order))
        .field("X", order_status_name(order))
        .field("r", reason(order))
        .field("i", order.order_id)
        .field("l", trade == nullptr ? 0 : trade->quantity, i.quantity_scale)
        .field("z", order.filled_quantity, i.quantity_scale);
    write_fill(
        json, market, trade, trade == nullptr ? nullptr : asset_of(instruments, trade->fee_asset)
    );
    json.time_field("T", event.time_real_ns)
        .field("t", trade == nullptr ? -1 : static_cast<std::int64_t>(trade->trade_id))
        .field("I", execution_id(event.sequence, event.index))
        .field("w", open && is_working(order))
        .field("m", trade != nullptr && trade->is_maker != 0)
        .field("M", false)
        .time_field("O", order.created_real_ns)
        .field("Z", order.filled_quote, quote)
        .field("Y", trade == nullptr ? 0 : trade->quote_amount, quote)
        .field("Q", order.quote_quantity, quote);
    if (is_working(order)) {
        json.time_field("W", order.working_real_ns);
    }
    json.field("V", stp_mode_name(order.stp_mode));
    write_conditional(json, market, event, order);
    json.raw("}");
}

void write_account_position(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    std::span<const tenon_balance> balances,
    std::int64_t time_real_ns
) {
    json.raw("{")
        .field("e", "outboundAccountPosition")
        .time_field("E", time_real_ns)
        .time_field("u", time_real_ns)
        .key("B")
        .raw("[");
    for (const tenon_balance& balance : balances) {
        if (const tenon_asset* const asset = asset_of(instruments, balance.asset)) {
            json.next()
                .raw("{")
                .field("a", view(asset->name))
                .field("f", balance.free, asset->scale)
                .field("l", balance.locked, asset->scale)
                .raw("}");
        }
    }
    json.raw("]}");
}

void write_balance_update(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_execution_event& event,
    std::uint64_t account
) {
    const tenon_ledger_entry& entry = *event.ledger;
    const tenon_asset* const asset = asset_of(instruments, entry.asset);
    json.raw("{")
        .field("e", "balanceUpdate")
        .time_field("E", event.time_real_ns)
        .field("a", asset == nullptr ? std::string_view{} : view(asset->name))
        .field(
            "d",
            entry.to == account ? entry.amount : -entry.amount,
            asset == nullptr ? 8 : asset->scale
        )
        .time_field("T", event.time_real_ns)
        .raw("}");
}

void write_bare_event(JsonWriter& json, std::string_view name, std::int64_t time_real_ns) {
    json.raw("{").field("e", name).time_field("E", time_real_ns).raw("}");
}

}  // namespace tenon::binance
