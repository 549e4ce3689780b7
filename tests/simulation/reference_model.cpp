// SPDX-License-Identifier: Apache-2.0
// One file, long because the model is meant to be read from top to bottom against the rules.
#include "tests/simulation/reference_model.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>

namespace tenon::test {
namespace {

constexpr Int128 k_int64_max = INT64_MAX;
constexpr Int128 k_owing_max = Int128{1} << 61;

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

// At the market's price, at once or when the order is triggered.
[[nodiscard]] bool at_market(int type) {
    return type == TENON_ORDER_MARKET || type == TENON_ORDER_STOP_LOSS ||
           type == TENON_ORDER_TAKE_PROFIT;
}

// The table of Binance's "stop price" rules, a row an order type and side.
[[nodiscard]] bool comes_true(int type, int side, std::int64_t stop, std::int64_t price) {
    const bool loss = type == TENON_ORDER_STOP_LOSS || type == TENON_ORDER_STOP_LOSS_LIMIT;
    if (loss && side == TENON_SIDE_BUY) {
        return price >= stop;
    }
    if (loss) {
        return price <= stop;
    }
    return side == TENON_SIDE_BUY ? price <= stop : price >= stop;
}

[[nodiscard]] bool may_owe(std::uint64_t account) {
    return account == TENON_ACCOUNT_EXTERNAL || account == TENON_ACCOUNT_VENUES;
}

}  // namespace

ReferenceModel::ReferenceModel(
    std::vector<tenon_instrument> instruments,
    std::vector<int> asset_scales,
    const Bounds& bounds
)
    : instruments_{std::move(instruments)}, scales_{std::move(asset_scales)}, bounds_{bounds} {
    accounts_ = {{1, "external"}, {2, "fees"}, {3, "venues"}};
    for (const tenon_instrument& instrument : instruments_) {
        status_[instrument.id] = instrument.status;
    }
}

ModelOutcome ReferenceModel::apply(const trading::Command& command) {
    sequence_ = command.sequence;
    now_ns_ = command.time_real_ns;
    outcome_ = {};
    decided_.clear();
    std::visit([this](const auto& body) { on(body); }, command.body);
    if (outcome_.reject != TENON_REJECT_NONE) {
        outcome_.orders.clear();
        outcome_.trades.clear();
        outcome_.lists.clear();
        outcome_.prevented.clear();
    }
    return outcome_;
}

ModelBalance ReferenceModel::balance(std::uint64_t account, std::uint32_t asset) const {
    const auto found = balances_.find({account, asset});
    return found == balances_.end() ? ModelBalance{} : found->second;
}

std::string ReferenceModel::text_of(const tenon_client_id& id) const {
    return {id.text, id.length};
}

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

ModelOrder ReferenceModel::make(const tenon_order_request& request, std::uint64_t id) const {
    ModelOrder order;
    order.id = id;
    order.account = request.account;
    order.instrument = request.instrument;
    order.side = request.side;
    order.type = request.type;
    order.time_in_force = request.time_in_force == 0 ? TENON_TIF_GTC : request.time_in_force;
    order.status = TENON_STATUS_PENDING_NEW;
    order.price = request.price;
    order.quantity = request.quantity;
    order.quote_quantity = request.quote_quantity;
    order.created_ns = now_ns_;
    order.stop_price = request.stop_price;
    order.working_ns = request.type >= 4 ? 0 : now_ns_;
    order.stp_mode = static_cast<int>(request.stp_mode);
    order.expires_ns = request.expires_real_ns;
    order.display = request.display_quantity;
    order.trailing_delta = request.trailing_delta;
    order.best =
        request.trailing_delta != 0 && request.stop_price == 0 ? last_price(request.instrument) : 0;
    order.client_id = text_of(request.client_id);
    const std::string made = "tnn-" + std::to_string(order.id);
    for (int i = 0; order.client_id.empty() || (request.client_id.length == 0 &&
                                                client_id_taken(order.account, order.client_id));
         ++i) {
        order.client_id = i == 0 ? made : made + "-" + std::to_string(i);
    }
    return order;
}

bool ReferenceModel::would_match(const ModelOrder& order) const {
    const std::vector<std::uint64_t> others = opposite(order);
    return order.type == TENON_ORDER_LIMIT_MAKER && !others.empty() &&
           crosses(order, open_.at(others.front()));
}

void ReferenceModel::lock(const ModelOrder& order, std::int64_t amount) {
    const tenon_instrument& rules = instruments_[order.instrument];
    ModelBalance& paying =
        balances_[{order.account, order.side == TENON_SIDE_BUY ? rules.quote : rules.base}];
    paying.free -= amount;
    paying.locked += amount;
}

void ReferenceModel::on(const trading::SubmitCommand& command) {
    std::int64_t locked = 0;
    outcome_.reject = judge(command.order, 0, 0, locked);
    if (outcome_.reject != TENON_REJECT_NONE) {
        return;
    }
    ModelOrder order = make(command.order, next_order_);
    if (would_match(order)) {
        outcome_.reject = TENON_REJECT_WOULD_MATCH;
        return;
    }
    ++next_order_;
    took(order);
    order.locked = locked;
    lock(order, locked);
    ModelOrder& mine = open_[order.id] = order;
    change(mine, TENON_STATUS_NEW);
    outcome_.orders.push_back(mine);
    if (mine.type < 4) {
        execute(mine);
        end_others();
        work_off_triggers();
    }
}

std::uint32_t ReferenceModel::judge_pair(const trading::SubmitListCommand& command) const {
    const auto stop_loss = [](int type) {
        return type == TENON_ORDER_STOP_LOSS || type == TENON_ORDER_STOP_LOSS_LIMIT;
    };
    const tenon_order_request& a = (*command.orders)[0].order;
    const tenon_order_request& b = (*command.orders)[1].order;
    const tenon_order_request& stop = stop_loss(a.type) ? a : b;
    const tenon_order_request& target = stop_loss(a.type) ? b : a;
    const bool alike = a.account == b.account && a.instrument == b.instrument && a.side == b.side &&
                       a.quantity == b.quantity;
    const bool types = stop_loss(stop.type) && (target.type == TENON_ORDER_LIMIT_MAKER ||
                                                target.type == TENON_ORDER_TAKE_PROFIT ||
                                                target.type == TENON_ORDER_TAKE_PROFIT_LIMIT);
    const auto priceless = [](const tenon_order_request& order) {
        return order.side == TENON_SIDE_BUY && order.price == 0 && order.stop_price == 0;
    };
    if (!alike || !types || command.contingency != TENON_CONTINGENCY_OCO || priceless(a) ||
        priceless(b)) {
        return TENON_REJECT_INVALID;
    }
    if (a.instrument >= instruments_.size()) {
        return TENON_REJECT_NONE;  // said later, of the order
    }
    const std::int64_t aim = target.type >= 4 ? target.stop_price : target.price;
    const std::int64_t last = last_price(a.instrument);
    // Of the prices that are known each lies above the one before.
    const auto in_order = [&](std::int64_t low, std::int64_t high) {
        std::int64_t before = 0;
        for (const std::int64_t price : {low, last, high}) {
            if (price != 0 && price <= before) {
                return false;
            }
            before = price != 0 ? price : before;
        }
        return true;
    };
    const bool good =
        a.side == TENON_SIDE_SELL ? in_order(stop.stop_price, aim) : in_order(aim, stop.stop_price);
    return good ? TENON_REJECT_NONE : TENON_REJECT_LIST_PRICES;
}

void ReferenceModel::on(const trading::SubmitListCommand& command) {
    std::uint32_t& reject = outcome_.reject;
    reject = judge_pair(command);
    std::int64_t most = 0;
    std::size_t conditional = 0;
    std::vector<ModelOrder> orders;
    for (const trading::SubmitCommand& one : *command.orders) {
        std::int64_t locked = 0;
        if (reject == TENON_REJECT_NONE) {
            reject = judge(one.order, orders.size(), conditional, locked);
        }
        if (reject != TENON_REJECT_NONE) {
            return;
        }
        most = std::max(most, locked);
        conditional += one.order.type >= 4 ? 1U : 0U;
        orders.push_back(make(one.order, next_order_ + orders.size()));
        orders.back().list = next_order_;
    }
    ModelList list;
    list.id = next_order_;
    list.account = orders[0].account;
    list.instrument = orders[0].instrument;
    list.client_id = text_of(command.client_id);
    list.locked = most;
    list.orders = {orders[0].id, orders[1].id};
    const auto taken = [&](const std::string& id) {
        return std::any_of(lists_.begin(), lists_.end(), [&](const auto& entry) {
            return entry.second.account == list.account && entry.second.client_id == id;
        });
    };
    const auto odd = [](char c) { return c <= ' ' || c > '~'; };
    if (orders[0].client_id == orders[1].client_id) {
        reject = TENON_REJECT_DUPLICATE_ID;
    } else if (std::any_of(list.client_id.begin(), list.client_id.end(), odd)) {
        reject = TENON_REJECT_INVALID;
    } else if (taken(list.client_id)) {
        reject = TENON_REJECT_DUPLICATE_ID;
    } else if (would_match(orders[0]) || would_match(orders[1])) {
        reject = TENON_REJECT_WOULD_MATCH;
    }
    if (reject != TENON_REJECT_NONE) {
        return;
    }
    const std::string made = "tnn-l" + std::to_string(list.id);
    for (int i = 0; list.client_id.empty(); ++i) {
        const std::string id = i == 0 ? made : made + "-" + std::to_string(i);
        list.client_id = taken(id) ? "" : id;
    }
    next_order_ += 2;
    took(orders[0]);
    took(orders[1]);
    lock(orders[0], most);
    lists_[list.id] = list;
    outcome_.lists.push_back(list);
    if (orders[0].type >= 4) {
        std::swap(orders[0], orders[1]);  // the one that could have been refused came first
    }
    for (const ModelOrder& order : orders) {
        ModelOrder& mine = open_[order.id] = order;
        change(mine, TENON_STATUS_NEW);
        outcome_.orders.push_back(mine);
        if (mine.type < 4) {
            execute(mine);
        }
    }
}

void ReferenceModel::on(const trading::CancelListCommand& command) {
    const tenon_list_cancel& request = command.request;
    const std::string wanted = text_of(request.client_id);
    const std::string given = text_of(request.cancel_client_id);
    const auto odd = [](const std::string& text) {
        return std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; });
    };
    if (!accounts_.contains(request.account)) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
    } else if (odd(wanted) || odd(given) || (request.list_id == 0 && wanted.empty())) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else if (request.instrument != TENON_ANY_INSTRUMENT && request.instrument >= instruments_.size()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
    } else {
        outcome_.reject = TENON_REJECT_UNKNOWN_LIST;
        for (const auto& [id, list] : lists_) {
            if (list.account == request.account &&
                (request.list_id == 0 || id == request.list_id) &&
                (wanted.empty() || list.client_id == wanted) &&
                (request.instrument == TENON_ANY_INSTRUMENT || list.instrument == request.instrument
                )) {
                outcome_.reject = TENON_REJECT_NONE;
                cancel_list(list, given.empty() ? "tnn-c" + std::to_string(sequence_) : given);
                return;
            }
        }
    }
}

