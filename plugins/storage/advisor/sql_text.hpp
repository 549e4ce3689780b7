// SPDX-License-Identifier: Apache-2.0
// A captured SELECT as tokens that know which parameter they are, cut into its clauses.
//
// No grammar: brackets, words and commas. What is not surely understood (compounds, windows,
// LATERAL, arrays, functions that are not known to depend on their arguments alone) is refused, so
// a statement gives no text to rewrite rather than a wrong one. Tokens are spliced, never changed:
// a parameter that moves keeps its number.
#pragma once

#include "plugins/storage/advisor/shape.hpp"

#include <tenon/sql_fingerprint.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::advisor {

struct Word {
    detail::SqlLexer::Kind kind = detail::SqlLexer::Kind::other;
    std::string text;
    std::int32_t mark = -1;  // which '?' of the captured text; below 0: a constant or no mark

    [[nodiscard]] bool is(std::string_view lower) const noexcept {
        return kind == detail::SqlLexer::Kind::word && detail::is_word_equal(text, lower);
    }

    // A name or an unquoted word.
    [[nodiscard]] bool is_name() const noexcept;
    [[nodiscard]] std::string name() const;

    friend bool operator==(const Word& a, const Word& b) noexcept;
};

using Words = std::vector<Word>;

// Positions [begin, end) of a text.
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;

    [[nodiscard]] bool empty() const noexcept { return begin >= end; }

    [[nodiscard]] std::size_t size() const noexcept { return empty() ? 0 : end - begin; }
};

// Constants of the program are filled in.
[[nodiscard]] Words read_words(const Captured& captured);
// Words of the advisor's own, without parameters.
[[nodiscard]] Words words_of(std::string_view sql);
void append(Words& to, const Words& from);
void append(Words& to, const Words& from, Range range);
// Replaces a range.
[[nodiscard]] Words spliced(const Words& text, Range range, const Words& by);

struct Printed {
    std::string sql;
    std::vector<std::uint32_t> marks;  // which '?' of the captured text each '?' is
};

[[nodiscard]] Printed print(const Words& text);

// The bracket that closes the one at `open`; the size of the text when there is none.
[[nodiscard]] std::size_t closing(const Words& text, std::size_t open) noexcept;
// Parts between commas outside of brackets.
[[nodiscard]] std::vector<Range> split_commas(const Words& text, Range range);
// Parts between "and" or "or" outside of brackets, BETWEEN and CASE.
[[nodiscard]] std::vector<Range> split(const Words& text, Range range, std::string_view by);
// Without brackets around all of it.
[[nodiscard]] Range bare(const Words& text, Range range) noexcept;

// The clauses of one SELECT, each without its keyword.
struct Select {
    Range with;          // definitions, with the keyword
    std::size_t at = 0;  // of the word SELECT
    bool distinct = false;
    Range items, from, where, group, having, order;
    Range limit;  // LIMIT and OFFSET, with the keywords
};

[[nodiscard]] std::optional<Select> read_select(const Words& text, Range range);

// Tables that a FROM names: alias, table.
using Sources = std::vector<std::pair<std::string, const Table*>>;
// Nothing: it has other things than tables and joins of them.
[[nodiscard]] std::optional<Sources>
sources_of(const Words& text, Range from, const Catalog& catalog);

struct ColumnName {
    std::string alias;  // as written; empty: none
    std::string name;
    std::size_t end = 0;  // the position after it
};

// "a.b" or "b" at `at`, if it is not a function's name.
[[nodiscard]] std::optional<ColumnName> column_at(const Words& text, std::size_t at);
// The source that the column comes from, alone; null: none or several.
[[nodiscard]] const Sources::value_type* find_source(const Sources& sources, const ColumnName& c);
// Every column of the range comes from these sources.
[[nodiscard]] bool is_within(const Words& text, Range range, const Sources& sources);

// Only functions that give the same for the same arguments, nothing that locks, writes or is not
// understood.
[[nodiscard]] bool is_rewritable(const Words& text);

}  // namespace tenon::advisor
