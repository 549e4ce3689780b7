// SPDX-License-Identifier: Apache-2.0
// Order lists: placed together, decided by the first of their orders that works or ends.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/core/filters.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tenon::trading {
namespace {

[[nodiscard]] bool is_stop_loss(const tenon_order_request& order) noexcept {
    return order.type == TENON_ORDER_STOP_LOSS || order.type == TENON_ORDER_STOP_LOSS_LIMIT;
}

// The other order of a pair.
[[nodiscard]] bool is_target(const tenon_order_request& order) noexcept {
    return order.type == TENON_ORDER_LIMIT_MAKER || order.type == TENON_ORDER_TAKE_PROFIT ||
           order.type == TENON_ORDER_TAKE_PROFIT_LIMIT;
}

[[nodiscard]] bool same(const tenon_client_id& a, const tenon_client_id& b) noexcept {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

// What it needs could not be said again when the list is decided.
[[nodiscard]] bool has_no_price(const tenon_order_request& order) noexcept {
    return order.side == TENON_SIDE_BUY && order.price == 0 && order.stop_price == 0;
}

// Where a price has to be of another; 0: it is not known, or follows the market.
[[nodiscard]] bool is_below(std::int64_t low, std::int64_t high) noexcept {
    return low == 0 || high == 0 || low < high;
}

}  // namespace

std::uint32_t Core::paying_asset(const tenon_order& order) const noexcept {
    const tenon_instrument& rules = table_[order.instrument].rules;
    return order.side == TENON_SIDE_BUY ? rules.quote : rules.base;
}

std::int64_t Core::needed_funds(const tenon_order& order) const {
    const Instrument& instrument = table_[order.instrument];
    const std::int64_t quantity = order.quantity - order.prevented_quantity;
    if (order.side == TENON_SIDE_SELL) {
        return *base_amount(instrument, quantity);
    }
    const std::int64_t price = order.price != 0 ? order.price : order.stop_price;
    return *quote_amount(instrument, price, quantity);
}

// What makes two orders a pair, and where the market has to be.
std::uint32_t Core::check_pair(const SubmitListCommand& command) const {
    const tenon_order_request& first = (*command.orders)[0].order;
    const tenon_order_request& second = (*command.orders)[1].order;
    const bool pair =
        (is_stop_loss(first) && is_target(second)) || (is_target(first) && is_stop_loss(second));
    if (command.contingency != TENON_CONTINGENCY_OCO || !pair || first.account != second.account ||
        first.instrument != second.instrument || first.side != second.side ||
        first.quantity != second.quantity || has_no_price(first) || has_no_price(second)) {
        return TENON_REJECT_INVALID;
    }
    if (const Instrument* instrument = table_.find(first.instrument);
        instrument == nullptr || instrument->venue == k_no_venue) {
        return TENON_REJECT_NONE;  // each order's own check says what is wrong
    }
    if ((venues_[table_[first.instrument].venue].venue->flags & TENON_VENUE_LISTS) == 0) {
        return TENON_REJECT_UNSUPPORTED;
    }
    const tenon_order_request& stop = is_stop_loss(first) ? first : second;
    const tenon_order_request& target = is_stop_loss(first) ? second : first;
    const std::int64_t aim = is_conditional(target.type) ? target.stop_price : target.price;
    const std::int64_t last = reference_price((*command.orders)[0]);
    const bool sell = first.side == TENON_SIDE_SELL;
    const std::int64_t low = sell ? stop.stop_price : aim;
    const std::int64_t high = sell ? aim : stop.stop_price;
    const bool around = is_below(low, last) && is_below(last, high) && is_below(low, high);
    return around ? TENON_REJECT_NONE : TENON_REJECT_LIST_PRICES;
}

std::uint32_t Core::check_list(
    const SubmitListCommand& command,
    std::array<Admission, TENON_LIST_ORDERS_MAX>& admissions
) const {
    if (const std::uint32_t reject = check_pair(command); reject != TENON_REJECT_NONE) {
        return reject;
    }
    Ahead ahead;
    for (std::size_t i = 0; i < admissions.size(); ++i) {
        const SubmitCommand& order = (*command.orders)[i];
        if (const std::uint32_t reject = check_submit(order, admissions[i], ahead);
            reject != TENON_REJECT_NONE) {
            return reject;
        }
        ++ahead.orders;
        ahead.algo_orders += is_conditional(order.order.type) ? 1U : 0U;
    }
    if (same(admissions[0].client_id, admissions[1].client_id)) {
        return TENON_REJECT_DUPLICATE_ID;
    }
    if (!printable(command.client_id)) {
        return TENON_REJECT_INVALID;
    }
    const tenon_client_id id = normal(command.client_id);
    return id.length != 0 && lists_.find_client((*command.orders)[0].order.account, id) != nullptr
               ? std::uint32_t{TENON_REJECT_DUPLICATE_ID}
               : TENON_REJECT_NONE;
}

tenon_client_id Core::make_list_id(std::uint64_t account, std::uint64_t list_id) const {
    tenon_client_id id{};
    std::memcpy(id.text, "tnn-l", 5);
    char* const end = id.text + TENON_CLIENT_ID_MAX;
    char* at = std::to_chars(id.text + 5, end, list_id).ptr;
    id.length = static_cast<std::uint8_t>(at - id.text);
    // A client may have taken that very id.
    for (std::uint32_t i = 1; lists_.find_client(account, id) != nullptr; ++i) {
        *at = '-';
        id.length = static_cast<std::uint8_t>(std::to_chars(at + 1, end, i).ptr - id.text);
    }
    return id;
}

void Core::run(const SubmitListCommand& command) {
    std::array<Admission, TENON_LIST_ORDERS_MAX> admissions;
    if (const std::uint32_t reject = check_list(command, admissions); reject != TENON_REJECT_NONE) {
        refuse(reject);
        return;
    }
    const std::uint64_t first_order_id = next_order_id_;
    const tenon_order_request& request = (*command.orders)[0].order;
    OrderList list;
    list.row.instrument = request.instrument;
    list.row.list_id = first_order_id;
    list.row.account = request.account;
    list.row.contingency = command.contingency;
    list.row.status = TENON_LIST_EXECUTING;
    list.row.order_count = TENON_LIST_ORDERS_MAX;
    list.row.created_real_ns = list.row.updated_real_ns = time_real_ns_;
    list.row.update_sequence = sequence_;
    list.row.client_id = command.client_id.length != 0
                             ? normal(command.client_id)
                             : make_list_id(request.account, first_order_id);
    list.open = TENON_LIST_ORDERS_MAX;

    std::array<std::uint32_t, TENON_LIST_ORDERS_MAX> slots{};
    for (std::size_t i = 0; i < slots.size(); ++i) {
        tenon_order order = make_order((*command.orders)[i].order);
        order.client_id = admissions[i].client_id;
        order.list_id = list.row.list_id;
        slots[i] = orders_.insert(order, 0, admissions[i].client_tag);
        watch_expiry(order);
        list.row.orders[i] = {order.order_id, order.client_id};
        list.locked = std::max(list.locked, admissions[i].funds);
        ++next_order_id_;
    }
    const std::uint32_t paying = paying_asset(orders_[slots[0]].order);
    ledger_.lock(request.account, paying, list.locked);
    lists_.insert(list);
    put_list(list.row);

    // First the one that the venue may refuse, since it would trade.
    const std::size_t first = is_conditional(request.type) ? 1 : 0;
    subject_ = slots[first];
    refusable_ = true;
    hand_over(slots[first], admissions[first], (*command.orders)[first].evidence);
    if (venue_reject_ != TENON_REJECT_NONE) {
        ledger_.unlock(request.account, paying, list.locked);
        lists_.erase(list.row.list_id);
        std::for_each(slots.rbegin(), slots.rend(), [&](std::uint32_t slot) {
            forget_expiry(orders_[slot].order);
            orders_.remove(slot);
        });
        next_order_id_ = first_order_id;
        refuse(venue_reject_);
        return;
    }
    refusable_ = false;
    charge_risk(request.account, request.instrument, TENON_LIST_ORDERS_MAX);
    hand_over(slots[1 - first], admissions[1 - first], (*command.orders)[1 - first].evidence);
    for (const std::uint32_t slot : slots) {
        if (orders_[slot].order.status == TENON_STATUS_PENDING_NEW) {
            put_order(slot, nullptr);  // the venue answers later
        }
    }
    follow_up((*command.orders)[0].evidence);
    put_list_rows(list.row);
}

void Core::run(const CancelListCommand& command) {
    const tenon_list_cancel& request = command.request;
    if (find_account(request.account) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ACCOUNT);
        return;
    }
    if (!printable(request.client_id) || !printable(request.cancel_client_id) ||
        (request.list_id == 0 && request.client_id.length == 0)) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    if (request.instrument != TENON_ANY_INSTRUMENT && table_.find(request.instrument) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_INSTRUMENT);
        return;
    }
    const tenon_client_id wanted = normal(request.client_id);
    const OrderList* list = request.list_id != 0 ? lists_.find(request.list_id)
                                                 : lists_.find_client(request.account, wanted);
    const bool fits = list != nullptr && list->row.account == request.account &&
                      (request.instrument == TENON_ANY_INSTRUMENT ||
                       list->row.instrument == request.instrument) &&
                      (wanted.length == 0 || same(list->row.client_id, wanted));
    if (!fits) {
        refuse(TENON_REJECT_UNKNOWN_LIST);
        return;
    }
    const tenon_client_id given = normal(request.cancel_client_id);
    cancel_list(*list, given.length != 0 ? given : make_cancel_id());
}

