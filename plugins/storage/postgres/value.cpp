// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/value.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace tenon::postgres {
namespace {

// pg_type.dat
constexpr Oid k_bool = 16;
constexpr Oid k_bytea = 17;
constexpr Oid k_name = 19;
constexpr Oid k_int8 = 20;
constexpr Oid k_int2 = 21;
constexpr Oid k_int4 = 23;
constexpr Oid k_text = 25;
constexpr Oid k_oid = 26;
constexpr Oid k_json = 114;
constexpr Oid k_float4 = 700;
constexpr Oid k_float8 = 701;
constexpr Oid k_bpchar = 1042;
constexpr Oid k_varchar = 1043;
constexpr Oid k_numeric = 1700;

// utils/adt/numeric.c
constexpr std::uint16_t k_numeric_negative = 0x4000;
constexpr std::uint16_t k_numeric_nan = 0xC000;
constexpr std::uint16_t k_numeric_infinity = 0xD000;
constexpr std::uint16_t k_numeric_minus_infinity = 0xF000;

template <class Integer>
Integer from_network(const char* bytes) noexcept {
    std::array<unsigned char, sizeof(Integer)> raw{};
    std::memcpy(raw.data(), bytes, raw.size());
    std::uint64_t value = 0;
    for (const unsigned char byte : raw) {
        value = value << 8U | byte;
    }
    return static_cast<Integer>(value);
}

template <class Integer>
Parameter to_network(Integer value, std::string& storage) {
    auto rest = static_cast<std::uint64_t>(value);
    storage.resize(sizeof(Integer));
    for (std::size_t i = sizeof(Integer); i-- > 0; rest >>= 8U) {
        storage[i] = static_cast<char>(rest & 0xFFU);
    }
    return {storage.data(), static_cast<int>(sizeof(Integer)), true};
}

[[noreturn]] void refuse(std::uint32_t index, const std::string& what) {
    throw invalid("parameter " + std::to_string(index) + ": " + what);
}

Parameter as_text(std::string& storage) noexcept {
    return {storage.c_str(), static_cast<int>(storage.size()), false};
}

template <class Integer>
Parameter encode_narrow(std::int64_t value, std::uint32_t index, std::string& storage) {
    if (!std::in_range<Integer>(value)) {
        refuse(
            index,
            "the place takes an integer of " + std::to_string(sizeof(Integer) * 8) +
                " bits, and this one is larger"
        );
    }
    return to_network(static_cast<Integer>(value), storage);
}

Parameter encode_real(double value, Oid type, std::uint32_t index, std::string& storage) {
    if (type == k_float4) {
        if (std::isfinite(value) && std::abs(value) > double{std::numeric_limits<float>::max()}) {
            refuse(index, "the place takes a number of 32 bits, and this one is larger");
        }
        return to_network(std::bit_cast<std::uint32_t>(static_cast<float>(value)), storage);
    }
    return to_network(std::bit_cast<std::uint64_t>(value), storage);
}

Parameter encode_integer(std::int64_t value, Oid type, std::uint32_t index, std::string& storage) {
    switch (type) {
        case k_int8:
            return to_network(value, storage);
        case k_int4:
            return encode_narrow<std::int32_t>(value, index, storage);
        case k_int2:
            return encode_narrow<std::int16_t>(value, index, storage);
        case k_oid:
            return encode_narrow<std::uint32_t>(value, index, storage);
        case k_float4:
        case k_float8:
            return encode_real(static_cast<double>(value), type, index, storage);
        case k_bool:
            if (value != 0 && value != 1) {
                refuse(index, "the place takes 0 or 1");
            }
            storage = value != 0 ? "t" : "f";
            return as_text(storage);
        case k_bytea:
            refuse(index, "the place takes a blob, and this is an integer");
        default:
            storage = std::to_string(value);
            return as_text(storage);
    }
}

Parameter encode_number(double value, Oid type, std::uint32_t index, std::string& storage) {
    if (std::isnan(value)) {
        refuse(index, "not a number");
    }
    switch (type) {
        case k_float4:
        case k_float8:
            return encode_real(value, type, index, storage);
        case k_int2:
        case k_int4:
        case k_int8:
        case k_oid:
        case k_bool:
            if (value != std::trunc(value) || std::abs(value) > 9.0e15) {
                refuse(index, "the place takes an integer, and this is none");
            }
            return encode_integer(static_cast<std::int64_t>(value), type, index, storage);
        case k_bytea:
            refuse(index, "the place takes a blob, and this is a number");
        default:
            storage.clear();
            append_real(storage, value);
            return as_text(storage);
    }
}

bool is_text(Oid type) noexcept {
    return type == k_text || type == k_varchar || type == k_bpchar || type == k_name ||
           type == k_json;
}

Parameter encode_text(tenon_bytes text, Oid type, std::uint32_t index, std::string& storage) {
    storage.assign(view(text));
    if (type == k_bytea) {
        return {storage.data(), static_cast<int>(storage.size()), true};
    }
    if (storage.find('\0') != std::string::npos) {
        refuse(index, "a text with a zero byte cannot be stored");
    }
    // Their binary format is the text: no need to look for its end.
    return {storage.c_str(), static_cast<int>(storage.size()), is_text(type)};
}

// Digits of base 10,000, the first of them weighs 10,000^weight.
void decode_numeric(const char* bytes, int size, std::string& out) {
    out.clear();
    const auto count = from_network<std::int16_t>(bytes);
    const auto weight = from_network<std::int16_t>(bytes + 2);
    const auto sign = from_network<std::uint16_t>(bytes + 4);
    const auto scale = from_network<std::int16_t>(bytes + 6);
    if (sign == k_numeric_nan || sign == k_numeric_infinity || sign == k_numeric_minus_infinity) {
        out = sign == k_numeric_nan ? "NaN" : sign == k_numeric_infinity ? "Infinity" : "-Infinity";
        return;
    }
    const auto digit = [&](int position) -> int {
        const int at = 8 + 2 * position;
        return position >= 0 && position < count && at + 2 <= size
                   ? from_network<std::int16_t>(bytes + at)
                   : 0;
    };
    const auto append = [&](int position) {
        const int four = digit(position);
        for (const int unit : {1000, 100, 10, 1}) {
            out.push_back(static_cast<char>('0' + four / unit % 10));
        }
    };
    for (int i = 0; i <= weight; ++i) {
        append(i);
    }
    const std::size_t significant = out.find_first_not_of('0');
    out.erase(0, std::min(significant, out.size()));
    if (out.empty()) {
        out = "0";
    }
    if (sign == k_numeric_negative) {
        out.insert(out.begin(), '-');
    }
    if (scale > 0) {
        out.push_back('.');
        const std::size_t end = out.size() + static_cast<std::size_t>(scale);
        for (int i = weight + 1; out.size() < end; ++i) {
            append(i);
        }
        out.resize(end);
    }
}

tenon_value text_value(const char* bytes, int size) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_TEXT;
    value.b = {bytes, static_cast<std::size_t>(size)};
    return value;
}

