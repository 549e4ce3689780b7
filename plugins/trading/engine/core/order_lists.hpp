// SPDX-License-Identifier: Apache-2.0
// Order lists that are not done, found by id and by the client's id. There are few of them, next to
// the orders.
#pragma once

#include <tenon/abi/trading.h>
#include <tenon/structs.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tenon::trading {

struct OrderList {
    tenon_order_list row = sized<tenon_order_list>();
    std::int64_t locked = 0;   // for its orders together, in units of the paying asset
    std::uint64_t chosen = 0;  // the order that worked or ended first; 0: none yet
    std::uint32_t open = 0;    // orders that are not closed
};

class OrderLists {
public:
    // Takes a list whose id and client id are not there.
    OrderList& insert(const OrderList& list);
    void erase(std::uint64_t list_id);

    // nullptr: not there, or done.
    [[nodiscard]] OrderList* find(std::uint64_t list_id) noexcept;
    [[nodiscard]] const OrderList* find(std::uint64_t list_id) const noexcept;
    [[nodiscard]] const OrderList* find_client(std::uint64_t account, const tenon_client_id& id)
        const;

    [[nodiscard]] std::size_t size() const noexcept { return lists_.size(); }

    // All of them, ids ascending.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [id, list] : lists_) {
            visit(list);
        }
    }

    void clear() noexcept;

private:
    using ClientKey = std::pair<std::uint64_t, std::string>;  // account, client id

    std::map<std::uint64_t, OrderList> lists_;
    std::map<ClientKey, std::uint64_t> by_client_;
};

}  // namespace tenon::trading
