// SPDX-License-Identifier: Apache-2.0
// What a database declares, read from its catalogue: tables, columns, indexes.
#pragma once

#include <tenon/storage.hpp>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

struct ShapeIndex {
    std::string table;
    std::vector<std::string> columns;  // "price", or "price desc"
    bool unique = false, partial = false;

    friend auto operator<=>(const ShapeIndex&, const ShapeIndex&) = default;
};

struct SchemaShape {
    std::map<std::string, std::set<std::string>> tables;  // and views: name -> columns
    std::map<std::string, ShapeIndex> indexes;            // those with a name of their own
};

namespace detail {

inline constexpr const char* k_sqlite_columns =
    "SELECT m.name, c.name FROM sqlite_master m, pragma_table_xinfo(m.name) c "
    "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'";
inline constexpr const char* k_postgres_columns =
    "SELECT table_name::text, column_name::text FROM information_schema.columns "
    "WHERE table_schema = current_schema()";
// Those of primary keys and of unique constraints have no name of their own.
inline constexpr const char* k_sqlite_indexes =
    "SELECT m.tbl_name, m.name, l.\"unique\", l.partial, x.name, x.\"desc\" "
    "FROM sqlite_master m JOIN pragma_index_list(m.tbl_name) l ON l.name = m.name "
    "JOIN pragma_index_xinfo(m.name) x ON x.key = 1 "
    "WHERE m.type = 'index' AND m.sql IS NOT NULL ORDER BY m.name, x.seqno";
inline constexpr const char* k_postgres_indexes =
    "SELECT t.relname::text, i.relname::text, x.indisunique::int::bigint, "
    "(x.indpred IS NOT NULL)::int::bigint, a.attname::text, (x.indoption[k.n - 1] & 1)::bigint "
    "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "CROSS JOIN LATERAL generate_series(1, x.indnkeyatts::int) k(n) "
    "JOIN pg_attribute a ON a.attrelid = x.indexrelid AND a.attnum = k.n "
    "WHERE n.nspname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint c "
    "WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u')) ORDER BY i.relname, k.n";

// What migrations and storages keep for themselves.
inline bool is_internal(std::string_view table) {
    return table.substr(0, 7) == "schema_" || table.substr(0, 6) == "tenon_";
}

}  // namespace detail

inline SchemaShape shape_of(Session& session, std::string_view dialect) {
    const bool is_sqlite = dialect == "sqlite";
    SchemaShape shape;
    auto columns =
        session.prepare(is_sqlite ? detail::k_sqlite_columns : detail::k_postgres_columns);
    while (columns.step()) {
        if (!detail::is_internal(columns.text(0))) {
            shape.tables[std::string{columns.text(0)}].emplace(columns.text(1));
        }
    }
    auto indexes =
        session.prepare(is_sqlite ? detail::k_sqlite_indexes : detail::k_postgres_indexes);
    while (indexes.step()) {
        if (detail::is_internal(indexes.text(0))) {
            continue;
        }
        ShapeIndex& index = shape.indexes[std::string{indexes.text(1)}];
        index.table = indexes.text(0);
        index.unique = indexes.integer(2) != 0;
        index.partial = indexes.integer(3) != 0;
        index.columns.push_back(
            std::string{indexes.text(4)} + (indexes.integer(5) != 0 ? " desc" : "")
        );
    }
    return shape;
}

template <class Backend>
SchemaShape shape_of(Backend& backend) {
    SchemaShape shape;
    backend.storage().read(backend.deadline(), [&](Session& session) {
        shape = shape_of(session, backend.storage().dialect());
    });
    return shape;
}

}  // namespace tenon::test
