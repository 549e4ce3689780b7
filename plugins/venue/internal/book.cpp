// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/internal/book.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::internal {
namespace {

[[nodiscard]] tenon_venue_report
report_of(std::uint32_t kind, const tenon_venue_order& order, std::uint32_t reject = 0) noexcept {
    return {sizeof(tenon_venue_report), kind, reject, order.instrument, order.order_id, 0, 0, 0};
}

[[nodiscard]] constexpr std::uint8_t opposite(std::uint8_t side) noexcept {
    return side == TENON_SIDE_BUY ? TENON_SIDE_SELL : TENON_SIDE_BUY;
}

[[nodiscard]] std::int64_t clamp64(Int128 value) noexcept {
    return value > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(value);
}

}  // namespace

// Index of the first key that is not less; branch-free halving.
std::size_t Book::place_of(const std::vector<std::int64_t>& keys, std::int64_t key) noexcept {
    const std::int64_t* base = keys.data();
    std::size_t size = keys.size();
    if (size == 0) {
        return 0;
    }
    while (size > 1) {
        const std::size_t half = size / 2;
        base += base[half - 1] < key ? half : 0;
        size -= half;
    }
    return static_cast<std::size_t>(base - keys.data()) + (*base < key ? 1 : 0);
}

bool Book::crosses(const tenon_venue_order& order, std::int64_t price) const noexcept {
    if (order.type == TENON_ORDER_MARKET) {
        return true;
    }
    return order.side == TENON_SIDE_BUY ? price <= order.price : price >= order.price;
}

bool Book::would_match(const tenon_venue_order& order) const noexcept {
    const Side& other = sides_[opposite(order.side)];
    return !other.keys.empty() && crosses(order, levels_[other.places.back()].price);
}

bool Book::can_fill(const tenon_venue_order& order) const noexcept {
    if (order.stp_mode != TENON_STP_NONE || icebergs_.size() != 0) {
        return can_fill_past_own(order);
    }
    const Side& other = sides_[opposite(order.side)];
    std::int64_t left = order.quantity;
    for (std::size_t i = other.keys.size(); i-- > 0 && left > 0;) {
        const Level& level = levels_[other.places[i]];
        if (!crosses(order, level.price)) {
            break;
        }
        left -= std::min(left, level.quantity);
    }
    return left == 0;
}

// The same order by order, with what icebergs hide: own orders are in the way, or expire. Ahead of
// one in the way only what is shown trades, since an iceberg's next part goes behind it.
bool Book::can_fill_past_own(const tenon_venue_order& order) const noexcept {
    const Side& other = sides_[opposite(order.side)];
    std::int64_t left = order.quantity;
    for (std::size_t i = other.keys.size(); i-- > 0 && left > 0;) {
        const Level& level = levels_[other.places[i]];
        if (!crosses(order, level.price)) {
            break;
        }
        std::int64_t shown = 0;
        std::int64_t whole = 0;
        for (std::uint32_t at = level.first; at != k_none && shown < left; at = nodes_[at].next) {
            const bool own =
                order.stp_mode != TENON_STP_NONE && nodes_[at].account == order.account;
            if (own && order.stp_mode != TENON_STP_EXPIRE_MAKER) {
                return false;
            }
            if (!own) {
                shown += std::min(left - shown, nodes_[at].quantity);
                whole += std::min(left - whole, quantity_left(nodes_[at]));
            }
        }
        left -= whole;
    }
    return left == 0;
}

bool Book::wait_for_price(const tenon_venue_order& order) {
    const bool rising = waits_for_rise(order.side, order.type);
    if (order.trailing_delta == 0) {
        return triggers_.add({order.order_id, order.stop_price, rising});
    }
    return trailing_.add(
        {order.order_id,
         order.stop_price,
         rising,
         order.side == TENON_SIDE_SELL,
         order.trailing_delta,
         order.stop_price == 0 ? order.reference_price : 0}
    );
}

void Book::submit(
    const tenon_venue_order& order,
    std::int64_t now_real_ns,
    tenon_venue_reports out
) {
    if (is_conditional(order.type)) {
        const tenon_venue_report report =
            wait_for_price(order) ? report_of(TENON_REPORT_ACCEPTED, order)
                                  : report_of(TENON_REPORT_REJECTED, order, TENON_REJECT_INVALID);
        out.put(out.ctx, &report);
        return;
    }
    first_price_ = last_price_ = 0;
    trade_prices_.clear();
    execute(order, now_real_ns, out);
    if (first_price_ != 0 && triggers_.size() + trailing_.size() != 0) {
        report_triggered(out);
    }
}

