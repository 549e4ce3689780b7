// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/catalogue.hpp"

#include "plugins/migrations/copy/work.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>

namespace tenon::copy {
namespace {

// table, column, type, place in the primary key from 1 or 0
constexpr std::string_view k_sqlite_columns =
    "SELECT t.name, c.name, upper(c.type), c.pk FROM pragma_table_list t, "
    "pragma_table_xinfo(t.name) c WHERE t.schema = 'main' AND t.type = 'table' "
    "AND c.hidden = 0 AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "AND substr(t.name, 1, 6) <> 'tenon_' "
    "AND t.name NOT IN ('schema_history', 'schema_statement', 'schema_event') ORDER BY t.name";
constexpr std::string_view k_postgres_columns =
    "SELECT r.relname::text, a.attname::text, y.typname::text, "
    "coalesce(array_position(x.indkey::smallint[], a.attnum) + 1, 0)::bigint "
    "FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid "
    "JOIN pg_type y ON y.oid = a.atttypid "
    "LEFT JOIN pg_index x ON x.indrelid = r.oid AND x.indisprimary "
    "WHERE r.relnamespace = current_schema()::regnamespace AND r.relkind IN ('r', 'p') "
    "AND NOT r.relispartition AND left(r.relname, 6) <> 'tenon_' "
    "AND r.relname NOT IN ('schema_history', 'schema_statement', 'schema_event') "
    "AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY r.relname COLLATE "
    "\"C\"";

constexpr std::string_view k_sqlite_collated =
    "SELECT t.name, x.name FROM pragma_table_list t, pragma_index_list(t.name) i, "
    "pragma_index_xinfo(i.name) x WHERE t.schema = 'main' AND t.type = 'table' "
    "AND i.origin = 'pk' AND x.key = 1 AND x.coll <> 'BINARY'";

constexpr std::string_view k_sqlite_parents =
    "SELECT t.name, f.\"table\" FROM pragma_table_list t, pragma_foreign_key_list(t.name) f "
    "WHERE t.schema = 'main' AND t.type = 'table'";
constexpr std::string_view k_postgres_parents =
    "SELECT c.conrelid::regclass::text, r.relname::text FROM pg_constraint c "
    "JOIN pg_class r ON r.oid = c.confrelid JOIN pg_class t ON t.oid = c.conrelid "
    "WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace";

struct FoundColumn {
    std::string type;
    std::int64_t key_place = 0;
    bool is_collated = false;  // of SQLite's keys: by another order than that of the bytes
};

struct Found {
    std::map<std::string, std::map<std::string, FoundColumn>> tables;
    std::map<std::string, std::set<std::string>> parents;
    std::vector<std::string> heads;  // "1 trading"
    bool half_done = false;
};

std::optional<Kind> kind_of(const std::string& type, bool is_postgres) {
    static const std::map<std::string, Kind, std::less<>> k_sqlite{
        {"INTEGER", Kind::integer},
        {"INT", Kind::integer},
        {"BIGINT", Kind::integer},
        {"REAL", Kind::real},
        {"TEXT", Kind::text},
        {"BLOB", Kind::blob}};
    static const std::map<std::string, Kind, std::less<>> k_postgres{
        {"int8", Kind::integer},
        {"int4", Kind::integer},
        {"int2", Kind::integer},
        {"bool", Kind::integer},
        {"float8", Kind::real},
        {"text", Kind::text},
        {"varchar", Kind::text},
        {"json", Kind::text},
        {"bytea", Kind::blob},
        {"numeric", Kind::decimal}};
    const auto& known = is_postgres ? k_postgres : k_sqlite;
    const auto found = known.find(type);
    return found == known.end() ? std::nullopt : std::optional{found->second};
}

void read_heads(Session& session, bool is_postgres, Found& found) {
    const auto has = [&](std::string_view table) {
        std::int64_t count = 0;
        Statement row = session.prepare(
            is_postgres ? "SELECT count(*) FROM pg_class WHERE relname = ? AND relnamespace = "
                          "current_schema()::regnamespace"
                        : "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
        );
        row.bind_all(table);
        while (row.step()) {
            count = row.integer(0);
        }
        return count != 0;
    };
    if (has("schema_history")) {
        Statement rows =
            session.prepare("SELECT version, name FROM schema_history ORDER BY version");
        while (rows.step()) {
            found.heads.push_back(
                std::to_string(rows.integer(0)) + " " + std::string{rows.text(1)}
            );
        }
    }
    if (has("schema_statement")) {
        Statement rows = session.prepare("SELECT count(*) FROM schema_statement");
        while (rows.step()) {
            found.half_done = rows.integer(0) != 0;
        }
    }
}

Found look(const Side& side) {
    Found found;
    const bool is_postgres = side.is_postgres();
    Transaction at{side, TENON_INTENT_READ};
    read_heads(*at, is_postgres, found);
    Statement columns = at->prepare(is_postgres ? k_postgres_columns : k_sqlite_columns);
    while (columns.step()) {
        found.tables[std::string{columns.text(0)}][std::string{columns.text(1)}] = {
            std::string{columns.text(2)}, columns.integer(3), false};
    }
    if (!is_postgres) {
        Statement keys = at->prepare(k_sqlite_collated);
        while (keys.step()) {
            const auto table = found.tables.find(std::string{keys.text(0)});
            if (table != found.tables.end()) {
                table->second[std::string{keys.text(1)}].is_collated = true;
            }
        }
    }
    Statement parents = at->prepare(is_postgres ? k_postgres_parents : k_sqlite_parents);
    while (parents.step()) {
        std::string child{parents.text(0)};
        if (child.size() > 1 && child.front() == '"') {
            child = child.substr(1, child.size() - 2);
        }
        found.parents[child].emplace(parents.text(1));
    }
    return found;
}

class Matcher {
public:
    Matcher(const Side& source, const Side& target)
        : source_{source}, target_{target}, from_{look(source)}, to_{look(target)} {}

