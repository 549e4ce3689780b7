// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace tenon::http {
namespace {

// Bytes that follow the first one; the second byte's range carries all the exceptions.
struct Lead {
    std::size_t more;
    unsigned char low, high;
};

Lead lead_of(unsigned char first) noexcept {
    if (first >= 0xC2 && first <= 0xDF) {
        return {1, 0x80, 0xBF};
    }
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned char high = first == 0xED ? 0x9F : 0xBF;
        return {2, low, high};
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;
        return {3, low, high};
    }
    return {0, 1, 0};
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
    constexpr std::uint64_t k_high_bits = 0x8080808080808080U;
    std::size_t i = 0;
    while (i < text.size()) {
        if (text.size() - i >= sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, text.data() + i, sizeof word);
            if ((word & k_high_bits) == 0) {
                i += sizeof word;
                continue;
            }
        }
        const auto first = static_cast<unsigned char>(text[i]);
        if (first < 0x80) {
            ++i;
            continue;
        }
        const Lead lead = lead_of(first);
        if (lead.more == 0 || text.size() - i <= lead.more) {
            return false;
        }
        const auto second = static_cast<unsigned char>(text[i + 1]);
        if (second < lead.low || second > lead.high) {
            return false;
        }
        for (std::size_t k = 2; k <= lead.more; ++k) {
            if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) {
                return false;
            }
        }
        i += lead.more + 1;
    }
    return true;
}

}  // namespace tenon::http
