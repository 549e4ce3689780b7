// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/history.hpp"

#include <algorithm>

namespace tenon::migrations {
namespace {

constexpr std::string_view k_history =
    "CREATE TABLE IF NOT EXISTS schema_history ("
    "version INTEGER PRIMARY KEY, name TEXT NOT NULL, up_sha256 TEXT NOT NULL, "
    "down_sha256 TEXT NOT NULL, down_sql TEXT NOT NULL, applied_real_ns BIGINT NOT NULL, "
    "duration_ns BIGINT NOT NULL, app_version TEXT NOT NULL, host TEXT NOT NULL)";

constexpr std::string_view k_statement =
    "CREATE TABLE schema_statement ("
    "version INTEGER NOT NULL, direction TEXT NOT NULL CHECK (direction IN ('up', 'down')), "
    "position INTEGER NOT NULL, sha256 TEXT NOT NULL, started_real_ns BIGINT NOT NULL, "
    "done_real_ns BIGINT NOT NULL, PRIMARY KEY (version, direction, position))";

constexpr std::string_view k_event =
    "CREATE TABLE schema_event ("
    "id BIGINT PRIMARY KEY, at_real_ns BIGINT NOT NULL, action TEXT NOT NULL, "
    "version INTEGER NOT NULL, reason TEXT NOT NULL CHECK (reason <> ''), detail TEXT NOT NULL, "
    "app_version TEXT NOT NULL, host TEXT NOT NULL)";

constexpr std::string_view k_append_only_sqlite[]{
    "CREATE TRIGGER schema_event_no_update BEFORE UPDATE ON schema_event BEGIN "
    "SELECT RAISE(ABORT, 'schema_event is append only'); END",
    "CREATE TRIGGER schema_event_no_delete BEFORE DELETE ON schema_event BEGIN "
    "SELECT RAISE(ABORT, 'schema_event is append only'); END"};

constexpr std::string_view k_append_only_postgres[]{
    "CREATE FUNCTION schema_event_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'schema_event is append only'; END $$",
    "CREATE TRIGGER schema_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON schema_event "
    "EXECUTE FUNCTION schema_event_append_only()"};

std::int64_t number(Session& session, std::string_view sql) {
    std::int64_t value = 0;
    // To the end: a statement that still runs would be in the way of DDL.
    for (Statement row = session.prepare(sql); row.step();) {
        value = row.integer(0);
    }
    return value;
}

bool has_table(Session& session, Dialect dialect, const std::string& name) {
    return number(
               session,
               dialect == Dialect::sqlite
                   ? "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '" + name +
                         "'"
                   : "SELECT count(*) FROM pg_class WHERE oid = to_regclass('" + name + "')"
           ) != 0;
}

bool has_column(Session& session, Dialect dialect, const std::string& name) {
    return number(
               session,
               dialect == Dialect::sqlite
                   ? "SELECT count(*) FROM pragma_table_info('schema_history') WHERE name = '" +
                         name + "'"
                   : "SELECT count(*) FROM pg_attribute WHERE attrelid = "
                     "to_regclass('schema_history') AND NOT attisdropped AND attname = '" +
                         name + "'"
           ) != 0;
}

const char* text_of(Direction direction) {
    return direction == Direction::up ? "up" : "down";
}

std::optional<HalfDone> read_half(Session& session) {
    std::optional<HalfDone> half;
    Statement q = session.prepare(
        "SELECT version, direction, position, sha256, started_real_ns, done_real_ns "
        "FROM schema_statement ORDER BY version, direction, position"
    );
    while (q.step()) {
        const auto version = q.as<std::uint32_t>(0);
        const Direction direction = q.text(1) == "up" ? Direction::up : Direction::down;
        if (!half) {
            half = HalfDone{version, direction, {}, {}, q.integer(4)};
        } else if (half->version != version || half->direction != direction) {
            throw Error{
                TENON_CORRUPT,
                "schema_statement says that two migrations are half done: " +
                    std::to_string(half->version) + " and " + std::to_string(version)};
        }
        const auto position = q.as<std::size_t>(2);
        if (q.integer(5) != 0) {
            half->done[position] = std::string{q.text(3)};
        } else {
            half->started = position;
        }
        half->began_real_ns = std::min(half->began_real_ns, q.integer(4));
    }
    return half;
}

}  // namespace

void make_tables(Session& session, Dialect dialect) {
    if (!has_table(session, dialect, "schema_history")) {
        session.execute(k_history);
    }
    for (const auto& [name, type] :
         {std::pair{"up_normal", "TEXT NOT NULL DEFAULT ''"},
          std::pair{"phase", "TEXT NOT NULL DEFAULT 'expand'"}}) {
        if (!has_column(session, dialect, name)) {
            session.execute(
                "ALTER TABLE schema_history ADD COLUMN " + std::string{name} + " " + type
            );
        }
    }
    if (!has_table(session, dialect, "schema_statement")) {
        session.execute(k_statement);
    }
    if (!has_table(session, dialect, "schema_event")) {
        session.execute(k_event);
        for (const std::string_view sql :
             dialect == Dialect::sqlite ? k_append_only_sqlite : k_append_only_postgres) {
            session.execute(sql);
        }
    }
}

HistoryState read_state(Session& session, Dialect dialect) {
    HistoryState state;
    if (!has_table(session, dialect, "schema_history")) {
        return state;
    }
    const bool recent = has_column(session, dialect, "phase");
    Statement q = session.prepare(
        std::string{"SELECT version, name, up_sha256, down_sha256, down_sql, "} +
        (recent ? "up_normal, phase" : "'' AS up_normal, 'expand' AS phase") +
        ", applied_real_ns, duration_ns FROM schema_history ORDER BY version"
    );
    while (q.step()) {
        state.applied.push_back(
            {q.as<std::uint32_t>(0),
             std::string{q.text(1)},
             std::string{q.text(2)},
             std::string{q.text(3)},
             std::string{q.text(4)},
             std::string{q.text(5)},
             std::string{q.text(6)},
             q.integer(7),
             q.integer(8)}
        );
    }
    if (has_table(session, dialect, "schema_statement")) {
        state.half = read_half(session);
    }
    return state;
}

void write_applied(Session& session, const Applied& row, const Writer& writer) {
    session
        .prepare(
            "INSERT INTO schema_history (version, name, up_sha256, down_sha256, down_sql, "
            "applied_real_ns, duration_ns, app_version, host, up_normal, phase) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind_all(
            row.version,
            row.name,
            row.up_sha256,
            row.down_sha256,
            row.down_sql,
            row.applied_real_ns,
            row.duration_ns,
            writer.app_version,
            writer.host,
            row.up_normal,
            row.phase
        )
        .run();
}

void rewrite_applied(Session& session, const Applied& row) {
    session
        .prepare(
            "UPDATE schema_history SET name = ?, up_sha256 = ?, down_sha256 = ?, down_sql = ?, "
            "up_normal = ?, phase = ? WHERE version = ?"
        )
        .bind_all(
            row.name,
            row.up_sha256,
            row.down_sha256,
            row.down_sql,
            row.up_normal,
            row.phase,
            row.version
        )
        .run();
}

void erase_applied(Session& session, std::uint32_t version) {
    session.prepare("DELETE FROM schema_history WHERE version = ?").bind(1, version).run();
}

void write_journal(Session& session, const JournalRow& row) {
    session
        .prepare(
            "INSERT INTO schema_statement (version, direction, position, sha256, started_real_ns, "
            "done_real_ns) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (version, direction, position) "
            "DO UPDATE SET sha256 = excluded.sha256, done_real_ns = excluded.done_real_ns"
        )
        .bind_all(
            row.version,
            text_of(row.direction),
            row.position,
            row.sha256,
            row.started_real_ns,
            row.done_real_ns
        )
        .run();
}

void erase_journal(Session& session, std::uint32_t version) {
    session.prepare("DELETE FROM schema_statement WHERE version = ?").bind(1, version).run();
}

void write_event(Session& session, const Event& event, const Writer& writer) {
    const std::int64_t id = number(session, "SELECT coalesce(max(id), 0) + 1 FROM schema_event");
    session
        .prepare(
            "INSERT INTO schema_event (id, at_real_ns, action, version, reason, detail, "
            "app_version, host) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind_all(
            id,
            event.at_real_ns,
            event.action,
            event.version,
            event.reason,
            event.detail,
            writer.app_version,
            writer.host
        )
        .run();
}

std::vector<Event> read_events(Session& session, Dialect dialect) {
    std::vector<Event> events;
    if (!has_table(session, dialect, "schema_event")) {
        return events;
    }
    Statement q = session.prepare(
        "SELECT at_real_ns, action, version, reason, detail FROM schema_event ORDER BY id"
    );
    while (q.step()) {
        events.push_back(
            {q.integer(0),
             std::string{q.text(1)},
             q.as<std::uint32_t>(2),
             std::string{q.text(3)},
             std::string{q.text(4)}}
        );
    }
    return events;
}

}  // namespace tenon::migrations
