// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/order_lists.hpp"

namespace tenon::trading {
namespace {

[[nodiscard]] std::string text_of(const tenon_client_id& id) {
    return {id.text, id.length};
}

}  // namespace

OrderList& OrderLists::insert(const OrderList& list) {
    const tenon_order_list& row = list.row;
    by_client_.emplace(ClientKey{row.account, text_of(row.client_id)}, row.list_id);
    return lists_.emplace(row.list_id, list).first->second;
}

void OrderLists::erase(std::uint64_t list_id) {
    const auto found = lists_.find(list_id);
    const tenon_order_list& row = found->second.row;
    by_client_.erase({row.account, text_of(row.client_id)});
    lists_.erase(found);
}

OrderList* OrderLists::find(std::uint64_t list_id) noexcept {
    const auto found = lists_.find(list_id);
    return found == lists_.end() ? nullptr : &found->second;
}

const OrderList* OrderLists::find(std::uint64_t list_id) const noexcept {
    const auto found = lists_.find(list_id);
    return found == lists_.end() ? nullptr : &found->second;
}

const OrderList* OrderLists::find_client(std::uint64_t account, const tenon_client_id& id) const {
    const auto found = by_client_.find({account, text_of(id)});
    return found == by_client_.end() ? nullptr : find(found->second);
}

void OrderLists::clear() noexcept {
    lists_.clear();
    by_client_.clear();
}

}  // namespace tenon::trading
