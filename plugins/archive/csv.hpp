// SPDX-License-Identifier: Apache-2.0
// Rows of a database as lines of CSV (RFC 4180, UTF-8, CRLF) that lose nothing.
//
//   NULL         nothing between the commas        text     always in quotes, "" for a quote
//   empty text   ""                                blob     \x and hexadecimal digits, no quotes
//   integer      digits, 64 bits signed            real     the shortest decimal that reads back
//   the
//                                                           same bits, with a point, an exponent,
//                                                           inf or nan
//
// So a field's form tells its type, any CSV reader gets the values, and equal rows have equal
// lines. A column that holds nothing but one NULL would be an empty line; every line has its line
// end, so that is one row too. Functions are pure: [any].
#pragma once

#include <tenon/abi/storage.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::archive {

// A value that owns its bytes.
struct Field {
    std::uint32_t kind = TENON_VALUE_NULL;
    std::int64_t integer = 0;
    double real = 0;
    std::string bytes;  // of texts and blobs

    // Borrows `bytes`.
    [[nodiscard]] tenon_value value() const noexcept;
};

using Row = std::vector<Field>;

[[nodiscard]] Field field_of(const tenon_value& value);

void append_field(std::string& out, const tenon_value& value);
// A whole line with its end.
[[nodiscard]] std::string line_of(std::span<const tenon_value> values);
[[nodiscard]] std::string header_of(std::span<const std::string> names);

// Lines one after the other. The text must outlive it.
class CsvReader {
public:
    explicit CsvReader(std::string_view text) noexcept : text_{text} {}

    // False at the end. `line`, when given, is the row's line as it stands. Throws TENON_CORRUPT
    // with the byte's offset for what append_field never writes.
    [[nodiscard]] bool next(Row& row, std::string_view* line = nullptr);

private:
    [[nodiscard]] Field field();
    [[nodiscard]] Field quoted();
    [[nodiscard]] Field bare(std::string_view text) const;
    [[noreturn]] void refuse(std::string_view what) const;

    std::string_view text_;
    std::size_t at_ = 0;
};

// A digest of rows in which their order does not count, but how often each comes does: the sum of
// the lines' SHA-256, modulo 2^256.
class RowHash {
public:
    void add(std::string_view line);
    void add(const RowHash& other) noexcept;
    // 64 hexadecimal digits.
    [[nodiscard]] std::string hex() const;

    bool operator==(const RowHash&) const = default;

private:
    std::array<std::uint64_t, 4> sum_{};  // least significant first
};

}  // namespace tenon::archive
