// SPDX-License-Identifier: Apache-2.0
// Many rows at once: COPY in its binary format where every value has one, else in its text format,
// which every type of PostgreSQL reads.
// Formats: PostgreSQL 15 manual, COPY, "Text Format" and "Binary Format".
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
    const bool binary = check_rows(columns, row.types_, values);
    const std::int64_t began_ns = telemetry_.now_ns();
    Tables::KnownWrites known;
    begin_touching("INSERT INTO " + std::string{table}, known);
    try {
        const char* const format = binary ? " FROM STDIN (FORMAT binary)" : " FROM STDIN";
        copy_rows("COPY " + place + format, row.types_, values);
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

// Before anything is sent: what is refused leaves the transaction as it is. True: all of it has a
// binary form.
bool Connection::check_rows(
    std::span<const tenon_str> columns,
    std::span<const Oid> types,
    std::span<const tenon_value> values
) {
    const std::size_t width = columns.size();
    std::string storage;
    bool binary = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t at = i % width;
        try {
            const auto index = static_cast<std::uint32_t>(at + 1);
            binary = check_fits(values[i], types[at], index, storage) && binary;
        } catch (const DatabaseError& e) {
            const std::string_view why = e.what();
            throw invalid(
                "row " + std::to_string(i / width + 1) + ", column " +
                std::string{view(columns[at])} + std::string{why.substr(why.find(": "))}
            );
        }
    }
    return binary;
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
            send_rows(types, values, PQbinaryTuples(result.get()) == 1);
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

void Connection::send_rows(
    std::span<const Oid> types,
    std::span<const tenon_value> values,
    bool binary
) {
    using namespace std::string_view_literals;
    std::string chunk;
    std::string storage;
    chunk.reserve(k_chunk + 4096);
    if (binary) {
        chunk.append("PGCOPY\n\377\r\n\0"sv).append(8, '\0');  // no flags, nothing more
    }
    const std::size_t width = types.size();
    for (std::size_t row = 0; row < values.size(); row += width) {
        if (binary) {
            chunk.push_back(static_cast<char>(width >> 8U & 0xFFU));
            chunk.push_back(static_cast<char>(width & 0xFFU));
        }
        for (std::size_t at = 0; at < width; ++at) {
            const auto index = static_cast<std::uint32_t>(at + 1);
            if (binary) {
                append_binary_field(chunk, values[row + at], types[at], index, storage);
            } else {
                append_field(chunk, values[row + at], types[at], index, storage);
                chunk.push_back(at + 1 == width ? '\n' : '\t');
            }
        }
        if (chunk.size() >= k_chunk) {
            wire_.copy_data(chunk);
            chunk.clear();
        }
    }
    if (binary) {
        chunk.append(2, '\377');  // no more rows
    }
    if (!chunk.empty()) {
        wire_.copy_data(chunk);
    }
    wire_.copy_end(nullptr);
}

}  // namespace tenon::postgres
