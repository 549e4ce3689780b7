// SPDX-License-Identifier: Apache-2.0
// Many rows at once: COPY in its text format, which every type of PostgreSQL reads.
// Format: PostgreSQL 15 manual, COPY, "Text Format".
#include "plugins/storage/postgres/connection.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace tenon::postgres {
namespace {

constexpr std::size_t k_chunk = std::size_t{64} << 10U;

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

void append_value(std::string& out, const tenon_value& value) {
    switch (value.kind) {
        case TENON_VALUE_INT64: {
            std::array<char, 24> digits{};
            const auto end =
                std::to_chars(digits.data(), digits.data() + digits.size(), value.i).ptr;
            out.append(digits.data(), end);
            return;
        }
        case TENON_VALUE_REAL:
            append_real(out, value.r);
            return;
        case TENON_VALUE_TEXT:
            append_escaped(out, view(value.b));
            return;
        case TENON_VALUE_BLOB:
            append_hex(out, view(value.b));
            return;
        default:
            out.append("\\N");
    }
}

// Before anything is sent: what is refused leaves the transaction as it is.
void check_value(const tenon_value& value, std::size_t row, std::string_view column) {
    std::string reason;
    if (value.kind == TENON_VALUE_REAL && std::isnan(value.r)) {
        reason = "not a number";
    } else if (value.kind == TENON_VALUE_TEXT && view(value.b).find('\0') != std::string_view::npos) {
        reason = "a text with a zero byte cannot be stored";
    } else if (value.kind > TENON_VALUE_BLOB) {
        reason = "unknown kind " + std::to_string(value.kind);
    }
    if (!reason.empty()) {
        throw invalid(
            "row " + std::to_string(row + 1) + ", column " + std::string{column} + ": " + reason
        );
    }
}

}  // namespace

void Connection::bulk_insert(
    std::string_view table,
    std::span<const tenon_str> columns,
    std::span<const tenon_value> values
) {
    if (columns.empty()) {
        throw invalid("no columns to insert");
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        check_value(values[i], i / columns.size(), view(columns[i % columns.size()]));
    }
    if (values.empty()) {
        changes_ = 0;
        return;
    }
    std::string sql = "COPY ";
    // A table of another schema is named as SQL names it.
    for (std::size_t from = 0; from <= table.size();) {
        const std::size_t dot = std::min(table.find('.', from), table.size());
        sql.append(from == 0 ? "" : ".").append(quoted_name(table.substr(from, dot - from)));
        from = dot + 1;
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        sql.append(i == 0 ? " (" : ", ").append(quoted_name(view(columns[i])));
    }
    sql.append(") FROM STDIN");
    settle();
    const std::int64_t began_ns = telemetry_.now_ns();
    Tables::KnownWrites known;
    begin_touching("INSERT INTO " + std::string{table}, known);
    try {
        copy_rows(sql, columns.size(), values);
    } catch (...) {
        end_touching(true);
        throw;
    }
    end_touching(false);
    note_bulk(table, columns, began_ns);
}

// In the log it is what it does and not how: an INSERT of so many rows.
void Connection::note_bulk(
    std::string_view table,
    std::span<const tenon_str> columns,
    std::int64_t began_ns
) noexcept {
    (void)guard(nullptr, [&] {
        std::string sql = "INSERT INTO " + std::string{table} + "(";
        std::string marks;
        for (const tenon_str& column : columns) {
            sql.append(marks.empty() ? "" : ", ").append(view(column));
            marks.append(marks.empty() ? "?" : ", ?");
        }
        sql.append(") VALUES (").append(marks).append(")");
        StatementLog::Handle log = log_of(sql, true);
        note_run({log, sql, began_ns, changes_, false});
    });
}

void Connection::copy_rows(
    const std::string& sql,
    std::size_t width,
    std::span<const tenon_value> values
) {
    ++queries_;
    const bool implicit = state_ == State::none && intent_ == TENON_INTENT_READ;
    if (implicit) {
        throw DatabaseError{
            TENON_DENIED, "a write where only reading was declared", Failure::permanent, ""};
    }
    try {
        copy_through(begin_script() + sql, width, values);
    } catch (const DatabaseError& e) {
        // Its own transaction: the rows may be there though the answer is not.
        if (alone() && e.failure() == Failure::other_host) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.sqlstate()};
        }
        throw;
    }
}

void Connection::copy_through(
    const std::string& sql,
    std::size_t width,
    std::span<const tenon_value> values
) {
    wire_.query(sql);
    Result failure;
    for (Result result = wire_.next(); result; result = wire_.next()) {
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_IN) {
            send_rows(width, values);
        } else if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
            failure = std::move(result);
            if (broken()) {
                break;
            }
        } else {
            note_done(result.get());
        }
    }
    if (failure) {
        fail(failure.get(), "cannot insert", alone());
    }
}

void Connection::send_rows(std::size_t width, std::span<const tenon_value> values) {
    std::string chunk;
    chunk.reserve(k_chunk + 4096);
    for (std::size_t i = 0; i < values.size(); ++i) {
        append_value(chunk, values[i]);
        const bool end_of_row = (i + 1) % width == 0;
        chunk.push_back(end_of_row ? '\n' : '\t');
        if (end_of_row && chunk.size() >= k_chunk) {
            wire_.copy_data(chunk);
            chunk.clear();
        }
    }
    if (!chunk.empty()) {
        wire_.copy_data(chunk);
    }
    wire_.copy_end(nullptr);
}

}  // namespace tenon::postgres
