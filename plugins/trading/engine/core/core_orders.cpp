// SPDX-License-Identifier: Apache-2.0
// Orders in: checks, reservation, hand-over to the venue, cancels.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/core/filters.hpp"

#include <tenon/assert.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace tenon::trading {
namespace {

// True when each of the eight bytes is above ' ' and below DEL: for bytes without their top bit no
// borrow or carry leaves a byte that is in range, and one out of range reaches a top bit.
[[nodiscard]] bool printable(std::uint64_t bytes) noexcept {
    constexpr std::uint64_t k_ones = 0x0101010101010101ULL;
    constexpr std::uint64_t k_tops = k_ones << 7;
    const std::uint64_t low = (bytes | k_tops) - '!' * k_ones;
    const std::uint64_t high = (bytes & ~k_tops) + k_ones;
    return ((bytes | ~low | high) & k_tops) == 0;
}

[[nodiscard]] bool permits(std::uint32_t restriction, std::uint8_t status) noexcept {
    switch (restriction) {
        case TENON_CANCEL_ONLY_NEW:
            return status == TENON_STATUS_NEW;
        case TENON_CANCEL_ONLY_PARTIALLY_FILLED:
            return status == TENON_STATUS_PARTIALLY_FILLED;
        default:
            return true;
    }
}

[[nodiscard]] tenon_venue_order
for_venue(const tenon_order& order, std::int64_t funds, std::int64_t reference_price) noexcept {
    return {
        sizeof(tenon_venue_order),
        order.instrument,
        order.order_id,
        order.account,
        order.side,
        order.type,
        order.time_in_force,
        0,
        0,
        order.price,
        order.quantity,
        order.quote_quantity,
        funds,
        order.stop_price,
        order.display_quantity,
        order.trailing_delta,
        order.stp_mode,
        reference_price};
}

[[nodiscard]] bool closed_position(
    const Instrument& instrument,
    const Exposure& exposure,
    const Balance& base,
    std::int64_t quantity
) noexcept {
    const Int128 units = Int128{exposure.open_buy_quantity} + quantity;
    return Int128{base.free} + base.locked + units * instrument.base_unit >
           Int128{instrument.rules.position_max} * instrument.base_unit;
}

}  // namespace

// Eight bytes at a time; the last eight may be looked at twice.
bool printable(const tenon_client_id& id) noexcept {
    constexpr std::size_t k_word = sizeof(std::uint64_t);
    if (id.length > TENON_CLIENT_ID_MAX) {
        return false;
    }
    if (id.length < k_word) {
        return std::all_of(id.text, id.text + id.length, [](char c) {
            return c > ' ' && c < 0x7f;
        });
    }
    bool good = true;
    for (std::size_t at = 0; at < id.length; at += k_word) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, id.text + std::min(at, id.length - k_word), k_word);
        good = good && printable(bytes);
    }
    return good;
}

tenon_client_id normal(const tenon_client_id& id) noexcept {
    constexpr std::size_t k_word = sizeof(std::uint64_t);
    constexpr std::size_t k_words = sizeof id / k_word;
    static_assert(sizeof id == k_words * k_word && offsetof(tenon_client_id, text) == 1);
    std::array<std::uint64_t, k_words> words{};
    std::memcpy(words.data(), &id, sizeof id);
    const std::size_t length = std::min<std::size_t>(id.length, TENON_CLIENT_ID_MAX);
    for (std::size_t i = 0; i < k_words; ++i) {
        // Bytes of this word that belong to the length and the text.
        const std::size_t end = length + 1;
        const std::size_t kept = std::clamp(end, i * k_word, (i + 1) * k_word) - i * k_word;
        words[i] &= kept == k_word ? ~std::uint64_t{0} : (std::uint64_t{1} << (kept * 8)) - 1;
    }
    tenon_client_id out{};
    std::memcpy(&out, words.data(), sizeof out);
    out.length = static_cast<std::uint8_t>(length);
    return out;
}

