// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/hot_keys.hpp"

#include <algorithm>

namespace tenon::cache_stack {

void HotKeys::asked(std::string_view key, std::uint64_t any) {
    if (any % 16 != 0) {
        return;
    }
    const std::unique_lock lock{mutex_, std::try_to_lock};
    if (!lock.owns_lock()) {
        return;
    }
    const auto found = std::find_if(counts_.begin(), counts_.end(), [&](const Count& one) {
        return one.key == key;
    });
    if (found != counts_.end()) {
        ++found->asked;
    } else if (counts_.size() < k_keys_max) {
        counts_.push_back({std::string{key}, 1});
    } else {
        auto& least = *std::min_element(counts_.begin(), counts_.end(), [](auto& a, auto& b) {
            return a.asked < b.asked;
        });
        least.key = key;
        ++least.asked;
    }
}

std::vector<std::string> HotKeys::hottest(std::size_t count) const {
    std::vector<Count> all;
    {
        const std::lock_guard lock{mutex_};
        all = counts_;
    }
    std::stable_sort(all.begin(), all.end(), [](const Count& a, const Count& b) {
        return a.asked > b.asked;
    });
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < std::min(count, all.size()); ++i) {
        keys.push_back(std::move(all[i].key));
    }
    return keys;
}

}  // namespace tenon::cache_stack
