// SPDX-License-Identifier: Apache-2.0
// Topics of tenon.bus/1, and what a subscription to one gets.
#pragma once

#include <algorithm>
#include <string_view>

namespace tenon {

// A topic or a type of a message: 1 to 128 of a-z, 0-9, '.', '_', '-', '/'.
[[nodiscard]] inline bool is_bus_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-' || c == '/';
    });
}

// What may be subscribed to: a topic, one with ".*" behind it, or "*".
[[nodiscard]] inline bool is_bus_pattern(std::string_view text) noexcept {
    return text == "*" ||
           is_bus_name(text.ends_with(".*") ? text.substr(0, text.size() - 2) : text);
}

// "cache.*" has all that starts with "cache.", "*" all.
[[nodiscard]] inline bool
bus_pattern_has(std::string_view pattern, std::string_view topic) noexcept {
    if (pattern.ends_with(".*")) {
        return topic.starts_with(pattern.substr(0, pattern.size() - 1));
    }
    return pattern == "*" || pattern == topic;
}

}  // namespace tenon