void Book::report_triggered(tenon_venue_reports out) {
    triggered_.clear();
    triggers_.take_triggered(
        std::min(first_price_, last_price_), std::max(first_price_, last_price_), triggered_
    );
    for (const std::int64_t price : trade_prices_) {
        trailing_.see(price, triggered_);
    }
    std::sort(triggered_.begin(), triggered_.end());
    for (const std::uint64_t order_id : triggered_) {
        const tenon_venue_report report{
            sizeof report, TENON_REPORT_TRIGGERED, 0, rules_.instrument, order_id, 0, 0, 0};
        out.put(out.ctx, &report);
    }
}

void Book::execute(
    const tenon_venue_order& order,
    std::int64_t now_real_ns,
    tenon_venue_reports out
) {
    ids_.prefetch(order.order_id);
    const auto put = [&](std::uint32_t kind, std::uint32_t reject = 0) {
        const tenon_venue_report report = report_of(kind, order, reject);
        out.put(out.ctx, &report);
    };
    if (order.type == TENON_ORDER_LIMIT_MAKER && would_match(order)) {
        put(TENON_REPORT_REJECTED, TENON_REJECT_WOULD_MATCH);
        return;
    }
    put(TENON_REPORT_ACCEPTED);
    if (order.time_in_force == TENON_TIF_FOK && !can_fill(order)) {
        put(TENON_REPORT_EXPIRED);
        return;
    }
    const bool by_quote = order.quote_quantity != 0;
    Taker taker{
        order,
        by_quote ? INT64_MAX : order.quantity,
        by_quote ? order.quote_quantity : INT64_MAX,
        order.type == TENON_ORDER_MARKET ? order.funds : INT64_MAX};
    match(taker, now_real_ns, out);
    // One by quote quantity of which a prevented match took a part is never filled.
    if (taker.ended || taker.quantity == 0 || (taker.quote == 0 && !taker.lessened)) {
        return;
    }
    if (order.type == TENON_ORDER_MARKET || order.time_in_force == TENON_TIF_IOC) {
        put(TENON_REPORT_EXPIRED);
        return;
    }
    const bool hides = order.display_quantity != 0 && order.display_quantity < taker.quantity;
    const std::int64_t shown = hides ? order.display_quantity : taker.quantity;
    rest(
        order.side,
        order.price,
        {order.order_id,
         shown,
         static_cast<std::uint32_t>(order.account),
         {taker.quantity - shown, hides ? order.display_quantity : 0}}
    );
}

std::int64_t Book::takes(const Taker& taker, std::int64_t price, std::int64_t offered)
    const noexcept {
    std::int64_t quantity = std::min(taker.quantity, offered);
    if (taker.order.type != TENON_ORDER_MARKET) {
        return quantity;
    }
    // How many the quote quantity and the funds pay for, to the step.
    const Int128 unit_price = Int128{price} * rules_.quote_unit;
    const bool buy = taker.order.side == TENON_SIDE_BUY;
    Int128 affordable = buy ? taker.funds / unit_price : Int128{taker.funds / rules_.base_unit};
    affordable = std::min(affordable, taker.quote / unit_price);
    if (affordable < quantity) {
        const std::int64_t whole = clamp64(affordable);
        quantity = whole - whole % rules_.step;
    }
    return quantity;
}

void Book::match(Taker& taker, std::int64_t now_real_ns, tenon_venue_reports out) {
    Side& other = sides_[opposite(taker.order.side)];
    while (taker.quantity > 0 && taker.quote > 0 && !other.keys.empty()) {
        Level& level = levels_[other.places.back()];
        if (!crosses(taker.order, level.price)) {
            return;
        }
        const std::int64_t offered = nodes_[level.first].quantity;
        const std::int64_t quantity = takes(taker, level.price, offered);
        if (quantity == 0) {
            return;
        }
        if (taker.order.stp_mode != TENON_STP_NONE &&
            nodes_[level.first].account == taker.order.account) {
            prevent(taker, level, quantity, out);
        } else {
            trade(taker, level, quantity, now_real_ns, out);
        }
    }
}

void Book::take(Taker& taker, std::int64_t quantity, std::int64_t amount) noexcept {
    if (taker.quantity != INT64_MAX) {
        taker.quantity -= quantity;
    }
    if (taker.quote != INT64_MAX) {
        taker.quote -= amount;
    }
}

// The first order of the level has less; true when it is gone, and with it perhaps the level.
bool Book::lessen_first(Level& level, std::int64_t quantity) {
    const std::uint32_t at = level.first;
    Node& maker = nodes_[at];
    maker.quantity -= quantity;
    level.quantity -= quantity;
    if (maker.quantity != 0) {
        return false;
    }
    if (maker.is_iceberg != 0) {
        Iceberg& iceberg = icebergs_[maker.order_id];
        maker.quantity = std::min(iceberg.hidden, iceberg.display);
        if (maker.quantity != 0) {
            iceberg.hidden -= maker.quantity;
            level.quantity += maker.quantity;
            unlink(at);
            append(at);
            return false;
        }
    }
    remove(at);
    return true;
}

