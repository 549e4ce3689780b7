// SPDX-License-Identifier: Apache-2.0
// Numbers, times and text of other systems, brought to Tenon's without losing a digit.
//
// A floating-point number stands for the shortest decimal that reads back as it (std::to_chars):
// that is what whoever wrote it meant, and from there on everything is exact. No arithmetic on
// doubles. Every function throws BadRow with the value and what was expected; none changes a thing.
#pragma once

#include "plugins/migrations/import/value.hpp"

#include <tenon/decimal.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::importer {

// What to do with digits beyond the target's scale.
enum class Rounds : std::uint8_t { never, half_even, down };

// digits * 10^exponent, exactly. At most 37 digits.
struct Decimal {
    Int128 digits = 0;
    int exponent = 0;
};

// [+-]digits[.digits][e[+-]digits], whole.
[[nodiscard]] Decimal decimal_of(std::string_view text);
// Of an integer (counted in 10^-scale), a floating-point number or a text (scale 0 only).
[[nodiscard]] Decimal decimal_of(const SourceValue& value, int scale);
[[nodiscard]] Decimal sum(const Decimal& a, const Decimal& b);
// Units of 10^-scale.
[[nodiscard]] std::int64_t units_of(const Decimal& value, int scale, Rounds rounds);

// The text of a value; blobs have none. Checked: UTF-8, and no NUL, which PostgreSQL cannot hold.
[[nodiscard]] std::string text_of(const SourceValue& value);

enum class TimeUnit : std::uint8_t { seconds, milliseconds, microseconds, nanoseconds, iso };

// Nanoseconds since 1970 UTC, from 0. `zone_minutes` is that of ISO texts that name none; without
// it such a text is refused.
[[nodiscard]] std::int64_t
time_of(const SourceValue& value, TimeUnit unit, std::optional<int> zone_minutes);

// "Z", "UTC", "+02", "+0230", "-02:30" as minutes; nothing when it is none of them.
[[nodiscard]] std::optional<int> zone_of(std::string_view text);

}  // namespace tenon::importer