void ReferenceModel::cancel_list(ModelList list, const std::string& cancel_id) {
    for (const std::uint64_t id : list.orders) {
        if (const auto found = open_.find(id); found != open_.end()) {
            found->second.cancel_client_id = cancel_id;
            finish(found->second, TENON_STATUS_CANCELED);
        }
    }
}

// The first order of a list that works or ends takes the list's money and ends the other.
void ReferenceModel::decide(ModelOrder& order, bool works) {
    const auto found = lists_.find(order.list);
    if (found == lists_.end() || found->second.chosen != 0) {
        return;
    }
    ModelList& list = found->second;
    list.chosen = order.id;
    const std::int64_t price = order.price != 0 ? order.price : order.stop_price;
    if (works) {
        order.locked = static_cast<std::int64_t>(
            order.side == TENON_SIDE_BUY ? quote_units(order.instrument, price, order.left())
                                         : base_units(order.instrument, order.left())
        );
    }
    lock(order, order.locked - list.locked);
    list.locked = 0;
    decided_.emplace_back(list.id, works ? std::string{} : order.cancel_client_id);
}

void ReferenceModel::end_others() {
    for (std::size_t i = 0; i < decided_.size(); ++i) {
        const auto [list_id, cancel_id] = decided_[i];
        const auto list = lists_.find(list_id);
        if (list == lists_.end()) {
            continue;
        }
        const std::uint64_t chosen = list->second.chosen;
        for (const std::uint64_t id : std::vector{list->second.orders}) {
            const auto other = open_.find(id);
            if (id != chosen && other != open_.end()) {
                other->second.cancel_client_id = cancel_id;
                finish(
                    other->second, cancel_id.empty() ? TENON_STATUS_EXPIRED : TENON_STATUS_CANCELED
                );
            }
        }
    }
    decided_.clear();
}

