// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/list_params.hpp"

#include "plugins/gateway/binance/order_params.hpp"

#include <initializer_list>
#include <string>

namespace tenon::binance {
namespace {

struct LegNames {
    std::string_view type, client_id;
    OrderNames order;
    std::string_view strategy_id, strategy_type, peg_price, peg_value, peg_offset;
};

constexpr LegNames k_above{
    "aboveType",
    "aboveClientOrderId",
    {"aboveTimeInForce",
     "abovePrice",
     "aboveStopPrice",
     "aboveIcebergQty",
     "aboveTrailingDelta",
     ""},
    "aboveStrategyId",
    "aboveStrategyType",
    "abovePegPriceType",
    "abovePegOffsetValue",
    "abovePegOffsetType"};

constexpr LegNames k_below{
    "belowType",
    "belowClientOrderId",
    {"belowTimeInForce",
     "belowPrice",
     "belowStopPrice",
     "belowIcebergQty",
     "belowTrailingDelta",
     ""},
    "belowStrategyId",
    "belowStrategyType",
    "belowPegPriceType",
    "belowPegOffsetValue",
    "belowPegOffsetType"};

void refuse(Params& params, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        if (!name.empty() && params.peek(name)) {
            throw errors::unsupported("Parameter '" + std::string{name} + "'");
        }
    }
}

[[nodiscard]] NewList
read_common(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account) {
    NewList out;
    const auto symbol = params.symbol();
    if (!symbol) {
        throw errors::mandatory("symbol");
    }
    const std::uint8_t side = read_side(params.mandatory("side"));
    const std::uint8_t stp_mode = read_prevention(params);
    out.market = market_of(instruments, *symbol);
    for (tenon_order_request& order : out.orders) {
        order.size = sizeof order;
        order.instrument = out.market.id();
        order.account = account;
        order.side = side;
        order.stp_mode = stp_mode;
    }
    if (const auto id = params.client_id("listClientOrderId")) {
        out.client_id = make_client_id(*id);
    }
    out.response = read_response(params, ResponseType::result);
    return out;
}

void read_leg(
    Params& params,
    const LegNames& names,
    const Market& market,
    tenon_order_request& order
) {
    order.type = read_type(params.mandatory(names.type));
    if (order.type == TENON_ORDER_LIMIT || order.type == TENON_ORDER_MARKET) {
        throw errors::invalid(names.type);
    }
    refuse(
        params,
        {names.strategy_id, names.strategy_type, names.peg_price, names.peg_value, names.peg_offset}
    );
    read_amounts(params, names.order, market, order);
    if (const auto id = params.client_id(names.client_id)) {
        order.client_id = make_client_id(*id);
    }
}

[[nodiscard]] bool is_stop_loss(const tenon_order_request& order) noexcept {
    return order.type == TENON_ORDER_STOP_LOSS || order.type == TENON_ORDER_STOP_LOSS_LIMIT;
}

}  // namespace

NewList read_oco(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account) {
    NewList out = read_common(params, instruments, account);
    tenon_order_request& above = out.orders[0];
    tenon_order_request& below = out.orders[1];
    read_leg(params, k_above, out.market, above);
    read_leg(params, k_below, out.market, below);
    // A sell's stop lies below the market, a buy's above.
    const bool sell = above.side == TENON_SIDE_SELL;
    if (is_stop_loss(above) == sell || is_stop_loss(below) != sell) {
        throw reject_error(TENON_REJECT_INVALID, CommandKind::new_order);
    }
    if (sell) {
        std::swap(above, below);
    }
    return out;
}

NewList
read_old_oco(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account) {
    NewList out = read_common(params, instruments, account);
    tenon_order_request& stop = out.orders[0];
    tenon_order_request& limit = out.orders[1];
    refuse(params, {"limitStrategyId", "limitStrategyType", "stopStrategyId", "stopStrategyType"});
    limit.type = TENON_ORDER_LIMIT_MAKER;
    read_amounts(params, {"", "price", "", "limitIcebergQty", "", ""}, out.market, limit);
    stop.type = params.peek("stopLimitPrice") ? TENON_ORDER_STOP_LOSS_LIMIT : TENON_ORDER_STOP_LOSS;
    const OrderNames stop_names{
        "stopLimitTimeInForce",
        "stopLimitPrice",
        "stopPrice",
        "stopIcebergQty",
        "trailingDelta",
        ""};
    read_amounts(params, stop_names, out.market, stop);
    if (const auto id = params.client_id("limitClientOrderId")) {
        limit.client_id = make_client_id(*id);
    }
    if (const auto id = params.client_id("stopClientOrderId")) {
        stop.client_id = make_client_id(*id);
    }
    return out;
}

}  // namespace tenon::binance