    std::vector<Table> match() {
        match_heads();
        std::vector<Table> tables;
        if (faults_.empty()) {
            for (const auto& [name, columns] : from_.tables) {
                if (to_.tables.contains(name)) {
                    tables.push_back(match_table(name, columns));
                } else {
                    fault("table " + name + " is not in " + target_.name);
                }
            }
            for (const auto& [name, columns] : to_.tables) {
                if (!from_.tables.contains(name)) {
                    fault("table " + name + " is not in " + source_.name);
                }
            }
            if (tables.empty() && faults_.empty()) {
                fault("there are no tables in " + source_.name);
            }
        }
        if (faults_.empty()) {
            tables = parents_first(std::move(tables));
        }
        if (!faults_.empty()) {
            throw Error{TENON_CONFLICT, faults_};
        }
        return tables;
    }

private:
    void fault(const std::string& what) {
        faults_.append(faults_.empty() ? "" : "\n").append(what);
    }

    void match_heads() {
        for (const auto& [side, found] : {std::pair{&source_, &from_}, std::pair{&target_, &to_}}) {
            if (found->half_done) {
                fault(
                    side->name +
                    " has a migration that is half done: end it with `tenon migrate up`"
                );
            }
        }
        if (from_.heads != to_.heads) {
            const auto head = [](const Found& found) {
                return found.heads.empty() ? std::string{"no version"}
                                           : "version " + found.heads.back();
            };
            fault(
                "the schemas are not the same: " + source_.name + " has " + head(from_) + ", " +
                target_.name + " has " + head(to_) + "; bring both to one version first"
            );
        }
    }

