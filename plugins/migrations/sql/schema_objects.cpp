// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/schema_objects.hpp"

#include "plugins/migrations/sql/script.hpp"

namespace tenon::migrations {
namespace {

constexpr std::string_view k_sqlite_objects =
    "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' "
    "AND substr(tbl_name, 1, 6) <> 'tenon_' AND substr(name, 1, 6) <> 'tenon_' AND tbl_name NOT IN "
    "('schema_history', 'schema_statement', 'schema_event') ORDER BY type, name";

// Relations that count, and what is part of an extension and so does not.
constexpr std::string_view k_postgres_head =
    "WITH r AS (SELECT c.* FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND left(c.relname, 6) <> 'tenon_' "
    "AND c.relname NOT IN ('schema_history', 'schema_statement', 'schema_event') AND NOT EXISTS "
    "(SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid "
    "AND d.deptype = 'e')) ";

constexpr std::string_view k_postgres_parts[]{
    "SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END, "
    "relname::text, concat_ws(' ', relkind::text, relpersistence::text, "
    "array_to_string(reloptions, ','), pg_get_partkeydef(oid), "
    "pg_get_expr(relpartbound, oid), CASE WHEN relrowsecurity THEN 'row security' END, "
    "CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END) FROM r "
    "WHERE relkind IN ('r', 'p', 'v', 'm', 'f')",

    "SELECT 'column', r.relname || '.' || a.attname, concat_ws(' ', "
    "row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), "
    "format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, "
    "CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END, "
    "'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), "
    "CASE WHEN a.attidentity <> '' THEN 'IDENTITY ' || a.attidentity::text END, "
    "'COLLATE ' || l.collname) FROM r JOIN pg_attribute a ON a.attrelid = r.oid "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "LEFT JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'default' "
    "WHERE r.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped",

    "SELECT 'constraint', r.relname || '.' || c.conname, pg_get_constraintdef(c.oid) FROM r "
    "JOIN pg_constraint c ON c.conrelid = r.oid WHERE r.relkind IN ('r', 'p', 'f')",

    "SELECT 'index', r.relname::text, concat_ws(' ', pg_get_indexdef(r.oid), "
    "CASE WHEN NOT i.indisvalid THEN 'INVALID' END) FROM r JOIN pg_index i "
    "ON i.indexrelid = r.oid JOIN r t ON t.oid = i.indrelid",

    "SELECT 'sequence', r.relname::text, concat_ws(' ', s.seqtypid::regtype, s.seqstart, "
    "s.seqincrement, s.seqmin, s.seqmax, s.seqcycle) FROM r JOIN pg_sequence s "
    "ON s.seqrelid = r.oid",

    "SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', "
    "pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.prokind IN ('f', 'p') "
    "AND p.pronamespace = current_schema()::regnamespace AND left(p.proname, 6) <> 'tenon_' "
    "AND p.proname <> 'schema_event_append_only' AND NOT EXISTS (SELECT FROM pg_depend d "
    "WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')",

    "SELECT 'trigger', r.relname || '.' || t.tgname, concat_ws(' ', pg_get_triggerdef(t.oid), "
    "t.tgenabled::text) FROM r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal",

    "SELECT 'type', t.typname::text, concat_ws(' ', t.typtype::text, "
    "CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END, "
    "CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault, "
    "(SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) "
    "FROM pg_enum e WHERE e.enumtypid = t.oid), "
    "(SELECT string_agg(c.conname || ' ' || pg_get_constraintdef(c.oid), ', ' "
    "ORDER BY c.conname) FROM pg_constraint c WHERE c.contypid = t.oid)) FROM pg_type t "
    "WHERE t.typnamespace = current_schema()::regnamespace AND t.typtype IN ('e', 'd', 'r') "
    "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass "
    "AND d.objid = t.oid AND d.deptype = 'e')"};

void add_rows(Session& session, std::string_view sql, SchemaObjects& to) {
    Statement rows = session.prepare(sql);
    while (rows.step()) {
        std::string name{rows.text(0)};
        name.append(" ").append(rows.text(1));
        to[std::move(name)] = std::string{rows.text(2)};
    }
}

void empty_sqlite(Session& session) {
    std::vector<std::string> drops;
    Statement rows = session.prepare(
        "SELECT type, '\"' || replace(name, '\"', '\"\"') || '\"' FROM sqlite_schema "
        "WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite%' "
        "AND substr(name, 1, 6) <> 'tenon_' ORDER BY type = 'table', sql NOT LIKE '%VIRTUAL%'"
    );
    while (rows.step()) {
        drops.push_back(
            "DROP " + std::string{rows.text(0)} + " IF EXISTS " + std::string{rows.text(1)}
        );
    }
    // Rows that refer to each other go with their tables.
    session.execute("PRAGMA defer_foreign_keys=ON");
    for (const std::string& drop : drops) {
        session.execute(drop);
    }
}

void empty_postgres(Session& session) {
    std::string schema;
    for (Statement row = session.prepare("SELECT quote_ident(current_schema())"); row.step();) {
        schema = std::string{row.text(0)};
    }
    session.execute("DROP SCHEMA " + schema + " CASCADE");
    session.execute("CREATE SCHEMA " + schema);
}

}  // namespace

SchemaObjects read_schema(Session& session, Dialect dialect) {
    SchemaObjects objects;
    if (dialect == Dialect::sqlite) {
        add_rows(session, k_sqlite_objects, objects);
        for (auto& [name, sql] : objects) {
            sql = normalised(sql, dialect);
        }
        return objects;
    }
    for (const std::string_view part : k_postgres_parts) {
        add_rows(session, std::string{k_postgres_head} + std::string{part}, objects);
    }
    return objects;
}

std::string schema_hash(const SchemaObjects& objects) {
    std::string all;
    for (const auto& [name, definition] : objects) {
        all.append(name).append("\n").append(sha256_hex(definition)).append("\n");
    }
    return sha256_hex(all);
}

std::vector<SchemaDifference>
difference(const SchemaObjects& expected, const SchemaObjects& found) {
    std::vector<SchemaDifference> all;
    for (const auto& [name, definition] : expected) {
        const auto there = found.find(name);
        if (there == found.end()) {
            all.push_back({name, definition, {}});
        } else if (there->second != definition) {
            all.push_back({name, definition, there->second});
        }
    }
    for (const auto& [name, definition] : found) {
        if (!expected.contains(name)) {
            all.push_back({name, {}, definition});
        }
    }
    return all;
}

void empty_schema(Session& session, Dialect dialect) {
    if (dialect == Dialect::sqlite) {
        empty_sqlite(session);
    } else {
        empty_postgres(session);
    }
}

}  // namespace tenon::migrations