tenon_client_id
Core::make_client_id(std::uint64_t account, std::string_view prefix, std::uint64_t number) const {
    tenon_client_id id{};
    char* const end = id.text + TENON_CLIENT_ID_MAX;
    char* at = std::copy(prefix.begin(), prefix.end(), id.text);
    at = std::to_chars(at, end, number).ptr;
    id.length = static_cast<std::uint8_t>(at - id.text);
    // A client may have taken that very id.
    for (std::uint32_t i = 1; orders_.client_id_taken(account, id); ++i) {
        *at = '-';
        char* const more = std::to_chars(at + 1, end, i).ptr;
        id.length = static_cast<std::uint8_t>(more - id.text);
    }
    return id;
}

std::int64_t Core::reference_price(const SubmitCommand& command) const {
    const Instrument& instrument = table_[command.order.instrument];
    const Service<tenon_venue_1>& venue = venues_[instrument.venue].venue;
    if (TENON_HAS(venue.table, tenon_venue_1, reference_price)) {
        const std::int64_t price =
            venue->reference_price(venue.self, command.order.instrument, command.evidence);
        if (price > 0) {
            return price;
        }
    }
    return instrument.last_price;
}

std::uint32_t Core::find_funds(
    const tenon_order_request& order,
    std::int64_t reference,
    std::int64_t& funds
) const {
    const Instrument& instrument = table_[order.instrument];
    const bool buy = order.side == TENON_SIDE_BUY;
    const std::int64_t free =
        ledger_.at(order.account, buy ? instrument.rules.quote : instrument.rules.base).free;
    // What the order needs for sure, or by the reference price; checked against overflow before.
    std::int64_t needed = 1;
    bool exact = true;
    if (order.type != TENON_ORDER_MARKET) {
        // A conditional market order has no other price than the one that it waits for.
        const std::int64_t waits_for = order.stop_price != 0 ? order.stop_price : reference;
        const std::int64_t price = order.price != 0 ? order.price : waits_for;
        if (price == 0 && buy) {
            return TENON_REJECT_NO_LIQUIDITY;
        }
        needed = buy ? *quote_amount(instrument, price, order.quantity)
                     : *base_amount(instrument, order.quantity);
    } else if (buy && order.quote_quantity != 0) {
        needed = order.quote_quantity;
    } else if (!buy && order.quantity != 0) {
        needed = *base_amount(instrument, order.quantity);
    } else {
        exact = false;
        if (reference != 0 && buy) {
            needed = *quote_amount(instrument, reference, order.quantity);
        } else if (reference != 0) {
            const Int128 unit_price = Int128{reference} * instrument.quote_unit;
            const Int128 base = order.quote_quantity / unit_price * instrument.base_unit;
            needed = fits_int64(base) ? std::max<std::int64_t>(1, static_cast<std::int64_t>(base))
                                      : INT64_MAX;
        }
    }
    funds = exact ? needed : free;
    return free >= needed ? TENON_REJECT_NONE : TENON_REJECT_BALANCE;
}

