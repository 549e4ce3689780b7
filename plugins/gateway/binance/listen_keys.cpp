// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/listen_keys.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <sys/random.h>

namespace tenon::binance {
namespace {

constexpr std::size_t k_letters = 64;

// 64 letters and digits; a byte that would make some likelier than others is drawn again.
[[nodiscard]] std::string random_name() {
    constexpr std::string_view k_alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    constexpr unsigned k_fair = 256 / k_alphabet.size() * k_alphabet.size();
    std::string name;
    while (name.size() < k_letters) {
        std::array<unsigned char, k_letters> bytes{};
        if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
            throw Error{TENON_UNAVAILABLE, "the system gives no random bytes"};
        }
        for (const unsigned char byte : bytes) {
            if (byte < k_fair && name.size() < k_letters) {
                name.push_back(k_alphabet[byte % k_alphabet.size()]);
            }
        }
    }
    return name;
}

}  // namespace

std::string
ListenKeys::create(std::uint64_t account, std::string_view api_key, std::int64_t now_ns) {
    const auto known = std::find_if(keys_.begin(), keys_.end(), [&](const auto& entry) {
        return entry.second.key == api_key && entry.second.account == account &&
               entry.second.until_ns > now_ns;
    });
    if (known != keys_.end()) {
        known->second.until_ns = now_ns + k_valid_ns;
        return known->first;
    }
    std::string name = random_name();
    keys_[name] = {account, std::string{api_key}, now_ns + k_valid_ns};
    return name;
}

bool ListenKeys::prolong(std::string_view listen_key, std::uint64_t account, std::int64_t now_ns) {
    const auto found = keys_.find(listen_key);
    if (found == keys_.end() || found->second.account != account ||
        found->second.until_ns <= now_ns) {
        return false;
    }
    found->second.until_ns = now_ns + k_valid_ns;
    return true;
}

bool ListenKeys::remove(std::string_view listen_key, std::uint64_t account) {
    const auto found = keys_.find(listen_key);
    if (found == keys_.end() || found->second.account != account) {
        return false;
    }
    keys_.erase(found);
    return true;
}

const ListenKeys::Owner* ListenKeys::find(std::string_view listen_key, std::int64_t now_ns) const {
    const auto found = keys_.find(listen_key);
    return found == keys_.end() || found->second.until_ns <= now_ns ? nullptr : &found->second;
}

std::vector<std::pair<std::string, std::uint64_t>> ListenKeys::expire(std::int64_t now_ns) {
    std::vector<std::pair<std::string, std::uint64_t>> over;
    for (auto at = keys_.begin(); at != keys_.end();) {
        if (at->second.until_ns <= now_ns) {
            over.emplace_back(at->first, at->second.account);
            at = keys_.erase(at);
        } else {
            ++at;
        }
    }
    return over;
}

void ListenKeys::revoke(std::uint64_t account, std::string_view api_key) {
    std::erase_if(keys_, [&](const auto& entry) {
        return entry.second.account == account && (api_key.empty() || entry.second.key == api_key);
    });
}

}  // namespace tenon::binance
