// SPDX-License-Identifier: Apache-2.0
// Sources: sqlite.org/pragma.html (quick_check, integrity_check, foreign_key_check); PostgreSQL 15,
// chapters 53 (system catalogs), 28.2 (pg_stat_database), F.2 (amcheck).
#include "plugins/storage/upkeep/integrity.hpp"

#include <array>

namespace tenon::upkeep {
namespace {

struct Look {
    std::string_view subject, sql;
};

constexpr std::array k_postgres{
    Look{
        "indexes that are valid",
        "SELECT 'index ' || c.relname || ' of ' || t.relname || ' is not valid: its building was "
        "broken off; drop it and build it again' FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
        "WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) "
        "AND t.relnamespace = current_schema()::regnamespace AND t.relpersistence <> 't' "
        "AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p "
        "WHERE p.index_relid = c.oid OR p.relid = t.oid) ORDER BY 1 LIMIT 100"},
    Look{
        "constraints that are validated",
        "SELECT 'constraint ' || c.conname || ' of ' || t.relname || ' was never validated: "
        "ALTER TABLE ' || t.relname || ' VALIDATE CONSTRAINT ' || c.conname FROM pg_constraint c "
        "JOIN pg_class t ON t.oid = c.conrelid WHERE NOT c.convalidated "
        "AND t.relnamespace = current_schema()::regnamespace ORDER BY 1 LIMIT 100"},
    Look{
        "triggers that are switched on",
        "SELECT 'trigger ' || g.tgname || ' of ' || t.relname || ' is switched off: foreign keys "
        "or summaries are not kept; ALTER TABLE ' || t.relname || ' ENABLE TRIGGER ALL' "
        "FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid WHERE g.tgenabled = 'D' "
        "AND t.relnamespace = current_schema()::regnamespace ORDER BY 1 LIMIT 100"},
    Look{
        "checksums",
        "SELECT 'the server has counted ' || checksum_failures || ' pages of ' || "
        "coalesce(datname, 'shared tables') || ' with a wrong checksum, last at ' || "
        "coalesce(checksum_last_failure::text, 'an unknown time') || ': restore from a backup; "
        "counted until pg_stat_reset()' FROM pg_stat_database WHERE checksum_failures > 0 "
        "AND (datname = current_database() OR datid = 0)"}};

// Where the extension is there, and its functions, which are the superuser's at first, are granted.
constexpr std::string_view k_has_amcheck =
    "SELECT count(*) FROM pg_proc WHERE oid = to_regprocedure('bt_index_check(regclass)') "
    "AND has_function_privilege(oid, 'execute')";
// bt_index_check takes the lock of a reader, and raises what it finds as an error.
constexpr std::string_view k_btrees =
    "SELECT c.relname::text, c.oid::bigint FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indisvalid AND i.indisready "
    "AND c.relpersistence <> 't' AND c.relnamespace = current_schema()::regnamespace ORDER BY 1";
constexpr std::string_view k_sqlite_tables =
    "SELECT name, '\"' || replace(name, '\"', '\"\"') || '\"' FROM sqlite_schema "
    "WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE "
    "VIRTUAL%' ORDER BY name";

std::string literal(std::string_view text) {
    std::string out{"'"};
    for (const char c : text) {
        out.append(c == '\'' ? 2 : 1, c);
    }
    return out + "'";
}

std::vector<IntegrityStep> sqlite_steps(Session& session, bool full) {
    std::vector<IntegrityStep> steps;
    for (auto row = session.prepare(k_sqlite_tables); row.step();) {
        const std::string name{row.text(0)}, quoted{row.text(1)};
        steps.push_back(
            {"table " + name,
             {std::string{full ? "PRAGMA integrity_check(" : "PRAGMA quick_check("} + quoted + ")",
              "SELECT 'a row of ' || " + literal(name) +
                  " || coalesce(' (rowid ' || rowid || ')', '') || ' refers to no row of ' || "
                  "parent FROM pragma_foreign_key_check(" +
                  literal(name) + ") LIMIT 100"}}
        );
    }
    return steps;
}

std::vector<IntegrityStep> postgres_steps(Session& session) {
    std::vector<IntegrityStep> steps;
    for (const Look& look : k_postgres) {
        steps.push_back({std::string{look.subject}, {std::string{look.sql}}});
    }
    std::int64_t has_amcheck = 0;
    for (auto row = session.prepare(k_has_amcheck); row.step();) {
        has_amcheck = row.integer(0);
    }
    if (has_amcheck == 0) {
        return steps;
    }
    for (auto row = session.prepare(k_btrees); row.step();) {
        // A void result is the empty text; an index that was dropped since is no problem.
        steps.push_back(
            {"index " + std::string{row.text(0)},
             {"SELECT bt_index_check(c.oid)::text FROM pg_class c WHERE c.oid = " +
              std::to_string(row.integer(1))}}
        );
    }
    return steps;
}

}  // namespace

std::vector<IntegrityStep> integrity_steps(Session& session, std::string_view dialect, bool full) {
    return dialect == "sqlite" ? sqlite_steps(session, full) : postgres_steps(session);
}

void run_step(Session& session, const IntegrityStep& step, std::vector<std::string>& problems) {
    for (const std::string& sql : step.problems) {
        for (auto row = session.prepare(sql); row.step();) {
            // quick_check says that nothing is wrong.
            if (row.text(0) != "ok" && !row.text(0).empty() && problems.size() < k_problems_max) {
                problems.push_back(step.subject + ": " + std::string{row.text(0)});
            }
        }
    }
}

}  // namespace tenon::upkeep