std::uint32_t Core::check_submit(const SubmitCommand& command, Admission& admission, Ahead ahead)
    const {
    const tenon_order_request& order = command.order;
    const bool make_id = order.client_id.length == 0;
    admission.client_id = normal(order.client_id);
    admission.client_tag = orders_.client_tag(order.account, admission.client_id);
    orders_.prefetch_insert(next_order_id_, order.account);
    ledger_.prefetch(order.account);
    const Account* account = find_account(order.account);
    if (account == nullptr || order.account < TENON_ACCOUNT_FIRST) {
        return TENON_REJECT_UNKNOWN_ACCOUNT;
    }
    if (!account->enabled) {
        return TENON_REJECT_ACCOUNT_DISABLED;
    }
    if (halted_) {
        return TENON_REJECT_MARKET_CLOSED;
    }
    const Instrument* instrument = table_.find(order.instrument);
    if (instrument == nullptr) {
        return TENON_REJECT_UNKNOWN_INSTRUMENT;
    }
    if (instrument->status != TENON_INSTRUMENT_TRADING || instrument->venue == k_no_venue) {
        return TENON_REJECT_MARKET_CLOSED;
    }
    if (const std::uint32_t reject = check_shape(order); reject != TENON_REJECT_NONE) {
        return reject;
    }
    if (order.expires_real_ns != 0 && order.expires_real_ns <= time_real_ns_) {
        return TENON_REJECT_TIME_OVER;
    }
    if (!printable(order.client_id) || command.evidence.n > k_evidence_bytes_max) {
        return TENON_REJECT_INVALID;
    }
    if (!is_taken_by_venue(order)) {
        return TENON_REJECT_UNSUPPORTED;
    }
    const std::int64_t reference = reference_price(command);
    admission.reference_price = reference;
    if (const std::uint32_t reject = check_filters(*instrument, order, reference);
        reject != TENON_REJECT_NONE) {
        return reject;
    }
    const bool conditional = is_conditional(order.type);
    if (order.stop_price != 0 && reference != 0 &&
        is_triggered(order.side, order.type, order.stop_price, reference)) {
        return TENON_REJECT_WOULD_TRIGGER;
    }
    const tenon_instrument& rules = instrument->rules;
    const Exposure& exposure = orders_.exposure(order.account, order.instrument);
    if (rules.orders_max != 0 && order.type != TENON_ORDER_MARKET &&
        exposure.open_orders + ahead.orders >= rules.orders_max) {
        return TENON_REJECT_MAX_ORDERS;
    }
    if (conditional && rules.algo_orders_max != 0 &&
        exposure.algo_orders + ahead.algo_orders >= rules.algo_orders_max) {
        return TENON_REJECT_MAX_ALGO_ORDERS;
    }
    if (rules.position_max != 0 && order.side == TENON_SIDE_BUY &&
        closed_position(
            *instrument, exposure, ledger_.at(order.account, rules.base), order.quantity
        )) {
        return TENON_REJECT_MAX_POSITION;
    }
    if (make_id) {
        admission.client_id = make_client_id(order.account, "tnn-", next_order_id_ + ahead.orders);
        admission.client_tag = orders_.client_tag(order.account, admission.client_id);
    } else if (orders_.client_id_taken(order.account, admission.client_id, admission.client_tag)) {
        return TENON_REJECT_DUPLICATE_ID;
    }
    if (orders_.size() + ahead.orders >= options_.open_orders_max) {
        return TENON_REJECT_CAPACITY;
    }
    if (const std::uint32_t reject = check_risk(order, reference, ahead);
        reject != TENON_REJECT_NONE) {
        return reject;
    }
    return find_funds(order, reference, admission.funds);
}

bool Core::is_taken_by_venue(const tenon_order_request& order) const noexcept {
    const std::uint32_t wanted = (order.stp_mode != TENON_STP_NONE ? TENON_VENUE_STP : 0U) |
                                 (order.display_quantity != 0 ? TENON_VENUE_ICEBERG : 0U) |
                                 (order.trailing_delta != 0 ? TENON_VENUE_TRAILING : 0U);
    if (wanted == 0) {
        return true;
    }
    const std::uint32_t taken = venues_[table_[order.instrument].venue].venue->flags;
    return (taken & wanted) == wanted &&
           ((taken & TENON_VENUE_STP_EXPIRES) == 0 || order.stp_mode < TENON_STP_DECREMENT);
}

void Core::run(const SubmitCommand& command) {
    Admission admission;
    if (const std::uint32_t reject = check_submit(command, admission, {});
        reject != TENON_REJECT_NONE) {
        refuse(reject);
        return;
    }
    tenon_order order = make_order(command.order);
    order.client_id = admission.client_id;
    const std::int64_t funds = admission.funds;
    const std::uint32_t paying = paying_asset(order);
    ledger_.lock(order.account, paying, funds);
    const std::uint32_t slot = orders_.insert(order, funds, admission.client_tag);
    watch_expiry(order);
    subject_ = slot;
    refusable_ = true;
    hand_over(slot, admission, command.evidence);
    if (venue_reject_ != TENON_REJECT_NONE) {
        ledger_.unlock(order.account, paying, funds);
        forget_expiry(order);
        orders_.remove(slot);
        refuse(venue_reject_);
        return;
    }
    ++next_order_id_;
    charge_risk(order.account, order.instrument, 1);
    if (!subject_has_row_) {
        put_order(slot, nullptr);
    }
    follow_up(command.evidence);
}

