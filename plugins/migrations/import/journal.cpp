// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/journal.hpp"

#include "plugins/migrations/import/source.hpp"

#include <algorithm>
#include <array>

namespace tenon::importer {
namespace {

// Keys that are looked up at once.
constexpr std::size_t k_keys = 50;

}  // namespace

void Journal::require_schema(Session& session) const {
    Statement count = session.prepare(
        is_postgres_ ? "SELECT count(*) FROM pg_class WHERE oid = to_regclass('imported_rows')"
                     : "SELECT count(*) FROM sqlite_schema WHERE name = 'imported_rows'"
    );
    std::int64_t found = 0;
    while (count.step()) {
        found = count.integer(0);
    }
    if (found == 0) {
        throw Error{
            TENON_CONFLICT,
            "the schema has no table imported_rows (0005_imports): run tenon migrate up first"};
    }
}

void Journal::lock(Session& session) const {
    if (is_postgres_) {
        // What a batch depends on is behind this lock, so it need not be serialisable, and trading
        // has no conflicts with it.
        session.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        session.execute("LOCK TABLE imports IN EXCLUSIVE MODE");
    }
}

void Journal::renew_statistics(Session& session) const {
    if (is_postgres_) {
        session.execute("ANALYZE imported_rows");
    }
}

std::int64_t Journal::find(Session& session, const std::string& name) {
    std::int64_t id = 0;
    Statement row = session.prepare("SELECT id FROM imports WHERE name = ?");
    row.bind_all(name);
    while (row.step()) {
        id = row.integer(0);
    }
    return id;
}

std::int64_t Journal::open(
    Session& session,
    const Mapping& mapping,
    const std::string& source,
    std::int64_t now_ns
) {
    bool goes_on = false;
    id_ = find(session, mapping.name);
    if (id_ == 0) {
        Statement last = session.prepare("SELECT coalesce(max(id), 0) FROM imports");
        while (last.step()) {
            id_ = last.integer(0) + 1;
        }
        session
            .prepare(
                "INSERT INTO imports (id, name, source, mapping_digest, status, begun_real_ns, "
                "updated_real_ns) VALUES (?, ?, ?, ?, 'running', ?, ?)"
            )
            .bind_all(id_, mapping.name, source, mapping.digest, now_ns, now_ns)
            .run();
    } else {
        Statement row = session.prepare(
            "SELECT count(*) FROM imports WHERE id = ? AND mapping_digest = ? AND source = ? "
            "AND status = 'running'"
        );
        row.bind_all(id_, mapping.digest, source);
        while (row.step()) {
            goes_on = row.integer(0) != 0;
        }
        session
            .prepare(
                "UPDATE imports SET source = ?, mapping_digest = ?, status = 'running', "
                "updated_real_ns = ? WHERE id = ?"
            )
            .bind_all(source, mapping.digest, now_ns, id_)
            .run();
    }
    if (!goes_on) {
        session.prepare("DELETE FROM import_bad_rows WHERE import_id = ?").bind_all(id_).run();
        session.prepare("DELETE FROM import_tables WHERE import_id = ?").bind_all(id_).run();
        for (const TableMap& table : mapping.tables) {
            session
                .prepare(
                    "INSERT INTO import_tables (import_id, name, source_relation, target) "
                    "VALUES (?, ?, ?, ?)"
                )
                .bind_all(id_, table.name, table.relation(), table.target->name)
                .run();
        }
    }
    return id_;
}

void Journal::finish(Session& session, std::int64_t now_ns) const {
    session.prepare("UPDATE imports SET status = 'done', updated_real_ns = ? WHERE id = ?")
        .bind_all(now_ns, id_)
        .run();
}

TableState Journal::read(Session& session, const std::string& table) const {
    TableState state;
    Statement row = session.prepare(
        "SELECT cursor, rows_read, rows_imported, rows_bad, is_done FROM import_tables "
        "WHERE import_id = ? AND name = ?"
    );
    row.bind_all(id_, table);
    bool found = false;
    while (row.step()) {
        found = true;
        state = {
            std::string{row.text(0)},
            row.integer(1),
            row.integer(2),
            row.integer(3),
            row.integer(4) != 0};
    }
    if (!found) {
        throw Error{TENON_CONFLICT, "the import is being done with another mapping elsewhere"};
    }
    return state;
}

void Journal::write(Session& session, const std::string& table, const TableState& state) const {
    session
        .prepare(
            "UPDATE import_tables SET cursor = ?, rows_read = ?, rows_imported = ?, "
            "rows_bad = ?, is_done = ? WHERE import_id = ? AND name = ?"
        )
        .bind_all(
            state.cursor,
            state.read,
            state.imported,
            state.bad,
            std::int64_t{state.is_done ? 1 : 0},
            id_,
            table
        )
        .run();
}

std::map<std::string, Origin> Journal::origins(
    Session& session,
    const std::string& table,
    const std::vector<std::string>& keys
) const {
    static const std::string k_sql = [] {
        std::string sql =
            "SELECT source_key, target_key, digest FROM imported_rows WHERE import_id = ? AND "
            "table_name = ? AND source_key IN (";
        for (std::size_t i = 0; i < k_keys; ++i) {
            sql += i == 0 ? "?" : ", ?";
        }
        return sql + ")";
    }();
    std::map<std::string, Origin> found;
    for (std::size_t from = 0; from < keys.size(); from += k_keys) {
        Statement rows = session.prepare(k_sql);
        rows.bind_all(id_, table);
        for (std::size_t i = 0; i < k_keys; ++i) {
            // What is too many asks for the last one again.
            const std::string& key = keys[std::min(from + i, keys.size() - 1)];
            rows.bind(static_cast<std::uint32_t>(i + 3), key);
        }
        while (rows.step()) {
            found.emplace(
                std::string{rows.text(0)},
                Origin{std::string{rows.text(1)}, std::string{rows.text(2)}}
            );
        }
    }
    return found;
}

std::int64_t Journal::imported(Session& session, const std::string& table) const {
    std::int64_t count = 0;
    Statement row =
        session.prepare("SELECT count(*) FROM imported_rows WHERE import_id = ? AND table_name = ?"
        );
    row.bind_all(id_, table);
    while (row.step()) {
        count = row.integer(0);
    }
    return count;
}

void Journal::add(
    Session& session,
    const std::string& table,
    const std::vector<std::pair<std::string, Origin>>& rows,
    std::int64_t now_ns
) const {
    if (rows.empty()) {
        return;
    }
    const std::array<tenon_str, 6> columns{
        str("import_id"),
        str("table_name"),
        str("source_key"),
        str("target_key"),
        str("digest"),
        str("imported_real_ns")};
    std::vector<tenon_value> values;
    for (const auto& [key, origin] : rows) {
        for (const tenon_value& value :
             {value_of(id_),
              value_of(table),
              value_of(key),
              value_of(origin.target_key),
              value_of(origin.digest),
              value_of(now_ns)}) {
            values.push_back(value);
        }
    }
    session.bulk_insert("imported_rows", columns, values);
}

bool Journal::is_bad(Session& session, const std::string& table, const std::string& key) const {
    bool found = false;
    Statement row = session.prepare(
        "SELECT 1 FROM import_bad_rows WHERE import_id = ? AND table_name = ? AND source_key = ?"
    );
    row.bind_all(id_, table, key);
    while (row.step()) {
        found = true;
    }
    return found;
}

void Journal::add_bad(
    Session& session,
    const std::string& table,
    const std::string& key,
    const std::string& reason,
    std::int64_t now_ns
) const {
    session
        .prepare(
            "INSERT INTO import_bad_rows (import_id, table_name, source_key, reason, "
            "found_real_ns) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (import_id, table_name, source_key) DO NOTHING"
        )
        .bind_all(id_, table, key, reason, now_ns)
        .run();
}

namespace {

std::int64_t range_end(Session& session, const std::string& sql, std::optional<std::int64_t> of) {
    std::int64_t last = k_ids_from - 1;
    Statement row = session.prepare(sql);
    row.bind_all(k_ids_from, k_ids_end);
    if (of) {
        row.bind(3, *of);
    }
    while (row.step()) {
        last = row.is_null(0) ? last : row.integer(0);
    }
    return last;
}

std::vector<std::int64_t>
serial_ids(Session& session, bool is_postgres, const Target& target, std::size_t count) {
    std::vector<std::int64_t> ids;
    const std::string table{target.name};
    if (is_postgres) {
        Statement rows = session.prepare(
            "SELECT nextval(pg_get_serial_sequence('" + table +
            "', 'id')) FROM "
            "generate_series(1, CAST(? AS BIGINT))"
        );
        rows.bind_all(count);
        while (rows.step()) {
            ids.push_back(rows.integer(0));
        }
        return ids;
    }
    std::int64_t last = 0;
    Statement row = session.prepare("SELECT coalesce(max(id), 0) FROM " + table);
    while (row.step()) {
        last = row.integer(0);
    }
    while (ids.size() < count) {
        ids.push_back(++last);
    }
    return ids;
}

}  // namespace

std::vector<std::int64_t> new_ids(
    Session& session,
    bool is_postgres,
    const Target& target,
    std::span<const BuiltRow* const> rows
) {
    if (target.ids == Ids::none) {
        return std::vector<std::int64_t>(rows.size(), 0);
    }
    if (target.ids == Ids::serial) {
        return serial_ids(session, is_postgres, target, rows.size());
    }
    // Trades are numbered by instrument, which is also what their index begins with.
    const bool by_instrument = target.key.size() > 1;
    const std::string id{target.id};
    std::string sql = "SELECT max(" + id + ") FROM " + std::string{target.name} + " WHERE " + id +
                      " >= ? AND " + id + " < ?";
    if (by_instrument) {
        sql += " AND instrument = ?";
    }
    std::map<std::int64_t, std::int64_t> last;
    std::vector<std::int64_t> ids;
    for (const BuiltRow* row : rows) {
        const std::int64_t of =
            by_instrument ? Fields{target, row->values}.at("instrument") : std::int64_t{0};
        auto at = last.find(of);
        if (at == last.end()) {
            const auto bound = by_instrument ? std::optional{of} : std::nullopt;
            at = last.emplace(of, range_end(session, sql, bound)).first;
        }
        if (++at->second >= k_ids_end) {
            throw Error{
                TENON_CONFLICT, "no number is left for imported " + std::string{target.name}};
        }
        ids.push_back(at->second);
    }
    return ids;
}

void make_owners(Session& session, const Mapping& mapping, std::int64_t now_ns) {
    const auto id_of = [&](const char* sql, const std::string& name) {
        std::optional<std::int64_t> id;
        Statement row = session.prepare(sql);
        row.bind_all(name);
        while (row.step()) {
            id = row.is_null(0) ? std::int64_t{0} : row.integer(0);
        }
        return id;
    };
    for (const std::string& user : mapping.users) {
        session
            .prepare(
                "INSERT INTO users (name, created_real_ns) VALUES (?, ?) ON CONFLICT (name) DO "
                "NOTHING"
            )
            .bind_all(user, now_ns)
            .run();
    }
    for (const auto& [account, user] : mapping.accounts) {
        const std::string name = Lookups::account_name(account);
        std::optional<std::int64_t> owner;
        if (!user.empty()) {
            owner = id_of("SELECT id FROM users WHERE name = ?", user);
            if (!owner) {
                throw Error{TENON_NOT_FOUND, "account " + account + ": there is no user " + user};
            }
        }
        if (const auto found = id_of("SELECT user_id FROM accounts WHERE name = ?", name)) {
            if (*found != owner.value_or(0)) {
                throw Error{TENON_CONFLICT, "account " + name + " is there, and of another user"};
            }
            continue;
        }
        const std::int64_t id =
            range_end(
                session, "SELECT max(id) FROM accounts WHERE id >= ? AND id < ?", std::nullopt
            ) +
            1;
        session
            .prepare(
                "INSERT INTO accounts (id, name, user_id, created_real_ns, updated_real_ns) "
                "VALUES (?, ?, ?, ?, ?)"
            )
            .bind_all(id, name, owner, now_ns, now_ns)
            .run();
    }
}

bool read_row(
    Session& session,
    const Target& target,
    const std::string& key,
    std::vector<Value>& values
) {
    std::string sql = "SELECT ";
    for (std::size_t i = 0; i < target.columns.size(); ++i) {
        sql.append(i == 0 ? "" : ", ").append(target.columns[i].name);
    }
    sql.append(" FROM ").append(target.name);
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        sql.append(i == 0 ? " WHERE " : " AND ").append(target.key[i]).append(" = ?");
    }
    const SourceRow parts = key_of(key);
    Statement row = session.prepare(sql);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        row.bind(static_cast<std::uint32_t>(i + 1), parts[i].view());
    }
    bool found = false;
    while (row.step()) {
        found = true;
        values.assign(target.columns.size(), Value{});
        for (std::uint32_t i = 0; i < values.size(); ++i) {
            const tenon_value value = row.value(i);
            if (value.kind == TENON_VALUE_INT64) {
                values[i] = value.i;
            } else if (value.kind == TENON_VALUE_TEXT) {
                values[i] = std::string{tenon::view(value.b)};
            }
        }
    }
    return found;
}

std::string target_key(const Target& target, std::span<const Value> values, std::int64_t id) {
    std::vector<Value> key;
    for (const std::string_view column : target.key) {
        const auto at = target.column(column);
        key.push_back(at ? values[*at] : Value{id});
    }
    return key_text(std::span<const Value>{key});
}

}  // namespace tenon::importer
