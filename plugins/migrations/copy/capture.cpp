// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/capture.hpp"

#include <algorithm>
#include <array>

namespace tenon::copy {
namespace {

constexpr std::string_view k_note = "tenon_copy_note_";
constexpr std::string_view k_fence = "tenon_copy_fence_";
constexpr std::string_view k_moved =
    // Words alone: a storage may leave out a rule's text that could hold a value.
    "this database has been copied to another one, start the server with the deployment of that "
    "one";

std::string schema_of(Session& session) {
    std::string schema;
    for (Statement row = session.prepare("SELECT quote_ident(current_schema())"); row.step();) {
        schema = std::string{row.text(0)};
    }
    return schema;
}

// "k1, k2", one for each column of the key.
std::string key_names(const Table& table) {
    std::string names;
    for (std::size_t i = 0; i < table.key.size(); ++i) {
        names.append(i == 0 ? "k" : ", k").append(std::to_string(i + 1));
    }
    return names;
}

// The key of NEW or OLD.
std::string key_of(const Table& table, std::string_view row, std::string_view cast) {
    std::string list;
    for (std::size_t i = 0; i < table.key.size(); ++i) {
        list.append(i == 0 ? "" : ", ").append(row).append(".");
        list.append(quoted(table.key_column(i).name)).append(cast);
    }
    return list;
}

std::string key_differs(const Table& table, std::string_view differs) {
    std::string where;
    for (std::size_t i = 0; i < table.key.size(); ++i) {
        const std::string column = quoted(table.key_column(i).name);
        where.append(i == 0 ? "NEW." : " OR NEW.").append(column).append(differs);
        where.append("OLD.").append(column);
    }
    return where;
}

// Triggers of ours as (name, table), both quoted where that is needed.
std::vector<std::pair<std::string, std::string>>
triggers(Session& session, bool is_postgres, std::string_view prefix) {
    std::vector<std::pair<std::string, std::string>> found;
    Statement rows = session.prepare(
        is_postgres ? "SELECT t.tgname::text, r.relname::text FROM pg_trigger t JOIN pg_class r "
                      "ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND "
                      "r.relnamespace "
                      "= current_schema()::regnamespace AND starts_with(t.tgname::text, ?)"
                    : "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' "
                      "AND instr(name, ?) = 1"
    );
    rows.bind_all(prefix);
    while (rows.step()) {
        found.emplace_back(quoted(rows.text(0)), quoted(rows.text(1)));
    }
    return found;
}

}  // namespace

std::string Capture::copy_id(Session& session) const {
    std::string id;
    if (has_table(session, source_, "tenon_copy_source")) {
        for (Statement row = session.prepare("SELECT copy_id FROM tenon_copy_source");
             row.step();) {
            id = std::string{row.text(0)};
        }
    }
    return id;
}

void Capture::install(Session& session, const std::string& copy_id) const {
    const bool is_postgres = source_.is_postgres();
    lock(session);  // all at once, not one by one between writers
    session.execute("CREATE TABLE tenon_copy_source (copy_id TEXT PRIMARY KEY)");
    session.prepare("INSERT INTO tenon_copy_source (copy_id) VALUES (?)").bind_all(copy_id).run();
    std::string keys;
    for (std::size_t i = 1; i <= k_key_columns_max; ++i) {
        keys.append(", k").append(std::to_string(i)).append(" TEXT");
    }
    session.execute(
        "CREATE TABLE tenon_copy_changes (sequence " +
        std::string{
            is_postgres ? "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
                        : "INTEGER PRIMARY KEY"} +
        ", table_name TEXT NOT NULL" + keys + ")"
    );
    for (const Table& table : tables_) {
        try {
            if (is_postgres) {
                install_postgres(session, table);
            } else {
                install_sqlite(session, table);
            }
        } catch (const StorageError& e) {
            throw StorageError{
                e.code(),
                "cannot capture the changes of table " + table.name + " in " + source_.name + ": " +
                    e.what(),
                e.failure()};
        }
    }
}

void Capture::install_sqlite(Session& session, const Table& table) const {
    const std::string into =
        "INSERT INTO tenon_copy_changes (table_name, " + key_names(table) + ") ";
    const auto note = [&](std::string_view row) {
        return into + "VALUES (" + literal(table.name) + ", " + key_of(table, row, "") + "); ";
    };
    const auto create = [&](std::string_view event, const std::string& body) {
        session.execute(
            "CREATE TRIGGER " +
            quoted(std::string{k_note} + std::string{event} + "_" + table.name) + " AFTER " +
            std::string{event} + " ON " + quoted(table.name) + " BEGIN " + body + "END"
        );
    };
    create("INSERT", note("NEW"));
    create("DELETE", note("OLD"));
    create(
        "UPDATE",
        note("OLD") + into + "SELECT " + literal(table.name) + ", " + key_of(table, "NEW", "") +
            " WHERE " + key_differs(table, " IS NOT ") + "; "
    );
}

void Capture::install_postgres(Session& session, const Table& table) const {
    const std::string schema = schema_of(session);
    // Names have 63 bytes at most: the table's place is used.
    const auto place = static_cast<std::size_t>(&table - tables_.data());
    const std::string name = std::string{k_note} + std::to_string(place);
    const auto note = [&](std::string_view row) {
        return "INSERT INTO " + schema + ".tenon_copy_changes (table_name, " + key_names(table) +
               ") VALUES (" + literal(table.name) + ", " + key_of(table, row, "::text") + "); ";
    };
    session.execute(
        "CREATE FUNCTION " + name +
        "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = " + schema +
        ", pg_temp AS $tenon$ BEGIN "
        "IF TG_OP = 'TRUNCATE' THEN RAISE EXCEPTION '% is being copied and cannot be truncated', "
        "TG_TABLE_NAME; END IF; IF TG_OP <> 'INSERT' THEN " +
        note("OLD") + "END IF; IF TG_OP = 'INSERT' THEN " + note("NEW") +
        "ELSIF TG_OP = 'UPDATE' THEN IF " + key_differs(table, " IS DISTINCT FROM ") + " THEN " +
        note("NEW") + "END IF; END IF; RETURN NULL; END $tenon$"
    );
    const std::string on = " ON " + quoted(table.name);
    session.execute(
        "CREATE TRIGGER " + name + " AFTER INSERT OR UPDATE OR DELETE" + on +
        " FOR EACH ROW EXECUTE FUNCTION " + name + "()"
    );
    session.execute(
        "CREATE TRIGGER " + name + "_truncate BEFORE TRUNCATE" + on +
        " FOR EACH STATEMENT EXECUTE FUNCTION " + name + "()"
    );
}

void Capture::drop_triggers(Session& session, std::string_view prefix) const {
    const bool is_postgres = source_.is_postgres();
    for (const auto& [name, table] : triggers(session, is_postgres, prefix)) {
        session.execute("DROP TRIGGER " + name + (is_postgres ? " ON " + table : std::string{}));
    }
    if (!is_postgres) {
        return;
    }
    std::vector<std::string> functions;
    Statement rows = session.prepare(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
        "AND starts_with(proname::text, ?)"
    );
    rows.bind_all(prefix);
    while (rows.step()) {
        functions.emplace_back(rows.text(0));
    }
    for (const std::string& function : functions) {
        session.execute("DROP FUNCTION " + quoted(function) + "()");
    }
}

void Capture::remove(Session& session) const {
    drop_triggers(session, k_note);
    session.execute("DROP TABLE IF EXISTS tenon_copy_changes");
    session.execute("DROP TABLE IF EXISTS tenon_copy_source");
}

void Capture::fence(Session& session) const {
    if (source_.is_postgres()) {
        const std::string name = std::string{k_fence} + "of_tables";
        session.execute(
            "CREATE FUNCTION " + name +
            "() RETURNS trigger LANGUAGE plpgsql AS $tenon$ BEGIN "
            "RAISE EXCEPTION '%', " +
            literal(k_moved) + "; END $tenon$"
        );
        for (const Table& table : tables_) {
            session.execute(
                "CREATE TRIGGER " + name + " BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON " +
                quoted(table.name) + " FOR EACH STATEMENT EXECUTE FUNCTION " + name + "()"
            );
        }
        return;
    }
    for (const Table& table : tables_) {
        for (const std::string event : {"INSERT", "UPDATE", "DELETE"}) {
            session.execute(
                "CREATE TRIGGER " + quoted(std::string{k_fence} + event + "_" + table.name) +
                " BEFORE " + event + " ON " + quoted(table.name) + " BEGIN SELECT RAISE(ABORT, " +
                literal(k_moved) + "); END"
            );
        }
    }
}

bool Capture::is_fenced(Session& session) const {
    return !triggers(session, source_.is_postgres(), k_fence).empty();
}

void Capture::lift_fence(Session& session) const {
    drop_triggers(session, k_fence);
}

void Capture::lock(Session& session) const {
    if (!source_.is_postgres()) {
        return;  // a write transaction of SQLite is alone
    }
    std::string names;
    for (const Table& table : tables_) {
        names.append(names.empty() ? "" : ", ").append(quoted(table.name));
    }
    session.execute("LOCK TABLE " + names + " IN SHARE ROW EXCLUSIVE MODE");
}

std::vector<Change> Capture::read(Session& session, std::int64_t sequence, std::size_t limit)
    const {
    Statement rows = session.prepare(
        "SELECT sequence, table_name, k1, k2, k3, k4, k5, k6, k7, k8 FROM tenon_copy_changes "
        "WHERE sequence > ? ORDER BY sequence LIMIT " +
        std::to_string(limit)
    );
    rows.bind_all(sequence);
    std::vector<Change> changes;
    while (rows.step()) {
        const std::string_view name = rows.text(1);
        const auto table = std::find_if(tables_.begin(), tables_.end(), [&](const Table& t) {
            return t.name == name;
        });
        if (table == tables_.end()) {
            throw Error{
                TENON_CORRUPT, "tenon_copy_changes names an unknown table " + std::string{name}};
        }
        Change change{rows.integer(0), static_cast<std::size_t>(table - tables_.begin()), {}};
        for (std::size_t i = 0; i < table->key.size(); ++i) {
            change.key.emplace_back(rows.text(static_cast<std::uint32_t>(2 + i)));
        }
        changes.push_back(std::move(change));
    }
    return changes;
}

void Capture::erase(Session& session, std::int64_t first, std::int64_t last) const {
    session.prepare("DELETE FROM tenon_copy_changes WHERE sequence BETWEEN ? AND ?")
        .bind_all(first, last)
        .run();
}

std::int64_t Capture::waiting(Session& session) const {
    return has_table(session, source_, "tenon_copy_changes")
               ? number(session, "SELECT count(*) FROM tenon_copy_changes")
               : 0;
}

}  // namespace tenon::copy