// First come, first served; those of one execution by their ids.
void ReferenceModel::work_off_triggers() {
    while (!triggered_.empty()) {
        ModelOrder& order = open_.at(triggered_.front());
        triggered_.pop_front();
        if (at_market(order.type) && order.side == TENON_SIDE_BUY) {
            ModelBalance& paying = balances_[{order.account, instruments_[order.instrument].quote}];
            order.locked += paying.free;
            paying.locked += paying.free;
            paying.free = 0;
        }
        execute(order);
        end_others();
    }
}

void ReferenceModel::see_price(std::uint32_t instrument, const std::vector<std::int64_t>& prices) {
    std::vector<std::uint64_t> ids;
    for (auto& [id, order] : open_) {
        const bool waits = order.instrument == instrument && order.working_ns == 0;
        if (waits && std::any_of(prices.begin(), prices.end(), [&, &waiting = order](auto price) {
                return waiting.trailing_delta != 0
                           ? follow(waiting, price)
                           : comes_true(waiting.type, waiting.side, waiting.stop_price, price);
            })) {
            ids.push_back(id);
        }
    }
    for (const std::uint64_t id : ids) {
        ModelOrder& order = open_.at(id);
        if (const auto list = lists_.find(order.list);
            list != lists_.end() && list->second.chosen != 0) {
            finish(order, TENON_STATUS_EXPIRED);  // the list's other order traded just before
            continue;
        }
        order.working_ns = now_ns_;
        change(order, order.status);
        outcome_.orders.push_back(order);
        decide(order, true);
        triggered_.push_back(id);
    }
}

