// SPDX-License-Identifier: Apache-2.0
// Options of admin commands as they come from `tenon`: words with underscores, every value as text;
// a console may send numbers. All throw Error TENON_INVALID.
#pragma once

#include <tenon/settings.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tenon {

// One that is not known must not be passed over: a restore would go to another point, a rehearsed
// prune would delete.
inline void require_known(const Settings& options, std::initializer_list<std::string_view> known) {
    for (const std::string& key : options.json().keys()) {
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            throw Error{TENON_INVALID, "unknown option " + key};
        }
    }
}

// A whole number from 1 on.
[[nodiscard]] inline std::uint64_t number_of(const Settings& options, const std::string& key) {
    const Json* const value = options.json().find(key);
    if (value == nullptr || !value->is(Json::Kind::text)) {
        return options.get<std::uint64_t>(key);
    }
    const auto text = options.get<std::string>(key);
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || number == 0) {
        throw Error{TENON_INVALID, key + ": expected a number from 1, found \"" + text + "\""};
    }
    return number;
}

}  // namespace tenon
