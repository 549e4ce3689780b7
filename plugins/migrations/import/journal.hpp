// SPDX-License-Identifier: Apache-2.0
// What the target knows of its imports (migration 0005): how far each has come, where each row came
// from, what was left out. Every function works in the transaction of the session it gets.
#pragma once

#include "plugins/migrations/import/rows.hpp"

#include <map>
#include <span>
#include <string>

namespace tenon::importer {

struct TableState {
    std::string cursor;  // key_text of the last row that was read
    std::int64_t read = 0, imported = 0, bad = 0;
    bool is_done = false;
};

// Where a row of the source went.
struct Origin {
    std::string target_key;  // key_text
    std::string digest;
};

class Journal {
public:
    explicit Journal(bool is_postgres) : is_postgres_{is_postgres} {}

    // Throws Error TENON_CONFLICT when the schema has no place for imports.
    void require_schema(Session& session) const;
    // Other imports wait from here to the end of the transaction; trading does not. The first thing
    // in a transaction.
    void lock(Session& session) const;

    // PostgreSQL plans over a table that was empty when it was last looked at, and keeps the plan:
    // with a million rows each look-up would still read all of them.
    void renew_statistics(Session& session) const;

    // The import's number. Begins a pass over the source when there is none under way, or when the
    // mapping is another one than that of the pass; else the pass goes on.
    [[nodiscard]] std::int64_t
    open(Session& session, const Mapping& mapping, const std::string& source, std::int64_t now_ns);
    // 0: there is none.
    [[nodiscard]] static std::int64_t find(Session& session, const std::string& name);
    void finish(Session& session, std::int64_t now_ns) const;

    [[nodiscard]] TableState read(Session& session, const std::string& table) const;
    void write(Session& session, const std::string& table, const TableState& state) const;

    // Of those keys that have been imported.
    [[nodiscard]] std::map<std::string, Origin>
    origins(Session& session, const std::string& table, const std::vector<std::string>& keys) const;
    [[nodiscard]] std::int64_t imported(Session& session, const std::string& table) const;
    void add(
        Session& session,
        const std::string& table,
        const std::vector<std::pair<std::string, Origin>>& rows,
        std::int64_t now_ns
    ) const;
    void add_bad(
        Session& session,
        const std::string& table,
        const std::string& key,
        const std::string& reason,
        std::int64_t now_ns
    ) const;

    // Whether the last pass left the row out.
    [[nodiscard]] bool is_bad(Session& session, const std::string& table, const std::string& key)
        const;

    void use(std::int64_t import_id) noexcept { id_ = import_id; }

private:
    bool is_postgres_;
    std::int64_t id_ = 0;
};

// Numbers for new rows of the target, which nobody else gives out before the transaction ends.
[[nodiscard]] std::vector<std::int64_t> new_ids(
    Session& session,
    bool is_postgres,
    const Target& target,
    std::span<const BuiltRow* const> rows
);

// Users and accounts that the mapping wants; those that are there stay as they are. Throws Error
// TENON_CONFLICT when an account has another user.
void make_owners(Session& session, const Mapping& mapping, std::int64_t now_ns);

// The values of a target's columns in the row with that key, and whether there is one.
[[nodiscard]] bool read_row(
    Session& session,
    const Target& target,
    const std::string& key,
    std::vector<Value>& values
);

// The primary key of a row: its values, and its number where it has one.
[[nodiscard]] std::string
target_key(const Target& target, std::span<const Value> values, std::int64_t id);

}  // namespace tenon::importer