// A trailing stop sees a price; true when that triggers it.
bool ReferenceModel::follow(ModelOrder& order, std::int64_t price) {
    if (order.best == 0) {
        const bool begins =
            order.stop_price == 0 || comes_true(order.type, order.side, order.stop_price, price);
        order.best = begins ? price : 0;
        return false;
    }
    const bool sell = order.side == TENON_SIDE_SELL;
    const Int128 moved = sell ? order.best - price : price - order.best;
    if (moved * 10'000 >= Int128{order.best} * order.trailing_delta) {
        return true;
    }
    order.best = sell ? std::max(order.best, price) : std::min(order.best, price);
    return false;
}

// Ids of what rests on the other side, the best price first, then the oldest.
std::vector<std::uint64_t> ReferenceModel::opposite(const ModelOrder& order) const {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, other] : open_) {
        if (other.instrument == order.instrument && other.side != order.side &&
            other.working_ns != 0 &&
            std::find(triggered_.begin(), triggered_.end(), id) == triggered_.end()) {
            ids.push_back(id);
        }
    }
    std::sort(ids.begin(), ids.end(), [&](std::uint64_t a, std::uint64_t b) {
        const ModelOrder& one = open_.at(a);
        const ModelOrder& two = open_.at(b);
        if (one.price == two.price) {
            return one.place < two.place;
        }
        return (order.side == TENON_SIDE_BUY) == (one.price < two.price);
    });
    return ids;
}

bool ReferenceModel::crosses(const ModelOrder& order, const ModelOrder& resting) {
    return at_market(order.type) || (order.side == TENON_SIDE_BUY ? resting.price <= order.price
                                                                  : resting.price >= order.price);
}

void ReferenceModel::execute(ModelOrder& order) {
    const std::uint32_t instrument = order.instrument;
    order.place = ++places_;
    const std::vector<std::int64_t> prices = match(order);
    see_price(instrument, prices);
}

// The prices of its trades.
std::vector<std::int64_t> ReferenceModel::match(ModelOrder& order) {
    std::vector<std::int64_t> prices;
    if (order.time_in_force == TENON_TIF_FOK && !can_fill(order)) {
        finish(order, TENON_STATUS_EXPIRED);
        return prices;
    }
    const std::uint64_t id = order.id;
    for (;;) {
        const std::vector<std::uint64_t> others = opposite(order);
        if (others.empty()) {
            break;
        }
        ModelOrder& maker = open_.at(others.front());
        const std::int64_t quantity = crosses(order, maker) ? takes(order, maker) : 0;
        if (quantity == 0) {
            break;
        }
        if (order.stp_mode != TENON_STP_NONE && maker.account == order.account) {
            prevent(order, maker, quantity);
        } else {
            prices.push_back(maker.price);
            trade(order, maker, quantity);
            show_more(others.front(), quantity);
        }
        if (!open_.contains(id)) {
            return prices;
        }
    }
    if (at_market(order.type) || order.time_in_force == TENON_TIF_IOC) {
        finish(order, TENON_STATUS_EXPIRED);
        return prices;
    }
    order.shown = order.display == 0 ? order.left() : std::min(order.display, order.left());
    return prices;
}

// Own orders are in the way of a fill, unless they expire when they are met.
bool ReferenceModel::can_fill(const ModelOrder& order) const {
    // Trades with what would be met, one after another, until it is filled or meets its own.
    std::vector<ModelOrder> others;
    for (const std::uint64_t id : opposite(order)) {
        if (crosses(order, open_.at(id))) {
            others.push_back(open_.at(id));
        }
    }
    Int128 wanted = order.quantity;
    while (wanted > 0 && !others.empty()) {
        ModelOrder other = others.front();
        others.erase(others.begin());
        if (order.stp_mode != TENON_STP_NONE && other.account == order.account) {
            if (order.stp_mode != TENON_STP_EXPIRE_MAKER) {
                return false;
            }
            continue;
        }
        const std::int64_t met = other.display != 0 ? other.shown : other.left();
        wanted -= met;
        other.filled += met;
        if (other.left() > 0) {
            other.shown = std::min(other.display, other.left());
            const auto behind =
                std::find_if(others.begin(), others.end(), [&](const ModelOrder& one) {
                    return one.price != other.price;
                });
            others.insert(behind, other);
        }
    }
    return wanted <= 0;
}

// What rests has shown that much less; an iceberg's next part goes behind the others.
void ReferenceModel::show_more(std::uint64_t id, std::int64_t taken) {
    const auto found = open_.find(id);
    if (found == open_.end()) {
        return;
    }
    ModelOrder& order = found->second;
    order.shown -= taken;
    if (order.shown == 0) {
        order.shown = std::min(order.display, order.left());
        order.place = ++places_;
    }
}

