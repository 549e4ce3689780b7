// SPDX-License-Identifier: Apache-2.0
// Brings a database to a version of the migrations and keeps the history of it.
//
// Each step is one transaction that takes the write lock first, looks at the history under it, runs
// the SQL and writes the history: of any number of runners one does each step, and a crash leaves
// whole steps only. Every step first compares all of the history with the files.
//
//   schema_history(version, name, up_sha256, down_sha256, down_sql, applied_real_ns, duration_ns,
//                  app_version, host)
// The down SQL is in the database, so that an older server can take a newer schema back.
#pragma once

#include "plugins/migrations/sql/migration_files.hpp"

#include <tenon/storage.hpp>

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tenon::migrations {

struct MigratorOptions {
    std::int64_t lock_timeout_ns = 60'000'000'000;
    std::string app_version;
    std::string host;
};

// A row of the history.
struct Applied {
    std::uint32_t version = 0;
    std::string name, up_sha256, down_sha256, down_sql;
    std::int64_t applied_real_ns = 0;
};

// [io] throughout; thread-safe.
class Migrator {
public:
    // `migrations` as of load_migrations, for the dialect of the storage.
    Migrator(
        Storage storage,
        Service<tenon_clock_1> clock,
        Log log,
        std::vector<Migration> migrations,
        MigratorOptions options
    );

    // Applies what is missing. Throws Error: TENON_CONFLICT when history and files do not fit
    // together (nothing is applied then), else what the storage says.
    void up();
    // Takes back every version above `to`, newest first, by the SQL kept in the database. A
    // destructive one needs `confirm`.
    void down(std::uint32_t to, bool confirm);
    // Compares history and files; throws as up() does. Brings version() up to date.
    void verify();
    // As tenon.migrations/1 has it; after the first of the calls above.
    [[nodiscard]] std::string report();

    // [any]
    [[nodiscard]] std::uint32_t version() const noexcept { return version_.load(); }

    [[nodiscard]] std::uint32_t latest() const noexcept {
        return static_cast<std::uint32_t>(migrations_.size());
    }

private:
    template <class Step>
    bool locked_step(Step&& step);
    [[nodiscard]] std::vector<Applied> history(Session& session);
    [[nodiscard]] std::vector<Applied> read_history();
    void compare(const std::vector<Applied>& applied) const;
    void apply(Session& session, const Migration& migration);
    void revert(Session& session, const Applied& applied);

    Storage storage_;
    Service<tenon_clock_1> clock_;
    Log log_;
    const std::vector<Migration> migrations_;
    const MigratorOptions options_;
    std::atomic<std::uint32_t> version_{0};
    std::mutex mutex_;  // one run at a time in this process
};

}  // namespace tenon::migrations
