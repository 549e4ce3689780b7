// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/challenges.hpp"

#include "plugins/console/sessions.hpp"

#include <charconv>
#include <sodium.h>

namespace tenon::console {

Challenges::Challenges() {
    randombytes_buf(key_.data(), key_.size());
}

std::string Challenges::mac_of(std::string_view text) const {
    std::array<unsigned char, 32> mac{};
    (void)crypto_generichash(
        mac.data(),
        mac.size(),
        reinterpret_cast<const unsigned char*>(text.data()),
        text.size(),
        key_.data(),
        key_.size()
    );
    std::string hex(mac.size() * 2 + 1, '\0');
    (void)sodium_bin2hex(hex.data(), hex.size(), mac.data(), mac.size());
    hex.pop_back();
    return hex;
}

std::string Challenges::make(std::int64_t now_ns) const {
    std::string text = std::to_string(now_ns + k_holds_ns) + "." + random_token();
    const std::string mac = mac_of(text);
    return text.append(".").append(mac);
}

bool Challenges::holds(std::string_view challenge, std::int64_t now_ns) {
    const std::size_t end = challenge.rfind('.');
    if (end == std::string_view::npos ||
        !same_secret(challenge.substr(end + 1), mac_of(challenge.substr(0, end)))) {
        return false;
    }
    std::int64_t until_ns = 0;
    (void)std::from_chars(challenge.data(), challenge.data() + end, until_ns);
    return now_ns < until_ns && used_.find(challenge) == used_.end();
}

bool Challenges::use(std::string_view challenge, std::int64_t now_ns) {
    if (used_.size() >= k_used_max) {
        std::erase_if(used_, [&](const auto& one) { return one.second <= now_ns; });
    }
    if (used_.size() >= k_used_max) {
        return false;
    }
    used_.emplace(challenge, now_ns + k_holds_ns);
    return true;
}

std::string Challenges::text_of(std::string_view host, std::string_view challenge) {
    std::string text{"tenon-console-sign-in\n"};
    text.append(host).append("\n").append(challenge);
    return text;
}

}  // namespace tenon::console
