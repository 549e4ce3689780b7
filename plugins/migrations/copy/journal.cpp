// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/journal.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace tenon::copy {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 4> k_phases{"preparing", "copying", "closing", "finished"};

std::string text_of(const Key& key) {
    json::array parts;
    for (const std::string& part : key) {
        parts.emplace_back(part);
    }
    return json::serialize(parts);
}

Key key_of(std::string_view text) {
    Key key;
    const json::value parts = json::parse({text.data(), text.size()});
    for (const json::value& part : parts.as_array()) {
        key.emplace_back(part.as_string());
    }
    return key;
}

struct Pair {
    std::string change, restore;
};

void run_kept(Session& session, const std::vector<std::string>& statements) {
    for (const std::string& sql : statements) {
        try {
            session.execute(sql);
        } catch (const StorageError& e) {
            throw StorageError{
                e.code(),
                "the target refuses what it had before the copy: " + sql + ": " + e.what(),
                e.failure()};
        }
    }
}

}  // namespace

std::string_view name_of(Phase phase) noexcept {
    return k_phases[static_cast<std::size_t>(phase)];
}

std::size_t Progress::tables_done() const {
    return static_cast<std::size_t>(
        std::count_if(tables.begin(), tables.end(), [](const TableProgress& t) { return t.done; })
    );
}

std::optional<Progress> Journal::read(Session& session) const {
    if (!has_table(session, target_, "tenon_copy")) {
        return std::nullopt;
    }
    Progress progress;
    Statement head = session.prepare(
        "SELECT copy_id, owner, phase, begun_real_ns, changes FROM tenon_copy WHERE id = 1"
    );
    while (head.step()) {
        progress.copy_id = std::string{head.text(0)};
        progress.owner = std::string{head.text(1)};
        const auto phase = std::find(k_phases.begin(), k_phases.end(), head.text(2));
        progress.phase = static_cast<Phase>(phase - k_phases.begin());
        progress.begun_real_ns = head.integer(3);
        progress.changes = head.integer(4);
    }
    Statement rows = session.prepare(
        "SELECT name, rows_total, rows_copied, done, cursor FROM tenon_copy_table ORDER BY position"
    );
    bool same = true;
    while (rows.step()) {
        const std::size_t at = progress.tables.size();
        same = same && at < tables_.size() && rows.text(0) == tables_[at].name;
        progress.tables.push_back(
            {rows.integer(1), rows.integer(2), rows.integer(3) != 0, key_of(rows.text(4))}
        );
    }
    if (!same || progress.tables.size() != tables_.size() ||
        static_cast<std::size_t>(progress.phase) >= k_phases.size()) {
        throw Error{
            TENON_CONFLICT,
            "the copy in " + target_.name +
                " was begun with other tables: give it up (--abandon) and begin anew"};
    }
    return progress;
}

void Journal::create(Session& session, const Progress& progress) const {
    session.execute(
        "CREATE TABLE tenon_copy (id BIGINT PRIMARY KEY CHECK (id = 1), copy_id TEXT NOT NULL, "
        "owner TEXT NOT NULL, phase TEXT NOT NULL, begun_real_ns BIGINT NOT NULL, "
        "changes BIGINT NOT NULL)"
    );
    session.execute(
        "CREATE TABLE tenon_copy_table (position BIGINT PRIMARY KEY, name TEXT NOT NULL, "
        "rows_total BIGINT NOT NULL, rows_copied BIGINT NOT NULL, done BIGINT NOT NULL, "
        "cursor TEXT NOT NULL)"
    );
    session.execute(
        "CREATE TABLE tenon_copy_restore (position BIGINT PRIMARY KEY, sql TEXT NOT NULL)"
    );
    session
        .prepare(
            "INSERT INTO tenon_copy (id, copy_id, owner, phase, begun_real_ns, changes) "
            "VALUES (1, ?, ?, ?, ?, 0)"
        )
        .bind_all(progress.copy_id, progress.owner, name_of(progress.phase), progress.begun_real_ns)
        .run();
    for (std::size_t i = 0; i < tables_.size(); ++i) {
        session
            .prepare(
                "INSERT INTO tenon_copy_table (position, name, rows_total, rows_copied, done, "
                "cursor) VALUES (?, ?, ?, 0, 0, '[]')"
            )
            .bind_all(static_cast<std::int64_t>(i), tables_[i].name, progress.tables[i].rows_total)
            .run();
    }
}

void Journal::write(Session& session, const Progress& progress) const {
    session.prepare("UPDATE tenon_copy SET owner = ?, phase = ?, changes = ? WHERE id = 1")
        .bind_all(progress.owner, name_of(progress.phase), progress.changes)
        .run();
}