tenon_value decode_binary(const char* bytes, int size, Oid type, std::string& scratch) {
    tenon_value value{};
    value.kind = TENON_VALUE_INT64;
    switch (type) {
        case k_bool:
            value.i = *bytes != 0 ? 1 : 0;
            return value;
        case k_int2:
            value.i = from_network<std::int16_t>(bytes);
            return value;
        case k_int4:
            value.i = from_network<std::int32_t>(bytes);
            return value;
        case k_int8:
            value.i = from_network<std::int64_t>(bytes);
            return value;
        case k_oid:
            value.i = from_network<std::uint32_t>(bytes);
            return value;
        case k_float4:
            return value_of(double{std::bit_cast<float>(from_network<std::uint32_t>(bytes))});
        case k_float8:
            return value_of(std::bit_cast<double>(from_network<std::uint64_t>(bytes)));
        case k_bytea:
            return value_of(tenon_bytes{bytes, static_cast<std::size_t>(size)});
        case k_numeric:
            decode_numeric(bytes, size, scratch);
            return value_of(scratch);
        default:
            return text_value(bytes, size);
    }
}

int nibble(char c) noexcept {
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

// "\x00ff": bytea_output is hex in our sessions.
void decode_hex(const char* text, int size, std::string& out) {
    out.clear();
    for (int i = 2; i + 1 < size; i += 2) {
        out.push_back(static_cast<char>(nibble(text[i]) << 4 | nibble(text[i + 1])));
    }
}

tenon_value decode_text(const char* text, int size, Oid type, std::string& scratch) {
    switch (type) {
        case k_bool:
            return value_of(*text == 't' ? 1 : 0);
        case k_int2:
        case k_int4:
        case k_int8:
        case k_oid: {
            std::int64_t number = 0;
            std::from_chars(text, text + size, number);
            return value_of(number);
        }
        case k_float4:
        case k_float8: {
            double number = 0;
            std::from_chars(text, text + size, number);
            return value_of(number);
        }
        case k_bytea:
            decode_hex(text, size, scratch);
            return value_of(tenon_bytes{scratch.data(), scratch.size()});
        default:
            return text_value(text, size);
    }
}

template <class Number>
void append_number(std::string& out, Number value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), end);
}

