// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/convert.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace tenon::importer {
namespace {

constexpr int k_digits_max = 37;
constexpr std::int64_t k_second_ns = 1'000'000'000;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

[[noreturn]] void refuse(std::string_view found, std::string_view expected) {
    constexpr std::size_t k_shown = 64;
    std::string text = "found \"";
    text.append(found.substr(0, k_shown)).append(found.size() > k_shown ? "…" : "");
    throw BadRow{text.append("\", expected ").append(expected)};
}

[[noreturn]] void refuse_decimal(std::string_view text) {
    refuse(text, "a decimal of at most 37 digits");
}

constexpr Int128 wide_power(int n) {
    Int128 power = 1;
    for (int i = 0; i < n; ++i) {
        power *= 10;
    }
    return power;
}

// Reads an unsigned number of exactly `digits` digits off the front.
int take_number(std::string_view& text, std::size_t digits, std::string_view whole) {
    int value = 0;
    if (text.size() < digits ||
        !std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(digits), is_digit)) {
        refuse(whole, "a time as 2024-02-29T23:59:59.999+00:00");
    }
    for (std::size_t i = 0; i < digits; ++i) {
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

constexpr bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int days_of(int year, int month) {
    constexpr std::array<int, 12> k_days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : k_days[static_cast<std::size_t>(month - 1)];
}

// Days since 1970-01-01 in the Gregorian calendar, for years from 1970 on.
std::int64_t days_since_epoch(int year, int month, int day) {
    const auto leaps = [](std::int64_t y) { return y / 4 - y / 100 + y / 400; };
    std::int64_t days = std::int64_t{365} * (year - 1970) + leaps(year - 1) - leaps(1969);
    for (int m = 1; m < month; ++m) {
        days += days_of(year, m);
    }
    return days + day - 1;
}

std::int64_t take_fraction(std::string_view& text, std::string_view whole) {
    std::int64_t ns = 0;
    if (!take(text, '.') && !take(text, ',')) {
        return ns;
    }
    std::size_t digits = 0;
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), ++digits) {
        const int digit = text.front() - '0';
        if (digits >= 9 && digit != 0) {
            refuse(whole, "a time of whole nanoseconds");
        }
        ns = digits < 9 ? ns * 10 + digit : ns;
    }
    if (digits == 0) {
        refuse(whole, "digits after the point");
    }
    for (; digits < 9; ++digits) {
        ns *= 10;
    }
    return ns;
}

std::int64_t iso_time(std::string_view whole, std::optional<int> zone_minutes) {
    std::string_view text = whole;
    const auto need = [&](bool good, std::string_view expected) {
        if (!good) {
            refuse(whole, expected);
        }
    };
    const int year = take_number(text, 4, whole);
    need(year >= 1970 && year <= 2261, "a year from 1970 to 2261");
    need(take(text, '-'), "a date as 2024-02-29");
    const int month = take_number(text, 2, whole);
    need(month >= 1 && month <= 12 && take(text, '-'), "a date as 2024-02-29");
    const int day = take_number(text, 2, whole);
    need(day >= 1 && day <= days_of(year, month), "a day of that month");
    std::int64_t seconds = days_since_epoch(year, month, day) * 86'400;
    std::int64_t fraction = 0;
    if (take(text, 'T') || take(text, ' ')) {
        const int hour = take_number(text, 2, whole);
        need(hour <= 23 && take(text, ':'), "a time of day as 23:59:59");
        const int minute = take_number(text, 2, whole);
        const int second = take(text, ':') ? take_number(text, 2, whole) : 0;
        need(minute <= 59 && second <= 59, "a time of day as 23:59:59");
        seconds += hour * 3600 + minute * 60 + second;
        fraction = take_fraction(text, whole);
    }
    std::optional<int> zone = zone_minutes;
    if (!text.empty()) {
        zone = zone_of(text);
        need(zone.has_value(), "a zone as Z or +02:00 after the time");
    }
    need(zone.has_value(), "a time with its zone, or \"zone\" in the mapping");
    seconds -= std::int64_t{*zone} * 60;
    need(seconds >= 0, "a time from 1970 on");
    return seconds * k_second_ns + fraction;
}

Decimal shortest_decimal(double value) {
    std::array<char, 64> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return decimal_of({text.data(), static_cast<std::size_t>(end - text.data())});
}

std::string real_text(double value) {
    std::array<char, 64> text{};
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace

Decimal decimal_of(std::string_view text) {
    std::string_view rest = text;
    const bool negative = take(rest, '-');
    if (!negative) {
        (void)take(rest, '+');
    }
    Decimal out;
    int significant = 0;
    bool any = false;
    bool point = false;
    for (; !rest.empty() && (is_digit(rest.front()) || (rest.front() == '.' && !point));
         rest.remove_prefix(1)) {
        if (rest.front() == '.') {
            point = true;
            if (rest.size() == 1 || !is_digit(rest[1])) {
                refuse_decimal(text);
            }
            continue;
        }
        any = true;
        significant += (significant != 0 || rest.front() != '0') ? 1 : 0;
        if (significant > k_digits_max) {
            refuse_decimal(text);
        }
        out.digits = out.digits * 10 + (rest.front() - '0');
        out.exponent -= point ? 1 : 0;
    }
    if (!any) {
        refuse_decimal(text);
    }
    if (take(rest, 'e') || take(rest, 'E')) {
        if (take(rest, '+') && rest.starts_with('-')) {
            refuse_decimal(text);
        }
        int shift = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), shift);
        if (error != std::errc{} || end != rest.data() + rest.size() || shift < -400 ||
            shift > 400) {
            refuse_decimal(text);
        }
        out.exponent += shift;
    } else if (!rest.empty()) {
        refuse_decimal(text);
    }
    while (out.digits != 0 && out.digits % 10 == 0) {
        out.digits /= 10;
        ++out.exponent;
    }
    out.digits = negative ? -out.digits : out.digits;
    out.exponent = out.digits == 0 ? 0 : out.exponent;
    return out;
}

