// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/paper/paper.hpp"

#include <tenon/abi/trading.h>
#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <limits>

namespace tenon::paper {
namespace {

void report(
    tenon_venue_reports out,
    const tenon_venue_order& order,
    std::uint32_t kind,
    std::uint32_t reject = TENON_REJECT_NONE
) {
    auto made = sized<tenon_venue_report>();
    made.kind = kind;
    made.reject = reject;
    made.order_id = order.order_id;
    made.instrument = order.instrument;
    out.put(out.ctx, &made);
}

[[nodiscard]] bool within_limit(const tenon_venue_order& order, std::int64_t price) {
    if (order.type == TENON_ORDER_MARKET) {
        return true;
    }
    return order.side == TENON_SIDE_BUY ? price <= order.price : price >= order.price;
}

[[nodiscard]] std::uint8_t other(std::uint8_t side) {
    return side == TENON_SIDE_BUY ? TENON_SIDE_SELL : TENON_SIDE_BUY;
}

// What an order may still take: quantity, quote quantity and funds, each as far as it bounds.
struct Appetite {
    const tenon_venue_order& order;
    const Rules& rules;
    std::int64_t quantity;
    std::int64_t quote;
    std::int64_t funds;

    Appetite(const tenon_venue_order& taker, const Rules& its_rules)
        : order{taker},
          rules{its_rules},
          quantity{
              taker.quote_quantity != 0 ? std::numeric_limits<std::int64_t>::max()
                                        : taker.quantity},
          quote{taker.quote_quantity},
          funds{taker.funds} {}

    // Of a level; 0: no more than nothing can be taken at this price.
    [[nodiscard]] std::int64_t bite(const tenon_level& level) const {
        std::int64_t most = std::min(quantity, level.quantity);
        if (order.type != TENON_ORDER_MARKET) {
            return most;  // the funds of a limit order are its own price's
        }
        const Int128 unit_cost = Int128{level.price} * rules.quote_unit;
        const auto bound = [&](Int128 affordable) {
            if (affordable < most) {
                most = static_cast<std::int64_t>(affordable) / rules.step * rules.step;
            }
        };
        if (order.quote_quantity != 0) {
            bound(quote / unit_cost);
        }
        bound(
            order.side == TENON_SIDE_BUY ? Int128{funds} / unit_cost
                                         : Int128{funds / rules.base_unit}
        );
        return most;
    }

    void eat(std::int64_t price, std::int64_t taken) {
        const auto cost = static_cast<std::int64_t>(Int128{price} * taken * rules.quote_unit);
        if (order.quote_quantity != 0) {
            quote -= cost;
        } else {
            quantity -= taken;
        }
        if (order.type == TENON_ORDER_MARKET) {
            funds -= order.side == TENON_SIDE_BUY ? cost : taken * rules.base_unit;
        }
    }

