// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/csv.hpp"

#include "sdk/capture/format.hpp"

#include <tenon/csv.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <charconv>

namespace tenon::archive {
namespace {

constexpr std::string_view k_digits = "0123456789abcdef";

void append_real(std::string& out, double real) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), real).ptr;
    const std::string_view digits{text.data(), static_cast<std::size_t>(end - text.data())};
    out.append(digits);
    // What looks like an integer would be read as one.
    if (digits.find_first_not_of("-0123456789") == std::string_view::npos) {
        out.append(".0");
    }
}

int nibble(char c) noexcept {
    const std::size_t at = k_digits.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

tenon_value Field::value() const noexcept {
    tenon_value out{};
    out.kind = kind;
    out.i = integer;
    out.r = real;
    out.b = {bytes.data(), bytes.size()};
    return out;
}

Field field_of(const tenon_value& value) {
    Field field;
    field.kind = value.kind;
    if (value.kind == TENON_VALUE_INT64) {
        field.integer = value.i;
    } else if (value.kind == TENON_VALUE_REAL) {
        field.real = value.r;
    } else if (value.kind != TENON_VALUE_NULL) {
        field.bytes = view(value.b);
    }
    return field;
}

void append_field(std::string& out, const tenon_value& value) {
    switch (value.kind) {
        case TENON_VALUE_NULL:
            return;
        case TENON_VALUE_INT64:
            out.append(std::to_string(value.i));
            return;
        case TENON_VALUE_REAL:
            append_real(out, value.r);
            return;
        case TENON_VALUE_TEXT:
            append_csv_text(out, view(value.b));
            return;
        case TENON_VALUE_BLOB:
            out.append("\\x");
            for (const char c : view(value.b)) {
                const auto byte = static_cast<unsigned char>(c);
                out.push_back(k_digits[byte >> 4U]);
                out.push_back(k_digits[byte & 15U]);
            }
            return;
        default:
            throw Error{
                TENON_UNSUPPORTED, "a value of kind " + std::to_string(value.kind) + " in a row"};
    }
}

std::string line_of(std::span<const tenon_value> values) {
    std::string line;
    for (std::size_t i = 0; i < values.size(); ++i) {
        line.append(i == 0 ? "" : ",");
        append_field(line, values[i]);
    }
    return line.append(k_csv_line_end);
}

std::string header_of(std::span<const std::string> names) {
    std::string line;
    for (const std::string& name : names) {
        line.append(line.empty() ? "" : ",");
        append_csv_text(line, name);
    }
    return line.append(k_csv_line_end);
}

bool CsvReader::next(Row& row, std::string_view* line) {
    row.clear();
    if (at_ == text_.size()) {
        return false;
    }
    const std::size_t begin = at_;
    while (true) {
        row.push_back(field());
        if (text_.substr(at_).starts_with(k_csv_line_end)) {
            at_ += k_csv_line_end.size();
            if (line != nullptr) {
                *line = text_.substr(begin, at_ - begin);
            }
            return true;
        }
        if (at_ == text_.size() || text_[at_] != ',') {
            refuse("expected a comma or the end of the line");
        }
        ++at_;
    }
}

Field CsvReader::field() {
    if (at_ < text_.size() && text_[at_] == '"') {
        return quoted();
    }
    const std::size_t end = std::min(text_.find_first_of(",\r", at_), text_.size());
    const Field found = bare(text_.substr(at_, end - at_));
    at_ = end;
    return found;
}

Field CsvReader::quoted() {
    Field field;
    field.kind = TENON_VALUE_TEXT;
    for (++at_;;) {
        const std::size_t end = text_.find('"', at_);
        if (end == std::string_view::npos) {
            refuse("a quote that is not closed");
        }
        field.bytes.append(text_, at_, end - at_);
        at_ = end + 1;
        if (at_ == text_.size() || text_[at_] != '"') {
            return field;
        }
        field.bytes.push_back('"');
        ++at_;
    }
}

Field CsvReader::bare(std::string_view text) const {
    Field field;
    if (text.empty()) {
        return field;
    }
    const char* const end = text.data() + text.size();
    if (text.starts_with("\\x")) {
        field.kind = TENON_VALUE_BLOB;
        for (std::size_t i = 2; i < text.size(); i += 2) {
            const int high = nibble(text[i]);
            const int low = i + 1 < text.size() ? nibble(text[i + 1]) : -1;
            if (high < 0 || low < 0) {
                refuse("a blob that is no hexadecimal text");
            }
            field.bytes.push_back(static_cast<char>(high * 16 + low));
        }
        return field;
    }
    if (text.find_first_not_of("-0123456789") == std::string_view::npos) {
        field.kind = TENON_VALUE_INT64;
        const auto [stop, error] = std::from_chars(text.data(), end, field.integer);
        if (error != std::errc{} || stop != end) {
            refuse("a number that is no 64-bit integer");
        }
        return field;
    }
    field.kind = TENON_VALUE_REAL;
    const auto [stop, error] = std::from_chars(text.data(), end, field.real);
    if (error != std::errc{} || stop != end) {
        refuse("a field of no known form");
    }
    return field;
}

void CsvReader::refuse(std::string_view what) const {
    throw Error{TENON_CORRUPT, std::string{what} + " at byte " + std::to_string(at_)};
}

void RowHash::add(std::string_view line) {
    const capture::Hash hash =
        capture::hash_of({reinterpret_cast<const unsigned char*>(line.data()), line.size()});
    RowHash one;
    for (std::size_t word = 0; word < one.sum_.size(); ++word) {
        for (std::size_t byte = 0; byte < 8; ++byte) {
            one.sum_[word] |= std::uint64_t{hash[31 - word * 8 - byte]} << (8 * byte);
        }
    }
    add(one);
}

void RowHash::add(const RowHash& other) noexcept {
    std::uint64_t carry = 0;
    for (std::size_t word = 0; word < sum_.size(); ++word) {
        const std::uint64_t with_carry = sum_[word] + carry;
        carry = with_carry < carry ? 1U : 0U;
        sum_[word] = with_carry + other.sum_[word];
        carry += sum_[word] < with_carry ? 1U : 0U;
    }
}

std::string RowHash::hex() const {
    std::string text;
    for (std::size_t word = sum_.size(); word-- > 0;) {
        for (int shift = 60; shift >= 0; shift -= 4) {
            text.push_back(k_digits[(sum_[word] >> static_cast<unsigned>(shift)) & 15U]);
        }
    }
    return text;
}

}  // namespace tenon::archive
