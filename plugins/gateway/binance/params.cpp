// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/params.hpp"

#include <tenon/decimal.hpp>
#include <tenon/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace tenon::binance {
namespace {

// As the exchange prints them.
constexpr std::string_view k_integer_range = "^[0-9]{1,20}$";
constexpr std::string_view k_decimal_range = R"(^([0-9]{1,20})(\.[0-9]{1,20})?$)";
constexpr std::string_view k_symbol_range = R"(^[\w\-._&&[^a-z]]{1,50}$)";
constexpr std::string_view k_symbols_range =
    R"(^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$)";
constexpr std::string_view k_client_id_range = "^[a-zA-Z0-9-_]{1,36}$";

[[nodiscard]] bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

[[nodiscard]] int hex_digit(char c) noexcept {
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

[[nodiscard]] bool is_symbol(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 50 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '-' || c == '.';
    });
}

[[nodiscard]] bool is_client_id(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 36 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' ||
               c == '-';
    });
}

[[nodiscard]] bool all_digits(std::string_view text, std::size_t max) noexcept {
    return !text.empty() && text.size() <= max && std::all_of(text.begin(), text.end(), is_digit);
}

}  // namespace

void Params::parse(std::string_view query, std::string_view body) {
    count_ = 0;
    decoded_.clear();
    // Views into decoded_ stay valid: decoding never makes text longer.
    decoded_.reserve(query.size() + body.size());
    add_all(query, false);
    add_all(body, true);
}

void Params::add_all(std::string_view text, bool from_body) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('&'), text.size());
        const std::string_view pair = text.substr(0, end);
        text.remove_prefix(end == text.size() ? end : end + 1);
        if (pair.empty()) {
            continue;
        }
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const std::string_view name = decode(pair.substr(0, equals), false);
        const std::string_view value =
            equals == pair.size() ? std::string_view{} : pair.substr(equals + 1);
        // Base64 signatures are often sent with their plus signs bare.
        add(name, decode(value, name == "signature"), from_body);
    }
}

void Params::add(std::string_view name, std::string_view value, bool from_body) {
    // An error may quote it, and answers are UTF-8.
    if (!is_utf8(name) || !is_utf8(value)) {
        throw ApiError{-1100, "Illegal characters found in a parameter."};
    }
    if (const Entry* const known = find(name); known != nullptr) {
        if (known->from_body == from_body) {
            throw errors::duplicate();
        }
        return;
    }
    if (count_ == k_max) {
        throw ApiError{-1101, "Too many parameters sent for this endpoint."};
    }
    entries_[count_++] = {name, value, false, from_body};
}

std::string_view Params::decode(std::string_view text, bool keep_plus) {
    const std::size_t first = text.find_first_of(keep_plus ? "%" : "%+");
    if (first == std::string_view::npos) {
        return text;
    }
    const std::size_t from = decoded_.size();
    decoded_.append(text.substr(0, first));
    for (std::size_t at = first; at < text.size(); ++at) {
        if (text[at] == '+' && !keep_plus) {
            decoded_.push_back(' ');
        } else if (text[at] == '%') {
            const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
            const int low = at + 2 < text.size() ? hex_digit(text[at + 2]) : -1;
            if (high < 0 || low < 0) {
                throw ApiError{-1100, "Illegal characters found in a parameter."};
            }
            decoded_.push_back(static_cast<char>(high * 16 + low));
            at += 2;
        } else {
            decoded_.push_back(text[at]);
        }
    }
    return std::string_view{decoded_}.substr(from);
}

Params::Entry* Params::find(std::string_view name) noexcept {
    const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto found =
        std::find_if(entries_.begin(), end, [&](const Entry& entry) { return entry.name == name; });
    return found == end ? nullptr : &*found;
}

std::optional<std::string_view> Params::peek(std::string_view name) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
        if (entries_[i].name == name) {
            return entries_[i].value;
        }
    }
    return std::nullopt;
}

std::optional<std::string_view> Params::text(std::string_view name) {
    Entry* const entry = find(name);
    if (entry == nullptr) {
        return std::nullopt;
    }
    if (entry->value.empty()) {
        throw errors::empty(name);
    }
    entry->read = true;
    return entry->value;
}

std::string_view Params::mandatory(std::string_view name) {
    const auto value = text(name);
    if (!value) {
        throw errors::mandatory(name);
    }
    return *value;
}

std::optional<std::int64_t> Params::integer(std::string_view name) {
    const auto value = text(name);
    if (!value) {
        return std::nullopt;
    }
    if (!all_digits(*value, 20)) {
        throw errors::illegal(name, k_integer_range);
    }
    std::int64_t number = 0;
    const auto parsed = std::from_chars(value->data(), value->data() + value->size(), number);
    if (parsed.ec != std::errc{}) {
        throw errors::overflow(name);
    }
    return number;
}