void ReferenceModel::prevent(ModelOrder& taker, ModelOrder& maker, std::int64_t quantity) {
    const int mode = taker.stp_mode;
    const std::uint64_t maker_id = maker.id;
    ModelPrevented match{
        ++prevented_so_far_[taker.instrument], taker.id, maker_id, maker.price, 0, 0};
    bool taker_ends = mode == TENON_STP_EXPIRE_TAKER || mode == TENON_STP_EXPIRE_BOTH;
    bool maker_ends = mode == TENON_STP_EXPIRE_MAKER || mode == TENON_STP_EXPIRE_BOTH;
    const bool decrements = !taker_ends && !maker_ends;
    if (taker_ends) {
        match.taker_quantity = taker.quote_quantity != 0 ? quantity : taker.left();
    }
    if (maker_ends) {
        match.maker_quantity = maker.left();
    }
    if (decrements) {
        match.taker_quantity = match.maker_quantity = quantity;
        taker.prevented_quote +=
            static_cast<std::int64_t>(quote_units(taker.instrument, maker.price, quantity));
        taker_ends = taker.quote_quantity != 0
                         ? taker.filled_quote + taker.prevented_quote == taker.quote_quantity
                         : quantity == taker.left();
        maker_ends = quantity == maker.left();
    }
    outcome_.prevented.push_back(match);
    taker.prevented_match = match.taker_quantity != 0 ? match.match_id : taker.prevented_match;
    maker.prevented_match = match.maker_quantity != 0 ? match.match_id : maker.prevented_match;
    if (match.taker_quantity != 0) {
        lose(taker, match.taker_quantity, taker_ends);
    }
    if (match.maker_quantity != 0) {
        lose(maker, match.maker_quantity, maker_ends);
    }
    if (decrements) {
        show_more(maker_id, quantity);
    }
}

void ReferenceModel::lose(ModelOrder& order, std::int64_t quantity, bool ends) {
    give_back(order, quantity);
    order.prevented += quantity;
    if (!ends) {
        change(order, order.status);
        outcome_.orders.push_back(order);
        return;
    }
    if (order.quote_quantity != 0) {
        order.quantity = order.filled + order.prevented;
    }
    order.cancel_client_id.clear();
    decide(order, false);
    change(order, TENON_STATUS_EXPIRED);
    outcome_.orders.push_back(order);
    close(order);
}

// Of a limit order, unless its list still holds the money.
void ReferenceModel::give_back(ModelOrder& order, std::int64_t quantity) {
    if (order.price == 0 || order.locked == 0) {
        return;
    }
    const auto amount = static_cast<std::int64_t>(
        order.side == TENON_SIDE_BUY ? quote_units(order.instrument, order.price, quantity)
                                     : base_units(order.instrument, quantity)
    );
    lock(order, -amount);
    order.locked -= amount;
}

// By time, then by id; the other one of a list goes with each.
void ReferenceModel::on(const trading::ExpireCommand&) {
    std::vector<std::pair<std::int64_t, std::uint64_t>> over;
    for (const auto& [id, order] : open_) {
        if (order.expires_ns != 0 && order.expires_ns <= now_ns_) {
            over.emplace_back(order.expires_ns, id);
        }
    }
    std::sort(over.begin(), over.end());
    outcome_.reject = over.empty() ? TENON_REJECT_UNKNOWN_ORDER : TENON_REJECT_NONE;
    for (const auto& [time, id] : over) {
        if (const auto found = open_.find(id); found != open_.end()) {
            finish(found->second, TENON_STATUS_EXPIRED);
            end_others();
        }
    }
}

void ReferenceModel::on(const trading::AmendCommand& command) {
    const tenon_amend_request& request = command.request;
    const std::string wanted = text_of(request.client_id);
    const std::string given = text_of(request.new_client_id);
    const auto odd = [](const std::string& text) {
        return std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; });
    };
    std::uint32_t& reject = outcome_.reject;
    if (!accounts_.contains(request.account)) {
        reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    if (odd(wanted) || odd(given) || (request.order_id == 0 && wanted.empty()) ||
        request.quantity <= 0) {
        reject = TENON_REJECT_INVALID;
        return;
    }
    if (request.instrument != TENON_ANY_INSTRUMENT && request.instrument >= instruments_.size()) {
        reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
        return;
    }
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& entry) {
        const ModelOrder& order = entry.second;
        return order.account == request.account &&
               (request.instrument == TENON_ANY_INSTRUMENT || order.instrument == request.instrument
               ) &&
               (request.order_id == 0 || order.id == request.order_id) &&
               (wanted.empty() || order.client_id == wanted);
    });
    if (found == open_.end()) {
        reject = TENON_REJECT_UNKNOWN_ORDER;
        return;
    }
    ModelOrder& order = found->second;
    if (order.list != 0) {
        reject = TENON_REJECT_UNSUPPORTED;
        return;
    }
    if (request.quantity >= order.quantity || request.quantity <= order.filled + order.prevented) {
        reject = TENON_REJECT_AMEND_QUANTITY;
        return;
    }
    tenon_order_request as_new{};
    as_new.instrument = order.instrument;
    as_new.side = static_cast<std::uint8_t>(order.side);
    as_new.type = static_cast<std::uint8_t>(order.type);
    as_new.time_in_force = static_cast<std::uint8_t>(order.time_in_force);
    as_new.price = order.price;
    as_new.stop_price = order.stop_price;
    as_new.quantity = request.quantity;
    as_new.trailing_delta = order.trailing_delta;
    as_new.display_quantity = std::min(order.display, request.quantity);
    reject = judge_filters(as_new, 0);
    if (reject == TENON_REJECT_NONE && !given.empty() && given != order.client_id &&
        client_id_taken(order.account, given)) {
        reject = TENON_REJECT_DUPLICATE_ID;
    }
    if (reject != TENON_REJECT_NONE) {
        return;
    }
    std::string id = given;
    const std::string made = "tnn-a" + std::to_string(sequence_);
    for (int i = 0; id.empty() || (given.empty() && client_id_taken(order.account, id)); ++i) {
        id = i == 0 ? made : made + "-" + std::to_string(i);
    }
    if (id != order.client_id) {
        closed_ids_.emplace_back(order.account, order.client_id);
        if (closed_ids_.size() > bounds_.closed_ids) {
            closed_ids_.pop_front();
        }
        order.client_id = id;
    }
    give_back(order, order.quantity - request.quantity);
    order.quantity = request.quantity;
    order.display = std::min(order.display, request.quantity);
    order.shown = std::min(order.shown, order.left());
    change(order, order.status);
    outcome_.orders.push_back(order);
}

