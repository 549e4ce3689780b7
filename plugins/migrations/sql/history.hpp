// SPDX-License-Identifier: Apache-2.0
// The migrator's own tables.
//
//   schema_history(version, name, up_sha256, down_sha256, down_sql, applied_real_ns, duration_ns,
//                  app_version, host, up_normal, phase)          a row for each applied migration
//   schema_statement(version, direction, position, sha256, started_real_ns, done_real_ns)
//                                                   of the one that is half done; 0: not done yet
//   schema_event(id, at_real_ns, action, version, reason, detail, app_version, host)   append only
//
// The down SQL is in the database, so that an older server can take a newer schema back. The same
// SQL makes the tables on both dialects, but for what keeps schema_event append only.
#pragma once

#include "plugins/migrations/sql/migration_files.hpp"

#include <tenon/storage.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon::migrations {

// A row of the history.
struct Applied {
    std::uint32_t version = 0;
    std::string name, up_sha256, down_sha256, down_sql, up_normal, phase;
    std::int64_t applied_real_ns = 0;
    std::int64_t duration_ns = 0;
};

// How far a migration without a transaction has come.
struct HalfDone {
    std::uint32_t version = 0;
    Direction direction = Direction::up;
    std::map<std::size_t, std::string> done;  // position to the statement's sha256
    std::optional<std::size_t> started;       // may have run
    std::int64_t began_real_ns = 0;
};

struct HistoryState {
    std::vector<Applied> applied;
    std::optional<HalfDone> half;
};

// Who writes.
struct Writer {
    std::string app_version, host;
};

// Makes the tables, or brings those of an older server up to date. Within a transaction.
void make_tables(Session& session, Dialect dialect);

// An empty state where there are no tables yet.
[[nodiscard]] HistoryState read_state(Session& session, Dialect dialect);

void write_applied(Session& session, const Applied& row, const Writer& writer);
// Text that an accepted repair puts in place of what was applied.
void rewrite_applied(Session& session, const Applied& row);
void erase_applied(Session& session, std::uint32_t version);

struct JournalRow {
    std::uint32_t version = 0;
    Direction direction = Direction::up;
    std::size_t position = 0;
    std::string sha256;
    std::int64_t started_real_ns = 0;
    std::int64_t done_real_ns = 0;
};

void write_journal(Session& session, const JournalRow& row);
void erase_journal(Session& session, std::uint32_t version);

struct Event {
    std::int64_t at_real_ns = 0;
    std::string action;
    std::uint32_t version = 0;
    std::string reason, detail;
};

void write_event(Session& session, const Event& event, const Writer& writer);
[[nodiscard]] std::vector<Event> read_events(Session& session, Dialect dialect);

}  // namespace tenon::migrations
