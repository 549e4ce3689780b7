// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/slow_readers.hpp"

#include <algorithm>
#include <iterator>

namespace tenon::binance {

Backlog::Missed& Backlog::note(Topic& topic, std::uint32_t key, std::size_t form) {
    const Id id{&topic, key};
    auto found = at_.find(id);
    if (found == at_.end()) {
        missed_.emplace_back();
        try {
            found = at_.emplace(id, std::prev(missed_.end())).first;
        } catch (...) {
            missed_.pop_back();
            throw;
        }
    }
    Missed& one = *found->second;
    one.topic = &topic;
    one.key = key;
    one.form = form;
    return one;
}

bool Backlog::gather(Topic& topic, std::size_t form, DepthDiff& later) {
    Missed& one = note(topic, 0, form);
    const auto count = [&](std::size_t levels) {
        levels_ += levels;
        levels_ -= std::exchange(one.levels, levels);
    };
    one.diff.add(later);
    count(one.diff.kept());
    if (one.levels <= one.join_at && levels_ <= k_all_levels_max) {
        return true;
    }
    // Only now and then: to know how many prices it has it must be sorted.
    count(one.diff.level_count());
    one.join_at = std::max(k_levels_max, 2 * one.levels);
    if (one.levels <= k_levels_max && levels_ <= k_all_levels_max) {
        return true;
    }
    forget(topic);
    return false;
}

void Backlog::forget(const Topic& topic) noexcept {
    for (auto one = missed_.begin(); one != missed_.end();) {
        one = one->topic == &topic ? erase(one) : std::next(one);
    }
}

Backlog::List::iterator Backlog::erase(List::iterator at) noexcept {
    levels_ -= at->levels;
    at_.erase(Id{at->topic, at->key});
    return missed_.erase(at);
}

}  // namespace tenon::binance