tenon_order Core::make_order(const tenon_order_request& request) const {
    auto order = sized<tenon_order>();
    order.order_id = next_order_id_;
    order.account = request.account;
    order.instrument = request.instrument;
    order.side = request.side;
    order.type = request.type;
    order.time_in_force = request.time_in_force == 0 ? TENON_TIF_GTC : request.time_in_force;
    order.status = TENON_STATUS_PENDING_NEW;
    order.price = request.price;
    order.quantity = request.quantity;
    order.quote_quantity = request.quote_quantity;
    order.created_real_ns = time_real_ns_;
    order.updated_real_ns = time_real_ns_;
    order.update_sequence = sequence_;
    order.stop_price = request.stop_price;
    order.working_real_ns = is_conditional(request.type) ? 0 : time_real_ns_;
    order.display_quantity = request.display_quantity;
    order.trailing_delta = request.trailing_delta;
    order.stp_mode = request.stp_mode;
    order.expires_real_ns = request.expires_real_ns;
    return order;
}

void Core::hand_over(std::uint32_t slot, const Admission& admission, tenon_bytes evidence) {
    const tenon_venue_order order =
        for_venue(orders_[slot].order, admission.funds, admission.reference_price);
    const Service<tenon_venue_1>& venue = venues_[table_[order.instrument].venue].venue;
    venue->submit(venue.self, &order, evidence, time_real_ns_, reports());
}

// What the reports of a venue brought about. Orders whose condition came true go back to their
// venue as what they became, in the order of their reports. What they trade may trigger others and
// decide lists; each is triggered once.
void Core::follow_up(tenon_bytes evidence) {
    end_others();
    for (std::size_t i = 0; i < triggered_.size(); ++i) {
        if (const std::uint32_t at = orders_.find(triggered_[i]); at != k_no_slot) {
            submit_triggered(at, evidence);
            end_others();
        }
    }
}

void Core::submit_triggered(std::uint32_t at, tenon_bytes evidence) {
    OrderSlot& slot = orders_[at];
    tenon_order order = slot.order;
    const Instrument& instrument = table_[order.instrument];
    order.type = working_type(order.type);
    order.stop_price = 0;
    order.trailing_delta = 0;
    if (order.type == TENON_ORDER_MARKET && order.side == TENON_SIDE_BUY) {
        // The stop price was a guess; as any market buy by quantity it may spend all.
        const std::int64_t free = ledger_.at(order.account, instrument.rules.quote).free;
        ledger_.lock(order.account, instrument.rules.quote, free);
        slot.locked += free;
    }
    working_ = at;
    const tenon_venue_order venue_order = for_venue(order, slot.locked, instrument.last_price);
    const Service<tenon_venue_1>& venue = venues_[instrument.venue].venue;
    venue->submit(venue.self, &venue_order, evidence, time_real_ns_, reports());
    working_ = k_no_slot;
}

void Core::cancel_open(std::uint32_t slot, const tenon_client_id& cancel_client_id) {
    tenon_order& order = orders_[slot].order;
    order.cancel_client_id = cancel_client_id;
    const Instrument& instrument = table_[order.instrument];
    const tenon_venue_1* venue = venue_of(instrument);
    if (venue == nullptr) {
        on_canceled(slot);  // nobody else knows the order any more
        return;
    }
    venue->cancel(
        venues_[instrument.venue].venue.self,
        order.order_id,
        order.instrument,
        time_real_ns_,
        reports()
    );
}