std::int64_t ReferenceModel::takes(const ModelOrder& taker, const ModelOrder& maker) const {
    const tenon_instrument& rules = instruments_[taker.instrument];
    Int128 most = maker.shown;
    if (taker.quote_quantity == 0) {
        most = std::min(most, Int128{taker.left()});
    }
    if (!at_market(taker.type)) {
        return static_cast<std::int64_t>(most);
    }
    const Int128 price_of_one = quote_units(taker.instrument, maker.price, 1);
    Int128 payable = taker.side == TENON_SIDE_BUY ? taker.locked / price_of_one
                                                  : taker.locked / base_units(taker.instrument, 1);
    if (taker.quote_quantity != 0) {
        payable = std::min(
            payable,
            (taker.quote_quantity - taker.filled_quote - taker.prevented_quote) / price_of_one
        );
    }
    if (payable < most) {
        const Int128 step =
            std::max({std::int64_t{1}, rules.quantity_step, rules.market_quantity_step});
        most = payable / step * step;
    }
    return static_cast<std::int64_t>(most);
}

void ReferenceModel::trade(ModelOrder& taker, ModelOrder& maker, std::int64_t quantity) {
    const std::int64_t price = maker.price;
    ++trades_so_far_[taker.instrument];
    last_price_[taker.instrument] = price;
    settle(taker, false, price, quantity);
    settle(maker, true, price, quantity);
}

