// SPDX-License-Identifier: Apache-2.0
// What a plugin that keeps sealed values (tenon.secret/1) does when the master key is rotated.
//
// A plugin with the permission "secret:master-key" adds one admin command whose name ends in
// ".reseal". `tenon key rotate` calls it again and again while the server works; the rotation ends
// only when every such command says that nothing is left.
//
//   {"limit":100,"after":"…"}   opens at most `limit` values that stand under another key than the
//                               one in force, and seals them anew, in one transaction; `after` is
//                               the `next` of the answer before. With limit 0 it only counts.
//   {"resealed":n,"remaining":n,"unreadable":["…"],"next":"…"|null}
//                               remaining: all values under another key, also those that do not
//                               open, which are named (what an operator can look for, never a
//                               content).
//
// It knows nothing of where values are kept. Threads: functions of their arguments.
#pragma once

#include <tenon/json.hpp>
#include <tenon/plugin.hpp>
#include <tenon/settings.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// The name of the master key that a value was sealed under, 16 hexadecimal digits; "" for a value
// of a server that did not name keys yet, or what is no sealed value.
[[nodiscard]] inline std::string key_of_sealed(std::string_view sealed) {
    constexpr char k_version = 2;
    constexpr std::size_t k_id_bytes = 8;
    if (sealed.size() < 1 + k_id_bytes || sealed[0] != k_version) {
        return {};
    }
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string out;
    for (const char c : sealed.substr(1, k_id_bytes)) {
        const unsigned value = static_cast<unsigned char>(c);
        out.push_back(k_digits[value >> 4U]);
        out.push_back(k_digits[value & 15U]);
    }
    return out;
}

// Seals; throws Error.
[[nodiscard]] inline std::string seal_text(
    const Service<tenon_secret_1>& secrets,
    std::string_view context,
    std::string_view plain
) {
    StringSink sealed;
    ErrorBuffer err;
    check(
        secrets->seal(secrets.self, str(context), bytes(plain), sealed.sink(), &err), err, "seal"
    );
    return std::move(sealed.text());
}

// The name of the master key that seals now. Throws Error.
[[nodiscard]] inline std::string key_in_force(const Service<tenon_secret_1>& secrets) {
    return key_of_sealed(seal_text(secrets, "key", ""));
}

struct ResealRequest {
    static constexpr std::int64_t k_limit_default = 100, k_limit_max = 1000;

    // Throws Error TENON_INVALID.
    explicit ResealRequest(const Settings& args)
        : limit{args.get("limit", k_limit_default)}, after{args.get("after", std::string{})} {
        if (limit < 0 || limit > k_limit_max) {
            throw Error{TENON_INVALID, "args/limit: expected 0 to 1000"};
        }
    }

    ResealRequest(std::int64_t most, std::string from) : limit{most}, after{std::move(from)} {}

    std::int64_t limit;
    std::string after;
};

struct ResealAnswer {
    std::int64_t resealed = 0, remaining = 0;
    std::vector<std::string> unreadable;
    std::optional<std::string> next;

    [[nodiscard]] std::string json() const {
        std::string out = "{\"resealed\":" + std::to_string(resealed) +
                          ",\"remaining\":" + std::to_string(remaining) + ",\"unreadable\":[";
        for (const std::string& name : unreadable) {
            out.append(&name == &unreadable.front() ? "" : ",");
            append_json(out, name);
        }
        out.append("],\"next\":");
        if (next) {
            append_json(out, *next);
        } else {
            out.append("null");
        }
        return out.append("}");
    }
};

}  // namespace tenon