    [[nodiscard]] bool sated() const {
        return order.quote_quantity != 0 ? quote == 0 : quantity == 0;
    }
};

}  // namespace

bool PaperVenue::same_book(const Market& market, const Look& look) {
    const auto same = [](const tenon_level& a, const tenon_level& b) {
        return a.price == b.price && a.quantity == b.quantity;
    };
    return market.book_id == look.book_id && same(market.bid, look.bid) &&
           same(market.ask, look.ask);
}

std::int64_t PaperVenue::consumed(const Look& look, std::uint8_t side, std::int64_t price) const {
    const auto market = markets_.find(look.instrument);
    if (market == markets_.end() || !same_book(market->second, look)) {
        return 0;
    }
    const auto& taken = market->second.taken[side];
    const auto found = taken.find(price);
    return found != taken.end() ? found->second : 0;
}

const RestingSide* PaperVenue::resting(std::uint32_t instrument, std::uint8_t side) const {
    const auto market = markets_.find(instrument);
    if (market == markets_.end() || market->second.sides[side].empty()) {
        return nullptr;
    }
    return &market->second.sides[side];
}

void PaperVenue::submit(
    const tenon_venue_order& order,
    std::string_view evidence,
    tenon_venue_reports out
) {
    const bool known = order.type == TENON_ORDER_LIMIT || order.type == TENON_ORDER_MARKET ||
                       order.type == TENON_ORDER_LIMIT_MAKER || is_conditional(order.type);
    if (!known) {
        report(out, order, TENON_REPORT_REJECTED, TENON_REJECT_UNSUPPORTED);
        return;
    }
    const bool waits = order.stop_price > 0 || order.trailing_delta > 0;
    if (order.side > TENON_SIDE_SELL || is_conditional(order.type) != waits ||
        places_.count(order.order_id) != 0 || waiting_.count(order.order_id) != 0 ||
        conditional_.count(order.order_id) != 0) {
        report(out, order, TENON_REPORT_REJECTED, TENON_REJECT_INVALID);
        return;
    }
    const auto decoded = decode(evidence);
    if (decoded && std::holds_alternative<Wait>(*decoded)) {
        waiting_[order.order_id] = {order, std::get<Wait>(*decoded).due_real_ns};
        return;
    }
    if (decoded && std::holds_alternative<Triggered>(*decoded)) {
        execute(order, std::get<Triggered>(*decoded).look, out);
        return;
    }
    if (!decoded || !std::holds_alternative<Look>(*decoded)) {
        report(out, order, TENON_REPORT_REJECTED, TENON_REJECT_NO_LIQUIDITY);
        return;
    }
    execute(order, std::get<Look>(*decoded), out);
}

void PaperVenue::execute(
    const tenon_venue_order& order,
    const Look& look,
    tenon_venue_reports out
) {
    const auto rules = rules_of_(order.instrument);
    if (!rules || !look.trusted || look.instrument != order.instrument) {
        report(out, order, TENON_REPORT_REJECTED, TENON_REJECT_NO_LIQUIDITY);
        return;
    }
    if (is_conditional(order.type)) {
        // It may have been under way while the price moved.
        if (look.reference != 0 && order.stop_price != 0 &&
            is_triggered(order.side, order.type, order.stop_price, look.reference)) {
            report(out, order, TENON_REPORT_REJECTED, TENON_REJECT_WOULD_TRIGGER);
            return;
        }
        report(out, order, TENON_REPORT_ACCEPTED);
        wait_for_price(order, look.reference);
        return;
    }
    const tenon_level& opposite = order.side == TENON_SIDE_BUY ? look.ask : look.bid;
    if (order.type == TENON_ORDER_LIMIT_MAKER) {
        if (opposite.quantity > 0 && within_limit(order, opposite.price)) {
            report(out, order, TENON_REPORT_REJECTED, TENON_REJECT_WOULD_MATCH);
            return;
        }
        report(out, order, TENON_REPORT_ACCEPTED);
        rest(order, order.quantity, look.displayed);
        return;
    }
    Market& market = markets_[order.instrument];
    if (!same_book(market, look)) {
        market.book_id = look.book_id;
        market.bid = look.bid;
        market.ask = look.ask;
        market.taken[0].clear();
        market.taken[1].clear();
    }
    report(out, order, TENON_REPORT_ACCEPTED);
    if (order.time_in_force == TENON_TIF_FOK && order.type == TENON_ORDER_LIMIT) {
        Int128 there = 0;
        for (const tenon_level& level : look.levels) {
            if (within_limit(order, level.price)) {
                there += std::max<std::int64_t>(
                    0, level.quantity - consumed(look, other(order.side), level.price)
                );
            }
        }
        if (there < order.quantity) {
            report(out, order, TENON_REPORT_EXPIRED);
            return;
        }
    }
    const std::int64_t left = walk(order, *rules, look, market, out);
    if (left == 0) {
        return;
    }
    if (order.type == TENON_ORDER_LIMIT && order.time_in_force == TENON_TIF_GTC) {
        rest(order, left, look.displayed);
    } else {
        report(out, order, TENON_REPORT_EXPIRED);
    }
}

// What is left of the quantity (of the quote quantity when that rules).
std::int64_t PaperVenue::walk(
    const tenon_venue_order& order,
    const Rules& rules,
    const Look& look,
    Market& market,
    tenon_venue_reports out
) {
    const std::uint8_t makers = other(order.side);
    Appetite appetite{order, rules};
    for (const tenon_level& displayed : look.levels) {
        if (appetite.sated() || !within_limit(order, displayed.price)) {
            break;
        }
        tenon_level level = displayed;
        level.quantity -= consumed(look, makers, level.price);
        if (level.quantity <= 0) {
            continue;
        }
        const std::int64_t taken = appetite.bite(level);
        if (taken <= 0) {
            break;
        }
        appetite.eat(level.price, taken);
        market.taken[makers][level.price] += taken;
        auto trade = sized<tenon_venue_report>();
        trade.kind = TENON_REPORT_TRADE;
        trade.order_id = order.order_id;
        trade.price = level.price;
        trade.quantity = taken;
        trade.instrument = order.instrument;
        out.put(out.ctx, &trade);
    }
    return order.quote_quantity != 0 ? appetite.quote : appetite.quantity;
}

void PaperVenue::wait_for_price(const tenon_venue_order& order, std::int64_t reference) {
    conditional_[order.order_id] = order;
    const bool rising = waits_for_rise(order.side, order.type);
    if (order.trailing_delta == 0) {
        (void)triggers_[order.instrument].add({order.order_id, order.stop_price, rising});
        return;
    }
    (void)trailing_[order.instrument].add(
        {order.order_id,
         order.stop_price,
         rising,
         order.side == TENON_SIDE_SELL,
         order.trailing_delta,
         order.stop_price == 0 ? reference : 0}
    );
}

// `order` may be the one in conditional_: it is not used after that.
void PaperVenue::forget_conditional(const tenon_venue_order& order) {
    (void)triggers_[order.instrument].erase(order.order_id);
    (void)trailing_[order.instrument].erase(order.order_id);
    due_.erase(order.order_id);
    conditional_.erase(order.order_id);
}

const TrailingBook* PaperVenue::trailing(std::uint32_t instrument) const {
    const auto found = trailing_.find(instrument);
    return found == trailing_.end() ? nullptr : &found->second;
}

const TriggerBook* PaperVenue::triggers(std::uint32_t instrument) const {
    const auto found = triggers_.find(instrument);
    return found == triggers_.end() ? nullptr : &found->second;
}

const tenon_venue_order* PaperVenue::conditional(std::uint64_t order_id) const {
    const auto found = conditional_.find(order_id);
    return found == conditional_.end() ? nullptr : &found->second;
}

void PaperVenue::rest(const tenon_venue_order& order, std::int64_t remaining, std::int64_t ahead) {
    RestingSide& side = markets_[order.instrument].sides[order.side];
    side[side_key(order.side, order.price)].push_back({order.order_id, remaining, ahead});
    places_[order.order_id] = {order.instrument, order.side, order.price};
}

void PaperVenue::cancel(std::uint64_t order_id, tenon_venue_reports out) {
    auto order = sized<tenon_venue_order>();
    order.order_id = order_id;
    if (const auto waiting = waiting_.find(order_id); waiting != waiting_.end()) {
        order.instrument = waiting->second.order.instrument;
        waiting_.erase(waiting);
        report(out, order, TENON_REPORT_CANCELED);
        return;
    }
    if (const auto found = conditional_.find(order_id); found != conditional_.end()) {
        order.instrument = found->second.instrument;
        forget_conditional(order);
        report(out, order, TENON_REPORT_CANCELED);
        return;
    }
    const auto place = places_.find(order_id);
    if (place == places_.end()) {
        return;
    }
    const auto [instrument, side, price] = place->second;
    order.instrument = instrument;
    RestingSide& orders = markets_[instrument].sides[side];
    const auto level = orders.find(side_key(side, price));
    std::erase_if(level->second, [&](const Resting& have) { return have.order_id == order_id; });
    if (level->second.empty()) {
        orders.erase(level);
    }
    places_.erase(place);
    report(out, order, TENON_REPORT_CANCELED);
}

bool PaperVenue::amend(std::uint64_t order_id, std::int64_t quantity) {
    if (const auto waiting = waiting_.find(order_id); waiting != waiting_.end()) {
        waiting->second.order.quantity = quantity;
        return true;
    }
    if (const auto found = conditional_.find(order_id); found != conditional_.end()) {
        found->second.quantity = quantity;
        return true;
    }
    const auto place = places_.find(order_id);
    if (place == places_.end()) {
        return false;
    }
    const auto [instrument, side, price] = place->second;
    for (Resting& order : markets_[instrument].sides[side].at(side_key(side, price))) {
        order.remaining = order.order_id == order_id ? quantity : order.remaining;
    }
    return true;
}

bool PaperVenue::apply(std::string_view evidence, tenon_venue_reports out) {
    const auto decoded = decode(evidence);
    if (!decoded) {
        return false;
    }
    if (const auto* arrival = std::get_if<Arrival>(&*decoded)) {
        const auto waiting = waiting_.find(arrival->order_id);
        if (waiting != waiting_.end()) {
            const tenon_venue_order order = waiting->second.order;
            waiting_.erase(waiting);
            execute(order, arrival->look, out);
        }
        return true;
    }
    if (const auto* triggered = std::get_if<Triggered>(&*decoded)) {
        if (const auto found = conditional_.find(triggered->order_id);
            found != conditional_.end()) {
            const tenon_venue_order order = found->second;
            forget_conditional(order);
            report(out, order, TENON_REPORT_TRIGGERED);
        }
        return true;
    }
    if (const auto* price = std::get_if<Price>(&*decoded)) {
        if (const auto found = trailing_.find(price->instrument); found != trailing_.end()) {
            std::vector<std::uint64_t> triggered;
            found->second.see(price->price, triggered);
            due_.insert(triggered.begin(), triggered.end());
        }
        return true;
    }
    if (const auto* news = std::get_if<MarketNews>(&*decoded)) {
        for (const Item& item : news->items) {
            meet(news->instrument, item, out);
        }
        return true;
    }
    return false;
}

void PaperVenue::meet(std::uint32_t instrument, const Item& item, tenon_venue_reports out) {
    const auto market = markets_.find(instrument);
    if (market == markets_.end()) {
        return;
    }
    RestingSide& side = market->second.sides[item.side];
    const std::int64_t key = side_key(item.side, item.price);
    if (item.kind == ItemKind::level) {
        if (const auto level = side.find(key); level != side.end()) {
            for (Resting& order : level->second) {
                order.ahead = std::min(order.ahead, item.quantity);
            }
        }
        return;
    }
    std::int64_t given = 0;  // to paper orders, of this item's quantity
    for (auto level = side.begin(); level != side.end() && level->first <= key;) {
        const bool through = item.kind == ItemKind::cross || level->first < key;
        for (Resting& order : level->second) {
            const std::int64_t ahead = through ? 0 : order.ahead;
            const std::int64_t room = item.quantity - std::min(ahead, item.quantity) - given;
            order.ahead = ahead - std::min(ahead, item.quantity);
            const std::int64_t fill = std::clamp<std::int64_t>(room, 0, order.remaining);
            if (fill == 0) {
                continue;
            }
            order.remaining -= fill;
            given += fill;
            auto trade = sized<tenon_venue_report>();
            trade.kind = TENON_REPORT_TRADE;
            trade.maker_order_id = order.order_id;
            trade.price = item.side == TENON_SIDE_BUY ? -level->first : level->first;
            trade.quantity = fill;
            trade.instrument = instrument;
            if (order.remaining == 0) {
                places_.erase(order.order_id);
            }
            out.put(out.ctx, &trade);
        }
        std::erase_if(level->second, [](const Resting& order) { return order.remaining == 0; });
        level = level->second.empty() ? side.erase(level) : std::next(level);
    }
}

std::int64_t PaperVenue::reference_price(std::uint32_t instrument, std::string_view evidence) {
    const auto decoded = decode(evidence);
    if (!decoded) {
        return 0;
    }
    if (const auto* look = std::get_if<Look>(&*decoded)) {
        return look->instrument == instrument ? look->reference : 0;
    }
    const auto* wait = std::get_if<Wait>(&*decoded);
    return wait != nullptr ? wait->reference : 0;
}

}  // namespace tenon::paper
