// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/sign_in_guard.hpp"

#include <tenon/address_key.hpp>

#include <array>
#include <utility>

namespace tenon::console {

std::string SignInGuard::pair_key(std::string_view name, std::string_view address) {
    return "p" + std::string{address} + " " + std::string{name};
}

const SignInGuard::Count* SignInGuard::live_count(const std::string& key, std::int64_t now_ns)
    const {
    const auto found = counts_.find(key);
    return found == counts_.end() || found->second.end_ns <= now_ns ? nullptr : &found->second;
}

bool SignInGuard::make_room(std::int64_t now_ns) {
    constexpr std::size_t k_of_one_try = 3;
    if (counts_.size() + k_of_one_try > k_counts_max) {
        std::erase_if(counts_, [&](const auto& item) { return item.second.end_ns <= now_ns; });
    }
    return counts_.size() + k_of_one_try <= k_counts_max;
}

std::optional<std::chrono::nanoseconds>
SignInGuard::take(std::string_view name, std::string_view address, std::int64_t now_ns) {
    const AddressKey from{address};
    const std::array<std::pair<std::string, std::uint32_t>, 3> bounds{
        {{"a" + std::string{from.view()}, k_address_max},
         {"n" + std::string{name}, k_name_max},
         {pair_key(name, from.view()), k_pair_max}}};
    std::size_t known = 0;
    for (const auto& [key, most] : bounds) {
        const Count* const count = live_count(key, now_ns);
        known += count != nullptr ? 1U : 0U;
        if (count != nullptr && count->tries >= most) {
            return std::chrono::nanoseconds{count->end_ns - now_ns};
        }
    }
    // Who is refused leaves no trace, or one address could fill the memory with names.
    if (known < bounds.size() && !make_room(now_ns)) {
        return k_window;
    }
    for (const auto& bound : bounds) {
        Count& count = counts_[bound.first];
        if (count.end_ns <= now_ns) {
            count = {0, now_ns + k_window.count()};
        }
        ++count.tries;
    }
    return std::nullopt;
}

void SignInGuard::succeeded(std::string_view name, std::string_view address) {
    const AddressKey from{address};
    counts_.erase(pair_key(name, from.view()));
}

}  // namespace tenon::console
