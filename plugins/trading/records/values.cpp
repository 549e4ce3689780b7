// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/values.hpp"

#include "plugins/trading/records/failure.hpp"

#include <tenon/decimal.hpp>
#include <tenon/json_text.hpp>

#include <algorithm>
#include <charconv>

namespace tenon::records {
namespace {

constexpr std::int64_t k_ns_per_us = 1'000;

[[nodiscard]] bool is_choice(std::string_view choices, std::string_view text) noexcept {
    while (!choices.empty()) {
        const std::size_t end = std::min(choices.find('|'), choices.size());
        if (choices.substr(0, end) == text) {
            return true;
        }
        choices.remove_prefix(std::min(end + 1, choices.size()));
    }
    return false;
}

[[nodiscard]] bool is_code(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
}

[[nodiscard]] int scale_of(Kind kind, const Scales& scales) noexcept {
    switch (kind) {
        case Kind::price:
            return scales.price;
        case Kind::quantity:
            return scales.quantity;
        case Kind::quote_amount:
            return scales.quote;
        case Kind::score:
            return k_score_scale;
        default:
            return k_amount_scale;
    }
}

[[nodiscard]] std::int64_t
in_range(const Field& field, std::int64_t value, const std::string& where) {
    if (value < field.min || value > field.max) {
        throw invalid(
            where,
            "found " + std::to_string(value) + ", expected " + std::to_string(field.min) + " to " +
                std::to_string(field.max)
        );
    }
    return value;
}

[[nodiscard]] std::int64_t
integer_of(const Field& field, std::string_view text, const std::string& where) {
    const auto number = whole_number(text);
    if (!number) {
        throw invalid(where, "expected an integer of at most 63 bits");
    }
    if (field.kind == Kind::time) {
        if (*number < 0 || *number > INT64_MAX / k_ns_per_us) {
            throw invalid(where, "expected microseconds since 1970");
        }
        return *number * k_ns_per_us;
    }
    return in_range(field, *number, where);
}

[[nodiscard]] std::int64_t
decimal_of(const Field& field, std::string_view text, int scale, const std::string& where) {
    const ParsedDecimal parsed = parse_decimal(text, scale);
    switch (parsed.status) {
        case DecimalStatus::ok:
            break;
        case DecimalStatus::precision:
            throw invalid(where, "more than " + std::to_string(scale) + " decimals");
        case DecimalStatus::overflow:
            throw invalid(where, "the number is too large");
        case DecimalStatus::malformed:
            throw invalid(where, "expected a decimal as a string, such as \"12.5\"");
    }
    if (parsed.value < field.min || parsed.value > field.max) {
        throw invalid(
            where,
            field.min == 1 && field.max == INT64_MAX ? "expected a number above zero"
                                                     : "the number is out of range"
        );
    }
    return parsed.value;
}

[[nodiscard]] Bound text_of(const Field& field, std::string_view text, const std::string& where) {
    if (text.find('\0') != std::string_view::npos) {
        throw invalid(where, "a text must not hold the character U+0000");
    }
    if (field.kind == Kind::choice) {
        if (!is_choice(field.choices, text)) {
            throw invalid(where, "expected one of " + std::string{field.choices});
        }
        return std::string{text};
    }
    const auto size = static_cast<std::int64_t>(text.size());
    if (size < field.min || size > field.max) {
        throw invalid(
            where,
            "found " + std::to_string(size) + " bytes, expected " + std::to_string(field.min) +
                " to " + std::to_string(field.max)
        );
    }
    if (field.kind == Kind::code && !is_code(text)) {
        throw invalid(where, "expected upper case letters, digits, '-', '_' and '.'");
    }
    return std::string{text};
}

[[nodiscard]] Bound object_of(const Field& field, const Json& json, const std::string& where) {
    if (!json.is(Json::Kind::object)) {
        throw invalid(
            where, "found " + std::string{Json::name_of(json.kind())} + ", expected an object"
        );
    }
    std::string text;
    append_json(text, json);
    if (static_cast<std::int64_t>(text.size()) > field.max) {
        throw invalid(where, "longer than " + std::to_string(field.max) + " bytes");
    }
    if (text.find("\\u0000") != std::string::npos) {
        throw invalid(where, "a text must not hold the character U+0000");
    }
    return text;
}

[[nodiscard]] std::int64_t side_of(std::string_view text, const std::string& where) {
    if (text != "buy" && text != "sell") {
        throw invalid(where, "expected buy or sell");
    }
    return text == "buy" ? 0 : 1;
}

void expect(const Json& json, Json::Kind kind, const std::string& where) {
    if (!json.is(kind)) {
        throw invalid(
            where,
            "found " + std::string{Json::name_of(json.kind())} + ", expected " +
                std::string{Json::name_of(kind)}
        );
    }
}

}  // namespace

void bind_values(Statement& statement, const std::vector<Bound>& values) {
    std::uint32_t index = 0;
    for (const Bound& value : values) {
        ++index;
        std::visit([&](const auto& v) { statement.bind(index, v); }, value);
    }
}

std::optional<std::int64_t> whole_number(std::string_view text) noexcept {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && stop == end ? std::optional{value} : std::nullopt;
}

Scales scales_of(Session& session, std::string_view symbol, std::string_view where) {
    auto found = session.prepare(
        "SELECT i.id, i.price_scale, i.quantity_scale, coalesce(a.scale, 8) FROM instruments i "
        "LEFT JOIN assets a ON a.id = i.quote WHERE i.symbol = ?"
    );
    found.bind(1, symbol);
    if (symbol.find('\0') != std::string_view::npos || !found.step()) {
        throw ApiFailure{404, "not_found", "there is no such symbol", std::string{where}};
    }
    return {found.integer(0), found.as<int>(1), found.as<int>(2), found.as<int>(3)};
}

Bound value_of_json(const Field& field, const Json& json, const Scales& scales) {
    const std::string where = "/" + std::string{field.name};
    if (json.is(Json::Kind::null)) {
        if ((field.use & k_nullable) == 0) {
            throw invalid(where, "found null, expected a value");
        }
        return nullptr;
    }
    switch (field.kind) {
        case Kind::integer:
        case Kind::time:
            expect(json, Json::Kind::number, where);
            return integer_of(field, json.number(), where);
        case Kind::flag:
            expect(json, Json::Kind::boolean, where);
            return std::int64_t{json.boolean() ? 1 : 0};
        case Kind::object:
            return object_of(field, json, where);
        case Kind::text:
        case Kind::code:
        case Kind::choice:
            expect(json, Json::Kind::text, where);
            return text_of(field, json.text(), where);
        case Kind::side:
            expect(json, Json::Kind::text, where);
            return side_of(json.text(), where);
        case Kind::symbol:
            return scales.instrument;
        default:
            expect(json, Json::Kind::text, where);
            return decimal_of(field, json.text(), scale_of(field.kind, scales), where);
    }
}

Bound value_of_parameter(Session& session, const Field& field, std::string_view text) {
    const std::string where = "?" + std::string{field.name};
    switch (field.kind) {
        case Kind::symbol:
            return scales_of(session, text, where).instrument;
        case Kind::side:
            return side_of(text, where);
        case Kind::flag:
            if (text != "true" && text != "false") {
                throw invalid(where, "expected true or false");
            }
            return std::int64_t{text == "true" ? 1 : 0};
        case Kind::integer:
        case Kind::time:
            return integer_of(field, text, where);
        default:
            return text_of(field, text, where);
    }
}

void append_value(
    std::string& out,
    const Field& field,
    const tenon_value& value,
    const Scales& scales,
    std::string_view symbol
) {
    if (value.kind == TENON_VALUE_NULL) {
        out.append("null");
        return;
    }
    switch (field.kind) {
        case Kind::integer:
            out.append(std::to_string(value.i));
            break;
        case Kind::time:
            out.append(value.i == k_forever_ns ? "null" : std::to_string(value.i / k_ns_per_us));
            break;
        case Kind::flag:
            out.append(value.i != 0 ? "true" : "false");
            break;
        case Kind::side:
            out.append(value.i == 0 ? "\"buy\"" : "\"sell\"");
            break;
        case Kind::symbol:
            append_json(out, symbol);
            break;
        case Kind::object:
            out.append(view(value.b));
            break;
        case Kind::text:
        case Kind::code:
        case Kind::choice:
            append_json(out, view(value.b));
            break;
        default:
            append_json(out, decimal_text(value.i, scale_of(field.kind, scales)));
    }
}

}  // namespace tenon::records
