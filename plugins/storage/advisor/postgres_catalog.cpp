// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's words and catalogue, and its unit of work.
//
// Work is what EXPLAIN (ANALYZE, BUFFERS) counts, equal from run to run on equal data: a row that a
// node gives or throws away is 1, a comparison of a sort 1, a page that is looked at k_page_work.
#include "plugins/storage/advisor/catalog.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <cmath>

namespace tenon::advisor {
namespace {

constexpr double k_page_work = 2;

// "tenon" in ASCII as the high part, 2 as the low, and 3 for tables: locks of a database.
constexpr auto k_lock = "1952804463 * 4294967296 + 2";

double number_of(const Json& node, std::string_view key) {
    const Json* found = node.find(key);
    return found != nullptr && found->is(Json::Kind::number) ? std::stod(found->number()) : 0;
}

double rows_of(const Json& node) {
    const double loops = number_of(node, "Actual Loops");
    const double rows = number_of(node, "Actual Rows") * loops;
    double work = rows;
    for (const char* key :
         {"Rows Removed by Filter",
          "Rows Removed by Index Recheck",
          "Rows Removed by Join Filter"}) {
        work += number_of(node, key) * loops;
    }
    if (const Json* type = node.find("Node Type"); type != nullptr && type->text() == "Sort") {
        if (const Json* below = node.find("Plans"); below != nullptr) {
            const Json& input = below->items().at(0);
            const double sorted =
                number_of(input, "Actual Rows") * number_of(input, "Actual Loops");
            work += sorted * std::log2(std::max(sorted, 2.0));
        }
    }
    if (const Json* below = node.find("Plans"); below != nullptr) {
        for (const Json& one : below->items()) {
            work += rows_of(one);
        }
    }
    return work;
}

class Postgres final : public Dialect {
public:
    [[nodiscard]] Catalog read_catalog(Session& session) const override {
        Catalog catalog;
        read_tables(session, catalog);
        read_foreign_keys(session, catalog);
        read_indexes(session, catalog);
        return catalog;
    }

    [[nodiscard]] std::string create_sql(const Index& index, bool live) const override {
        std::string sql = std::string{"CREATE INDEX "} + (live ? "CONCURRENTLY " : "") +
                          "IF NOT EXISTS " + quoted(index.name) + " ON " + quoted(index.table) +
                          " (";
        for (const IndexColumn& column : index.columns) {
            sql.append(&column == &index.columns.front() ? "" : ", ").append(quoted(column.name));
            sql.append(column.descending ? " DESC" : "");
        }
        sql.push_back(')');
        for (const std::string& column : index.included) {
            sql.append(&column == &index.included.front() ? " INCLUDE (" : ", ");
            sql.append(quoted(column));
        }
        sql.append(index.included.empty() ? "" : ")");
        return index.where.empty() ? sql : sql + " WHERE " + index.where;
    }

    [[nodiscard]] std::string drop_sql(const Index& index, bool live) const override {
        return std::string{"DROP INDEX "} + (live ? "CONCURRENTLY " : "") + "IF EXISTS " +
               quoted(index.name);
    }

    [[nodiscard]] std::string analyze_sql(const Index& index) const override {
        return "ANALYZE " + quoted(index.table);
    }

    [[nodiscard]] bool builds_beside() const noexcept override { return true; }

    [[nodiscard]] bool includes() const noexcept override { return true; }

    [[nodiscard]] std::string settle_sql() const override { return "VACUUM ANALYZE"; }

    [[nodiscard]] std::string patience_sql() const override { return "SET statement_timeout = 0"; }

    [[nodiscard]] std::string row_address() const override { return "ctid"; }

    [[nodiscard]] bool try_lock(Session& session) const override {
        auto row = session.prepare(
            "SELECT pg_catalog.pg_try_advisory_lock(" + std::string{k_lock} + ")::int"
        );
        return row.step() && row.integer(0) != 0;
    }

    void unlock(Session& session) const override {
        session.prepare("SELECT pg_catalog.pg_advisory_unlock(" + std::string{k_lock} + ")::int")
            .run();
    }

    void queue(Session& session) const override {
        session
            .prepare(
                "SELECT pg_catalog.pg_advisory_xact_lock(" + std::string{k_lock} + " + 1)::text"
            )
            .run();
    }

    [[nodiscard]] bool fails_whole() const noexcept override { return true; }

    [[nodiscard]] bool is_broken(Session& session, const std::string& index) const override {
        auto row = session.prepare(
            "SELECT 1::bigint FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = "
            "i.indexrelid WHERE c.relname = ? AND NOT i.indisvalid AND "
            "pg_catalog.pg_table_is_visible(c.oid)"
        );
        row.bind(1, index);
        return row.step();
    }

