// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/rows.hpp"

#include <algorithm>

namespace tenon::archive {
namespace {

// The condition of a span, and its values in order.
struct Where {
    std::string sql;
    std::vector<std::int64_t> values;

    void add(std::string_view condition) {
        sql.append(sql.empty() ? " WHERE " : " AND ").append(condition);
    }

    void add(const std::string& condition, std::span<const std::int64_t> more) {
        add(condition);
        values.insert(values.end(), more.begin(), more.end());
    }

    void bind(Statement& statement) const {
        for (std::size_t i = 0; i < values.size(); ++i) {
            statement.bind(static_cast<std::uint32_t>(i + 1), values[i]);
        }
    }
};

Where where_of(const HistoryTable& table, const Span& span) {
    // The first key's bounds as such too, which every planner finds the index by.
    const std::int64_t from = span.after.empty() ? span.first : span.after.front();
    const std::int64_t to = span.last.empty() ? span.end - 1 : span.last.front();
    const std::string& first = table.keys.front();
    Where where;
    where.add(first + " >= ? AND " + first + " <= ?", std::array{from, to});
    const std::string keys = "(" + table.key_list() + ")", marks = "(" + table.key_marks() + ")";
    if (!span.after.empty()) {
        where.add(keys + " > " + marks, span.after);
    }
    if (!span.last.empty()) {
        where.add(keys + " <= " + marks, span.last);
    }
    if (span.with_condition && !table.condition.empty()) {
        where.add("(" + table.condition + ")");
        if (table.has_cutoff) {
            where.values.push_back(span.cutoff_real_ns);
        }
    }
    return where;
}

}  // namespace

Layout::Layout(const HistoryTable& table, std::span<const Column> columns) {
    const auto index_of = [&](const std::string& name) {
        const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& column) {
            return column.name == name;
        });
        if (found == columns.end()) {
            throw Error{TENON_CORRUPT, table.table + " has no column " + name};
        }
        return static_cast<std::size_t>(found - columns.begin());
    };
    for (const std::string& key : table.keys) {
        keys_.push_back(index_of(key));
    }
    time_ = index_of(table.time);
    for (const Column& column : columns) {
        column_list_.append(column_list_.empty() ? "\"" : ", \"").append(column.name).append("\"");
    }
}

Line Layout::line(std::span<const tenon_value> values) const {
    Line line;
    for (const std::size_t at : keys_) {
        line.key.push_back(values[at].i);
    }
    line.time = values[time_].i;
    line.text = line_of(values);
    return line;
}

Line Layout::line(const Row& row, std::string_view text) const {
    Line line;
    for (const std::size_t at : keys_) {
        line.key.push_back(row.at(at).integer);
    }
    line.time = row.at(time_).integer;
    line.text = text;
    return line;
}

std::vector<Line>
read_lines(Session& session, const HistoryTable& table, const Layout& layout, const Span& span) {
    const Where where = where_of(table, span);
    std::string sql = "SELECT " + layout.column_list() + " FROM " + table.table + where.sql +
                      " ORDER BY " + table.key_list();
    if (span.limit != 0) {
        sql.append(" LIMIT ").append(std::to_string(span.limit));
    }
    if (span.locked) {
        sql.append(" FOR UPDATE");
    }
    Statement rows = session.prepare(sql);
    where.bind(rows);
    std::vector<Line> lines;
    std::vector<tenon_value> values;
    while (rows.step()) {
        values.resize(rows.column_count());
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = rows.value(static_cast<std::uint32_t>(i));
        }
        lines.push_back(layout.line(values));
    }
    return lines;
}

std::uint64_t delete_span(Session& session, const HistoryTable& table, const Span& span) {
    const Where where = where_of(table, span);
    Statement statement = session.prepare("DELETE FROM " + table.table + where.sql);
    where.bind(statement);
    statement.run();
    return session.changes();
}

void delete_one(Session& session, const HistoryTable& table, const Key& key) {
    Statement statement = session.prepare(
        "DELETE FROM " + table.table + " WHERE (" + table.key_list() + ") = (" + table.key_marks() +
        ")"
    );
    for (std::size_t i = 0; i < key.size(); ++i) {
        statement.bind(static_cast<std::uint32_t>(i + 1), key[i]);
    }
    statement.run();
}

std::optional<std::int64_t> first_due(
    Session& session,
    const HistoryTable& table,
    std::int64_t from,
    std::int64_t cutoff_real_ns
) {
    Span span;
    span.first = from;
    span.end = table.by_time() ? cutoff_real_ns : end_of_due(session, table, cutoff_real_ns);
    span.cutoff_real_ns = cutoff_real_ns;
    if (span.end <= span.first) {
        return {};
    }
    const Where where = where_of(table, span);
    const std::string& key = table.keys.front();
    Statement rows = session.prepare(
        "SELECT " + key + " FROM " + table.table + where.sql + " ORDER BY " + key + " LIMIT 1"
    );
    where.bind(rows);
    std::optional<std::int64_t> found;
    while (rows.step()) {
        found = rows.integer(0);
    }
    return found;
}

std::int64_t end_of_due(Session& session, const HistoryTable& table, std::int64_t cutoff_real_ns) {
    if (table.by_time()) {
        return cutoff_real_ns;
    }
    const std::string& key = table.keys.front();
    Statement rows = session.prepare(
        "SELECT " + key + " FROM " + table.table + " WHERE " + table.time + " >= ? ORDER BY " +
        key + " LIMIT 1"
    );
    rows.bind(1, cutoff_real_ns);
    std::int64_t end = INT64_MAX;
    while (rows.step()) {
        end = rows.integer(0);
    }
    return end;
}

ArchiveLines::ArchiveLines(std::string file, const Manifest& manifest, const HistoryTable& table)
    : layout_{table, manifest.columns}, reader_{std::move(file), manifest} {}

std::vector<Line> ArchiveLines::next(std::size_t rows_max) {
    std::vector<Line> lines;
    rows_.clear();
    Row row;
    while (lines.empty()) {
        if (!lines_) {
            if (frame_ == reader_.manifest().frames.size()) {
                return lines;
            }
            lines_.emplace(reader_.frame(frame_++));
        }
        std::string_view text;
        while (lines.size() < rows_max && lines_->next(row, &text)) {
            lines.push_back(layout_.line(row, text));
            rows_.push_back(std::move(row));
            row = {};
        }
        if (lines.size() < rows_max) {
            lines_.reset();
        }
    }
    return lines;
}

}  // namespace tenon::archive
