// SPDX-License-Identifier: Apache-2.0
// The state checked as a whole.
#include "plugins/trading/engine/core/core.hpp"

#include <tenon/decimal.hpp>

#include <map>

namespace tenon::trading {

std::string Core::check_invariants() const {
    for (std::uint32_t asset = 0; asset < ledger_.asset_count(); ++asset) {
        Int128 sum = 0;
        for (std::uint64_t account = 0; account < ledger_.account_end(); ++account) {
            const Balance& cell = ledger_.at(account, asset);
            sum += Int128{cell.free} + cell.locked;
            const bool may_owe =
                account == TENON_ACCOUNT_EXTERNAL || account == TENON_ACCOUNT_VENUES;
            if (cell.locked < 0 || (cell.free < 0 && !may_owe)) {
                return "account " + std::to_string(account) + " has less than nothing of " +
                       table_.asset_name(asset);
            }
        }
        if (sum != 0) {
            return "the accounts' sum of " + table_.asset_name(asset) + " is not 0";
        }
    }
    std::map<std::pair<std::uint64_t, std::uint32_t>, Int128> locked;
    for (const std::uint32_t at : orders_.sorted()) {
        const OrderSlot& slot = orders_[at];
        const tenon_instrument& rules = table_[slot.order.instrument].rules;
        const bool buy = slot.order.side == TENON_SIDE_BUY;
        locked[{slot.order.account, buy ? rules.quote : rules.base}] += slot.locked;
    }
    lists_.for_each([&](const OrderList& list) {
        for (const tenon_list_order& one : list.row.orders) {
            if (const std::uint32_t slot = orders_.find(one.order_id); slot != k_no_slot) {
                locked[{list.row.account, paying_asset(orders_[slot].order)}] += list.locked;
                break;
            }
        }
    });
    for (std::uint64_t account = 0; account < ledger_.account_end(); ++account) {
        for (std::uint32_t asset = 0; asset < ledger_.asset_count(); ++asset) {
            const auto found = locked.find({account, asset});
            const Int128 expected = found == locked.end() ? Int128{0} : found->second;
            if (expected != ledger_.at(account, asset).locked) {
                return "account " + std::to_string(account) + " has other " +
                       table_.asset_name(asset) + " locked than its open orders say";
            }
        }
    }
    return {};
}

}  // namespace tenon::trading