    Table match_table(const std::string& name, const std::map<std::string, FoundColumn>& columns) {
        Table table;
        table.name = name;
        std::map<std::int64_t, std::size_t> key;
        const auto& others = to_.tables.at(name);
        for (const auto& [column, found] : columns) {
            const auto other = others.find(column);
            if (other == others.end()) {
                fault("column " + name + "." + column + " is not in " + target_.name);
                continue;
            }
            if (found.key_place != other->second.key_place) {
                fault("table " + name + " has another primary key in " + target_.name);
            }
            if (found.key_place != 0) {
                key[found.key_place] = table.columns.size();
                check_key_column(name + "." + column, found, other->second);
            }
            table.columns.push_back({column, match_kind(name + "." + column, found, other->second)}
            );
        }
        for (const auto& [column, found] : others) {
            if (!columns.contains(column)) {
                fault("column " + name + "." + column + " is not in " + source_.name);
            }
        }
        for (const auto& [place, index] : key) {
            table.key.push_back(index);
        }
        check_key(table);
        for (const Found* found : {&from_, &to_}) {
            const auto parents = found->parents.find(name);
            if (parents != found->parents.end()) {
                table.parents.insert(
                    table.parents.end(), parents->second.begin(), parents->second.end()
                );
            }
        }
        return table;
    }

    Kind match_kind(const std::string& name, const FoundColumn& from, const FoundColumn& to) {
        const auto a = kind_of(from.type, source_.is_postgres());
        const auto b = kind_of(to.type, target_.is_postgres());
        for (const auto& [kind, type, side] :
             {std::tuple{a, from.type, &source_}, std::tuple{b, to.type, &target_}}) {
            if (!kind) {
                fault(
                    "column " + name + " is of type " + type + " in " + side->name +
                    ", which is not copied"
                );
            }
        }
        if (!a || !b || *a == *b) {
            return a.value_or(Kind::text);
        }
        const auto is_exact = [](Kind kind) { return kind == Kind::decimal || kind == Kind::text; };
        if (!is_exact(*a) || !is_exact(*b)) {
            fault(
                "column " + name + " is " + std::string{name_of(*a)} + " in " + source_.name +
                " and " + std::string{name_of(*b)} + " in " + target_.name
            );
        }
        return Kind::decimal;
    }

    // A key is text on its way, and is compared by its value or its bytes.
    void check_key_column(const std::string& name, const FoundColumn& from, const FoundColumn& to) {
        for (const auto& [found, side] : {std::pair{&from, &source_}, std::pair{&to, &target_}}) {
            if (side->is_postgres() && found->type == "bool") {
                fault("column " + name + " of the primary key is boolean in " + side->name);
            }
            if (found->is_collated) {
                fault(
                    "column " + name + " of the primary key has a collation in " + side->name +
                    "; keys are compared by their bytes"
                );
            }
        }
    }

    void check_key(const Table& table) {
        if (table.key.empty()) {
            fault("table " + table.name + " has no primary key, and cannot be copied without");
        }
        if (table.key.size() > k_key_columns_max) {
            fault(
                "the primary key of " + table.name + " has more than " +
                std::to_string(k_key_columns_max) + " columns"
            );
        }
        for (std::size_t i = 0; i < table.key.size(); ++i) {
            const Column& column = table.key_column(i);
            if (column.kind != Kind::integer && column.kind != Kind::text) {
                fault(
                    "column " + table.name + "." + column.name + " of the primary key is " +
                    std::string{name_of(column.kind)} + "; a key is of integers and texts"
                );
            }
        }
    }

    std::vector<Table> parents_first(std::vector<Table> tables) {
        std::vector<Table> ordered;
        std::set<std::string> placed;
        while (!tables.empty()) {
            const auto next = std::find_if(tables.begin(), tables.end(), [&](const Table& table) {
                return std::all_of(
                    table.parents.begin(),
                    table.parents.end(),
                    [&](const std::string& parent) {
                        return parent == table.name || placed.contains(parent) ||
                               !from_.tables.contains(parent);
                    }
                );
            });
            if (next == tables.end()) {
                std::string names;
                for (const Table& table : tables) {
                    names.append(names.empty() ? "" : ", ").append(table.name);
                }
                fault("tables that refer to each other in a circle are not copied: " + names);
                break;
            }
            placed.insert(next->name);
            ordered.push_back(std::move(*next));
            tables.erase(next);
        }
        return ordered;
    }

    const Side& source_;
    const Side& target_;
    Found from_;
    Found to_;
    std::string faults_;
};

}  // namespace

std::vector<Table> common_tables(const Side& source, const Side& target) {
    return Matcher{source, target}.match();
}

}  // namespace tenon::copy