template <class Unsigned>
void append_network(std::string& out, Unsigned value) {
    std::array<char, sizeof(Unsigned)> bytes{};
    auto rest = static_cast<std::uint64_t>(value);
    for (std::size_t i = bytes.size(); i-- > 0; rest >>= 8U) {
        bytes[i] = static_cast<char>(rest & 0xFFU);
    }
    out.append(bytes.data(), bytes.size());
}

// encode() makes binary parameters of it, but of a text for a number.
bool has_binary_parameter(Oid type) noexcept {
    return is_text(type) || type == k_bytea || type == k_int2 || type == k_int4 || type == k_int8 ||
           type == k_oid || type == k_float4 || type == k_float8;
}

// COPY reads a backslash, and what ends a field or a row.
void append_escaped(std::string& out, std::string_view text) {
    std::size_t from = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        const char escape = c == '\\'   ? '\\'
                            : c == '\n' ? 'n'
                            : c == '\r' ? 'r'
                            : c == '\t' ? 't'
                                        : '\0';
        if (escape != '\0') {
            out.append(text.substr(from, at - from));
            out.push_back('\\');
            out.push_back(escape);
            from = at + 1;
        }
    }
    out.append(text.substr(from));
}

// "\x…"; the backslash is doubled, for COPY reads it too.
void append_hex(std::string& out, std::string_view bytes) {
    static constexpr std::string_view k_digits = "0123456789abcdef";
    out.append("\\\\x");
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out.push_back(k_digits[byte >> 4U]);
        out.push_back(k_digits[byte & 0xFU]);
    }
}

void append_binary(std::string& out, const char* bytes, std::size_t size, Oid type) {
    switch (type) {
        case k_int2:
            return append_number(out, from_network<std::int16_t>(bytes));
        case k_int4:
            return append_number(out, from_network<std::int32_t>(bytes));
        case k_int8:
            return append_number(out, from_network<std::int64_t>(bytes));
        case k_oid:
            return append_number(out, from_network<std::uint32_t>(bytes));
        case k_float4: {
            const auto value = std::bit_cast<float>(from_network<std::uint32_t>(bytes));
            return std::isinf(value) ? append_real(out, double{value}) : append_number(out, value);
        }
        case k_float8:
            return append_real(out, std::bit_cast<double>(from_network<std::uint64_t>(bytes)));
        case k_bytea:
            return append_hex(out, {bytes, size});
        default:
            return append_escaped(out, {bytes, size});
    }
}

}  // namespace