void ReferenceModel::settle(
    ModelOrder& order,
    bool maker,
    std::int64_t price,
    std::int64_t quantity
) {
    const tenon_instrument& rules = instruments_[order.instrument];
    const bool buy = order.side == TENON_SIDE_BUY;
    const auto base = static_cast<std::int64_t>(base_units(order.instrument, quantity));
    const auto quote = static_cast<std::int64_t>(quote_units(order.instrument, price, quantity));
    decide(order, true);
    const std::int64_t paid = buy ? quote : base;
    const std::int64_t received = buy ? base : quote;
    std::int64_t unlocked = paid;
    if (buy && !at_market(order.type)) {
        unlocked = static_cast<std::int64_t>(quote_units(order.instrument, order.price, quantity));
    }
    const std::uint32_t ppm = maker ? rules.maker_fee_ppm : rules.taker_fee_ppm;
    const auto fee = static_cast<std::int64_t>((Int128{received} * ppm + 500'000) / 1'000'000);
    const std::uint32_t in = buy ? rules.base : rules.quote;
    ModelBalance& from = balances_[{order.account, buy ? rules.quote : rules.base}];
    from.locked -= unlocked;
    from.free += unlocked - paid;
    order.locked -= unlocked;
    balances_[{order.account, in}].free += received - fee;
    balances_[{TENON_ACCOUNT_FEES, in}].free += fee;

    order.filled += quantity;
    order.filled_quote += quote;
    const bool quote_done = order.quote_quantity != 0 && order.filled_quote == order.quote_quantity;
    if (quote_done) {
        order.quantity = order.filled + order.prevented;
    }
    const bool done = quote_done || (order.quote_quantity == 0 && order.left() == 0);
    if (done) {
        order.cancel_client_id.clear();
    }
    change(order, done ? TENON_STATUS_FILLED : TENON_STATUS_PARTIALLY_FILLED);
    outcome_.orders.push_back(order);
    outcome_.trades.push_back(
        {trades_so_far_[order.instrument],
         order.id,
         order.account,
         order.instrument,
         in,
         order.side,
         maker,
         price,
         quantity,
         quote,
         fee}
    );
    if (done) {
        close(order);
    }
}

void ReferenceModel::finish(ModelOrder& order, int status) {
    const tenon_instrument& rules = instruments_[order.instrument];
    if (order.quote_quantity != 0) {
        order.quantity = order.filled;
        const Int128 step =
            std::max({std::int64_t{1}, rules.quantity_step, rules.market_quantity_step});
        const Int128 price_of_step =
            quote_units(order.instrument, last_price(order.instrument), step);
        if (order.filled > 0 && order.quote_quantity - order.filled_quote < price_of_step) {
            status = TENON_STATUS_FILLED;
        }
    }
    if (status != TENON_STATUS_CANCELED) {
        order.cancel_client_id.clear();
    }
    decide(order, false);
    change(order, status);
    outcome_.orders.push_back(order);
    close(order);
}

void ReferenceModel::change(ModelOrder& order, int status) {
    order.status = status;
    order.updated_ns = now_ns_;
    order.update_sequence = sequence_;
}

void ReferenceModel::close(const ModelOrder& order) {
    const tenon_instrument& rules = instruments_[order.instrument];
    ModelBalance& paying =
        balances_[{order.account, order.side == TENON_SIDE_BUY ? rules.quote : rules.base}];
    paying.locked -= order.locked;
    paying.free += order.locked;
    closed_ids_.emplace_back(order.account, order.client_id);
    if (closed_ids_.size() > bounds_.closed_ids) {
        closed_ids_.pop_front();
    }
    const std::uint64_t list_id = order.list;
    open_.erase(order.id);
    if (const auto list = lists_.find(list_id);
        list != lists_.end() &&
        std::none_of(list->second.orders.begin(), list->second.orders.end(), [&](std::uint64_t id) {
            return open_.contains(id);
        })) {
        list->second.done = true;
        outcome_.lists.push_back(list->second);
        lists_.erase(list);
    }
}

void ReferenceModel::on(const trading::CancelCommand& command) {
    const tenon_cancel_request& request = command.request;
    const std::string wanted = text_of(request.client_id);
    if (!accounts_.contains(request.account)) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    const auto odd = [&](const tenon_client_id& id) {
        const std::string text = text_of(id);
        return std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; });
    };
    if ((request.order_id == 0 && wanted.empty()) || request.restriction > 2 ||
        odd(request.client_id) || odd(request.cancel_client_id)) {
        outcome_.reject = TENON_REJECT_INVALID;
        return;
    }
    if (request.instrument != TENON_ANY_INSTRUMENT && request.instrument >= instruments_.size()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
        return;
    }
    for (auto& [id, order] : open_) {
        if (order.account == request.account &&
            (request.instrument == TENON_ANY_INSTRUMENT || order.instrument == request.instrument
            ) &&
            (request.order_id == 0 || id == request.order_id) &&
            (wanted.empty() || order.client_id == wanted)) {
            if ((request.restriction == TENON_CANCEL_ONLY_NEW && order.status != TENON_STATUS_NEW
                ) ||
                (request.restriction == TENON_CANCEL_ONLY_PARTIALLY_FILLED &&
                 order.status != TENON_STATUS_PARTIALLY_FILLED)) {
                outcome_.reject = TENON_REJECT_CANCEL_RESTRICTED;
                return;
            }
            const std::string given = text_of(request.cancel_client_id);
            const std::string cancel_id =
                given.empty() ? "tnn-c" + std::to_string(sequence_) : given;
            if (const auto list = lists_.find(order.list); list != lists_.end()) {
                cancel_list(list->second, cancel_id);
                return;
            }
            order.cancel_client_id = cancel_id;
            finish(order, TENON_STATUS_CANCELED);
            return;
        }
    }
    outcome_.reject = TENON_REJECT_UNKNOWN_ORDER;
}

void ReferenceModel::on(const trading::CancelAllCommand& command) {
    if (!accounts_.contains(command.account)) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    if (command.instrument != TENON_ANY_INSTRUMENT && command.instrument >= instruments_.size()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
        return;
    }
    std::vector<std::uint64_t> ids;
    for (const auto& [id, order] : open_) {
        if (order.account == command.account && (command.instrument == TENON_ANY_INSTRUMENT ||
                                                 order.instrument == command.instrument)) {
            ids.push_back(id);
        }
    }
    outcome_.reject = ids.empty() ? TENON_REJECT_UNKNOWN_ORDER : TENON_REJECT_NONE;
    cancel(ids);
}

void ReferenceModel::cancel(const std::vector<std::uint64_t>& ids) {
    for (const std::uint64_t id : ids) {
        ModelOrder& order = open_.at(id);
        order.cancel_client_id = "tnn-c" + std::to_string(sequence_);
        finish(order, TENON_STATUS_CANCELED);
    }
}

void ReferenceModel::on(const trading::VenueApplyCommand& command) {
    outcome_.reject =
        view(command.venue) == "internal" ? TENON_REJECT_UNSUPPORTED : TENON_REJECT_INVALID;
}

void ReferenceModel::on(const trading::AccountOpenCommand& command) {
    const std::string name{view(command.name)};
    const bool good =
        !name.empty() && name.size() <= 32 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
    const bool taken = std::any_of(accounts_.begin(), accounts_.end(), [&](const auto& entry) {
        return entry.second == name;
    });
    if (!good) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else if (taken) {
        outcome_.reject = TENON_REJECT_DUPLICATE_ACCOUNT;
    } else if (accounts_.size() >= bounds_.accounts) {
        outcome_.reject = TENON_REJECT_CAPACITY;
    } else {
        outcome_.account = next_account_;
        accounts_[next_account_++] = name;
    }
}

