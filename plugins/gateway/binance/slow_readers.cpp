// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/slow_readers.hpp"

#include <algorithm>

namespace tenon::binance {

Backlog::Missed& Backlog::note(Topic& topic, std::uint32_t key, std::size_t form) {
    const auto found = std::find_if(missed_.begin(), missed_.end(), [&](const Missed& one) {
        return one.topic == &topic && one.key == key;
    });
    Missed& one = found == missed_.end() ? missed_.emplace_back() : *found;
    one.topic = &topic;
    one.key = key;
    one.form = form;
    return one;
}

bool Backlog::gather(Topic& topic, std::size_t form, DepthDiff& later) {
    DepthDiff& diff = note(topic, 0, form).diff;
    diff.add(later);
    if (diff.level_count() <= k_levels_max) {
        return true;
    }
    forget(topic);
    return false;
}

void Backlog::forget(const Topic& topic) noexcept {
    missed_.erase(
        std::remove_if(
            missed_.begin(), missed_.end(), [&](const Missed& one) { return one.topic == &topic; }
        ),
        missed_.end()
    );
}

}  // namespace tenon::binance