    [[nodiscard]] std::optional<double> work_of(
        Session& session,
        const std::string& sql,
        std::span<const tenon_value> values
    ) const override {
        auto row = session.prepare("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + sql);
        for (std::size_t i = 0; i < values.size(); ++i) {
            row.bind(static_cast<std::uint32_t>(i + 1), values[i]);
        }
        if (!row.step()) {
            throw Error{TENON_CORRUPT, "EXPLAIN gave no row"};
        }
        const Json all = Json::parse(std::string{row.text(0)});
        const Json* plan = all.items().at(0).find("Plan");
        if (plan == nullptr) {
            throw Error{TENON_CORRUPT, "EXPLAIN gave no plan"};
        }
        const double pages =
            number_of(*plan, "Shared Hit Blocks") + number_of(*plan, "Shared Read Blocks");
        return 1 + rows_of(*plan) + k_page_work * pages;
    }

private:
    static Table* table_of(Catalog& catalog, std::string_view name) {
        const auto found =
            std::find_if(catalog.tables.begin(), catalog.tables.end(), [&](const Table& t) {
                return t.name == name;
            });
        return found == catalog.tables.end() ? nullptr : &*found;
    }

    static void read_tables(Session& session, Catalog& catalog) {
        auto rows = session.prepare(
            "SELECT c.relname::text, a.attname::text, (a.attidentity <> '' OR a.attgenerated <> '' "
            "OR coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', "
            "false))::int, (a.attlen < 0)::int, a.attnotnull::int FROM pg_catalog.pg_class c JOIN "
            "pg_catalog.pg_attribute a ON a.attrelid "
            "= c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_catalog.pg_attrdef d ON "
            "d.adrelid = c.oid AND d.adnum = a.attnum JOIN pg_catalog.pg_namespace n ON n.oid = "
            "c.relnamespace WHERE c.relkind = 'r' AND NOT c.relispartition AND n.nspname NOT IN "
            "('pg_catalog', 'information_schema') AND pg_catalog.pg_table_is_visible(c.oid) ORDER "
            "BY c.relname, a.attnum"
        );
        while (rows.step()) {
            if (catalog.tables.empty() || catalog.tables.back().name != rows.text(0)) {
                catalog.tables.emplace_back();
                catalog.tables.back().name = rows.text(0);
            }
            catalog.tables.back().columns.emplace_back(rows.text(1));
            if (rows.integer(2) != 0) {
                catalog.tables.back().filled.emplace_back(rows.text(1));
            }
            if (rows.integer(3) != 0) {
                catalog.tables.back().wide.emplace_back(rows.text(1));
            }
            if (rows.integer(4) != 0) {
                catalog.tables.back().required.emplace_back(rows.text(1));
            }
        }
    }

    static void read_foreign_keys(Session& session, Catalog& catalog) {
        auto rows = session.prepare(
            "SELECT c.relname::text, f.oid::bigint, a.attname::text FROM pg_catalog.pg_constraint "
            "f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid CROSS JOIN LATERAL "
            "unnest(f.conkey) WITH ORDINALITY AS k(num, place) JOIN pg_catalog.pg_attribute a ON "
            "a.attrelid = c.oid AND a.attnum = k.num WHERE f.contype = 'f' AND "
            "pg_catalog.pg_table_is_visible(c.oid) ORDER BY f.oid, k.place"
        );
        std::int64_t last = 0;
        while (rows.step()) {
            Table* const table = table_of(catalog, rows.text(0));
            if (table == nullptr) {
                continue;
            }
            if (last != rows.integer(1)) {
                table->foreign_keys.emplace_back();
            }
            last = rows.integer(1);
            table->foreign_keys.back().emplace_back(rows.text(2));
        }
    }

    // Columns by place; those from indnkeyatts on are carried along. Of a column that is an
    // expression there is no name.
    static void read_indexes(Session& session, Catalog& catalog) {
        auto rows = session.prepare(
            "SELECT i.relname::text, t.relname::text, (x.indisunique OR x.indisexclusion)::int, "
            "coalesce(pg_catalog.pg_get_expr(x.indpred, x.indrelid), ''), (m.amname = 'btree' AND "
            "x.indexprs IS NULL)::int, coalesce(s.idx_scan, 0)::bigint, k.place::bigint, "
            "x.indnkeyatts::bigint, coalesce(a.attname::text, ''), coalesce(x.indoption[k.place - "
            "1], 0)::int, coalesce(o.opcdefault AND (l.coll = 0 OR l.coll = a.attcollation), "
            "true)::int FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = "
            "x.indexrelid JOIN pg_catalog.pg_class t ON t.oid = x.indrelid JOIN pg_catalog.pg_am m "
            "ON m.oid = i.relam JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace LEFT JOIN "
            "pg_catalog.pg_stat_user_indexes s ON s.indexrelid = x.indexrelid CROSS JOIN LATERAL "
            "unnest(x.indkey::smallint[]) WITH ORDINALITY AS k(num, place) LEFT JOIN LATERAL "
            "(SELECT x.indcollation[k.place - 1] AS coll) AS l ON true LEFT JOIN "
            "pg_catalog.pg_opclass o ON o.oid = x.indclass[k.place - 1] LEFT JOIN "
            "pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.num AND k.num > 0 "
            "WHERE x.indisvalid AND n.nspname NOT IN ('pg_catalog', 'information_schema', "
            "'pg_toast') AND pg_catalog.pg_table_is_visible(t.oid) ORDER BY i.relname, k.place"
        );
        while (rows.step()) {
            if (catalog.indexes.empty() || catalog.indexes.back().name != rows.text(0)) {
                Index index;
                index.name = rows.text(0);
                index.table = rows.text(1);
                index.unique = rows.integer(2) != 0;
                index.where = rows.text(3);
                index.plain = rows.integer(4) != 0;
                index.used = rows.integer(5) != 0;
                catalog.indexes.push_back(std::move(index));
            }
            Index& index = catalog.indexes.back();
            if (rows.integer(6) > rows.integer(7)) {
                index.included.emplace_back(rows.text(8));
                continue;
            }
            const std::int64_t option = rows.integer(9);  // 1: descending, 2: nulls first
            index.columns.push_back({std::string{rows.text(8)}, (option & 1) != 0});
            const bool has_usual_nulls = option == 0 || option == 3;
            index.plain = index.plain && has_usual_nulls && rows.integer(10) != 0;
        }
    }
};

}  // namespace

const Dialect& postgres_dialect() noexcept {
    static const Postgres postgres;
    return postgres;
}

}  // namespace tenon::advisor
