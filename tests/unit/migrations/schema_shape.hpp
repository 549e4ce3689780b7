// SPDX-License-Identifier: Apache-2.0
// What a SQLite database declares, read from its catalogue: tables, columns, indexes.
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
    std::map<std::string, std::set<std::string>> tables;  // name -> columns
    std::map<std::string, ShapeIndex> indexes;            // those with a name of their own
};

inline SchemaShape shape_of_sqlite(Session& session) {
    SchemaShape shape;
    auto columns = session.prepare(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_xinfo(m.name) c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    );
    while (columns.step()) {
        shape.tables[std::string{columns.text(0)}].emplace(columns.text(1));
    }
    auto indexes = session.prepare(
        "SELECT m.tbl_name, m.name, l.\"unique\", l.partial, x.name, x.\"desc\" "
        "FROM sqlite_master m JOIN pragma_index_list(m.tbl_name) l ON l.name = m.name "
        "JOIN pragma_index_xinfo(m.name) x ON x.key = 1 "
        "WHERE m.type = 'index' AND m.sql IS NOT NULL ORDER BY m.name, x.seqno"
    );
    while (indexes.step()) {
        ShapeIndex& index = shape.indexes[std::string{indexes.text(1)}];
        index.table = indexes.text(0);
        index.unique = indexes.integer(2) != 0;
        index.partial = indexes.integer(3) != 0;
        std::string column{indexes.text(4)};
        index.columns.push_back(column + (indexes.integer(5) != 0 ? " desc" : ""));
    }
    return shape;
}

}  // namespace tenon::test
