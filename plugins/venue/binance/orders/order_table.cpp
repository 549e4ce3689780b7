// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/order_table.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::binance_venue {
namespace {

[[nodiscard]] bool supported(const tenon_venue_order& order) noexcept {
    const bool waits = order.stop_price > 0 || order.trailing_delta > 0;
    // What the other modes took of an order could not be told from a fill that is missing.
    const bool stp = order.stp_mode <= TENON_STP_EXPIRE_BOTH;
    if (is_conditional(order.type) != waits || !stp) {
        return false;
    }
    switch (order.type) {
        case TENON_ORDER_LIMIT:
        case TENON_ORDER_LIMIT_MAKER:
        case TENON_ORDER_STOP_LOSS_LIMIT:
        case TENON_ORDER_TAKE_PROFIT_LIMIT:
            return true;
        case TENON_ORDER_STOP_LOSS:
        case TENON_ORDER_TAKE_PROFIT:
            return order.side == TENON_SIDE_SELL;
        case TENON_ORDER_MARKET:
            return order.quote_quantity == 0 || order.side == TENON_SIDE_BUY;
        default:
            return false;
    }
}

[[nodiscard]] Fact fact_of(End end) noexcept {
    switch (end) {
        case End::refused:
            return Fact::refused;
        case End::absent:
            return Fact::absent;
        case End::not_sent:
            return Fact::not_sent;
        case End::withdrawn:
            return Fact::withdrawn;
        default:
            return Fact::accepted;
    }
}

}  // namespace

// The price up to which the funds of a market buy by base quantity reach; 0: not one tick.
std::int64_t OrderTable::bound_of(const tenon_venue_order& order, std::int64_t reference) const {
    const std::optional<Market> market = listing_->market(order.instrument);
    if (!market || order.quantity <= 0) {
        return 0;
    }
    const std::int64_t unit =
        power_of_ten(market->quote_scale - market->price_scale - market->quantity_scale);
    const Int128 a_price = Int128{order.quantity} * unit;  // what each unit of the price costs
    Int128 price = Int128{order.funds} / a_price;
    if (market->price_max != 0) {
        price = std::min(price, Int128{market->price_max});
    }
    if (reference > 0 && market->bid_up_ppm != 0) {
        price = std::min(price, Int128{reference} * market->bid_up_ppm / 1'000'000);
    }
    const std::int64_t tick = std::max<std::int64_t>(market->price_tick, 1);
    const Int128 on_tick = price / tick * tick;
    return fits_int64(on_tick) ? static_cast<std::int64_t>(on_tick) : 0;
}

void OrderTable::submit(
    const tenon_venue_order& order,
    std::string_view evidence,
    std::int64_t now_real_ns,
    Reports& out
) {
    std::int64_t reference = 0;
    if (!evidence.empty()) {
        const std::optional<Evidence> read = decode(evidence);
        if (read && std::holds_alternative<Closed>(*read)) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_NOT_SENT);
            return;
        }
        if (!read || !std::holds_alternative<Reference>(*read)) {
            throw Error{TENON_INVALID, "not the evidence that travels with an order"};
        }
        reference = std::get<Reference>(*read).price;
    }
    if (!supported(order)) {
        out.rejected(order.order_id, order.instrument, TENON_REJECT_UNSUPPORTED);
        return;
    }
    BookedOrder booked;
    booked.order = order;
    booked.submitted_real_ns = now_real_ns;
    booked.limit = order.price;
    const bool by_base = order.type == TENON_ORDER_MARKET && order.quote_quantity == 0;
    if (by_base && order.side == TENON_SIDE_BUY) {
        booked.limit = bound_of(order, reference);
        if (booked.limit <= 0) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_BALANCE);
            return;
        }
    }
    orders_.insert_or_assign(order.order_id, std::move(booked));
}

bool OrderTable::cancel(std::uint64_t order_id) {
    const auto found = orders_.find(order_id);
    if (found == orders_.end() || found->second.cancel_wanted) {
        return false;
    }
    found->second.cancel_wanted = true;
    return true;
}

