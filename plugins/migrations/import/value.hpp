// SPDX-License-Identifier: Apache-2.0
// Values on their way: as the source has them, and as the target's columns take them.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tenon::importer {

// A value of the source, owned. Text and blobs are bytes; nothing is known of their encoding.
struct SourceValue {
    std::uint32_t kind = TENON_VALUE_NULL;
    std::int64_t integer = 0;
    double real = 0;
    std::string bytes;

    [[nodiscard]] bool is_null() const noexcept { return kind == TENON_VALUE_NULL; }

    [[nodiscard]] tenon_value view() const noexcept {
        switch (kind) {
            case TENON_VALUE_INT64:
                return value_of(integer);
            case TENON_VALUE_REAL:
                return value_of(real);
            case TENON_VALUE_TEXT:
                return value_of(bytes);
            default:
                return null_value();
        }
    }
};

using SourceRow = std::vector<SourceValue>;

// A value of a target's column: NULL, an integer, or text.
using Value = std::variant<std::monostate, std::int64_t, std::string>;

[[nodiscard]] inline tenon_value view_of(const Value& value) noexcept {
    if (const auto* i = std::get_if<std::int64_t>(&value)) {
        return value_of(*i);
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
        return value_of(*text);
    }
    return null_value();
}

// A row cannot be taken over; the message says why, and names no row.
class BadRow : public std::exception {
public:
    explicit BadRow(std::string reason) : reason_{std::move(reason)} {}

    [[nodiscard]] const char* what() const noexcept override { return reason_.c_str(); }

private:
    std::string reason_;
};

}  // namespace tenon::importer
