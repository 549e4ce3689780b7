// SPDX-License-Identifier: Apache-2.0
// What open orders lose without a trade: by prevented matches, by amendments, by time.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/core/filters.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tenon::trading {
namespace {

[[nodiscard]] std::int64_t left_of(const tenon_order& order) noexcept {
    return order.quantity - order.filled_quantity - order.prevented_quantity;
}

[[nodiscard]] bool is_among(std::uint32_t mode, std::uint32_t a, std::uint32_t b) noexcept {
    return mode == a || mode == b;
}

// What a prevented match takes of one of its orders.
[[nodiscard]] std::int64_t
lost_by(const tenon_order& order, std::int64_t quantity, bool expires) noexcept {
    return expires && order.quote_quantity == 0 ? left_of(order) : quantity;
}

}  // namespace

// What a limit order had locked for this quantity. An undecided list's order has nothing itself.
void Core::release(OrderSlot& slot, std::int64_t quantity) noexcept {
    const tenon_order& order = slot.order;
    if (order.price == 0 || slot.locked == 0) {
        return;
    }
    const Instrument& instrument = table_[order.instrument];
    const std::int64_t amount = order.side == TENON_SIDE_BUY
                                    ? order.price * quantity * instrument.quote_unit
                                    : quantity * instrument.base_unit;
    slot.locked -= amount;
    ledger_.unlock(order.account, paying_asset(order), amount);
}

void Core::on_prevented(const tenon_venue_report& report) {
    const std::uint32_t taker = orders_.find(report.order_id, subject_);
    const std::uint32_t maker = orders_.find(report.maker_order_id);
    const bool known = taker != k_no_slot && maker != k_no_slot && taker != maker;
    if (!known || venue_reject_ != TENON_REJECT_NONE || report.price <= 0 || report.quantity <= 0 ||
        report.reject > (TENON_PREVENTED_TAKER | TENON_PREVENTED_MAKER)) {
        ++anomalies_;
        return;
    }
    const tenon_order& takes = orders_[taker].order;
    const tenon_order& rests = orders_[maker].order;
    const std::uint32_t mode = takes.stp_mode;
    const bool both = is_among(mode, TENON_STP_DECREMENT, TENON_STP_TRANSFER);
    const bool taker_expires = is_among(mode, TENON_STP_EXPIRE_TAKER, TENON_STP_EXPIRE_BOTH);
    const bool maker_expires = is_among(mode, TENON_STP_EXPIRE_MAKER, TENON_STP_EXPIRE_BOTH);

    auto match = sized<tenon_prevented_match>();
    match.instrument = takes.instrument;
    match.taker_order_id = takes.order_id;
    match.maker_order_id = rests.order_id;
    match.account = takes.account;
    match.stp_mode = mode;
    match.price = report.price;
    match.taker_quantity =
        both || taker_expires ? lost_by(takes, report.quantity, taker_expires) : 0;
    match.maker_quantity =
        both || maker_expires ? lost_by(rests, report.quantity, maker_expires) : 0;
    match.time_real_ns = time_real_ns_;
    match.sequence = sequence_;
    const bool fits =
        takes.account == rests.account && takes.side != rests.side &&
        takes.instrument == report.instrument && rests.instrument == report.instrument &&
        (takes.quote_quantity != 0 || match.taker_quantity <= left_of(takes)) &&
        match.maker_quantity <= left_of(rests) && match.taker_quantity + match.maker_quantity != 0;
    if (!fits) {
        ++anomalies_;
        return;
    }
    match.match_id = table_[report.instrument].next_prevented_id++;
    const auto row = static_cast<std::uint32_t>(out_->prevented_.size());
    out_->prevented_.push_back(match);
    if (match.taker_quantity != 0) {
        lose(taker, match.taker_quantity, (report.reject & TENON_PREVENTED_TAKER) != 0, row);
    }
    if (match.maker_quantity != 0) {
        lose(maker, match.maker_quantity, (report.reject & TENON_PREVENTED_MAKER) != 0, row);
    }
}

// By the prevented match in this row of the Output.
void Core::lose(std::uint32_t at, std::int64_t quantity, bool ends, std::uint32_t row) {
    OrderSlot& slot = orders_[at];
    tenon_order& order = slot.order;
    release(slot, quantity);
    order.prevented_quantity += quantity;
    order.prevented_match_id = out_->prevented_[row].match_id;
    if (order.quote_quantity == 0) {
        if (order.side == TENON_SIDE_BUY) {
            orders_.bought(order, quantity);
        }
    } else if (ends) {
        order.quantity = order.filled_quantity + order.prevented_quantity;
    }
    if (ends) {
        close(at, TENON_STATUS_EXPIRED, row);
        return;
    }
    order.updated_real_ns = time_real_ns_;
    order.update_sequence = sequence_;
    put_order(at, nullptr);
    out_->events_.back().prevented = row;
}

