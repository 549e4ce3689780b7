// SPDX-License-Identifier: Apache-2.0
// Who trades with whom, what that triggers, and what becomes of orders and money.
#include "tests/simulation/reference_model.hpp"

#include <algorithm>

namespace tenon::test {

bool ReferenceModel::would_match(const ModelOrder& order) const {
    const std::vector<std::uint64_t> others = opposite(order);
    return order.type == TENON_ORDER_LIMIT_MAKER && !others.empty() &&
           crosses(order, open_.at(others.front()));
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

}  // namespace tenon::test