void Core::cancel_list(const OrderList& list, const tenon_client_id& cancel_client_id) {
    const tenon_order_list row = list.row;
    for (const tenon_list_order& one : row.orders) {
        if (const std::uint32_t slot = orders_.find(one.order_id); slot != k_no_slot) {
            cancel_open(slot, cancel_client_id);
        }
    }
    end_others();
    put_list_rows(row);
}

// The reply: the list, and of its orders those that were open before the command, as they are now.
void Core::put_list_rows(const tenon_order_list& list) {
    std::array<tenon_order, TENON_LIST_ORDERS_MAX> rows{};
    std::uint32_t count = 0;
    const auto first = out_->orders_.rend() - result_->orders.first;
    for (const tenon_list_order& one : list.orders) {
        const auto last = std::find_if(out_->orders_.rbegin(), first, [&](const tenon_order& row) {
            return row.order_id == one.order_id;
        });
        if (const std::uint32_t slot = orders_.find(one.order_id); slot != k_no_slot) {
            rows[count++] = orders_[slot].order;
        } else if (last != first) {
            rows[count++] = *last;
        }
    }
    result_->orders = {static_cast<std::uint32_t>(out_->orders_.size()), count};
    out_->orders_.insert(out_->orders_.end(), rows.begin(), rows.begin() + count);
    subject_has_row_ = false;
    if (const OrderList* open = lists_.find(list.list_id); open != nullptr) {
        out_->lists_.push_back(open->row);
    } else {
        const auto done = std::find_if(
            out_->lists_.rbegin(),
            out_->lists_.rend(),
            [&](const tenon_order_list& row) { return row.list_id == list.list_id; }
        );
        out_->lists_.push_back(tenon_order_list{*done});
    }
    result_->lists = {static_cast<std::uint32_t>(out_->lists_.size()) - 1, 1};
}