void Book::prevent(Taker& taker, Level& level, std::int64_t quantity, tenon_venue_reports out) {
    const tenon_venue_order& order = taker.order;
    const std::uint32_t at = level.first;
    tenon_venue_report report{
        sizeof report,
        TENON_REPORT_PREVENTED,
        0,
        order.instrument,
        order.order_id,
        nodes_[at].order_id,
        level.price,
        quantity};
    const bool maker_expires =
        order.stp_mode == TENON_STP_EXPIRE_MAKER || order.stp_mode == TENON_STP_EXPIRE_BOTH;
    const bool taker_expires =
        order.stp_mode == TENON_STP_EXPIRE_TAKER || order.stp_mode == TENON_STP_EXPIRE_BOTH;
    if (order.stp_mode != TENON_STP_EXPIRE_TAKER) {
        ++update_id_;
        if (noting_) {
            note_level(level.side, level.price);
        }
    }
    bool maker_gone = maker_expires;
    if (maker_expires) {
        level.quantity -= nodes_[at].quantity;
        remove(at);
    } else if (!taker_expires) {
        const Int128 amount = Int128{report.price} * quantity * rules_.quote_unit;
        take(taker, quantity, static_cast<std::int64_t>(amount));
        maker_gone = lessen_first(level, quantity);
    }
    if (taker_expires) {
        taker.quantity = 0;
    }
    taker.lessened = true;
    taker.ended = taker.quantity == 0 || taker.quote == 0;
    report.reject =
        (taker.ended ? TENON_PREVENTED_TAKER : 0U) | (maker_gone ? TENON_PREVENTED_MAKER : 0U);
    out.put(out.ctx, &report);
}

void Book::trade(
    Taker& taker,
    Level& level,
    std::int64_t quantity,
    std::int64_t now_real_ns,
    tenon_venue_reports out
) {
    const tenon_venue_order& order = taker.order;
    const tenon_venue_report report{
        sizeof report,
        TENON_REPORT_TRADE,
        0,
        order.instrument,
        order.order_id,
        nodes_[level.first].order_id,
        level.price,
        quantity};
    if (order.type == TENON_ORDER_MARKET) {
        const Int128 amount = Int128{level.price} * quantity * rules_.quote_unit;
        take(taker, quantity, static_cast<std::int64_t>(amount));
        taker.funds -= order.side == TENON_SIDE_BUY ? static_cast<std::int64_t>(amount)
                                                    : quantity * rules_.base_unit;
    } else {
        taker.quantity -= quantity;
    }
    first_price_ = first_price_ == 0 ? level.price : first_price_;
    if (trailing_.size() != 0 && last_price_ != level.price) {
        trade_prices_.push_back(level.price);
    }
    last_price_ = level.price;
    ++trade_id_;
    ++update_id_;
    if (noting_) {
        note_trade({trade_id_, level.price, quantity, now_real_ns, order.side == TENON_SIDE_SELL});
        note_level(level.side, level.price);
    }
    (void)lessen_first(level, quantity);
    out.put(out.ctx, &report);
}

void Book::rest(std::uint8_t side, std::int64_t price, const RestingOrder& order) {
    ++update_id_;
    if (noting_) {
        note_level(side, price);
    }
    std::uint32_t at = free_node_;
    if (at == k_none) {
        at = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
    } else {
        free_node_ = nodes_[at].next;
    }
    const std::uint32_t place = level_for(side, price);
    Level& level = levels_[place];
    if (level.last != k_none) {
        __builtin_prefetch(&nodes_[level.last]);
    }
    ids_.insert(order.order_id, at);
    const bool is_iceberg = order.iceberg.display != 0;
    nodes_[at] = {
        order.order_id,
        order.quantity,
        k_none,
        k_none,
        place,
        order.account & k_account_mask,
        is_iceberg ? 1U : 0U};
    if (is_iceberg) {
        icebergs_.insert(order.order_id, order.iceberg);
    }
    append(at);
    level.quantity += order.quantity;
    ++resting_;
}

RestingOrder Book::resting_order(const Node& node) const noexcept {
    return {
        node.order_id,
        node.quantity,
        node.account,
        node.is_iceberg != 0 ? icebergs_[node.order_id] : Iceberg{}};
}

std::int64_t Book::quantity_left(const Node& node) const noexcept {
    return node.quantity + (node.is_iceberg != 0 ? icebergs_[node.order_id].hidden : 0);
}

// To the end of its level.
void Book::append(std::uint32_t at) noexcept {
    Node& node = nodes_[at];
    Level& level = levels_[node.level];
    node.previous = level.last;
    node.next = k_none;
    (level.last == k_none ? level.first : nodes_[level.last].next) = at;
    level.last = at;
}

