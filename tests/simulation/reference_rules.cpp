// SPDX-License-Identifier: Apache-2.0
// Whether an order is taken: its shape, filters, limits, risk, money.
#include "tests/simulation/reference_model.hpp"

#include <algorithm>

namespace tenon::test {
namespace {

constexpr Int128 k_int64_max = INT64_MAX;

[[nodiscard]] Int128 ten_to(int n) {
    Int128 power = 1;
    while (n-- > 0) {
        power *= 10;
    }
    return power;
}

[[nodiscard]] bool
breaks(std::int64_t value, std::int64_t least, std::int64_t most, std::int64_t step) {
    return (least != 0 && value < least) || (most != 0 && value > most) ||
           (step != 0 && value % step != 0);
}

}  // namespace

Int128 ReferenceModel::base_units(std::uint32_t instrument, Int128 quantity) const {
    const tenon_instrument& rules = instruments_[instrument];
    return quantity * ten_to(scales_[rules.base] - rules.quantity_scale);
}

// Saturates: beyond 64 bits it only matters that it is.
Int128 ReferenceModel::quote_units(std::uint32_t instrument, Int128 price, Int128 quantity) const {
    const tenon_instrument& rules = instruments_[instrument];
    const Int128 product = price * quantity;
    return product > k_int64_max
               ? k_int64_max + 1
               : product * ten_to(scales_[rules.quote] - rules.price_scale - rules.quantity_scale);
}

std::uint32_t ReferenceModel::judge_shape(const tenon_order_request& order) const {
    const bool numbers = order.price >= 0 && order.quantity >= 0 && order.quote_quantity >= 0;
    if (order.type < 1 || order.type > 7 || order.side > 1 || order.time_in_force > 3 || !numbers) {
        return TENON_REJECT_INVALID;
    }
    const bool conditional = order.type >= 4;
    if (order.stop_price < 0 || order.stp_mode > 5 ||
        conditional != (order.stop_price != 0 || order.trailing_delta != 0)) {
        return TENON_REJECT_INVALID;
    }
    if (order.expires_real_ns != 0 && (order.expires_real_ns < 0 || at_market(order.type) ||
                                       order.time_in_force > TENON_TIF_GTC)) {
        return TENON_REJECT_INVALID;
    }
    if (order.display_quantity != 0) {
        const bool stays =
            order.type == TENON_ORDER_LIMIT_MAKER || order.time_in_force == TENON_TIF_GTC;
        if (order.display_quantity < 0 || at_market(order.type) || !stays) {
            return TENON_REJECT_INVALID;
        }
    }
    bool good = false;
    if (conditional && at_market(order.type)) {
        good = order.price == 0 && order.quantity > 0 && order.quote_quantity == 0 &&
               order.time_in_force <= TENON_TIF_GTC;
    } else if (order.type == TENON_ORDER_MARKET) {
        const int given = (order.quantity > 0 ? 1 : 0) + (order.quote_quantity > 0 ? 1 : 0);
        good = order.price == 0 && given == 1 && order.time_in_force <= TENON_TIF_GTC;
    } else {
        good = order.price > 0 && order.quantity > 0 && order.quote_quantity == 0;
        good = good && (order.type == TENON_ORDER_LIMIT_MAKER ? order.time_in_force <= TENON_TIF_GTC
                                                              : order.time_in_force != 0);
    }
    if (good && order.expires_real_ns != 0 && order.expires_real_ns <= now_ns_) {
        return TENON_REJECT_TIME_OVER;
    }
    if (order.client_id.length > TENON_CLIENT_ID_MAX) {
        return TENON_REJECT_INVALID;
    }
    for (const char c : text_of(order.client_id)) {
        good = good && c > ' ' && c < 0x7f;
    }
    return good ? TENON_REJECT_NONE : TENON_REJECT_INVALID;
}

std::uint32_t ReferenceModel::judge_filters(const tenon_order_request& order, std::int64_t last)
    const {
    const tenon_instrument& rules = instruments_[order.instrument];
    const bool market = at_market(order.type);
    const std::int64_t reference = market && order.stop_price != 0 ? order.stop_price : last;
    if (order.trailing_delta != 0 && (order.trailing_delta < 10 || order.trailing_delta > 2000)) {
        return TENON_REJECT_TRAILING_DELTA;
    }
    if (order.stop_price != 0 &&
        breaks(order.stop_price, rules.price_min, rules.price_max, rules.price_tick)) {
        return TENON_REJECT_PRICE_FILTER;
    }
    if (!market) {
        if (breaks(order.price, rules.price_min, rules.price_max, rules.price_tick)) {
            return TENON_REJECT_PRICE_FILTER;
        }
        const Int128 up = order.side == TENON_SIDE_BUY ? rules.bid_multiplier_up_ppm
                                                       : rules.ask_multiplier_up_ppm;
        const Int128 down = order.side == TENON_SIDE_BUY ? rules.bid_multiplier_down_ppm
                                                         : rules.ask_multiplier_down_ppm;
        const Int128 price = Int128{order.price} * 1'000'000;
        if (reference != 0 &&
            ((up != 0 && price > up * reference) || (down != 0 && price < down * reference))) {
            return TENON_REJECT_PERCENT_PRICE;
        }
    }
    if (order.quantity != 0 &&
        breaks(order.quantity, rules.quantity_min, rules.quantity_max, rules.quantity_step)) {
        return TENON_REJECT_LOT_SIZE;
    }
    if (order.display_quantity != 0) {
        const std::int64_t display = order.display_quantity;
        if (breaks(display, rules.quantity_min, rules.quantity_max, rules.quantity_step)) {
            return TENON_REJECT_LOT_SIZE;
        }
        if (display > order.quantity || Int128{display} * 100 < order.quantity) {
            return TENON_REJECT_ICEBERG_PARTS;
        }
    }
    if (market && order.quantity != 0 &&
        breaks(
            order.quantity,
            rules.market_quantity_min,
            rules.market_quantity_max,
            rules.market_quantity_step
        )) {
        return TENON_REJECT_MARKET_LOT_SIZE;
    }
    if (base_units(order.instrument, order.quantity) > k_int64_max) {
        return TENON_REJECT_OVERFLOW;
    }
    Int128 notional = order.quote_quantity;
    if (order.quote_quantity == 0) {
        const std::int64_t price = market ? reference : order.price;
        if (price == 0) {
            return TENON_REJECT_NONE;
        }
        notional = quote_units(order.instrument, price, order.quantity);
    }
    if (notional > k_int64_max) {
        return TENON_REJECT_OVERFLOW;
    }
    const bool least = rules.notional_min != 0 && (!market || rules.notional_min_to_market != 0);
    const bool most = rules.notional_max != 0 && (!market || rules.notional_max_to_market != 0);
    const bool bad =
        (least && notional < rules.notional_min) || (most && notional > rules.notional_max);
    return bad ? TENON_REJECT_NOTIONAL : TENON_REJECT_NONE;
}

std::uint32_t ReferenceModel::judge_limits(
    const tenon_order_request& order,
    std::size_t ahead,
    std::size_t conditional_ahead
) const {
    const tenon_instrument& rules = instruments_[order.instrument];
    const std::int64_t last = last_price(order.instrument);
    if (order.stop_price != 0 && last != 0 &&
        comes_true(order.type, order.side, order.stop_price, last)) {
        return TENON_REJECT_WOULD_TRIGGER;
    }
    std::size_t open = ahead;
    std::size_t conditional = conditional_ahead;
    Int128 buying = 0;
    for (const auto& [id, other] : open_) {
        if (other.account == order.account && other.instrument == order.instrument) {
            ++open;
            conditional += other.type >= 4 ? 1U : 0U;
            if (other.side == TENON_SIDE_BUY && other.quote_quantity == 0) {
                buying += other.left();
            }
        }
    }
    if (rules.orders_max != 0 && order.type != TENON_ORDER_MARKET && open >= rules.orders_max) {
        return TENON_REJECT_MAX_ORDERS;
    }
    if (rules.algo_orders_max != 0 && order.type >= 4 && conditional >= rules.algo_orders_max) {
        return TENON_REJECT_MAX_ALGO_ORDERS;
    }
    if (rules.position_max != 0 && order.side == TENON_SIDE_BUY) {
        const ModelBalance base = balance(order.account, rules.base);
        const Int128 position =
            Int128{base.free} + base.locked + base_units(order.instrument, buying + order.quantity);
        if (position > base_units(order.instrument, rules.position_max)) {
            return TENON_REJECT_MAX_POSITION;
        }
    }
    if (order.client_id.length != 0 && client_id_taken(order.account, text_of(order.client_id))) {
        return TENON_REJECT_DUPLICATE_ID;
    }
    return open_.size() + ahead >= bounds_.open_orders ? TENON_REJECT_CAPACITY : TENON_REJECT_NONE;
}

std::uint32_t ReferenceModel::judge_funds(const tenon_order_request& order, std::int64_t& locked)
    const {
    const tenon_instrument& rules = instruments_[order.instrument];
    const bool buy = order.side == TENON_SIDE_BUY;
    const bool market = order.type == TENON_ORDER_MARKET;
    const std::int64_t free = balance(order.account, buy ? rules.quote : rules.base).free;
    const std::int64_t reference = last_price(order.instrument);
    Int128 needed = 0;
    bool everything = false;
    if (buy && !market) {
        std::int64_t price = order.price != 0 ? order.price : order.stop_price;
        price = price == 0 ? reference : price;
        if (price == 0) {
            return TENON_REJECT_NO_LIQUIDITY;
        }
        needed = quote_units(order.instrument, price, order.quantity);
    } else if (!buy && order.quantity != 0) {
        needed = base_units(order.instrument, order.quantity);
    } else if (buy && order.quote_quantity != 0) {
        needed = order.quote_quantity;
    } else {
        everything = true;
        needed = 1;
        if (reference != 0) {
            const Int128 price_of_one = quote_units(order.instrument, reference, 1);
            const Int128 by_reference =
                buy ? quote_units(order.instrument, reference, order.quantity)
                    : base_units(order.instrument, order.quote_quantity / price_of_one);
            needed = std::max(needed, by_reference);
        }
    }
    if (free < needed) {
        return TENON_REJECT_BALANCE;
    }
    locked = everything ? free : static_cast<std::int64_t>(needed);
    return TENON_REJECT_NONE;
}

bool ReferenceModel::client_id_taken(std::uint64_t account, const std::string& id) const {
    for (const auto& [order_id, order] : open_) {
        if (order.account == account && order.client_id == id) {
            return true;
        }
    }
    return std::find(closed_ids_.begin(), closed_ids_.end(), std::pair{account, id}) !=
           closed_ids_.end();
}

std::uint32_t ReferenceModel::judge(
    const tenon_order_request& request,
    std::size_t ahead,
    std::size_t conditional_ahead,
    std::int64_t& locked
) const {
    if (request.account < TENON_ACCOUNT_FIRST || !accounts_.contains(request.account)) {
        return TENON_REJECT_UNKNOWN_ACCOUNT;
    }
    if (disabled_.contains(request.account)) {
        return TENON_REJECT_ACCOUNT_DISABLED;
    }
    if (disabled_.contains(0)) {
        return TENON_REJECT_MARKET_CLOSED;
    }
    if (request.instrument >= instruments_.size()) {
        return TENON_REJECT_UNKNOWN_INSTRUMENT;
    }
    if (status_.at(request.instrument) != TENON_INSTRUMENT_TRADING) {
        return TENON_REJECT_MARKET_CLOSED;
    }
    std::uint32_t reject = judge_shape(request);
    reject = reject == TENON_REJECT_NONE ? judge_filters(request, last_price(request.instrument))
                                         : reject;
    reject = reject == TENON_REJECT_NONE ? judge_limits(request, ahead, conditional_ahead) : reject;
    reject = reject == TENON_REJECT_NONE ? judge_risk(request, ahead) : reject;
    return reject == TENON_REJECT_NONE ? judge_funds(request, locked) : reject;
}

// A rate of N orders within T: each keeps its account busy for T / N, and nobody may be busy for
// more than N of that.
std::uint32_t ReferenceModel::judge_risk(const tenon_order_request& order, std::size_t ahead)
    const {
    const tenon_instrument& rules = instruments_[order.instrument];
    const std::int64_t reference = last_price(order.instrument);
    const Int128 price = order.price != 0        ? order.price
                         : order.stop_price != 0 ? order.stop_price
                                                 : reference;
    const bool by_quote = order.quote_quantity != 0;
    const bool unknown = price == 0;  // what it will cost, or how much it will buy
    const std::pair<std::uint64_t, std::uint32_t> scopes[] = {
        {0, TENON_ANY_INSTRUMENT},
        {0, order.instrument},
        {order.account, TENON_ANY_INSTRUMENT},
        {order.account, order.instrument}};
    for (const auto& scope : scopes) {
        const auto found = risk_.find(scope);
        if (found == risk_.end()) {
            continue;
        }
        const auto& [band, notional, position, exposure, open, rate, rate_ms] =
            found->second.limits;
        const Int128 middle = order.stop_price != 0 ? order.stop_price : reference;
        if (band != 0 && order.price != 0 && middle != 0 &&
            (Int128{order.price} * 1'000'000 > middle * (1'000'000 + Int128{band}) ||
             Int128{order.price} * 1'000'000 < middle * (1'000'000 - Int128{band}))) {
            return TENON_REJECT_RISK_PRICE_BAND;
        }
        const Int128 worth = by_quote ? Int128{order.quote_quantity}
                                      : quote_units(order.instrument, price, order.quantity);
        if (notional != 0 && ((unknown && !by_quote) || worth > notional)) {
            return TENON_REJECT_RISK_NOTIONAL;
        }
        if (order.side == TENON_SIDE_BUY) {
            const ModelBalance base = balance(order.account, rules.base);
            const Int128 one = base_units(order.instrument, 1);
            Int128 will_have = (Int128{base.free} + base.locked + one - 1) / one;
            for (const auto& [id, other] : open_) {
                if (other.account == order.account && other.instrument == order.instrument &&
                    other.side == TENON_SIDE_BUY && other.quote_quantity == 0) {
                    will_have += other.left();
                }
            }
            const bool no_quantity = by_quote && unknown;
            if (!no_quantity) {
                const Int128 cost = quote_units(order.instrument, price, 1);
                will_have +=
                    by_quote ? (order.quote_quantity + cost - 1) / cost : Int128{order.quantity};
            }
            if (position != 0 && (no_quantity || will_have > position)) {
                return TENON_REJECT_RISK_POSITION;
            }
            const Int128 valued_at = reference != 0 ? reference : order.price;
            if (exposure != 0 &&
                (no_quantity || valued_at == 0 ||
                 will_have * valued_at * quote_units(order.instrument, 1, 1) > exposure)) {
                return TENON_REJECT_RISK_EXPOSURE;
            }
        }
        std::int64_t others = static_cast<std::int64_t>(ahead);
        for (const auto& [id, other] : open_) {
            others += other.account == order.account && (scope.second == TENON_ANY_INSTRUMENT ||
                                                         other.instrument == order.instrument)
                          ? 1
                          : 0;
        }
        if (open != 0 && order.type != TENON_ORDER_MARKET && others >= open) {
            return TENON_REJECT_RISK_OPEN_ORDERS;
        }
        if (rate != 0) {
            const std::int64_t each = rate_ms * 1'000'000 / rate;
            const auto busy = found->second.busy_until_ns.find(order.account);
            const std::int64_t until =
                busy == found->second.busy_until_ns.end() ? now_ns_ : busy->second;
            if (std::max(until, now_ns_) + each * static_cast<std::int64_t>(ahead + 1) >
                now_ns_ + each * rate) {
                return TENON_REJECT_RISK_ORDER_RATE;
            }
        }
    }
    return TENON_REJECT_NONE;
}

void ReferenceModel::took(const ModelOrder& order) {
    for (auto& [scope, risk] : risk_) {
        const std::int64_t rate = risk.limits[5];
        const bool fits =
            (scope.first == 0 || scope.first == order.account) &&
            (scope.second == TENON_ANY_INSTRUMENT || scope.second == order.instrument);
        if (rate != 0 && fits) {
            std::int64_t& until = risk.busy_until_ns[order.account];
            until = std::max(until, now_ns_) + risk.limits[6] * 1'000'000 / rate;
        }
    }
}

void ReferenceModel::on(const trading::RiskLimitsCommand& command) {
    if (command.account != 0 &&
        (command.account < TENON_ACCOUNT_FIRST || !accounts_.contains(command.account))) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    const bool any = command.instrument == TENON_ANY_INSTRUMENT;
    if (!any && command.instrument >= instruments_.size()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
        return;
    }
    const RiskKey key{command.account, command.instrument};
    const ModelRisk before = risk_.contains(key) ? risk_.at(key) : ModelRisk{};
    ModelRisk after = before;
    for (std::size_t i = 0; i < after.limits.size(); ++i) {
        if (command.limits[i] != -1) {
            after.limits[i] = command.limits[i];
        }
    }
    const auto& [band, notional, position, exposure, open, rate, rate_ms] = after.limits;
    const bool negative = band < 0 || notional < 0 || position < 0 || exposure < 0 || open < 0 ||
                          rate < 0 || rate_ms < 0;
    if (negative || (any && (notional != 0 || position != 0 || exposure != 0)) ||
        (rate == 0 && rate_ms != 0) || (rate != 0 && rate_ms == 0) || rate > 1'000'000 ||
        rate_ms > 86'400'000) {
        outcome_.reject = TENON_REJECT_INVALID;
        return;
    }
    if (rate != before.limits[5] || rate_ms != before.limits[6]) {
        after.busy_until_ns.clear();
    }
    risk_.erase(key);
    if (after.limits != trading::RiskLimits{}) {
        risk_[key] = after;
    }
}

}  // namespace tenon::test
