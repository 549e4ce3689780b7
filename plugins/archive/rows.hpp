// SPDX-License-Identifier: Apache-2.0
// The rows of a history table, a bounded page at a time, and the same rows of an archive. Functions
// block ([io]) and throw StorageError; a page may be read again in a transaction that is retried.
#pragma once

#include "plugins/archive/archive_format.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tenon::archive {

using Key = std::vector<std::int64_t>;

// A row as it stands in an archive.
struct Line {
    Key key;
    std::int64_t time = 0;
    std::string text;
};

// Where the walk's keys and the time are among an archive's columns.
class Layout {
public:
    // Throws TENON_CORRUPT when the columns lack one of them.
    Layout(const HistoryTable& table, std::span<const Column> columns);

    [[nodiscard]] Line line(std::span<const tenon_value> values) const;
    [[nodiscard]] Line line(const Row& row, std::string_view text) const;

    // "a", "b", "c", quoted.
    [[nodiscard]] const std::string& column_list() const noexcept { return column_list_; }

private:
    std::vector<std::size_t> keys_;
    std::size_t time_ = 0;
    std::string column_list_;
};

// What a page is about: keys after `after` up to `last`, whose first is in [first, end).
struct Span {
    std::int64_t first = INT64_MIN, end = INT64_MAX;
    Key after, last;             // empty: no bound
    bool with_condition = true;  // only rows that may go
    std::int64_t cutoff_real_ns = 0;
    std::uint64_t limit = 0;  // 0: none
    bool locked = false;      // nobody changes them before the transaction ends
};

[[nodiscard]] std::vector<Line>
read_lines(Session& session, const HistoryTable& table, const Layout& layout, const Span& span);
// How many went.
std::uint64_t delete_span(Session& session, const HistoryTable& table, const Span& span);
void delete_one(Session& session, const HistoryTable& table, const Key& key);

// The first key from `from` on of a row that may go, or nothing.
[[nodiscard]] std::optional<std::int64_t> first_due(
    Session& session,
    const HistoryTable& table,
    std::int64_t from,
    std::int64_t cutoff_real_ns
);
// Keys from here on are of rows too new to go.
[[nodiscard]] std::int64_t
end_of_due(Session& session, const HistoryTable& table, std::int64_t cutoff_real_ns);

// The lines of an archive's file, in bounded batches.
class ArchiveLines {
public:
    // The manifest must outlive it.
    ArchiveLines(std::string file, const Manifest& manifest, const HistoryTable& table);

    // Empty at the end. Throws TENON_CORRUPT.
    [[nodiscard]] std::vector<Line> next(std::size_t rows_max);

    [[nodiscard]] const Layout& layout() const noexcept { return layout_; }

    // Of the row that next() gave as the at-th of its batch: for writing it back.
    [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }

private:
    Layout layout_;
    ArchiveReader reader_;
    std::size_t frame_ = 0;
    std::optional<CsvReader> lines_;
    std::vector<Row> rows_;
};

}  // namespace tenon::archive
