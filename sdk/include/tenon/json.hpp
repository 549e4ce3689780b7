// SPDX-License-Identifier: Apache-2.0
// A small strict JSON reader for plugins that bring no JSON library: settings, admin arguments.
//
// RFC 8259 without extensions. Equal keys in one object are an error, and so is nesting deeper than
// k_depth_max, a lone surrogate, a text that is not UTF-8 or anything after the value. Numbers keep
// their text, so that no digit is lost before the reader says what it wants. A tree of values, for
// documents of settings: not meant for hot paths.
#pragma once

#include <tenon/plugin.hpp>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

// RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
[[nodiscard]] inline bool is_utf8(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned first = byte(i);
        if (first < 0x80) {
            ++i;
            continue;
        }
        const std::size_t more = first < 0xe0 ? 1U : first < 0xf0 ? 2U : 3U;
        const unsigned second = byte(i + 1);
        const bool bad = first < 0xc2 || first > 0xf4 || (first == 0xe0 && second < 0xa0) ||
                         (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
                         (first == 0xf4 && second > 0x8f);
        for (std::size_t k = 1; k <= more; ++k) {
            if ((byte(i + k) & 0xc0) != 0x80) {
                return false;
            }
        }
        if (bad) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

class Json {
public:
    enum class Kind { null, boolean, number, text, array, object };

    static constexpr int k_depth_max = 32;

    Json() = default;

    // Throws Error TENON_INVALID with the byte's offset.
    [[nodiscard]] static Json parse(std::string_view text);

    [[nodiscard]] Kind kind() const noexcept { return kind_; }

    [[nodiscard]] bool is(Kind kind) const noexcept { return kind_ == kind; }

    // Each throws Error TENON_INVALID when the value is of another kind or does not fit.
    [[nodiscard]] bool boolean() const {
        expect(Kind::boolean);
        return text_ == "true";
    }

    template <class Integer>
    [[nodiscard]] Integer integer() const {
        expect(Kind::number);
        Integer value{};
        const char* const end = text_.data() + text_.size();
        const auto [stop, error] = std::from_chars(text_.data(), end, value);
        if (error == std::errc{} && stop == end) {
            return value;
        }
        throw Error{TENON_INVALID, "found " + text_ + ", expected an integer in range"};
    }

    [[nodiscard]] double real() const {
        expect(Kind::number);
        return std::strtod(text_.c_str(), nullptr);
    }

    [[nodiscard]] const std::string& text() const {
        expect(Kind::text);
        return text_;
    }

    // The number as it was written.
    [[nodiscard]] const std::string& number() const {
        expect(Kind::number);
        return text_;
    }

    // The elements of an array, the values of an object.
    [[nodiscard]] const std::vector<Json>& items() const noexcept { return items_; }

    // The keys of an object, in the order of items().
    [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }

    // NULL when this is no object or has no such key.
    [[nodiscard]] const Json* find(std::string_view key) const noexcept {
        for (std::size_t i = 0; i < keys_.size(); ++i) {
            if (keys_[i] == key) {
                return &items_[i];
            }
        }
        return nullptr;
    }

    [[nodiscard]] static std::string_view name_of(Kind kind) noexcept {
        constexpr std::string_view k_names[] = {
            "null", "a boolean", "a number", "a text", "an array", "an object"};
        return k_names[static_cast<std::size_t>(kind)];
    }

private:
    class Reader;

    void expect(Kind kind) const {
        if (kind_ != kind) {
            throw Error{
                TENON_INVALID,
                "found " + std::string{name_of(kind_)} + ", expected " +
                    std::string{name_of(kind)}};
        }
    }

    Kind kind_ = Kind::null;
    std::string text_;  // a text, a number's digits, true or false
    std::vector<std::string> keys_;
    std::vector<Json> items_;
};

class Json::Reader {
public:
    explicit Reader(std::string_view text) : text_{text} {}

    Json document() {
        Json value = read_value(0);
        skip_space();
        if (at_ != text_.size()) {
            refuse("more after the value");
        }
        return value;
    }

private:
    [[noreturn]] void refuse(std::string_view what) const {
        throw Error{
            TENON_INVALID, "JSON at byte " + std::to_string(at_) + ": " + std::string{what}};
    }

    [[nodiscard]] char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }

    void skip_space() noexcept {
        while (at_ < text_.size() && std::string_view{" \t\r\n"}.find(text_[at_]) != text_.npos) {
            ++at_;
        }
    }

    // Skips space and takes `c` if it is next.
    bool take(char c) noexcept {
        skip_space();
        if (at_ == text_.size() || text_[at_] != c) {
            return false;
        }
        ++at_;
        return true;
    }

    void need(char c) {
        if (!take(c)) {
            refuse(std::string{"expected '"} + c + "'");
        }
    }

    Json read_value(int depth) {
        if (depth > k_depth_max) {
            refuse("nested too deeply");
        }
        skip_space();
        switch (peek()) {
            case '{':
                return read_object(depth);
            case '[':
                return read_array(depth);
            case '"':
                return scalar(Kind::text, read_text());
            case 't':
                return word("true", Kind::boolean);
            case 'f':
                return word("false", Kind::boolean);
            case 'n':
                return word("null", Kind::null);
            default:
                return read_number();
        }
    }

    static Json scalar(Kind kind, std::string text) {
        Json value;
        value.kind_ = kind;
        value.text_ = std::move(text);
        return value;
    }

    Json word(std::string_view expected, Kind kind) {
        if (text_.substr(at_, expected.size()) != expected) {
            refuse("not a value");
        }
        at_ += expected.size();
        return scalar(kind, std::string{expected});
    }

    Json read_object(int depth) {
        Json value;
        value.kind_ = Kind::object;
        need('{');
        if (take('}')) {
            return value;
        }
        do {
            skip_space();
            std::string key = read_text();
            if (value.find(key) != nullptr) {
                refuse("the key \"" + key + "\" is there twice");
            }
            need(':');
            value.keys_.push_back(std::move(key));
            value.items_.push_back(read_value(depth + 1));
        } while (take(','));
        need('}');
        return value;
    }

    Json read_array(int depth) {
        Json value;
        value.kind_ = Kind::array;
        need('[');
        if (take(']')) {
            return value;
        }
        do {
            value.items_.push_back(read_value(depth + 1));
        } while (take(','));
        need(']');
        return value;
    }

    [[nodiscard]] bool digit() const noexcept { return peek() >= '0' && peek() <= '9'; }

    void digits() {
        if (!digit()) {
            refuse("expected a digit");
        }
        while (digit()) {
            ++at_;
        }
    }

    Json read_number() {
        const std::size_t begin = at_;
        at_ += peek() == '-' ? 1U : 0U;
        if (peek() == '0') {
            ++at_;
        } else if (digit()) {
            digits();
        } else {
            refuse("not a value");
        }
        if (peek() == '.') {
            ++at_;
            digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            at_ += peek() == '+' || peek() == '-' ? 1U : 0U;
            digits();
        }
        return scalar(Kind::number, std::string{text_.substr(begin, at_ - begin)});
    }

    std::string read_text() {
        need('"');
        std::string out;
        while (true) {
            if (at_ == text_.size()) {
                refuse("the text does not end");
            }
            const char c = text_[at_++];
            if (c == '"') {
                if (!is_utf8(out)) {
                    refuse("a text that is not UTF-8");
                }
                return out;
            }
            if (static_cast<unsigned char>(c) < 0x20) {
                refuse("a control character in a text");
            }
            if (c == '\\') {
                read_escape(out);
            } else {
                out.push_back(c);
            }
        }
    }

    void read_escape(std::string& out) {
        constexpr std::string_view k_names = "\"\\/bfnrt";
        constexpr std::string_view k_values = "\"\\/\b\f\n\r\t";
        const char c = peek();
        ++at_;
        if (c == 'u') {
            append_utf8(out, read_code_point());
        } else if (const auto index = k_names.find(c); c != '\0' && index != k_names.npos) {
            out.push_back(k_values[index]);
        } else {
            refuse("unknown escape");
        }
    }

    // Up to `count` bytes from here.
    [[nodiscard]] std::string_view ahead(std::size_t count) const noexcept {
        return at_ < text_.size() ? text_.substr(at_, count) : std::string_view{};
    }

    std::uint32_t read_hex() {
        std::uint32_t value = 0;
        const std::string_view hex = ahead(4);
        const auto [stop, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
        if (hex.size() != 4 || error != std::errc{} || stop != hex.data() + 4) {
            refuse("expected four hex digits");
        }
        at_ += 4;
        return value;
    }

    std::uint32_t read_code_point() {
        const std::uint32_t first = read_hex();
        if (first < 0xd800 || first > 0xdfff) {
            return first;
        }
        if (first > 0xdbff || ahead(2) != "\\u") {
            refuse("a lone surrogate");
        }
        at_ += 2;
        const std::uint32_t second = read_hex();
        if (second < 0xdc00 || second > 0xdfff) {
            refuse("a lone surrogate");
        }
        return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    }

    static void append_utf8(std::string& out, std::uint32_t c) {
        const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
        if (c < 0x80) {
            put(c);
            return;
        }
        if (c < 0x800) {
            put(0xc0 | (c >> 6));
        } else {
            if (c < 0x10000) {
                put(0xe0 | (c >> 12));
            } else {
                put(0xf0 | (c >> 18));
                put(0x80 | ((c >> 12) & 0x3f));
            }
            put(0x80 | ((c >> 6) & 0x3f));
        }
        put(0x80 | (c & 0x3f));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

inline Json Json::parse(std::string_view text) {
    return Reader{text}.document();
}

// Appends `text` as a JSON text, quotes included. Bytes from 0x80 on are taken as UTF-8.
inline void append_json(std::string& out, std::string_view text) {
    constexpr std::string_view k_hex = "0123456789abcdef";
    out.push_back('"');
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (byte < 0x20) {
            out.append("\\u00");
            out.push_back(k_hex[byte >> 4]);
            out.push_back(k_hex[byte & 0xf]);
        } else {
            out.push_back(c);
        }
    }
    out.push_back('"');
}

}  // namespace tenon
