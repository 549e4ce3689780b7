// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/filters.hpp"

namespace tenon::trading {
namespace {

// A bound or step of 0 does not apply; a step of 1 always holds, which saves a division.
[[nodiscard]] bool
within(std::int64_t value, std::int64_t least, std::int64_t most, std::int64_t step) noexcept {
    return (least == 0 || value >= least) && (most == 0 || value <= most) &&
           (step <= 1 || value % step == 0);
}

[[nodiscard]] bool price_in_band(
    const tenon_instrument& rules,
    std::uint8_t side,
    std::int64_t price,
    std::int64_t reference_price
) noexcept {
    const bool buy = side == TENON_SIDE_BUY;
    const std::uint32_t up = buy ? rules.bid_multiplier_up_ppm : rules.ask_multiplier_up_ppm;
    const std::uint32_t down = buy ? rules.bid_multiplier_down_ppm : rules.ask_multiplier_down_ppm;
    const Int128 millionths = Int128{price} * 1'000'000;
    return (up == 0 || millionths <= Int128{reference_price} * up) &&
           (down == 0 || millionths >= Int128{reference_price} * down);
}

[[nodiscard]] std::uint32_t
check_notional(const tenon_instrument& rules, std::int64_t notional, bool market) noexcept {
    const bool least_applies = !market || rules.notional_min_to_market != 0;
    const bool most_applies = !market || rules.notional_max_to_market != 0;
    return within(
               notional,
               least_applies ? rules.notional_min : 0,
               most_applies ? rules.notional_max : 0,
               0
           )
               ? TENON_REJECT_NONE
               : TENON_REJECT_NOTIONAL;
}

[[nodiscard]] std::uint32_t check_market(
    const Instrument& instrument,
    const tenon_order_request& order,
    std::int64_t reference_price
) noexcept {
    const tenon_instrument& rules = instrument.rules;
    if (order.quantity == 0) {
        return check_notional(rules, order.quote_quantity, true);
    }
    if (!within(
            order.quantity,
            rules.market_quantity_min,
            rules.market_quantity_max,
            rules.market_quantity_step
        )) {
        return TENON_REJECT_MARKET_LOT_SIZE;
    }
    if (!base_amount(instrument, order.quantity)) {
        return TENON_REJECT_OVERFLOW;
    }
    if (reference_price == 0) {
        return TENON_REJECT_NONE;
    }
    const auto notional = quote_amount(instrument, reference_price, order.quantity);
    return notional ? check_notional(rules, *notional, true) : std::uint32_t{TENON_REJECT_OVERFLOW};
}

}  // namespace

std::uint32_t check_shape(const tenon_order_request& order) noexcept {
    if (order.side > TENON_SIDE_SELL || order.price < 0 || order.quantity < 0 ||
        order.quote_quantity < 0 || order.time_in_force > TENON_TIF_FOK || order.stop_price < 0 ||
        is_conditional(order.type) != (order.stop_price > 0 || order.trailing_delta > 0) ||
        (order.trailing_delta > 0 && !is_conditional(order.type)) ||
        order.stp_mode > TENON_STP_TRANSFER) {
        return TENON_REJECT_INVALID;
    }
    const std::uint8_t working = working_type(order.type);
    if (order.expires_real_ns != 0 && (order.expires_real_ns < 0 || working == TENON_ORDER_MARKET ||
                                       order.time_in_force > TENON_TIF_GTC)) {
        return TENON_REJECT_INVALID;
    }
    if (order.display_quantity != 0 &&
        (order.display_quantity < 0 ||
         (working == TENON_ORDER_LIMIT && order.time_in_force != TENON_TIF_GTC) ||
         working == TENON_ORDER_MARKET)) {
        return TENON_REJECT_INVALID;
    }
    const bool limit_fields = order.price > 0 && order.quantity > 0 && order.quote_quantity == 0;
    const bool good_till_canceled =
        order.time_in_force == 0 || order.time_in_force == TENON_TIF_GTC;
    bool good = false;
    switch (order.type) {
        case TENON_ORDER_LIMIT:
        case TENON_ORDER_STOP_LOSS_LIMIT:
        case TENON_ORDER_TAKE_PROFIT_LIMIT:
            good = limit_fields && order.time_in_force != 0;
            break;
        case TENON_ORDER_LIMIT_MAKER:
            good = limit_fields && good_till_canceled;
            break;
        case TENON_ORDER_MARKET:
            good = order.price == 0 && good_till_canceled &&
                   (order.quantity > 0) != (order.quote_quantity > 0);
            break;
        case TENON_ORDER_STOP_LOSS:
        case TENON_ORDER_TAKE_PROFIT:
            good = order.price == 0 && good_till_canceled && order.quantity > 0 &&
                   order.quote_quantity == 0;
            break;
        default:
            break;
    }
    return good ? TENON_REJECT_NONE : TENON_REJECT_INVALID;
}

std::uint32_t check_filters(
    const Instrument& instrument,
    const tenon_order_request& order,
    std::int64_t reference_price
) noexcept {
    const tenon_instrument& rules = instrument.rules;
    const bool market = working_type(order.type) == TENON_ORDER_MARKET;
    if (order.trailing_delta != 0 && (order.trailing_delta < k_trailing_delta_min ||
                                      order.trailing_delta > k_trailing_delta_max)) {
        return TENON_REJECT_TRAILING_DELTA;
    }
    if (order.stop_price != 0) {
        if (!within(order.stop_price, rules.price_min, rules.price_max, rules.price_tick)) {
            return TENON_REJECT_PRICE_FILTER;
        }
        if (market) {
            reference_price = order.stop_price;
        }
    }
    if (!market && !within(order.price, rules.price_min, rules.price_max, rules.price_tick)) {
        return TENON_REJECT_PRICE_FILTER;
    }
    if (!market && reference_price != 0 &&
        !price_in_band(rules, order.side, order.price, reference_price)) {
        return TENON_REJECT_PERCENT_PRICE;
    }
    if (order.quantity != 0 &&
        !within(order.quantity, rules.quantity_min, rules.quantity_max, rules.quantity_step)) {
        return TENON_REJECT_LOT_SIZE;
    }
    if (order.display_quantity != 0) {
        if (!within(
                order.display_quantity, rules.quantity_min, rules.quantity_max, rules.quantity_step
            )) {
            return TENON_REJECT_LOT_SIZE;
        }
        if (order.display_quantity > order.quantity ||
            (order.quantity - 1) / order.display_quantity >= k_iceberg_parts_max) {
            return TENON_REJECT_ICEBERG_PARTS;
        }
    }
    if (market) {
        return check_market(instrument, order, reference_price);
    }
    const auto notional = quote_amount(instrument, order.price, order.quantity);
    if (!notional || !base_amount(instrument, order.quantity)) {
        return TENON_REJECT_OVERFLOW;
    }
    return check_notional(rules, *notional, false);
}

}  // namespace tenon::trading
