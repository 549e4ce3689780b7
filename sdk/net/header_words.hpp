// SPDX-License-Identifier: Apache-2.0
// Words of a header's value. ASCII; what is given out is borrowed from the value.
#pragma once

#include <algorithm>
#include <string_view>

namespace tenon::net {

// Without blanks and tabs around it.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Takes what is before the separator off the front, and the separator.
inline std::string_view take(std::string_view& rest, char separator) noexcept {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return trimmed(part);
}

// Whether they are the same but for capitals; the second one has none.
[[nodiscard]] inline bool same_word(std::string_view a, std::string_view lower) noexcept {
    return a.size() == lower.size() &&
           std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
               return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + ('a' - 'A')) : x) == y;
           });
}

}  // namespace tenon::net