void Book::unlink(std::uint32_t at) noexcept {
    const Node& node = nodes_[at];
    Level& level = levels_[node.level];
    (node.previous == k_none ? level.first : nodes_[node.previous].next) = node.next;
    (node.next == k_none ? level.last : nodes_[node.next].previous) = node.previous;
}

std::uint32_t Book::level_for(std::uint8_t side, std::int64_t price) {
    Side& levels = sides_[side];
    const std::int64_t key = key_of(side, price);
    const std::size_t index = place_of(levels.keys, key);
    if (index < levels.keys.size() && levels.keys[index] == key) {
        return levels.places[index];
    }
    std::uint32_t place = 0;
    if (free_levels_.empty()) {
        place = static_cast<std::uint32_t>(levels_.size());
        levels_.emplace_back();
    } else {
        place = free_levels_.back();
        free_levels_.pop_back();
    }
    levels_[place] = {price, 0, k_none, k_none, side};
    const auto offset = static_cast<std::ptrdiff_t>(index);
    levels.keys.insert(levels.keys.begin() + offset, key);
    levels.places.insert(levels.places.begin() + offset, place);
    return place;
}

// Takes the order out of its level, whose quantity has to be lowered by the caller.
void Book::remove(std::uint32_t at) {
    Node& node = nodes_[at];
    const std::uint32_t place = node.level;
    const Level& level = levels_[place];
    unlink(at);
    if (node.is_iceberg != 0) {
        icebergs_.erase(node.order_id);
    }
    ids_.erase(node.order_id);
    node.next = free_node_;
    free_node_ = at;
    --resting_;
    if (level.first == k_none) {
        Side& levels = sides_[level.side];
        const auto index =
            static_cast<std::ptrdiff_t>(place_of(levels.keys, key_of(level.side, level.price)));
        levels.keys.erase(levels.keys.begin() + index);
        levels.places.erase(levels.places.begin() + index);
        free_levels_.push_back(place);
    }
}

void Book::cancel(std::uint64_t order_id, tenon_venue_reports out) {
    if (const std::uint32_t at = ids_.find(order_id); at != k_none) {
        Level& level = levels_[nodes_[at].level];
        ++update_id_;
        if (noting_) {
            note_level(level.side, level.price);
        }
        level.quantity -= nodes_[at].quantity;
        remove(at);
    } else if (!triggers_.erase(order_id) && !trailing_.erase(order_id)) {
        return;
    }
    const tenon_venue_report report{
        sizeof report, TENON_REPORT_CANCELED, 0, rules_.instrument, order_id, 0, 0, 0};
    out.put(out.ctx, &report);
}

bool Book::amend(std::uint64_t order_id, std::int64_t quantity) {
    const std::uint32_t at = ids_.find(order_id);
    if (at == k_none) {
        return triggers_.contains(order_id) || trailing_.contains(order_id);
    }
    Node& node = nodes_[at];
    Level& level = levels_[node.level];
    const std::int64_t shown = std::min(node.quantity, quantity);
    if (node.is_iceberg != 0) {
        icebergs_[order_id].hidden = quantity - shown;
    }
    if (shown != node.quantity) {
        ++update_id_;
        if (noting_) {
            note_level(level.side, level.price);
        }
    }
    level.quantity -= node.quantity - shown;
    node.quantity = shown;
    return true;
}

void Book::owned(std::uint64_t order_id, std::uint64_t account) noexcept {
    if (const std::uint32_t at = ids_.find(order_id); at != k_none) {
        nodes_[at].account = static_cast<std::uint32_t>(account) & k_account_mask;
    }
}

std::int64_t Book::quantity_at(std::uint8_t side, std::int64_t price) const noexcept {
    const Side& levels = sides_[side];
    const std::int64_t key = key_of(side, price);
    const std::size_t index = place_of(levels.keys, key);
    return index < levels.keys.size() && levels.keys[index] == key
               ? levels_[levels.places[index]].quantity
               : 0;
}

bool Book::restore(std::uint8_t side, std::int64_t price, const RestingOrder& order) {
    if (ids_.find(order.order_id) != k_none) {
        return false;
    }
    rest(side, price, order);
    return true;
}

void Book::note_level(std::uint8_t side, std::int64_t price) {
    if (changes_.size() < k_noted_max) {
        changes_.push_back({side, price});
    } else {
        lost_ = true;
    }
}

void Book::note_trade(const PublicTrade& trade) {
    if (trades_.size() < k_noted_max) {
        trades_.push_back(trade);
    } else {
        lost_ = true;
    }
}

void Book::forget_notes() noexcept {
    trades_.clear();
    changes_.clear();
    lost_ = false;
}

}  // namespace tenon::internal
