// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/catalog.hpp"

#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <map>

namespace tenon::advisor {
namespace {

std::string text_or_empty(const Statement& row, std::uint32_t column) {
    return row.is_null(column) ? std::string{} : std::string{row.text(column)};
}

// "… WHERE x = 1" of a CREATE INDEX, or nothing.
std::string where_of(std::string_view sql) {
    std::size_t depth = 0;
    for (std::size_t i = 0; i + 6 < sql.size(); ++i) {
        depth += sql[i] == '(' ? 1U : 0U;
        depth -= sql[i] == ')' && depth > 0 ? 1U : 0U;
        if (depth == 0 && sql[i] == ' ' && detail::is_word_equal(sql.substr(i + 1, 5), "where")) {
            return std::string{sql.substr(std::min(i + 7, sql.size()))};
        }
    }
    return {};
}

class Sqlite final : public Dialect {
public:
    [[nodiscard]] Catalog read_catalog(Session& session) const override {
        Catalog catalog;
        std::vector<std::string> names;
        auto tables = session.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
            "ESCAPE '\\' ORDER BY name"
        );
        while (tables.step()) {
            names.emplace_back(tables.text(0));
        }
        for (const std::string& name : names) {
            catalog.tables.push_back(read_table(session, name));
            read_indexes(session, name, catalog);
        }
        return catalog;
    }

    [[nodiscard]] std::string create_sql(const Index& index, bool) const override {
        std::string sql =
            "CREATE INDEX IF NOT EXISTS " + quoted(index.name) + " ON " + quoted(index.table) + "(";
        for (const IndexColumn& column : index.columns) {
            sql.append(&column == &index.columns.front() ? "" : ", ").append(quoted(column.name));
            sql.append(column.descending ? " DESC" : "");
        }
        sql.push_back(')');
        return index.where.empty() ? sql : sql + " WHERE " + index.where;
    }

    [[nodiscard]] std::string drop_sql(const Index& index, bool) const override {
        return "DROP INDEX IF EXISTS " + quoted(index.name);
    }

    [[nodiscard]] std::string analyze_sql(const Index& index) const override {
        return "ANALYZE " + quoted(index.name);
    }

private:
    static Table read_table(Session& session, const std::string& name) {
        Table table;
        table.name = name;
        auto columns = session.prepare(
            "SELECT name, type, pk, (SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0), "
            "\"notnull\" FROM pragma_table_info(?1)"
        );
        columns.bind(1, name);
        while (columns.step()) {
            table.columns.emplace_back(columns.text(0));
            if (columns.integer(2) == 1 && columns.integer(3) == 1 &&
                same_name(columns.text(1), "integer")) {
                table.row_key = table.columns.back();
            }
            // A primary key of SQLite may be NULL, but for the row's own number.
            if (columns.integer(4) != 0 || table.row_key == table.columns.back()) {
                table.required.push_back(table.columns.back());
            }
        }
        std::map<std::int64_t, std::vector<std::string>> keys;
        auto foreign =
            session.prepare("SELECT id, \"from\" FROM pragma_foreign_key_list(?) ORDER BY id, seq");
        foreign.bind(1, name);
        while (foreign.step()) {
            keys[foreign.integer(0)].emplace_back(foreign.text(1));
        }
        for (auto& [id, columns_of_key] : keys) {
            table.foreign_keys.push_back(std::move(columns_of_key));
        }
        return table;
    }

    static void read_indexes(Session& session, const std::string& table, Catalog& catalog) {
        const std::size_t first = catalog.indexes.size();
        auto list = session.prepare(
            "SELECT l.name, l.\"unique\", l.origin, s.sql FROM pragma_index_list(?) AS l LEFT JOIN "
            "sqlite_schema AS s ON s.type = 'index' AND s.name = l.name ORDER BY l.name"
        );
        list.bind(1, table);
        while (list.step()) {
            Index index;
            index.name = list.text(0);
            index.table = table;
            index.unique = list.integer(1) != 0 || list.text(2) != "c";
            index.where = where_of(text_or_empty(list, 3));
            catalog.indexes.push_back(std::move(index));
        }
        for (std::size_t i = first; i < catalog.indexes.size(); ++i) {
            Index& index = catalog.indexes[i];
            auto columns = session.prepare(
                "SELECT name, \"desc\", coll FROM pragma_index_xinfo(?) WHERE \"key\" = 1 ORDER BY "
                "seqno"
            );
            columns.bind(1, index.name);
            while (columns.step()) {
                index.plain = index.plain && !columns.is_null(0) &&
                              same_name(text_or_empty(columns, 2), "binary");
                index.columns.push_back({text_or_empty(columns, 0), columns.integer(1) != 0});
            }
        }
    }
};

}  // namespace

bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return detail::fold_ascii(x) == detail::fold_ascii(y);
           });
}

std::string quoted(std::string_view name) {
    std::string out{"\""};
    for (const char c : name) {
        out.append(c == '"' ? 2U : 1U, c);
    }
    out.push_back('"');
    return out;
}

bool Table::has(std::string_view column) const noexcept {
    return std::any_of(columns.begin(), columns.end(), [&](const std::string& mine) {
        return same_name(mine, column);
    });
}

bool Table::is_required(std::string_view column) const noexcept {
    return std::any_of(required.begin(), required.end(), [&](const std::string& mine) {
        return same_name(mine, column);
    });
}

bool Table::is_wide(std::string_view column) const noexcept {
    return std::any_of(wide.begin(), wide.end(), [&](const std::string& mine) {
        return same_name(mine, column);
    });
}

std::string Table::spelling(std::string_view column) const {
    const auto found = std::find_if(columns.begin(), columns.end(), [&](const std::string& mine) {
        return same_name(mine, column);
    });
    return found == columns.end() ? std::string{column} : *found;
}

const Table* Catalog::find(std::string_view table) const noexcept {
    for (const Table& mine : tables) {
        if (same_name(mine.name, table)) {
            return &mine;
        }
    }
    return nullptr;
}

const Dialect& dialect_of(std::string_view name) {
    static const Sqlite sqlite;
    if (name != "sqlite" && name != "postgres") {
        throw Error{
            TENON_UNSUPPORTED,
            "indexes are advised on sqlite and postgres, not on " + std::string{name}};
    }
    return name == "sqlite" ? sqlite : postgres_dialect();
}

}  // namespace tenon::advisor