std::uint64_t OrderTable::apply(std::string_view evidence, Reports& out) {
    const std::optional<Evidence> read = decode(evidence);
    if (!read || !std::holds_alternative<OrderNews>(*read)) {
        throw Error{TENON_INVALID, "not evidence of this venue"};
    }
    const auto& news = std::get<OrderNews>(*read);
    const auto found = orders_.find(news.order_id);
    if (found == orders_.end()) {
        return news.order_id;  // late or repeated: everything of it is known
    }
    BookedOrder& booked = found->second;
    if (news.end >= End::refused) {
        never_there(booked, news, out);
    } else {
        take(booked, news, out);
    }
    if (booked.state == BookState::gone) {
        orders_.erase(found);
    }
    return news.order_id;
}

// An end that denies that the order was ever there: only as long as nothing says otherwise.
void OrderTable::never_there(BookedOrder& booked, const OrderNews& news, Reports& out) {
    const std::optional<BookState> state = next(booked.state, fact_of(news.end));
    if (!state) {
        ++contradictions_;
        return;
    }
    booked.state = *state;
    const tenon_venue_order& order = booked.order;
    switch (news.end) {
        case End::refused:
            out.rejected(order.order_id, order.instrument, news.reject);
            break;
        case End::withdrawn:
            out.canceled(order.order_id, order.instrument);
            break;
        default:
            out.rejected(order.order_id, order.instrument, TENON_REJECT_NOT_SENT);
            break;
    }
}

void OrderTable::take(BookedOrder& booked, const OrderNews& news, Reports& out) {
    const tenon_venue_order& order = booked.order;
    if (news.exchange_id != 0 && booked.exchange_id != 0 &&
        news.exchange_id != booked.exchange_id) {
        ++contradictions_;  // another order under our id
        return;
    }
    booked.exchange_id = std::max(booked.exchange_id, news.exchange_id);
    if (news.accepted || news.end != End::none || !news.fills.empty()) {
        step(booked, Fact::accepted, out);
    }
    if (is_conditional(order.type) && !booked.working && (news.working || !news.fills.empty())) {
        booked.working = true;
        out.working(order.order_id, order.instrument);
    }
    for (const Fill& fill : news.fills) {
        if (take_fill(booked, fill, out)) {
            step(booked, Fact::traded, out);
        }
    }
    if (news.end != End::none && booked.end == End::none) {
        booked.end = news.end;
        booked.executed = news.executed;
    }
    const bool whole = order.quote_quantity == 0 && booked.filled == order.quantity;
    if (!whole && booked.end == End::none) {
        return;
    }
    if (!whole && booked.filled < booked.executed) {
        step(booked, Fact::ended, out);
        return;
    }
    step(booked, Fact::completed, out);
    if (whole) {
        return;  // ended by its last trade
    }
    if (booked.end == End::canceled) {
        out.canceled(order.order_id, order.instrument);
    } else {
        out.expired(order.order_id, order.instrument);
    }
}

void OrderTable::step(BookedOrder& booked, Fact fact, Reports& out) {
    const std::optional<BookState> state = next(booked.state, fact);
    if (!state) {
        ++contradictions_;
        return;
    }
    if (booked.state == BookState::pending) {
        out.accepted(booked.order.order_id, booked.order.instrument);
    }
    booked.state = *state;
}

// False: known already, or more than the order can have traded.
bool OrderTable::take_fill(BookedOrder& booked, const Fill& fill, Reports& out) {
    const tenon_venue_order& order = booked.order;
    const auto at = std::lower_bound(booked.trades.begin(), booked.trades.end(), fill.trade_id);
    if (at != booked.trades.end() && *at == fill.trade_id) {
        return false;
    }
    const std::optional<std::int64_t> filled = checked_add(booked.filled, fill.quantity);
    if (!filled || (order.quote_quantity == 0 && *filled > order.quantity)) {
        ++contradictions_;
        return false;
    }
    booked.trades.insert(at, fill.trade_id);
    booked.filled = *filled;
    ++fills_;
    out.commission(
        order.order_id,
        order.instrument,
        fill.fee_asset == k_no_asset ? 0 : fill.fee_asset,
        fill.fee
    );
    out.trade(
        fill.maker ? 0 : order.order_id,
        fill.maker ? order.order_id : 0,
        order.instrument,
        fill.price,
        fill.quantity
    );
    return true;
}

const BookedOrder* OrderTable::find(std::uint64_t order_id) const {
    const auto found = orders_.find(order_id);
    return found == orders_.end() ? nullptr : &found->second;
}

}  // namespace tenon::binance_venue
