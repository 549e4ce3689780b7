// SPDX-License-Identifier: Apache-2.0
// One run of the migrator: the session that it works in, and the lock that no other run has.
//
// PostgreSQL: a session-level advisory lock, taken with pg_try_advisory_lock and asked for again
// after 20 to 120 ms (a waiting call would hold a snapshot, for which CREATE INDEX CONCURRENTLY of
// the lock's owner waits: a deadlock). DDL runs in the session that has the lock, so that it ends
// with the lock; prove() sees a session that was replaced. It needs a connection of its own: a
// pooler in transaction mode breaks it, which prove() finds. SQLite: each transaction begins with
// the write lock of the file, and what was read before is read again under it.
#pragma once

#include "plugins/migrations/sql/sql_text.hpp"

#include <tenon/plugin.hpp>
#include <tenon/storage.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::migrations {

struct RunOptions {
    std::int64_t lock_timeout_ns = 60'000'000'000;     // for the lock of the run
    std::int64_t ddl_lock_timeout_ns = 2'000'000'000;  // first try; the n-th waits n times as long
    std::uint32_t ddl_attempts = 5;
    // Called at each point of k_points, between the statements: for tests that end the process
    // there.
    std::function<void(std::string_view point)> hook;
};

inline constexpr std::string_view k_points[]{
    "locked",         // the lock is had, nothing is done
    "tables_made",    // the migrator's own tables are there
    "begun",          // a transaction
    "statement_ran",  // in a transaction, nothing recorded
    "recorded",       // in the same transaction
    "committed",
    "alone_started",  // recorded as started, not run
    "alone_ran",      // run outside a transaction, not recorded as done
    "alone_recorded"};

class Run {
public:
    // Waits for the lock. Throws Error TENON_TIMEOUT when another run has it for too long.
    Run(const Storage& storage, Service<tenon_clock_1> clock, const RunOptions& options);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    [[nodiscard]] Session& session() noexcept { return **lease_; }

    [[nodiscard]] Dialect dialect() const noexcept { return dialect_; }

    // Throws Error TENON_UNAVAILABLE when this session does not have the lock.
    void prove();

    // body(Session&) in a transaction. It runs again when a lock could not be had in time, as often
    // as the options say.
    void transaction(const std::function<void(Session&)>& body);

    // A statement outside a transaction; waits for locks as long as the server does.
    void alone(std::string_view sql);

    void at(std::string_view point) const {
        if (options_.hook) {
            options_.hook(point);
        }
    }

private:
    void lock();
    [[nodiscard]] std::int64_t number(std::string_view sql);
    [[nodiscard]] std::string holder();
    [[nodiscard]] std::string blockers() noexcept;
    [[nodiscard]] bool once(const std::function<void(Session&)>& body, std::uint32_t attempt);
    void roll_back() noexcept;
    void pause() const;

    Service<tenon_clock_1> clock_;
    const RunOptions& options_;
    Dialect dialect_;
    std::int64_t deadline_ns_;
    std::unique_ptr<Lease> lease_;
};

}  // namespace tenon::migrations