Decimal decimal_of(const SourceValue& value, int scale) {
    if (value.kind == TENON_VALUE_INT64) {
        return {value.integer, -scale};
    }
    if (scale != 0) {
        refuse(
            value.kind == TENON_VALUE_REAL ? real_text(value.real) : value.bytes,
            "an integer, as \"source_scale\" says"
        );
    }
    if (value.kind == TENON_VALUE_REAL) {
        return shortest_decimal(value.real);
    }
    if (value.kind != TENON_VALUE_TEXT) {
        throw BadRow{"found a blob, expected a decimal"};
    }
    return decimal_of(std::string_view{value.bytes});
}

Decimal sum(const Decimal& a, const Decimal& b) {
    const Decimal& low = a.exponent <= b.exponent ? a : b;
    const Decimal& high = a.exponent <= b.exponent ? b : a;
    Int128 digits = high.digits;
    for (int i = high.exponent; i > low.exponent && digits != 0; --i) {
        if (__builtin_mul_overflow(digits, Int128{10}, &digits)) {
            throw BadRow{"a sum has more digits than can be held"};
        }
    }
    if (__builtin_add_overflow(digits, low.digits, &digits)) {
        throw BadRow{"a sum has more digits than can be held"};
    }
    return {digits, low.exponent};
}

std::int64_t units_of(const Decimal& value, int scale, Rounds rounds) {
    const int shift = value.exponent + scale;
    Int128 units = value.digits;
    for (int i = 0; i < shift && units != 0; ++i) {
        if (__builtin_mul_overflow(units, Int128{10}, &units)) {
            throw BadRow{"a number is beyond 64 bits"};
        }
    }
    if (shift < 0) {
        // Beyond 38 digits nothing is left, not even a half.
        const Int128 unit = -shift <= 38 ? wide_power(-shift) : 0;
        const Int128 quotient = unit == 0 ? 0 : units / unit;
        const Int128 rest = unit == 0 ? units : units % unit;
        if (rest != 0 && rounds == Rounds::never) {
            throw BadRow{
                "a number has digits beyond the " + std::to_string(scale) +
                " decimals that are kept (\"round\" in the mapping drops them)"};
        }
        const Int128 left = rest < 0 ? -rest : rest;
        const Int128 twice_short = unit - left;  // left > unit / 2, without doubling
        const bool away = rounds == Rounds::half_even && unit != 0 &&
                          (left > twice_short || (left == twice_short && quotient % 2 != 0));
        units = quotient + (away ? (units < 0 ? -1 : 1) : 0);
    }
    if (!fits_int64(units)) {
        throw BadRow{"a number is beyond 64 bits"};
    }
    return static_cast<std::int64_t>(units);
}

std::string text_of(const SourceValue& value) {
    if (value.kind == TENON_VALUE_INT64) {
        return std::to_string(value.integer);
    }
    if (value.kind == TENON_VALUE_REAL) {
        return real_text(value.real);
    }
    if (value.kind != TENON_VALUE_TEXT) {
        throw BadRow{"found a blob, expected text"};
    }
    for (std::string_view rest = value.bytes; !rest.empty();) {
        const std::size_t length = utf8_sequence(rest);
        if (length == 0 || rest.front() == '\0') {
            throw BadRow{length == 0 ? "found text that is not UTF-8" : "found text with a NUL"};
        }
        rest.remove_prefix(length);
    }
    return value.bytes;
}

std::optional<int> zone_of(std::string_view text) {
    if (text == "Z" || text == "z" || text == "UTC") {
        return 0;
    }
    const bool west = text.starts_with('-');
    if ((!west && !text.starts_with('+')) || text.size() < 3) {
        return std::nullopt;
    }
    const auto two = [&](std::string_view digits) {
        return is_digit(digits[0]) && is_digit(digits[1])
                   ? (digits[0] - '0') * 10 + (digits[1] - '0')
                   : 100;
    };
    const std::string_view rest = text.substr(text.size() > 3 && text[3] == ':' ? 4 : 3);
    if (rest.size() != 2 && text.size() != 3) {
        return std::nullopt;
    }
    const int hours = two(text.substr(1, 2));
    const int minutes = rest.empty() ? 0 : two(rest);
    if (hours > 15 || minutes > 59) {
        return std::nullopt;
    }
    return (west ? -1 : 1) * (hours * 60 + minutes);
}

std::int64_t time_of(const SourceValue& value, TimeUnit unit, std::optional<int> zone_minutes) {
    if (unit == TimeUnit::iso) {
        if (value.kind != TENON_VALUE_TEXT) {
            refuse(text_of(value), "a time as text");
        }
        return iso_time(value.bytes, zone_minutes);
    }
    const int scale = unit == TimeUnit::seconds        ? 9
                      : unit == TimeUnit::milliseconds ? 6
                      : unit == TimeUnit::microseconds ? 3
                                                       : 0;
    const std::int64_t ns = units_of(decimal_of(value, 0), scale, Rounds::never);
    if (ns < 0) {
        refuse(text_of(value), "a time from 1970 on");
    }
    return ns;
}

}  // namespace tenon::importer
