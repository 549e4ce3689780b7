// SPDX-License-Identifier: Apache-2.0
// The rows that the migrations themselves made in the target: they go when a copy begins, come over
// from the source as it has them, and have to be there again when the copy is given up.
#include "plugins/migrations/copy/journal.hpp"
#include "plugins/migrations/copy/rows.hpp"

#include <array>
#include <cstdio>

namespace tenon::copy {
namespace {

std::string hexadecimal(std::string_view bytes) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out.push_back(k_digits[byte >> 4U]);
        out.push_back(k_digits[byte & 0xFU]);
    }
    return out;
}

std::string real_text(double value) {
    std::array<char, 64> text{};
    (void)std::snprintf(text.data(), text.size(), "%.17g", value);
    return text.data();
}

// As a literal that the column takes without loss. PostgreSQL gives a quoted one the column's type.
std::string literal_of(const tenon_value& value, bool is_postgres) {
    switch (value.kind) {
        case TENON_VALUE_NULL:
            return "NULL";
        case TENON_VALUE_INT64:
            return is_postgres ? literal(std::to_string(value.i)) : std::to_string(value.i);
        case TENON_VALUE_REAL:
            return is_postgres ? literal(real_text(value.r))
                               : "CAST(" + literal(real_text(value.r)) + " AS REAL)";
        case TENON_VALUE_BLOB:
            return is_postgres ? literal("\\x" + hexadecimal(view(value.b)))
                               : "x'" + hexadecimal(view(value.b)) + "'";
        default:
            // SQLite's text may hold what ends a statement's text.
            return is_postgres ? literal(view(value.b))
                               : "CAST(x'" + hexadecimal(view(value.b)) + "' AS TEXT)";
    }
}

std::string insert_of(const Table& table, std::span<const tenon_value> row, bool is_postgres) {
    std::string columns;
    std::string values;
    for (std::size_t i = 0; i < row.size(); ++i) {
        columns.append(i == 0 ? "" : ", ").append(quoted(table.columns[i].name));
        values.append(i == 0 ? "" : ", ").append(literal_of(row[i], is_postgres));
    }
    return "INSERT INTO " + quoted(table.name) + " (" + columns + ")" +
           (is_postgres ? " OVERRIDING SYSTEM VALUE" : "") + " VALUES (" + values + ")";
}

}  // namespace

void Journal::keep_seeds(Session& session, std::size_t rows_max) const {
    session.execute("CREATE TABLE tenon_copy_seed (position BIGINT PRIMARY KEY, sql TEXT NOT NULL)"
    );
    std::int64_t position = 0;
    for (const Table& table : tables_) {
        RowBatch batch{table};
        const TableSql sql{table, target_.is_postgres()};
        Statement rows = sql.read_after(session, nullptr, rows_max);
        while (rows.step()) {
            batch.add(rows);
        }
        for (std::size_t i = 0; i < batch.size(); ++i) {
            session.prepare("INSERT INTO tenon_copy_seed (position, sql) VALUES (?, ?)")
                .bind_all(++position, insert_of(table, batch.row(i), target_.is_postgres()))
                .run();
        }
    }
}

void Journal::restore_seeds(Session& session) const {
    if (!has_table(session, target_, "tenon_copy_seed")) {
        return;  // a copy that was begun before they were kept
    }
    std::vector<std::string> statements;
    Statement rows = session.prepare("SELECT sql FROM tenon_copy_seed ORDER BY position");
    while (rows.step()) {
        statements.emplace_back(rows.text(0));
    }
    for (const std::string& sql : statements) {
        session.execute(sql);
    }
}

}  // namespace tenon::copy