void ReferenceModel::on(const trading::TransferCommand& command) {
    const tenon_ledger_entry& entry = command.entry;
    const std::string reference{view(entry.reference)};
    if (!reference.empty()) {
        for (const auto& [known, moved] : references_) {
            if (known == reference) {
                const bool same = moved.from == entry.from && moved.to == entry.to &&
                                  moved.asset == entry.asset && moved.amount == entry.amount;
                outcome_.reject = same ? TENON_REJECT_NONE : TENON_REJECT_DUPLICATE_ID;
                return;
            }
        }
    }
    std::uint32_t& reject = outcome_.reject;
    if (entry.amount <= 0 || entry.from == entry.to || reference.size() > 64) {
        reject = TENON_REJECT_INVALID;
        return;
    }
    if (!accounts_.contains(entry.from) || !accounts_.contains(entry.to)) {
        reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    if (entry.asset >= scales_.size()) {
        reject = TENON_REJECT_UNKNOWN_ASSET;
        return;
    }
    const Int128 from_after = Int128{balance(entry.from, entry.asset).free} - entry.amount;
    const Int128 to_after = Int128{balance(entry.to, entry.asset).free} + entry.amount;
    if ((may_owe(entry.from) && from_after < -k_owing_max) ||
        (may_owe(entry.to) && to_after > k_owing_max)) {
        reject = TENON_REJECT_OVERFLOW;
        return;
    }
    if (!may_owe(entry.from) && from_after < 0) {
        reject = TENON_REJECT_BALANCE;
        return;
    }
    balances_[{entry.from, entry.asset}].free -= entry.amount;
    balances_[{entry.to, entry.asset}].free += entry.amount;
    if (!reference.empty()) {
        references_.emplace_back(reference, Moved{entry.from, entry.to, entry.asset, entry.amount});
        if (references_.size() > bounds_.references) {
            references_.pop_front();
        }
    }
}

void ReferenceModel::on(const trading::KeyAddCommand& command) {
    const tenon_api_key& key = command.key;
    const std::string name{view(key.key)};
    bool good = !name.empty() && name.size() <= 64 && key.label.n <= 64 && key.permissions <= 7;
    for (const char c : name) {
        good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    }
    if (key.kind == TENON_KEY_HMAC_SHA256) {
        good = good && key.material.n >= 1 && key.material.n <= 256;
    } else {
        good = good && key.kind == TENON_KEY_ED25519 && key.material.n == 32;
    }
    if (!good) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else if (key.account < TENON_ACCOUNT_FIRST || !accounts_.contains(key.account)) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
    } else if (keys_.contains(name)) {
        // Only the secret may change, to one that names its master key, while the key is in force.
        ModelKey& there = keys_[name];
        const std::string material{view(key.material)};
        const ModelKey same{
            key.account,
            key.kind,
            key.permissions,
            there.material,
            std::string{view(key.label)},
            false};
        if (there == same && key.kind == TENON_KEY_HMAC_SHA256 && material[0] == '\2' &&
            material != there.material) {
            there.material = material;
        } else {
            outcome_.reject = TENON_REJECT_DUPLICATE_KEY;
        }
    } else if (keys_.size() >= bounds_.keys) {
        outcome_.reject = TENON_REJECT_CAPACITY;
    } else {
        keys_[name] = {
            key.account,
            key.kind,
            key.permissions,
            std::string{view(key.material)},
            std::string{view(key.label)},
            false};
    }
}

void ReferenceModel::on(const trading::KeyRevokeCommand& command) {
    const auto found = keys_.find(std::string{view(command.key)});
    if (found == keys_.end()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_KEY;
    } else {
        found->second.revoked = true;
    }
}

void ReferenceModel::on(const trading::InstrumentStatusCommand& command) {
    if (command.instrument >= instruments_.size()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
    } else if (command.status < 1 || command.status > 3) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else {
        status_[command.instrument] = command.status;
    }
}

void ReferenceModel::on(const trading::AccountStatusCommand& command) {
    const bool on = command.enabled == 1;
    if (command.enabled > 1 || command.cancels > 1 || (on && command.cancels == 1)) {
        outcome_.reject = TENON_REJECT_INVALID;
        return;
    }
    if (command.account != 0 &&
        (command.account < TENON_ACCOUNT_FIRST || !accounts_.contains(command.account))) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    if (on) {
        disabled_.erase(command.account);
    } else {
        disabled_.insert(command.account);
    }
    std::vector<std::uint64_t> ids;
    for (const auto& [id, order] : open_) {
        if (command.cancels == 1 && (command.account == 0 || order.account == command.account)) {
            ids.push_back(id);
        }
    }
    cancel(ids);
}

}  // namespace tenon::test
