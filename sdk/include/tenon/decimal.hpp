// SPDX-License-Identifier: Apache-2.0
// Exact decimals: text to scaled int64 and back, and products that cannot wrap.
//
// A value of scale s counts units of 10^-s. Scales are 0 .. 18. Nothing here rounds unless its name
// or argument says so, nothing allocates or throws, and no floating point is involved.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace tenon {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

inline constexpr int k_scale_max = 18;
// Room for any format_decimal: sign, 19 digits, point, padding up to 18 decimals.
inline constexpr std::size_t k_decimal_chars = 40;

// 10^n, n in 0 .. 18.
[[nodiscard]] constexpr std::int64_t power_of_ten(int n) noexcept {
    constexpr auto k_powers = [] {
        std::array<std::int64_t, k_scale_max + 1> powers{};
        std::int64_t power = 1;
        for (int i = 0; i <= k_scale_max; ++i) {
            powers[static_cast<std::size_t>(i)] = power;
            power = i < k_scale_max ? power * 10 : power;
        }
        return powers;
    }();
    return k_powers[static_cast<std::size_t>(n)];
}

enum class DecimalStatus : std::uint8_t {
    ok,
    malformed,  // not -?[0-9]+(\.[0-9]+)?
    precision,  // more decimals than the scale has, and not all of them zero
    overflow    // leaves int64
};

struct ParsedDecimal {
    DecimalStatus status = DecimalStatus::malformed;
    std::int64_t value = 0;  // 0 unless ok

    [[nodiscard]] explicit operator bool() const noexcept { return status == DecimalStatus::ok; }
};

// Reads -?[0-9]+(\.[0-9]+)? whole; no plus sign, no exponent, no blank. Zeros beyond the scale are
// accepted: "1.500" at scale 1 is 15. Malformed text is reported as such even when its start
// already overflows; precision goes before overflow.
[[nodiscard]] constexpr ParsedDecimal parse_decimal(std::string_view text, int scale) noexcept {
    const bool negative = !text.empty() && text.front() == '-';
    std::uint64_t magnitude = 0;
    bool overflow = false;
    bool precision = false;
    const auto push = [&](std::uint64_t digit) {
        overflow = overflow || __builtin_mul_overflow(magnitude, std::uint64_t{10}, &magnitude) ||
                   __builtin_add_overflow(magnitude, digit, &magnitude);
    };
    std::size_t at = negative ? 1 : 0;
    const std::size_t whole_from = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
        push(static_cast<std::uint64_t>(text[at] - '0'));
    }
    if (at == whole_from) {
        return {};
    }
    int decimals = 0;
    if (at < text.size()) {
        if (text[at] != '.' || ++at == text.size()) {
            return {};
        }
        for (; at < text.size(); ++at) {
            if (text[at] < '0' || text[at] > '9') {
                return {};
            }
            if (decimals == scale) {
                precision = precision || text[at] != '0';
            } else {
                push(static_cast<std::uint64_t>(text[at] - '0'));
                ++decimals;
            }
        }
    }
    if (precision) {
        return {DecimalStatus::precision, 0};
    }
    const auto rest = static_cast<std::uint64_t>(power_of_ten(scale - decimals));
    overflow = overflow || __builtin_mul_overflow(magnitude, rest, &magnitude);
    constexpr std::uint64_t k_max = std::numeric_limits<std::int64_t>::max();
    if (overflow || magnitude > k_max + (negative ? 1 : 0)) {
        return {DecimalStatus::overflow, 0};
    }
    return {DecimalStatus::ok, static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude)};
}

// Writes value * 10^-scale with at least `min_decimals` decimals (0 .. 18) and no trailing zero
// beyond them; returns the end. `out` has room for k_decimal_chars. With 8, the default, and a
// scale of at most 8 there are always 8, as Binance writes amounts.
[[nodiscard]] inline char*
format_decimal(char* out, std::int64_t value, int scale, int min_decimals = 8) noexcept {
    auto magnitude = static_cast<std::uint64_t>(value);
    if (value < 0) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    const auto unit = static_cast<std::uint64_t>(power_of_ten(scale));
    std::uint64_t whole = magnitude / unit;
    std::uint64_t fraction = magnitude % unit;

    std::array<char, 20> digits{};
    std::size_t first = digits.size();
    do {
        digits[--first] = static_cast<char>('0' + whole % 10);
        whole /= 10;
    } while (whole != 0);
    std::memcpy(out, &digits[first], digits.size() - first);
    out += digits.size() - first;

    int decimals = scale;
    while (decimals > min_decimals && fraction % 10 == 0) {
        fraction /= 10;
        --decimals;
    }
    const int shown = decimals > min_decimals ? decimals : min_decimals;
    if (shown == 0) {
        return out;
    }
    *out++ = '.';
    for (int i = decimals - 1; i >= 0; --i) {
        out[i] = static_cast<char>('0' + fraction % 10);
        fraction /= 10;
    }
    for (int i = decimals; i < shown; ++i) {
        out[i] = '0';
    }
    return out + shown;
}

// The same as a string, for messages and tests.
[[nodiscard]] inline std::string decimal_text(std::int64_t value, int scale, int min_decimals = 0) {
    std::array<char, k_decimal_chars> text{};
    return {text.data(), format_decimal(text.data(), value, scale, min_decimals)};
}

[[nodiscard]] constexpr bool fits_int64(Int128 value) noexcept {
    return value >= std::numeric_limits<std::int64_t>::min() &&
           value <= std::numeric_limits<std::int64_t>::max();
}

// Sums and products that say when they leave int64.
[[nodiscard]] constexpr std::optional<std::int64_t>
checked_add(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional{sum};
}

[[nodiscard]] constexpr std::optional<std::int64_t>
checked_multiply(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional{product};
}

enum class Rounding : std::uint8_t { down, up, half_up };  // towards and away from zero

// a * b / divisor with a 128-bit product. All of them >= 0, divisor > 0.
[[nodiscard]] constexpr std::optional<std::int64_t>
multiply_divide(std::int64_t a, std::int64_t b, std::int64_t divisor, Rounding rounding) noexcept {
    Int128 product = Int128{a} * b;
    if (rounding == Rounding::up) {
        product += divisor - 1;
    } else if (rounding == Rounding::half_up) {
        product += divisor / 2;
    }
    const Int128 quotient = product / divisor;
    return fits_int64(quotient) ? std::optional{static_cast<std::int64_t>(quotient)} : std::nullopt;
}

// The value at another scale; empty when it overflows or digits would be lost.
[[nodiscard]] constexpr std::optional<std::int64_t>
rescale(std::int64_t value, int from_scale, int to_scale) noexcept {
    if (to_scale >= from_scale) {
        return checked_multiply(value, power_of_ten(to_scale - from_scale));
    }
    const std::int64_t unit = power_of_ten(from_scale - to_scale);
    return value % unit == 0 ? std::optional{value / unit} : std::nullopt;
}

}  // namespace tenon