void Core::put_list(const tenon_order_list& list) {
    const auto row = static_cast<std::uint32_t>(out_->lists_.size());
    out_->lists_.push_back(list);
    out_->events_.push_back({TENON_EVENT_LIST, row, Output::k_none, false});
}

bool Core::lost_list(const tenon_order& order) const noexcept {
    const OrderList* list = lists_.find(order.list_id);
    return list != nullptr && list->chosen != 0 && list->chosen != order.order_id;
}

void Core::decide_list(std::uint32_t at, bool works) {
    OrderSlot& slot = orders_[at];
    const tenon_order& order = slot.order;
    OrderList* list = lists_.find(order.list_id);
    if (list == nullptr || list->chosen != 0) {
        return;
    }
    list->chosen = order.order_id;
    slot.locked = works ? needed_funds(order) : 0;
    ledger_.unlock(order.account, paying_asset(order), list->locked - slot.locked);
    list->locked = 0;
    const tenon_client_id cancel_id = works ? tenon_client_id{} : order.cancel_client_id;
    decisions_.push_back({order.list_id, order.order_id, cancel_id});
}

void Core::end_others() {
    for (std::size_t i = 0; i < decisions_.size(); ++i) {
        const Decision decision = decisions_[i];
        const OrderList* list = lists_.find(decision.list_id);
        if (list == nullptr) {
            continue;
        }
        const tenon_order_list row = list->row;
        for (const tenon_list_order& one : row.orders) {
            const std::uint32_t slot = orders_.find(one.order_id);
            if (slot != k_no_slot && one.order_id != decision.order_id) {
                cancel_open(slot, decision.cancel_client_id);
            }
        }
    }
    decisions_.clear();
}

void Core::left_list(std::uint64_t list_id) {
    OrderList* list = lists_.find(list_id);
    if (list == nullptr || --list->open != 0) {
        return;
    }
    list->row.status = TENON_LIST_ALL_DONE;
    list->row.updated_real_ns = time_real_ns_;
    list->row.update_sequence = sequence_;
    put_list(list->row);
    lists_.erase(list_id);
}

}  // namespace tenon::trading
