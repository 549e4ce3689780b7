// SPDX-License-Identifier: Apache-2.0
#include "sdk/triggers/trigger_book.hpp"

#include <algorithm>

namespace tenon {

bool TriggerBook::add(const Trigger& trigger) {
    if (ids_.find(trigger.order_id) != IdTable::k_none) {
        return false;
    }
    std::uint32_t place = 0;
    if (free_.empty()) {
        place = static_cast<std::uint32_t>(pool_.size());
        pool_.push_back(trigger);
    } else {
        place = free_.back();
        free_.pop_back();
        pool_[place] = trigger;
    }
    ids_.insert(trigger.order_id, place);
    std::vector<Key>& side = sides_[trigger.rising ? 1 : 0];
    const Key key{trigger.rising ? -trigger.stop_price : trigger.stop_price, trigger.order_id};
    side.insert(std::lower_bound(side.begin(), side.end(), key), key);
    return true;
}

bool TriggerBook::erase(std::uint64_t order_id) {
    const std::uint32_t place = ids_.find(order_id);
    if (place == IdTable::k_none) {
        return false;
    }
    const Trigger& trigger = pool_[place];
    std::vector<Key>& side = sides_[trigger.rising ? 1 : 0];
    const Key key{trigger.rising ? -trigger.stop_price : trigger.stop_price, order_id};
    side.erase(std::lower_bound(side.begin(), side.end(), key));
    forget(order_id);
    return true;
}

void TriggerBook::forget(std::uint64_t order_id) {
    free_.push_back(ids_.find(order_id));
    ids_.erase(order_id);
}

void TriggerBook::take_triggered(
    std::int64_t low,
    std::int64_t high,
    std::vector<std::uint64_t>& out
) {
    const auto first = static_cast<std::ptrdiff_t>(out.size());
    for (const bool rising : {false, true}) {
        std::vector<Key>& side = sides_[rising ? 1 : 0];
        const std::int64_t reached = rising ? -high : low;
        for (; !side.empty() && side.back().key >= reached; side.pop_back()) {
            out.push_back(side.back().order_id);
            forget(side.back().order_id);
        }
    }
    std::sort(out.begin() + first, out.end());
}

}  // namespace tenon
