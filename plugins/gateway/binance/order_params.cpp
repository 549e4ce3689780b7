// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/order_params.hpp"

#include <tenon/abi/venue.h>
#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <array>

namespace tenon::binance {
namespace {

constexpr OrderNames k_order_names{
    "timeInForce",
    "price",
    "stopPrice",
    "icebergQty",
    "trailingDelta",
    "goodTillDate"};

// GTD, which Binance has for futures, is a GTC order with a date.
[[nodiscard]] std::uint8_t read_time_in_force(std::string_view text) {
    if (text == "GTC") {
        return TENON_TIF_GTC;
    }
    if (text == "IOC") {
        return TENON_TIF_IOC;
    }
    if (text == "FOK") {
        return TENON_TIF_FOK;
    }
    throw ApiError{-1115, "Invalid timeInForce."};
}

// Parameters of order types that this server does not have.
void refuse_unsupported(Params& params) {
    for (const std::string_view name :
         {"strategyId", "strategyType", "pegPriceType", "pegOffsetValue", "pegOffsetType"}) {
        if (params.peek(name)) {
            throw errors::unsupported("Parameter '" + std::string{name} + "'");
        }
    }
}

// From k_precision decimals to the instrument's; digits beyond those break the step's filter.
[[nodiscard]] std::int64_t
to_scale(std::int64_t value, int scale, std::string_view zero, std::string_view filter) {
    if (value == 0) {
        throw ApiError{-1013, std::string{zero}};
    }
    const auto scaled = rescale(value, k_precision, scale);
    if (!scaled) {
        throw errors::filter(filter);
    }
    return *scaled;
}

// For conditional types, and refused for others.
void read_stop_price(
    const Market& market,
    tenon_order_request& request,
    std::string_view name,
    const std::optional<std::int64_t>& stop_price
) {
    if (!is_conditional(request.type)) {
        if (stop_price) {
            throw errors::not_required(name);
        }
        return;
    }
    if (!stop_price) {
        if (request.trailing_delta == 0) {
            throw errors::mandatory(name);
        }
        return;
    }
    request.stop_price = to_scale(
        *stop_price, market.instrument->price_scale, "Invalid stop price.", "PRICE_FILTER"
    );
}

void read_trailing_delta(
    tenon_order_request& request,
    std::string_view name,
    const std::optional<std::int64_t>& delta
) {
    if (!delta) {
        return;
    }
    if (!is_conditional(request.type)) {
        throw errors::not_required(name);
    }
    if (*delta < k_trailing_delta_min || *delta > k_trailing_delta_max) {
        throw errors::filter("TRAILING_DELTA");
    }
    request.trailing_delta = static_cast<std::uint32_t>(*delta);
}

void read_iceberg(
    const Market& market,
    tenon_order_request& request,
    std::string_view name,
    const std::optional<std::int64_t>& quantity
) {
    if (!quantity) {
        return;
    }
    if (working_type(request.type) == TENON_ORDER_MARKET) {
        throw errors::not_required(name);
    }
    if (request.time_in_force != TENON_TIF_GTC) {
        throw reject_error(TENON_REJECT_INVALID, CommandKind::new_order);
    }
    request.display_quantity = to_scale(
        *quantity, market.instrument->quantity_scale, "Invalid iceberg quantity.", "LOT_SIZE"
    );
    if (request.display_quantity > request.quantity) {
        throw ApiError{-2010, "IcebergQty exceeds QTY."};
    }
}

void read_limit(
    const Market& market,
    tenon_order_request& request,
    const OrderNames& names,
    const std::optional<std::int64_t>& quantity,
    const std::optional<std::int64_t>& price
) {
    const tenon_instrument& i = *market.instrument;
    if (!quantity) {
        throw errors::mandatory("quantity");
    }
    if (!price) {
        throw errors::mandatory(names.price);
    }
    request.quantity = quantity_to_scale(market, *quantity);
    request.price = to_scale(*price, i.price_scale, "Invalid price.", "PRICE_FILTER");
}

void read_market(
    const Market& market,
    tenon_order_request& request,
    const std::optional<std::int64_t>& quantity,
    const std::optional<std::int64_t>& quote_quantity
) {
    if (quantity && quote_quantity) {
        throw errors::combination();
    }
    if (quantity) {
        request.quantity = quantity_to_scale(market, *quantity);
    } else if (quote_quantity) {
        if (*quote_quantity == 0) {
            throw ApiError{-1013, "Invalid quote order quantity."};
        }
        const auto scaled = rescale(*quote_quantity, k_precision, market.quote->scale);
        if (!scaled) {
            throw errors::precision("quoteOrderQty");
        }
        request.quote_quantity = *scaled;
    } else {
        throw errors::either("quantity", "quoteOrderQty");
    }
}

[[nodiscard]] bool in_range(std::int64_t value, std::int64_t min, std::int64_t max) noexcept {
    return (min == 0 || value >= min) && (max == 0 || value <= max);
}

[[nodiscard]] bool on_step(std::int64_t value, std::int64_t min, std::int64_t step) noexcept {
    return step == 0 || (value - min) % step == 0;
}

void check_price(const tenon_instrument& i, const tenon_order_request& order, std::int64_t last) {
    if (!in_range(order.price, i.price_min, i.price_max) ||
        !on_step(order.price, 0, i.price_tick)) {
        throw errors::filter("PRICE_FILTER");
    }
    if (last == 0) {
        return;
    }
    const bool buy = order.side == TENON_SIDE_BUY;
    const Int128 up = buy ? i.bid_multiplier_up_ppm : i.ask_multiplier_up_ppm;
    const Int128 down = buy ? i.bid_multiplier_down_ppm : i.ask_multiplier_down_ppm;
    const Int128 scaled = Int128{order.price} * 1'000'000;
    if ((up != 0 && scaled > last * up) || (down != 0 && scaled < last * down)) {
        throw errors::filter("PERCENT_PRICE_BY_SIDE");
    }
}

}  // namespace

std::uint8_t read_side(std::string_view text) {
    if (text == "BUY") {
        return TENON_SIDE_BUY;
    }
    if (text == "SELL") {
        return TENON_SIDE_SELL;
    }
    throw ApiError{-1117, "Invalid side."};
}

std::uint8_t read_type(std::string_view text) {
    for (std::uint8_t type = TENON_ORDER_LIMIT; type <= TENON_ORDER_TAKE_PROFIT_LIMIT; ++type) {
        if (text == order_type_name(type)) {
            return type;
        }
    }
    throw ApiError{-1116, "Invalid orderType."};
}

std::uint8_t read_prevention(Params& params) {
    const auto text = params.text("selfTradePreventionMode");
    for (std::uint8_t mode = TENON_STP_NONE; mode <= TENON_STP_TRANSFER; ++mode) {
        if (!text || *text == stp_mode_name(mode)) {
            return mode;
        }
    }
    throw errors::invalid("selfTradePreventionMode");
}

void require_taken(std::uint32_t venue_takes, const tenon_order_request& order) {
    const bool lessens = order.stp_mode >= TENON_STP_DECREMENT;
    if (order.stp_mode != TENON_STP_NONE &&
        ((venue_takes & TENON_VENUE_STP) == 0 ||
         (lessens && (venue_takes & TENON_VENUE_STP_EXPIRES) != 0))) {
        throw ApiError{
            -1013, "This symbol does not allow the specified self-trade prevention mode."};
    }
    if (order.display_quantity != 0 && (venue_takes & TENON_VENUE_ICEBERG) == 0) {
        throw ApiError{-2010, "Iceberg orders are not supported for this symbol."};
    }
    if (order.trailing_delta != 0 && (venue_takes & TENON_VENUE_TRAILING) == 0) {
        throw ApiError{-2010, "Trailing stop orders are not supported for this symbol."};
    }
}

ResponseType read_response(Params& params, ResponseType otherwise) {
    const auto text = params.text("newOrderRespType");
    if (!text) {
        return otherwise;
    }
    if (*text == "ACK") {
        return ResponseType::ack;
    }
    if (*text == "RESULT") {
        return ResponseType::result;
    }
    if (*text == "FULL") {
        return ResponseType::full;
    }
    throw errors::invalid("newOrderRespType");
}

void read_amounts(
    Params& params,
    const OrderNames& names,
    const Market& market,
    tenon_order_request& request
) {
    const std::uint8_t type = request.type;
    const auto time_in_force = params.text(names.time_in_force);
    const auto quantity = params.decimal("quantity");
    const auto quote_quantity = params.decimal("quoteOrderQty");
    const auto price = params.decimal(names.price);
    const auto stop_price = params.decimal(names.stop_price);
    const auto iceberg = params.decimal(names.iceberg);
    const auto trailing = params.integer(names.trailing);
    const auto date = names.good_till_date.empty() ? std::optional<std::int64_t>{}
                                                   : params.time_from(names.good_till_date);
    const bool till_date = time_in_force == "GTD" && !names.good_till_date.empty();
    if (till_date && !date) {
        throw errors::mandatory(names.good_till_date);
    }
    if (!till_date && date) {
        throw errors::not_required(names.good_till_date);
    }
    request.expires_real_ns = date.value_or(0);
    request.time_in_force = TENON_TIF_GTC;
    if (working_type(type) == TENON_ORDER_LIMIT) {
        if (!time_in_force) {
            throw errors::mandatory(names.time_in_force);
        }
        if (!till_date) {
            request.time_in_force = read_time_in_force(*time_in_force);
        }
    } else if (time_in_force) {
        throw errors::not_required(names.time_in_force);
    }
    const bool at_market = working_type(type) == TENON_ORDER_MARKET;
    if (at_market && price) {
        throw errors::not_required(names.price);
    }
    if (type != TENON_ORDER_MARKET && quote_quantity) {
        throw errors::not_required("quoteOrderQty");
    }
    if (!at_market) {
        read_limit(market, request, names, quantity, price);
    } else if (type == TENON_ORDER_MARKET || quantity) {
        read_market(market, request, quantity, quote_quantity);
    } else {
        throw errors::mandatory("quantity");
    }
    read_trailing_delta(request, names.trailing, trailing);
    read_stop_price(market, request, names.stop_price, stop_price);
    read_iceberg(market, request, names.iceberg, iceberg);
}

std::int64_t quantity_to_scale(const Market& market, std::int64_t quantity) {
    return to_scale(quantity, market.instrument->quantity_scale, "Invalid quantity.", "LOT_SIZE");
}

tenon_client_id make_client_id(std::string_view text) noexcept {
    tenon_client_id id{};
    id.length = static_cast<std::uint8_t>(std::min<std::size_t>(text.size(), TENON_CLIENT_ID_MAX));
    std::copy_n(text.begin(), id.length, id.text);
    return id;
}

NewOrder
read_new_order(Params& params, Service<tenon_instruments_1> instruments, std::uint64_t account) {
    NewOrder out;
    const auto symbol = params.symbol();
    if (!symbol) {
        throw errors::mandatory("symbol");
    }
    const std::string_view side = params.mandatory("side");
    const std::string_view type = params.mandatory("type");
    out.market = market_of(instruments, *symbol);
    out.request.size = sizeof out.request;
    out.request.instrument = out.market.id();
    out.request.account = account;
    out.request.side = read_side(side);
    out.request.type = read_type(type);
    refuse_unsupported(params);
    out.request.stp_mode = read_prevention(params);
    read_amounts(params, k_order_names, out.market, out.request);
    if (const auto id = params.client_id("newClientOrderId")) {
        out.request.client_id = make_client_id(*id);
    }
    const bool full =
        out.request.type == TENON_ORDER_LIMIT || out.request.type == TENON_ORDER_MARKET;
    out.response = read_response(params, full ? ResponseType::full : ResponseType::ack);
    return out;
}

CancelParams read_cancel(Params& params, const CancelNames& names) {
    CancelParams out;
    out.names = names;
    out.order_id = params.integer(names.order_id);
    out.client_id = params.client_id(names.client_id);
    out.new_client_id = params.client_id(names.new_client_id);
    if (const auto restriction = params.text("cancelRestrictions")) {
        if (*restriction == "ONLY_NEW") {
            out.restriction = TENON_CANCEL_ONLY_NEW;
        } else if (*restriction == "ONLY_PARTIALLY_FILLED") {
            out.restriction = TENON_CANCEL_ONLY_PARTIALLY_FILLED;
        } else {
            throw errors::invalid("cancelRestrictions");
        }
    }
    return out;
}

tenon_cancel_request
make_cancel(const CancelParams& which, const Market& market, std::uint64_t account) {
    if (!which.order_id && !which.client_id) {
        throw errors::either(which.names.client_id, which.names.order_id);
    }
    auto request = sized<tenon_cancel_request>();
    request.instrument = market.id();
    request.account = account;
    request.order_id = static_cast<std::uint64_t>(which.order_id.value_or(0));
    request.restriction = which.restriction;
    if (which.client_id) {
        request.client_id = make_client_id(*which.client_id);
    } else if (request.order_id == 0) {
        throw reject_error(TENON_REJECT_UNKNOWN_ORDER, CommandKind::cancel);
    }
    if (which.new_client_id) {
        request.cancel_client_id = make_client_id(*which.new_client_id);
    }
    return request;
}

void check_filters(
    const Market& market,
    const tenon_order_request& order,
    std::int64_t last_price
) {
    const tenon_instrument& i = *market.instrument;
    const bool is_market = working_type(order.type) == TENON_ORDER_MARKET;
    if (!is_market) {
        check_price(i, order, last_price);
    }
    if (order.stop_price != 0) {
        if (!in_range(order.stop_price, i.price_min, i.price_max) ||
            !on_step(order.stop_price, 0, i.price_tick)) {
            throw errors::filter("PRICE_FILTER");
        }
        if (last_price != 0 && is_triggered(order.side, order.type, order.stop_price, last_price)) {
            throw reject_error(TENON_REJECT_WOULD_TRIGGER, CommandKind::new_order);
        }
    }
    if (order.quantity != 0) {
        if (!in_range(order.quantity, i.quantity_min, i.quantity_max) ||
            !on_step(order.quantity, 0, i.quantity_step)) {
            throw errors::filter("LOT_SIZE");
        }
        if (is_market && (!in_range(order.quantity, i.market_quantity_min, i.market_quantity_max) ||
                          !on_step(order.quantity, 0, i.market_quantity_step))) {
            throw errors::filter("MARKET_LOT_SIZE");
        }
    }
    if (order.display_quantity != 0) {
        if (!in_range(order.display_quantity, i.quantity_min, i.quantity_max) ||
            !on_step(order.display_quantity, 0, i.quantity_step)) {
            throw errors::filter("LOT_SIZE");
        }
        if ((order.quantity - 1) / order.display_quantity >= k_iceberg_parts_max) {
            throw errors::filter("ICEBERG_PARTS");
        }
    }
    // A market order has no price of its own: it is held against the last trade's, or against that
    // for which it waits.
    const std::int64_t waited_for = order.stop_price != 0 ? order.stop_price : last_price;
    const std::int64_t price = is_market ? waited_for : order.price;
    Int128 notional = order.quote_quantity;
    if (order.quantity != 0) {
        notional = Int128{price} * order.quantity *
                   power_of_ten(market.quote->scale - i.price_scale - i.quantity_scale);
    }
    const bool known = order.quote_quantity != 0 || price != 0;
    const bool apply_min = !is_market || i.notional_min_to_market != 0;
    const bool apply_max = !is_market || i.notional_max_to_market != 0;
    if (known && ((apply_min && i.notional_min != 0 && notional < i.notional_min) ||
                  (apply_max && i.notional_max != 0 && notional > i.notional_max))) {
        throw errors::filter("NOTIONAL");
    }
}

}  // namespace tenon::binance