std::optional<bool> Params::boolean(std::string_view name) {
    const auto value = text(name);
    if (!value) {
        return std::nullopt;
    }
    if (*value != "true" && *value != "false") {
        throw errors::illegal(name, "^(true|false)$");
    }
    return *value == "true";
}

std::optional<std::int64_t> Params::decimal(std::string_view name) {
    const auto value = text(name);
    if (!value) {
        return std::nullopt;
    }
    const std::size_t point = std::min(value->find('.'), value->size());
    const bool legal = all_digits(value->substr(0, point), 20) &&
                       (point == value->size() || all_digits(value->substr(point + 1), 20));
    if (!legal) {
        throw errors::illegal(name, k_decimal_range);
    }
    const ParsedDecimal parsed = parse_decimal(*value, k_precision);
    if (parsed.status == DecimalStatus::precision) {
        throw errors::precision(name);
    }
    if (parsed.status != DecimalStatus::ok) {
        throw errors::overflow(name);
    }
    return parsed.value;
}

std::optional<std::int64_t> Params::time_ns(std::string_view name, bool last) {
    constexpr std::int64_t k_first_micros = 100'000'000'000'000;
    // The year 2116: beyond it a shift by a candle or a time zone could leave 64 bits.
    constexpr std::int64_t k_latest_ns = std::numeric_limits<std::int64_t>::max() / 2;
    const auto number = integer(name);
    if (!number) {
        return std::nullopt;
    }
    const std::int64_t unit = *number >= k_first_micros ? 1'000 : 1'000'000;
    const std::int64_t ns = checked_multiply(*number, unit).value_or(k_latest_ns);
    return std::min(ns, k_latest_ns) + (last ? unit - 1 : 0);
}

std::optional<std::int64_t> Params::time_from(std::string_view name) {
    const auto ns = time_ns(name, false);
    // 0 is an open end to the services, and to a client the first of all times.
    return ns ? std::optional{std::max<std::int64_t>(*ns, 1)} : std::nullopt;
}

std::optional<std::int64_t> Params::time_to(std::string_view name) {
    return time_ns(name, true);
}

std::uint32_t Params::limit(std::uint32_t fallback, std::uint32_t max) {
    const auto value = integer("limit");
    if (!value) {
        return fallback;
    }
    if (*value == 0) {
        throw errors::invalid("limit");
    }
    return static_cast<std::uint32_t>(std::min<std::int64_t>(*value, max));
}

std::optional<std::string_view> Params::symbol(std::string_view name) {
    const auto value = text(name);
    if (value && !is_symbol(*value)) {
        throw errors::illegal(name, k_symbol_range);
    }
    return value;
}

std::optional<std::vector<std::string_view>> Params::symbols(std::string_view name) {
    const auto value = text(name);
    if (!value) {
        return std::nullopt;
    }
    std::vector<std::string_view> list;
    std::string_view rest = *value;
    if (rest.size() < 2 || rest.front() != '[' || rest.back() != ']') {
        throw errors::illegal(name, k_symbols_range);
    }
    rest = rest.substr(1, rest.size() - 2);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        const std::string_view item = rest.substr(0, end);
        const bool trailing_comma = end + 1 == rest.size();
        rest.remove_prefix(end == rest.size() ? end : end + 1);
        if (trailing_comma || item.size() < 2 || item.front() != '"' || item.back() != '"' ||
            !is_symbol(item.substr(1, item.size() - 2))) {
            throw errors::illegal(name, k_symbols_range);
        }
        list.push_back(item.substr(1, item.size() - 2));
    }
    if (list.empty()) {
        throw errors::empty(name);
    }
    std::vector<std::string_view> sorted = list;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
        throw ApiError{-1151, "Symbol is present multiple times in the list."};
    }
    return list;
}

std::optional<std::string_view> Params::client_id(std::string_view name) {
    const auto value = text(name);
    if (value && !is_client_id(*value)) {
        throw errors::illegal(name, k_client_id_range);
    }
    return value;
}

void Params::finish(std::size_t expected_max) const {
    const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto read = static_cast<std::size_t>(
        std::count_if(entries_.begin(), end, [](const Entry& entry) { return entry.read; })
    );
    if (read == count_) {
        return;
    }
    if (count_ > expected_max) {
        throw errors::too_many(expected_max, count_);
    }
    throw errors::unread(read, count_);
}

}  // namespace tenon::binance
