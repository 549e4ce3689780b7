// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/place.hpp"

#include <algorithm>

namespace tenon::vault {

void Place::require_going_on() const {
    if (is_cancelled()) {
        throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
    }
}

void require_name(std::string_view name) {
    bool begins = true;
    bool is_good = !name.empty() && name.size() <= 512 && name.back() != '/';
    for (const char c : name) {
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || c == '_' || c == '-';
        is_good = is_good && (is_plain || (!begins && (c == '.' || c == '/')));
        begins = c == '/';
    }
    if (!is_good) {
        throw Error{TENON_INVALID, "\"" + std::string{name} + "\" is no name of a piece"};
    }
}

void require_size(const std::string& name, std::size_t bytes) {
    if (bytes > k_object_bytes_max) {
        throw Error{
            TENON_INVALID,
            "the piece " + name + " would have " + std::to_string(bytes) +
                " bytes, at most: " + std::to_string(k_object_bytes_max)};
    }
}

}  // namespace tenon::vault
