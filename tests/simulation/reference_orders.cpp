// SPDX-License-Identifier: Apache-2.0
// Orders and lists in, amended, cancelled and expired.
#include "tests/simulation/reference_model.hpp"

#include <algorithm>

namespace tenon::test {

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

}  // namespace tenon::test
