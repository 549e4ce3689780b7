// SPDX-License-Identifier: Apache-2.0
// Pre-trade risk: the limits of risk_table.hpp, set by command and checked for each order.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/core/filters.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <optional>

namespace tenon::trading {
namespace {

constexpr Int128 k_ppm = 1'000'000;

// What an order may come to. What cannot be said yet, for want of a price, is empty: a limit on it
// then refuses.
struct Size {
    std::optional<Int128> notional;  // units of the quote asset
    std::optional<Int128> bought;    // quantity; a sell buys 0
};

[[nodiscard]] Int128 divided_up(Int128 value, Int128 by) noexcept {
    return (value + by - 1) / by;
}

[[nodiscard]] Size size_of(
    const Instrument& instrument,
    const tenon_order_request& order,
    std::int64_t reference
) noexcept {
    const std::int64_t waits_for = order.stop_price != 0 ? order.stop_price : reference;
    const std::int64_t price = order.price != 0 ? order.price : waits_for;
    const bool buys = order.side == TENON_SIDE_BUY;
    Size size;
    if (order.quote_quantity != 0) {
        size.notional = order.quote_quantity;
        if (price != 0) {
            size.bought = divided_up(order.quote_quantity, Int128{price} * instrument.quote_unit);
        }
    } else {
        if (price != 0) {
            size.notional = Int128{price} * order.quantity * instrument.quote_unit;
        }
        size.bought = order.quantity;
    }
    if (!buys) {
        size.bought = 0;
    }
    return size;
}

// A conditional order's price is judged by the price that it waits for.
[[nodiscard]] bool
in_band(const tenon_order_request& order, std::int64_t reference, std::int64_t band_ppm) noexcept {
    const std::int64_t middle = order.stop_price != 0 ? order.stop_price : reference;
    if (order.price == 0 || middle == 0) {
        return true;
    }
    const Int128 away =
        order.price > middle ? Int128{order.price} - middle : Int128{middle} - order.price;
    return away * k_ppm <= Int128{middle} * band_ppm;
}

[[nodiscard]] bool is_above(const std::optional<Int128>& value, std::int64_t most) noexcept {
    return !value || *value > most;
}

}  // namespace

std::uint32_t Core::check_risk_row(
    const RiskRow& row,
    const tenon_order_request& order,
    std::int64_t reference,
    Ahead ahead
) const {
    const Instrument& instrument = table_[order.instrument];
    const auto limit = [&](RiskLimit which) { return limit_of(row.limits, which); };
    const std::int64_t band = limit(RiskLimit::price_band_ppm);
    if (band != 0 && !in_band(order, reference, band)) {
        return TENON_REJECT_RISK_PRICE_BAND;
    }
    const Size size = size_of(instrument, order, reference);
    const std::int64_t notional = limit(RiskLimit::order_notional);
    if (notional != 0 && is_above(size.notional, notional)) {
        return TENON_REJECT_RISK_NOTIONAL;
    }
    const Exposure& exposure = orders_.exposure(order.account, order.instrument);
    if (order.side == TENON_SIDE_BUY) {
        const Balance& base = ledger_.at(order.account, instrument.rules.base);
        const Int128 held = divided_up(Int128{base.free} + base.locked, instrument.base_unit);
        std::optional<Int128> position;
        std::optional<Int128> value;
        const std::int64_t price = reference != 0 ? reference : order.price;
        if (size.bought) {
            position = held + exposure.open_buy_quantity + *size.bought;
            if (price != 0) {
                value = *position * price;
            }
        }
        const std::int64_t position_max = limit(RiskLimit::position);
        if (position_max != 0 && is_above(position, position_max)) {
            return TENON_REJECT_RISK_POSITION;
        }
        const std::int64_t value_max = limit(RiskLimit::exposure);
        if (value_max != 0 && is_above(value, value_max / instrument.quote_unit)) {
            return TENON_REJECT_RISK_EXPOSURE;
        }
    }
    const std::int64_t orders_max = limit(RiskLimit::open_orders);
    const std::uint32_t open = row.instrument == TENON_ANY_INSTRUMENT
                                   ? orders_.open_orders_of(order.account)
                                   : exposure.open_orders;
    if (orders_max != 0 && order.type != TENON_ORDER_MARKET &&
        std::int64_t{open} + ahead.orders >= orders_max) {
        return TENON_REJECT_RISK_OPEN_ORDERS;
    }
    return has_tokens(row, order.account, time_real_ns_, std::int64_t{ahead.orders} + 1)
               ? std::uint32_t{TENON_REJECT_NONE}
               : std::uint32_t{TENON_REJECT_RISK_ORDER_RATE};
}

std::uint32_t
Core::check_risk(const tenon_order_request& order, std::int64_t reference, Ahead ahead) const {
    if (risk_.empty()) {
        return TENON_REJECT_NONE;
    }
    for (const RiskRow* row : risk_.binding(order.account, order.instrument)) {
        if (row == nullptr) {
            continue;
        }
        if (const std::uint32_t reject = check_risk_row(*row, order, reference, ahead);
            reject != TENON_REJECT_NONE) {
            return reject;
        }
    }
    return TENON_REJECT_NONE;
}

std::uint32_t Core::set_risk(const RiskLimitsCommand& command) {
    if (command.account != 0 &&
        (command.account < TENON_ACCOUNT_FIRST || find_account(command.account) == nullptr)) {
        return TENON_REJECT_UNKNOWN_ACCOUNT;
    }
    if (command.instrument != TENON_ANY_INSTRUMENT && table_.find(command.instrument) == nullptr) {
        return TENON_REJECT_UNKNOWN_INSTRUMENT;
    }
    const RiskRow* const row = risk_.find(command.account, command.instrument);
    RiskLimits limits = row == nullptr ? RiskLimits{} : row->limits;
    for (std::size_t i = 0; i < limits.size(); ++i) {
        limits[i] = command.limits[i] == k_keep_limit ? limits[i] : command.limits[i];
    }
    if (!good_limits(command.instrument, limits)) {
        return TENON_REJECT_INVALID;
    }
    return risk_.set(command.account, command.instrument, limits)
               ? std::uint32_t{TENON_REJECT_NONE}
               : std::uint32_t{TENON_REJECT_CAPACITY};
}

void Core::run(const RiskLimitsCommand& command) {
    if (const std::uint32_t reject = set_risk(command); reject != TENON_REJECT_NONE) {
        refuse(reject);
    }
}

}  // namespace tenon::trading