void Journal::write_table(Session& session, const Progress& progress, std::size_t table) const {
    const TableProgress& row = progress.tables[table];
    session
        .prepare(
            "UPDATE tenon_copy_table SET rows_copied = ?, done = ?, cursor = ? "
            "WHERE position = ?"
        )
        .bind_all(
            row.rows_copied,
            std::int64_t{row.done ? 1 : 0},
            text_of(row.cursor),
            static_cast<std::int64_t>(table)
        )
        .run();
}

void Journal::remove(Session& session) const {
    for (const char* table :
         {"tenon_copy_seed", "tenon_copy_restore", "tenon_copy_table", "tenon_copy"}) {
        session.execute(std::string{"DROP TABLE IF EXISTS "} + table);
    }
}

void Journal::keep(Session& session, const std::string& sql) const {
    const std::int64_t position = number(session, "SELECT count(*) FROM tenon_copy_restore") + 1;
    session.prepare("INSERT INTO tenon_copy_restore (position, sql) VALUES (?, ?)")
        .bind_all(position, sql)
        .run();
}

void Journal::unbind_tables(Session& session) const {
    if (target_.is_postgres()) {
        unbind_postgres(session);
    } else {
        unbind_sqlite(session);
    }
}

// References are checked at each commit; triggers would write a second time what is copied.
void Journal::unbind_sqlite(Session& session) const {
    std::vector<Pair> pairs;
    Statement rows = session.prepare(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name NOT IN "
        "('schema_history', 'schema_statement', 'schema_event')"
    );
    while (rows.step()) {
        pairs.push_back({"DROP TRIGGER " + quoted(rows.text(0)), std::string{rows.text(1)}});
    }
    for (const Pair& pair : pairs) {
        session.execute(pair.change);
        keep(session, pair.restore);
    }
}

void Journal::unbind_postgres(Session& session) const {
    std::vector<Pair> pairs;
    Statement keys = session.prepare(
        "SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', r.relname, c.conname), "
        "format('ALTER TABLE %I ADD CONSTRAINT %I %s', r.relname, c.conname, "
        "pg_get_constraintdef(c.oid)) FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid "
        "WHERE c.contype = 'f' AND c.conparentid = 0 "
        "AND r.relnamespace = current_schema()::regnamespace ORDER BY r.relname, c.conname"
    );
    while (keys.step()) {
        pairs.push_back({std::string{keys.text(0)}, std::string{keys.text(1)}});
    }
    Statement triggers = session.prepare(
        "SELECT format('ALTER TABLE %I DISABLE TRIGGER %I', r.relname, t.tgname), "
        "format('ALTER TABLE %I ENABLE %s TRIGGER %I', r.relname, CASE t.tgenabled "
        "WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, t.tgname) "
        "FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal "
        "AND t.tgenabled <> 'D' AND r.relnamespace = current_schema()::regnamespace "
        "AND r.relname NOT IN ('schema_history', 'schema_statement', 'schema_event')"
    );
    while (triggers.step()) {
        pairs.push_back({std::string{triggers.text(0)}, std::string{triggers.text(1)}});
    }
    for (const Pair& pair : pairs) {
        session.execute(pair.change);
        keep(session, pair.restore);
    }
}

void Journal::bind_tables(Session& session) const {
    std::vector<std::string> statements;
    Statement rows = session.prepare("SELECT sql FROM tenon_copy_restore ORDER BY position");
    while (rows.step()) {
        statements.emplace_back(rows.text(0));
    }
    run_kept(session, statements);
    session.execute("DELETE FROM tenon_copy_restore");
}

void Journal::set_identities(Session& session) const {
    if (!target_.is_postgres()) {
        return;  // SQLite gives the number after the highest
    }
    std::vector<std::string> statements;
    Statement rows = session.prepare(
        "SELECT format('SELECT setval(%L, greatest((SELECT max(%I) FROM %I), 1), "
        "EXISTS (SELECT FROM %I))', pg_get_serial_sequence(quote_ident(r.relname), a.attname), "
        "a.attname, r.relname, r.relname) FROM pg_class r JOIN pg_attribute a ON a.attrelid = "
        "r.oid "
        "WHERE r.relnamespace = current_schema()::regnamespace AND r.relkind IN ('r', 'p') "
        "AND NOT r.relispartition AND a.attnum > 0 AND NOT a.attisdropped "
        "AND left(r.relname, 6) <> 'tenon_' "
        "AND pg_get_serial_sequence(quote_ident(r.relname), a.attname) IS NOT NULL"
    );
    while (rows.step()) {
        statements.emplace_back(rows.text(0));
    }
    for (const std::string& sql : statements) {
        session.prepare(sql).run();
    }
}

}  // namespace tenon::copy