bool has_binary(Oid type) noexcept {
    static constexpr std::array<Oid, 9> k_others{
        k_bool, k_bytea, k_int8, k_int2, k_int4, k_oid, k_float4, k_float8, k_numeric};
    return is_text(type) || std::find(k_others.begin(), k_others.end(), type) != k_others.end();
}

Parameter encode(const tenon_value& value, Oid type, std::uint32_t index, std::string& storage) {
    switch (value.kind) {
        case TENON_VALUE_NULL:
            return {};
        case TENON_VALUE_INT64:
            return encode_integer(value.i, type, index, storage);
        case TENON_VALUE_REAL:
            return encode_number(value.r, type, index, storage);
        case TENON_VALUE_TEXT:
            return encode_text(value.b, type, index, storage);
        case TENON_VALUE_BLOB:
            if (type != k_bytea) {
                refuse(index, "a blob, and the place does not take one");
            }
            storage.assign(view(value.b));
            return {storage.data(), static_cast<int>(storage.size()), true};
        default:
            refuse(index, "unknown kind " + std::to_string(value.kind));
    }
}

void append_field(
    std::string& out,
    const tenon_value& value,
    Oid type,
    std::uint32_t index,
    std::string& storage
) {
    if (value.kind == TENON_VALUE_NULL) {
        out.append("\\N");
        return;
    }
    if (value.kind == TENON_VALUE_INT64 && type == k_int8) [[likely]] {
        return append_number(out, value.i);
    }
    const Parameter field = encode(value, type, index, storage);
    const auto size = static_cast<std::size_t>(field.size);
    if (field.binary) {
        append_binary(out, field.data, size, type);
    } else {
        append_escaped(out, {field.data, size});
    }
}

void append_binary_field(
    std::string& out,
    const tenon_value& value,
    Oid type,
    std::uint32_t index,
    std::string& storage
) {
    if (value.kind == TENON_VALUE_NULL) {
        append_network(out, std::uint32_t{0xFFFFFFFF});
    } else if (value.kind == TENON_VALUE_INT64 && type == k_int8) {
        append_network(out, std::uint32_t{8});
        append_network(out, static_cast<std::uint64_t>(value.i));
    } else if (value.kind == TENON_VALUE_REAL && type == k_float8) {
        append_network(out, std::uint32_t{8});
        append_network(out, std::bit_cast<std::uint64_t>(value.r));
    } else if (value.kind >= TENON_VALUE_TEXT) {
        append_network(out, static_cast<std::uint32_t>(value.b.n));
        out.append(view(value.b));
    } else {
        const Parameter field = encode(value, type, index, storage);
        append_network(out, static_cast<std::uint32_t>(field.size));
        out.append(field.data, static_cast<std::size_t>(field.size));
    }
}

bool check_fits(const tenon_value& value, Oid type, std::uint32_t index, std::string& storage) {
    switch (value.kind) {
        case TENON_VALUE_NULL:
            return has_binary_parameter(type);
        case TENON_VALUE_INT64:
            if (type == k_int8) [[likely]] {
                return true;
            }
            break;
        case TENON_VALUE_REAL:
            if (type == k_float8 && !std::isnan(value.r)) [[likely]] {
                return true;
            }
            break;
        case TENON_VALUE_TEXT:
            if (is_text(type) && view(value.b).find('\0') == std::string_view::npos) [[likely]] {
                return true;
            }
            break;
        default:
            if (value.kind == TENON_VALUE_BLOB && type == k_bytea) {
                return true;
            }
    }
    return encode(value, type, index, storage).binary;
}

tenon_value decode(const PGresult* row, int column, Oid type, std::string& scratch) {
    if (PQgetisnull(row, 0, column) == 1) {
        return {};
    }
    const char* bytes = PQgetvalue(row, 0, column);
    const int size = PQgetlength(row, 0, column);
    return PQfformat(row, column) == 1 ? decode_binary(bytes, size, type, scratch)
                                       : decode_text(bytes, size, type, scratch);
}

void append_real(std::string& out, double value) {
    if (std::isinf(value)) {
        out.append(value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    append_number(out, value);
}

}  // namespace tenon::postgres
