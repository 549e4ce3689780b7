// SPDX-License-Identifier: Apache-2.0
// Appends JSON to a string that its owner reuses. Writes what it is told and checks nothing: commas
// come by themselves, brackets are the caller's. No allocation once the string has grown.
#pragma once

#include <tenon/decimal.hpp>

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace tenon::binance {

class JsonWriter {
public:
    // With `micro`, time() writes microseconds instead of milliseconds.
    explicit JsonWriter(std::string& out, bool micro = false) : out_{out}, micro_{micro} {}

    JsonWriter& raw(std::string_view text) {
        out_.append(text);
        return *this;
    }

    // A comma, unless this is the first thing in its bracket.
    JsonWriter& next() {
        if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') {
            out_.push_back(',');
        }
        return *this;
    }

    // `name` needs no escape.
    JsonWriter& key(std::string_view name) {
        next();
        out_.push_back('"');
        out_.append(name);
        out_.append("\":", 2);
        return *this;
    }

    JsonWriter& string(std::string_view text) {
        out_.push_back('"');
        for (const char c : text) {
            append_escaped(c);
        }
        out_.push_back('"');
        return *this;
    }

    template <class Integer>

    requires std::is_integral_v<Integer> JsonWriter& number(Integer value) {
        std::array<char, 24> text{};
        const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
        out_.append(text.data(), end);
        return *this;
    }

    JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }

    // A decimal as a string; eight decimals unless asked otherwise.
    JsonWriter& decimal(std::int64_t value, int scale, int decimals = 8) {
        std::array<char, k_decimal_chars + 2> text{};
        text[0] = '"';
        char* end = format_decimal(text.data() + 1, value, scale, decimals);
        *end++ = '"';
        out_.append(text.data(), end);
        return *this;
    }

    JsonWriter& time(std::int64_t real_ns) {
        return number(micro_ ? real_ns / 1'000 : real_ns / 1'000'000);
    }

    JsonWriter& field(std::string_view name, std::string_view text) {
        return key(name).string(text);
    }

    // Without this, a literal would go to the overload for bool.
    JsonWriter& field(std::string_view name, const char* text) { return key(name).string(text); }

    JsonWriter& field(std::string_view name, bool value) { return key(name).boolean(value); }

    template <class Integer>

    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
        JsonWriter& field(std::string_view name, Integer value) {
        return key(name).number(value);
    }

    JsonWriter& field(std::string_view name, std::int64_t value, int scale) {
        return key(name).decimal(value, scale);
    }

    JsonWriter& time_field(std::string_view name, std::int64_t real_ns) {
        return key(name).time(real_ns);
    }

    [[nodiscard]] std::string& text() noexcept { return out_; }

    [[nodiscard]] bool micro() const noexcept { return micro_; }

private:
    void append_escaped(char c) {
        constexpr std::string_view k_hex = "0123456789abcdef";
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out_.push_back('\\');
            out_.push_back(c);
        } else if (code < 0x20) {
            out_.append("\\u00");
            out_.push_back(k_hex[code >> 4U]);
            out_.push_back(k_hex[code & 15U]);
        } else {
            out_.push_back(c);
        }
    }

    std::string& out_;
    bool micro_;
};

}  // namespace tenon::binance