void Core::run(const CancelCommand& command) {
    const tenon_cancel_request& request = command.request;
    if (find_account(request.account) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ACCOUNT);
        return;
    }
    if (!printable(request.client_id) || !printable(request.cancel_client_id) ||
        (request.order_id == 0 && request.client_id.length == 0) ||
        request.restriction > TENON_CANCEL_ONLY_PARTIALLY_FILLED) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    if (request.instrument != TENON_ANY_INSTRUMENT && table_.find(request.instrument) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_INSTRUMENT);
        return;
    }
    const tenon_order* order =
        named_order(request.account, request.instrument, request.order_id, request.client_id);
    if (order == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ORDER);
        return;
    }
    if (!permits(request.restriction, order->status)) {
        refuse(TENON_REJECT_CANCEL_RESTRICTED);
        return;
    }
    tenon_client_id cancel_id = normal(request.cancel_client_id);
    if (cancel_id.length == 0) {
        cancel_id = make_cancel_id();
    }
    if (const OrderList* list = order->list_id == 0 ? nullptr : lists_.find(order->list_id);
        list != nullptr) {
        cancel_list(*list, cancel_id);
        return;
    }
    subject_ = orders_.find(order->order_id);
    orders_.prefetch(subject_);
    const std::uint64_t order_id = order->order_id;
    cancel_open(subject_, cancel_id);
    if (!subject_has_row_ && orders_.find(order_id) != k_no_slot) {
        // The venue answers later; the reply shows the order as it is, and nothing happened yet.
        subject_row_ = static_cast<std::uint32_t>(out_->orders_.size());
        subject_has_row_ = true;
        out_->orders_.push_back(orders_[subject_].order);
    }
}

// With an order id and a client id both must fit.
const tenon_order* Core::named_order(
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id& client_id
) const noexcept {
    const tenon_client_id wanted = normal(client_id);
    const tenon_order* order = open_order(account, instrument, order_id, wanted);
    const bool fits =
        order != nullptr &&
        (wanted.length == 0 || std::memcmp(&order->client_id, &wanted, sizeof wanted) == 0);
    return fits ? order : nullptr;
}

tenon_client_id Core::make_cancel_id() const noexcept {
    tenon_client_id id{};
    std::memcpy(id.text, "tnn-c", 5);
    char* const end = std::to_chars(id.text + 5, id.text + TENON_CLIENT_ID_MAX, sequence_).ptr;
    id.length = static_cast<std::uint8_t>(end - id.text);
    return id;
}

void Core::run(const CancelAllCommand& command) {
    if (find_account(command.account) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ACCOUNT);
        return;
    }
    if (command.instrument != TENON_ANY_INSTRUMENT && table_.find(command.instrument) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_INSTRUMENT);
        return;
    }
    scratch_.clear();
    for_each_open_order(command.account, command.instrument, [&](const tenon_order& order) {
        scratch_.push_back(orders_.find(order.order_id));
    });
    if (scratch_.empty()) {
        refuse(TENON_REJECT_UNKNOWN_ORDER);
        return;
    }
    cancel_these();
}

void Core::cancel_these() {
    const tenon_client_id cancel_id = make_cancel_id();
    for (const std::uint32_t slot : scratch_) {
        const std::uint64_t order_id = orders_[slot].order.order_id;
        cancel_open(slot, cancel_id);
        if (orders_.find(order_id, slot) != k_no_slot) {
            out_->orders_.push_back(orders_[slot].order);  // the venue answers later
        }
    }
    result_->orders.count =
        static_cast<std::uint32_t>(out_->orders_.size()) - result_->orders.first;
    result_->lists.count = static_cast<std::uint32_t>(out_->lists_.size()) - result_->lists.first;
}

void Core::run(const VenueApplyCommand& command) {
    const auto found = std::find_if(venues_.begin(), venues_.end(), [&](const VenueBinding& v) {
        return v.name == view(command.venue);
    });
    if (found == venues_.end()) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    const Service<tenon_venue_1>& venue = found->venue;
    if (!TENON_HAS(venue.table, tenon_venue_1, apply)) {
        refuse(TENON_REJECT_UNSUPPORTED);
        return;
    }
    if (venue->apply(venue.self, command.evidence, time_real_ns_, reports()) != TENON_OK) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    follow_up(command.evidence);
}

}  // namespace tenon::trading