std::uint32_t Core::check_amend(const tenon_amend_request& request, const tenon_order& order)
    const {
    const Instrument& instrument = table_[order.instrument];
    const tenon_venue_1* venue = venue_of(instrument);
    const bool can = venue != nullptr && (venue->flags & TENON_VENUE_AMEND) != 0 &&
                     TENON_HAS(venue, tenon_venue_1, amend);
    if (!can || order.list_id != 0 || order.quote_quantity != 0) {
        return TENON_REJECT_UNSUPPORTED;
    }
    if (order.status == TENON_STATUS_PENDING_NEW) {
        return TENON_REJECT_UNKNOWN_ORDER;  // it is under way, and in no book yet
    }
    if (request.quantity >= order.quantity ||
        request.quantity <= order.filled_quantity + order.prevented_quantity) {
        return TENON_REJECT_AMEND_QUANTITY;
    }
    auto amended = sized<tenon_order_request>();
    amended.side = order.side;
    amended.type = order.type;
    amended.time_in_force = order.time_in_force;
    amended.price = order.price;
    amended.quantity = request.quantity;
    amended.stop_price = order.stop_price;
    amended.trailing_delta = order.trailing_delta;
    amended.display_quantity = std::min(order.display_quantity, request.quantity);
    if (const std::uint32_t reject = check_filters(instrument, amended, 0);
        reject != TENON_REJECT_NONE) {
        return reject;
    }
    const tenon_client_id id = normal(request.new_client_id);
    const bool keeps = std::memcmp(&id, &order.client_id, sizeof id) == 0;
    return id.length != 0 && !keeps && orders_.client_id_taken(order.account, id)
               ? std::uint32_t{TENON_REJECT_DUPLICATE_ID}
               : TENON_REJECT_NONE;
}

void Core::watch_expiry(const tenon_order& order) {
    if (order.expires_real_ns != 0) {
        expiries_.emplace(order.expires_real_ns, order.order_id);
    }
}

void Core::forget_expiry(const tenon_order& order) {
    if (order.expires_real_ns != 0) {
        expiries_.erase({order.expires_real_ns, order.order_id});
    }
}

// A venue that answers later keeps the wish; to ask it again changes nothing, so it does not matter
// that a restart forgets who was asked. A client's own cancel under way stays what it is.
void Core::run(const ExpireCommand&) {
    if (next_expiry_real_ns() > time_real_ns_) {
        refuse(TENON_REJECT_UNKNOWN_ORDER);
        return;
    }
    while (next_expiry_real_ns() <= time_real_ns_) {
        const std::uint64_t order_id = expiries_.begin()->second;
        expiries_.erase(expiries_.begin());
        const std::uint32_t slot = orders_.find(order_id);
        if (slot != k_no_slot && orders_[slot].order.cancel_client_id.length == 0) {
            cancel_open(slot, {});
            end_others();
        }
    }
}

void Core::run(const AmendCommand& command) {
    const tenon_amend_request& request = command.request;
    if (find_account(request.account) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ACCOUNT);
        return;
    }
    if (!printable(request.client_id) || !printable(request.new_client_id) ||
        (request.order_id == 0 && request.client_id.length == 0) || request.quantity <= 0) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    if (request.instrument != TENON_ANY_INSTRUMENT && table_.find(request.instrument) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_INSTRUMENT);
        return;
    }
    const tenon_order* found =
        named_order(request.account, request.instrument, request.order_id, request.client_id);
    if (found == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ORDER);
        return;
    }
    if (const std::uint32_t reject = check_amend(request, *found); reject != TENON_REJECT_NONE) {
        refuse(reject);
        return;
    }
    subject_ = orders_.find(found->order_id);
    OrderSlot& slot = orders_[subject_];
    tenon_order& order = slot.order;
    const Service<tenon_venue_1>& venue = venues_[table_[order.instrument].venue].venue;
    const std::int64_t less = order.quantity - request.quantity;
    if (venue->amend(venue.self, order.order_id, order.instrument, left_of(order) - less) !=
        TENON_OK) {
        refuse(TENON_REJECT_UNKNOWN_ORDER);
        return;
    }
    auto amendment = sized<tenon_amendment>();
    amendment.instrument = order.instrument;
    amendment.order_id = order.order_id;
    amendment.account = order.account;
    amendment.old_client_id = order.client_id;
    amendment.old_quantity = order.quantity;
    amendment.quantity = request.quantity;
    amendment.time_real_ns = time_real_ns_;
    amendment.sequence = sequence_;
    tenon_client_id id = normal(request.new_client_id);
    if (id.length == 0) {
        id = make_client_id(order.account, "tnn-a", sequence_);
    }
    if (std::memcmp(&id, &order.client_id, sizeof id) != 0) {
        orders_.rename(subject_, id);
    }
    amendment.client_id = id;
    release(slot, less);
    order.quantity = request.quantity;
    order.display_quantity = std::min(order.display_quantity, request.quantity);
    if (order.side == TENON_SIDE_BUY) {
        orders_.bought(order, less);
    }
    order.updated_real_ns = time_real_ns_;
    order.update_sequence = sequence_;
    put_order(subject_, nullptr);
    const auto row = static_cast<std::uint32_t>(out_->amendments_.size());
    out_->amendments_.push_back(amendment);
    out_->events_.back().amendment = row;
    result_->amendments = {row, 1};
}

}  // namespace tenon::trading
