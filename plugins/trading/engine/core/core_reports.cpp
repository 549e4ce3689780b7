// SPDX-License-Identifier: Apache-2.0
// Reports of venues: the order's life, and the money of a trade.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/core/filters.hpp"

#include <tenon/assert.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <utility>

namespace tenon::trading {
namespace {

constexpr std::int64_t k_million = 1'000'000;

// amount * ppm / 1,000,000, rounded half up. In 64 bits: ppm is at most a million, and the amount
// is split at a million.
[[nodiscard]] constexpr std::int64_t fee_of(std::int64_t amount, std::uint32_t ppm) noexcept {
    return amount / k_million * ppm + (amount % k_million * ppm + k_million / 2) / k_million;
}

static_assert(fee_of(499, 1000) == 0 && fee_of(500, 1000) == 1 && fee_of(1499, 1000) == 1);
static_assert(fee_of(INT64_MAX, 1'000'000) == INT64_MAX);

// Which status may follow which, as drawn in core.hpp: bit of the follower.
[[nodiscard]] constexpr bool may_follow(std::uint8_t from, std::uint8_t to) noexcept {
    constexpr auto k_bit = [](int status) { return 1U << static_cast<unsigned>(status); };
    constexpr unsigned k_traded = k_bit(TENON_STATUS_PARTIALLY_FILLED) |
                                  k_bit(TENON_STATUS_FILLED) | k_bit(TENON_STATUS_CANCELED) |
                                  k_bit(TENON_STATUS_EXPIRED);
    unsigned followers = 0;
    if (from == TENON_STATUS_PENDING_NEW) {
        followers = k_bit(TENON_STATUS_NEW) | k_bit(TENON_STATUS_REJECTED) | k_traded;
    } else if (from == TENON_STATUS_NEW || from == TENON_STATUS_PARTIALLY_FILLED) {
        followers = k_traded;
    }
    return (followers & (1U << to)) != 0;
}

[[nodiscard]] bool is_quote_order(const tenon_order& order) noexcept {
    return order.quote_quantity != 0;
}

// True when nothing is left to trade, to the step.
[[nodiscard]] bool used_up(const tenon_order& order, const Instrument& instrument) noexcept {
    if (order.filled_quantity == 0) {
        return false;
    }
    const tenon_instrument& rules = instrument.rules;
    const std::int64_t step =
        std::max({std::int64_t{1}, rules.quantity_step, rules.market_quantity_step});
    return order.quote_quantity - order.filled_quote <
           Int128{instrument.last_price} * step * instrument.quote_unit;
}

}  // namespace

void Core::put_report(void* ctx, const tenon_venue_report* report) {
    static_cast<Core*>(ctx)->on_report(*report);
}

void Core::on_report(const tenon_venue_report& report) {
    if (report.kind == TENON_REPORT_TRADE) {
        on_trade(report);
        return;
    }
    const std::uint32_t slot = orders_.find(report.order_id, subject_);
    if (slot == k_no_slot) {
        return;
    }
    if (slot == subject_ && venue_reject_ != TENON_REJECT_NONE) {
        ++anomalies_;  // nothing may follow a refusal
        return;
    }
    switch (report.kind) {
        case TENON_REPORT_ACCEPTED:
            on_accepted(slot);
            break;
        case TENON_REPORT_REJECTED:
            on_rejected(slot, report.reject);
            break;
        case TENON_REPORT_CANCELED:
            on_canceled(slot);
            break;
        case TENON_REPORT_EXPIRED:
            end(slot, TENON_STATUS_EXPIRED);
            break;
        case TENON_REPORT_COMMISSION:
            on_commission(report);
            break;
        case TENON_REPORT_PREVENTED:
            on_prevented(report);
            break;
        case TENON_REPORT_TRIGGERED:
        case TENON_REPORT_WORKING:
            on_triggered(slot, report.kind == TENON_REPORT_TRIGGERED);
            break;
        default:
            ++anomalies_;
            break;
    }
}

void Core::on_accepted(std::uint32_t slot) {
    if (slot == working_) {
        return;
    }
    tenon_order& order = orders_[slot].order;
    if (order.status != TENON_STATUS_PENDING_NEW) {
        ++anomalies_;
        return;
    }
    set_status(order, TENON_STATUS_NEW);
    put_order(slot, nullptr);
}

void Core::on_rejected(std::uint32_t slot, std::uint32_t reject) {
    if (slot == working_) {
        end(slot, TENON_STATUS_EXPIRED);
        return;
    }
    tenon_order& order = orders_[slot].order;
    if (order.status != TENON_STATUS_PENDING_NEW) {
        ++anomalies_;
        return;
    }
    const std::uint32_t why = reject == TENON_REJECT_NONE ? TENON_REJECT_VENUE : reject;
    if (refusable_ && slot == subject_ && !subject_has_row_) {
        venue_reject_ = why;  // the submit itself is refused, and undone when the venue returns
        return;
    }
    order.reject = why;
    end(slot, TENON_STATUS_REJECTED);
}

// An order that nobody asked to cancel ends since another one of its list works, or its time is
// over.
void Core::on_canceled(std::uint32_t slot) {
    const tenon_order& order = orders_[slot].order;
    const bool asked =
        order.cancel_client_id.length != 0 || (order.list_id == 0 && !is_over(order));
    end(slot, asked ? TENON_STATUS_CANCELED : TENON_STATUS_EXPIRED);
}

void Core::on_triggered(std::uint32_t slot, bool comes_back) {
    tenon_order& order = orders_[slot].order;
    if (is_doomed(order)) {
        if (comes_back) {
            end(slot, TENON_STATUS_EXPIRED);
        }
        return;
    }
    if (order.working_real_ns != 0 || order.status != TENON_STATUS_NEW) {
        ++anomalies_;
        return;
    }
    order.working_real_ns = time_real_ns_;
    order.updated_real_ns = time_real_ns_;
    order.update_sequence = sequence_;
    put_order(slot, nullptr);
    decide(slot, true);
    if (comes_back) {
        triggered_.push_back(order.order_id);
    }
}

void Core::on_commission(const tenon_venue_report& report) {
    if (report.reject >= ledger_.asset_count() || report.quantity < 0 ||
        report.quantity > k_system_balance_max) {
        ++anomalies_;
        return;
    }
    commission_ = {report.order_id, report.quantity, report.reject};
}

bool Core::side_can_trade(const TradeSide& side, const Fill& fill) const noexcept {
    const OrderSlot& slot = orders_[side.slot];
    const tenon_order& order = slot.order;
    const bool buy = order.side == TENON_SIDE_BUY;
    if (is_quote_order(order)) {
        if (fill.quote > order.quote_quantity - order.filled_quote) {
            return false;
        }
    } else if (fill.quantity > order.quantity - order.filled_quantity - order.prevented_quantity) {
        return false;
    }
    if (order.price != 0 && (buy ? fill.price > order.price : fill.price < order.price)) {
        return false;
    }
    return (buy ? fill.quote : fill.base) <= slot.locked;
}

bool Core::venues_can_trade(const Fill& fill, bool venues_buy) const noexcept {
    const tenon_instrument& rules = fill.instrument->rules;
    const std::int64_t base = ledger_.at(TENON_ACCOUNT_VENUES, rules.base).free;
    const std::int64_t quote = ledger_.at(TENON_ACCOUNT_VENUES, rules.quote).free;
    const Int128 base_after = Int128{base} + (venues_buy ? fill.base : -fill.base);
    const Int128 quote_after = Int128{quote} + (venues_buy ? -fill.quote : fill.quote);
    const auto bounded = [](Int128 value) {
        return value <= k_system_balance_max && value >= -k_system_balance_max;
    };
    return bounded(base_after) && bounded(quote_after);
}

void Core::on_trade(const tenon_venue_report& report) {
    const TradeSide taker{
        report.order_id == 0 ? k_no_slot : orders_.find(report.order_id, subject_), false};
    const TradeSide maker{
        report.maker_order_id == 0 ? k_no_slot : orders_.find(report.maker_order_id), true};
    const bool has_taker = taker.slot != k_no_slot;
    const bool has_maker = maker.slot != k_no_slot;
    if (has_maker) {
        orders_.prefetch(maker.slot);
    }
    const Instrument* instrument = table_.find(report.instrument);
    Fill fill{instrument, 0, report.price, report.quantity, 0, 0};
    if (has_maker && !has_taker && is_doomed(orders_[maker.slot].order)) {
        // The market met two orders of a list before the second could be taken away.
        end(maker.slot, TENON_STATUS_EXPIRED);
        return;
    }
    for (const TradeSide& side : {taker, maker}) {
        if (side.slot != k_no_slot) {
            decide(side.slot, true);
        }
    }

    bool good = instrument != nullptr && report.price > 0 && report.quantity > 0 &&
                venue_reject_ == TENON_REJECT_NONE && (has_taker || has_maker) &&
                has_taker == (report.order_id != 0) && has_maker == (report.maker_order_id != 0);
    if (good) {
        const auto base = base_amount(*instrument, report.quantity);
        const auto quote = quote_amount(*instrument, report.price, report.quantity);
        fill.base = base.value_or(0);
        fill.quote = quote.value_or(0);
        good = base.has_value() && quote.has_value();
    }
    for (const TradeSide& side : {taker, maker}) {
        good = good && (side.slot == k_no_slot ||
                        (orders_[side.slot].order.instrument == report.instrument &&
                         side_can_trade(side, fill)));
    }
    if (good && has_taker && has_maker) {
        good = taker.slot != maker.slot &&
               orders_[taker.slot].order.side != orders_[maker.slot].order.side;
    } else if (good) {
        const OrderSlot& ours = orders_[has_taker ? taker.slot : maker.slot];
        good = venues_can_trade(fill, ours.order.side == TENON_SIDE_SELL);
    }
    if (!good) {
        ++anomalies_;
        for (const std::uint32_t slot : {taker.slot, maker.slot}) {
            const bool refused = slot == subject_ && venue_reject_ != TENON_REJECT_NONE;
            if (slot != k_no_slot && !refused && orders_[slot].order.status < TENON_STATUS_FILLED) {
                end(slot, TENON_STATUS_EXPIRED);
            }
        }
        return;
    }
    Instrument& state = table_[report.instrument];
    fill.trade_id = state.next_trade_id++;
    state.last_price = fill.price;
    if (!has_taker || !has_maker) {
        const OrderSlot& ours = orders_[has_taker ? taker.slot : maker.slot];
        settle_venues(fill, ours.order.side == TENON_SIDE_SELL);
    }
    for (const TradeSide& side : {taker, maker}) {
        if (side.slot != k_no_slot) {
            settle(side, fill);
        }
    }
}

void Core::settle_venues(const Fill& fill, bool venues_buy) {
    const tenon_instrument& rules = fill.instrument->rules;
    ledger_.add_free(TENON_ACCOUNT_VENUES, rules.base, venues_buy ? fill.base : -fill.base);
    ledger_.add_free(TENON_ACCOUNT_VENUES, rules.quote, venues_buy ? -fill.quote : fill.quote);
}

void Core::settle(const TradeSide& side, const Fill& fill) {
    OrderSlot& slot = orders_[side.slot];
    tenon_order& order = slot.order;
    const Instrument& instrument = *fill.instrument;
    const tenon_instrument& rules = instrument.rules;
    const bool buy = order.side == TENON_SIDE_BUY;
    const std::uint32_t paying = buy ? rules.quote : rules.base;
    const std::uint32_t receiving = buy ? rules.base : rules.quote;
    const std::int64_t paid = buy ? fill.quote : fill.base;
    const std::int64_t received = buy ? fill.base : fill.quote;
    // A limit buy had locked its own price for this quantity.
    const std::int64_t released =
        buy && order.price != 0 ? order.price * fill.quantity * instrument.quote_unit : paid;
    ledger_.spend(order.account, paying, paid, released - paid);
    slot.locked -= released;
    ledger_.add_free(order.account, receiving, received);
    Commission charged = std::exchange(commission_, {});
    if (charged.order_id == order.order_id) {
        pay_venue(order.account, charged);
    } else {
        charged.asset = receiving;
        charged.amount = fee_of(received, side.maker ? rules.maker_fee_ppm : rules.taker_fee_ppm);
        if (charged.amount != 0) {
            ledger_.add_free(order.account, receiving, -charged.amount);
            ledger_.add_free(TENON_ACCOUNT_FEES, receiving, charged.amount);
        }
    }

    order.filled_quantity += fill.quantity;
    order.filled_quote += fill.quote;
    if (order.working_real_ns == 0) {
        order.working_real_ns = time_real_ns_;  // an exchange may report the trade first
    }
    if (is_quote_order(order)) {
        if (order.filled_quote == order.quote_quantity) {
            order.quantity = order.filled_quantity + order.prevented_quantity;
        }
    } else if (buy) {
        orders_.bought(order, fill.quantity);
    }
    const bool filled = order.filled_quantity + order.prevented_quantity == order.quantity;
    set_status(order, filled ? TENON_STATUS_FILLED : TENON_STATUS_PARTIALLY_FILLED);
    if (filled) {
        order.cancel_client_id = {};
    }

    auto trade = sized<tenon_trade>();
    trade.trade_id = fill.trade_id;
    trade.order_id = order.order_id;
    trade.account = order.account;
    trade.instrument = order.instrument;
    trade.side = order.side;
    trade.is_maker = side.maker ? 1 : 0;
    trade.price = fill.price;
    trade.quantity = fill.quantity;
    trade.quote_amount = fill.quote;
    trade.fee = charged.amount;
    trade.fee_asset = charged.asset;
    trade.time_real_ns = time_real_ns_;
    trade.sequence = sequence_;
    put_order(side.slot, &trade);
    if (filled) {
        leave(side.slot);
    }
}

// What the venue charged, as far as the account has it: no balance goes below 0.
void Core::pay_venue(std::uint64_t account, const Commission& charged) {
    const std::int64_t venues = ledger_.at(TENON_ACCOUNT_VENUES, charged.asset).free;
    const std::int64_t free = std::max<std::int64_t>(ledger_.at(account, charged.asset).free, 0);
    const std::int64_t paid = std::min(charged.amount, free);
    if (venues > k_system_balance_max - paid) {
        ++anomalies_;
        return;
    }
    if (paid != 0) {
        ledger_.add_free(account, charged.asset, -paid);
        ledger_.add_free(TENON_ACCOUNT_VENUES, charged.asset, paid);
    }
}

void Core::end(std::uint32_t at, std::uint8_t status) {
    tenon_order& order = orders_[at].order;
    const Instrument& instrument = table_[order.instrument];
    if (is_quote_order(order)) {
        order.quantity = order.filled_quantity;
        if (status == TENON_STATUS_EXPIRED && used_up(order, instrument)) {
            status = TENON_STATUS_FILLED;
        }
    }
    close(at, status, Output::k_none);
}

// By the prevented match in that row of the Output, or by something else.
void Core::close(std::uint32_t at, std::uint8_t status, std::uint32_t prevented_row) {
    tenon_order& order = orders_[at].order;
    set_status(order, status);
    if (status != TENON_STATUS_CANCELED) {
        order.cancel_client_id = {};
    }
    decide(at, false);
    put_order(at, nullptr);
    out_->events_.back().prevented = prevented_row;
    leave(at);
}

void Core::leave(std::uint32_t at) {
    OrderSlot& slot = orders_[at];
    if (slot.locked != 0) {
        ledger_.unlock(slot.order.account, paying_asset(slot.order), slot.locked);
        slot.locked = 0;
    }
    const std::uint64_t list_id = slot.order.list_id;
    forget_expiry(slot.order);
    orders_.close(at);
    if (list_id != 0) {
        left_list(list_id);
    }
}

void Core::set_status(tenon_order& order, std::uint8_t status) {
    TENON_ASSERT(may_follow(order.status, status));
    order.status = status;
    order.updated_real_ns = time_real_ns_;
    order.update_sequence = sequence_;
}

void Core::put_order(std::uint32_t slot, const tenon_trade* trade) {
    const auto row = static_cast<std::uint32_t>(out_->orders_.size());
    out_->orders_.push_back(orders_[slot].order);
    const bool subject = slot == subject_;
    if (subject) {
        subject_row_ = row;
        subject_has_row_ = true;
    }
    std::uint32_t trade_row = Output::k_none;
    if (trade != nullptr) {
        auto& trades = subject ? out_->trades_ : out_->maker_trades_;
        trade_row = static_cast<std::uint32_t>(trades.size());
        trades.push_back(*trade);
    }
    out_->events_.push_back({TENON_EVENT_ORDER, row, trade_row, !subject});
}

}  // namespace tenon::trading
