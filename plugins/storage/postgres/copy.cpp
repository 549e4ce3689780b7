// SPDX-License-Identifier: Apache-2.0
// Many rows at once: COPY in its text format, which every type of PostgreSQL reads.
// Format: PostgreSQL 15 manual, COPY, "Text Format".
#include "plugins/storage/postgres/connection.hpp"

namespace tenon::postgres {
namespace {

constexpr std::size_t k_chunk = std::size_t{64} << 10U;

}  // namespace

// A table of another schema is named as SQL names it.
std::string Connection::quoted_table(std::string_view table) {
    std::string sql;
    for (std::size_t from = 0; from <= table.size();) {
        const std::size_t dot = std::min(table.find('.', from), table.size());
        sql.append(from == 0 ? "" : ".").append(quoted_name(table.substr(from, dot - from)));
        from = dot + 1;
    }
    return sql;
}

void Connection::bulk_insert(
    std::string_view table,
    std::span<const tenon_str> columns,
    std::span<const tenon_value> values
) {
    if (columns.empty()) {
        throw invalid("no columns to insert");
    }
    if (values.empty()) {
        changes_ = 0;
        return;
    }
    if (state_ == State::none && intent_ == TENON_INTENT_READ) {
        throw DatabaseError{
            TENON_DENIED, "a write where only reading was declared", Failure::permanent, ""};
    }
    std::string place = quoted_table(table);
    std::string marks;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        place.append(i == 0 ? " (" : ", ").append(quoted_name(view(columns[i])));
        marks.append(i == 0 ? "$" : ", $").append(std::to_string(i + 1));
    }
    place.append(")");
    settle();
    make_writable();
    const Prepared row = look_at("INSERT INTO " + place + " VALUES (" + marks + ")");
    check_rows(columns, row.types_, values);
    const std::int64_t began_ns = telemetry_.now_ns();
    Tables::KnownWrites known;
    begin_touching("INSERT INTO " + std::string{table}, known);
    try {
        copy_rows("COPY " + place + " FROM STDIN", row.types_, values);
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

// Before anything is sent: what is refused leaves the transaction as it is.
void Connection::check_rows(
    std::span<const tenon_str> columns,
    std::span<const Oid> types,
    std::span<const tenon_value> values
) {
    const std::size_t width = columns.size();
    std::string storage;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t at = i % width;
        try {
            check_fits(values[i], types[at], static_cast<std::uint32_t>(at + 1), storage);
        } catch (const DatabaseError& e) {
            const std::string_view why = e.what();
            throw invalid(
                "row " + std::to_string(i / width + 1) + ", column " +
                std::string{view(columns[at])} + std::string{why.substr(why.find(": "))}
            );
        }
    }
}

void Connection::copy_rows(
    const std::string& sql,
    std::span<const Oid> types,
    std::span<const tenon_value> values
) {
    ++queries_;
    try {
        copy_through(begin_script() + sql, types, values);
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
    std::span<const Oid> types,
    std::span<const tenon_value> values
) {
    wire_.query(sql);
    Result failure;
    for (Result result = wire_.next(); result; result = wire_.next()) {
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_IN) {
            send_rows(types, values);
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

void Connection::send_rows(std::span<const Oid> types, std::span<const tenon_value> values) {
    std::string chunk;
    std::string storage;
    chunk.reserve(k_chunk + 4096);
    std::size_t at = 0;
    for (const tenon_value& value : values) {
        append_field(chunk, value, types[at], static_cast<std::uint32_t>(at + 1), storage);
        at = at + 1 == types.size() ? 0 : at + 1;
        const bool end_of_row = at == 0;
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
