// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/sign_in_guard.hpp"

#include <array>
#include <utility>

namespace tenon::console {

std::string SignInGuard::pair_key(std::string_view name, std::string_view address) {
    return "p" + std::string{address} + " " + std::string{name};
}

SignInGuard::Count* SignInGuard::count_of(const std::string& key, std::int64_t now_ns) {
    auto found = counts_.find(key);
    if (found == counts_.end()) {
        if (counts_.size() >= k_counts_max) {
            std::erase_if(counts_, [&](const auto& item) { return item.second.end_ns <= now_ns; });
        }
        if (counts_.size() >= k_counts_max) {
            return nullptr;
        }
        found = counts_.emplace(key, Count{0, now_ns + k_window.count()}).first;
    }
    if (found->second.end_ns <= now_ns) {
        found->second = {0, now_ns + k_window.count()};
    }
    return &found->second;
}

std::optional<std::chrono::nanoseconds>
SignInGuard::take(std::string_view name, std::string_view address, std::int64_t now_ns) {
    const std::array<std::pair<std::string, std::uint32_t>, 3> bounds{
        {{pair_key(name, address), k_pair_max},
         {"n" + std::string{name}, k_name_max},
         {"a" + std::string{address}, k_address_max}}};
    std::array<Count*, 3> counts{};
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        counts[i] = count_of(bounds[i].first, now_ns);
        if (counts[i] == nullptr) {
            return k_window;
        }
        if (counts[i]->tries >= bounds[i].second) {
            return std::chrono::nanoseconds{counts[i]->end_ns - now_ns};
        }
    }
    for (Count* const count : counts) {
        ++count->tries;
    }
    return std::nullopt;
}

void SignInGuard::succeeded(std::string_view name, std::string_view address) {
    counts_.erase(pair_key(name, address));
}

}  // namespace tenon::console
