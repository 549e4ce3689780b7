// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migrator.hpp"

#include <boost/json.hpp>

namespace tenon::migrations {
namespace {

constexpr std::string_view k_history_table =
    "CREATE TABLE IF NOT EXISTS schema_history ("
    "version INTEGER PRIMARY KEY, name TEXT NOT NULL, up_sha256 TEXT NOT NULL, "
    "down_sha256 TEXT NOT NULL, down_sql TEXT NOT NULL, applied_real_ns BIGINT NOT NULL, "
    "duration_ns BIGINT NOT NULL, app_version TEXT NOT NULL, host TEXT NOT NULL)";

std::string label(std::uint32_t version, std::string_view name) {
    std::string digits = std::to_string(version);
    digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
    return digits.append("_").append(name);
}

void check_foreign_keys(Session& session, std::string_view dialect, const std::string& what) {
    if (dialect != "sqlite") {
        return;
    }
    auto violations = session.prepare("PRAGMA foreign_key_check");
    if (violations.step()) {
        throw Error{
            TENON_CONFLICT,
            what + ": a row of " + std::string{violations.text(0)} + " refers to nothing in " +
                std::string{violations.text(2)}};
    }
}

}  // namespace

Migrator::Migrator(
    Storage storage,
    Service<tenon_clock_1> clock,
    Log log,
    std::vector<Migration> migrations,
    MigratorOptions options
)
    : storage_{storage},
      clock_{clock},
      log_{log},
      migrations_{std::move(migrations)},
      options_{std::move(options)} {}

// Runs step(Session&, history) under the write lock and commits; step says whether there is more.
// Waits for the lock as long as the options allow.
template <class Step>
bool Migrator::locked_step(Step&& step) {
    const std::int64_t deadline = clock_->now_ns(clock_.self) + options_.lock_timeout_ns;
    for (;;) {
        try {
            Lease lease = storage_.lease(TENON_INTENT_WRITE, deadline);
            lease->begin();
            lease->execute(k_history_table);
            const std::vector<Applied> applied = history(*lease);
            const bool more = step(*lease, applied);
            const std::vector<Applied> now = history(*lease);
            lease->commit();
            version_ = now.empty() ? 0 : now.back().version;
            return more;
        } catch (const StorageError& e) {
            if (!e.retryable() || clock_->now_ns(clock_.self) >= deadline) {
                throw StorageError{
                    e.code(),
                    "the schema's lock or storage: " + std::string{e.what()},
                    e.failure()};
            }
        }
    }
}

std::vector<Applied> Migrator::history(Session& session) {
    std::vector<Applied> rows;
    auto q = session.prepare(
        "SELECT version, name, up_sha256, down_sha256, down_sql, applied_real_ns "
        "FROM schema_history ORDER BY version"
    );
    while (q.step()) {
        rows.push_back(
            {q.as<std::uint32_t>(0),
             std::string{q.text(1)},
             std::string{q.text(2)},
             std::string{q.text(3)},
             std::string{q.text(4)},
             q.integer(5)}
        );
    }
    return rows;
}

std::vector<Applied> Migrator::read_history() {
    std::vector<Applied> applied;
    (void)locked_step([&](Session&, const std::vector<Applied>& rows) {
        applied = rows;
        return false;
    });
    return applied;
}

void Migrator::compare(const std::vector<Applied>& applied) const {
    std::string faults;
    const auto fault = [&](const std::string& text) {
        faults.append(faults.empty() ? "" : "\n").append(text);
    };
    std::uint32_t expected = 1;
    for (const Applied& row : applied) {
        if (row.version != expected) {
            fault("the history has no version " + std::to_string(expected));
        }
        expected = row.version + 1;
        if (row.version > latest()) {
            fault(
                "the database is at " + label(row.version, row.name) +
                ", newer than this server, which knows up to " + std::to_string(latest()) +
                ": start a newer server, or take the schema back with migrate.down"
            );
            continue;
        }
        const Migration& file = migrations_[row.version - 1];
        if (file.name != row.name) {
            fault(
                "version " + std::to_string(row.version) + " was applied as " + row.name +
                ", the file says " + file.name
            );
        } else if (file.up_sha256 != row.up_sha256) {
            fault(
                label(row.version, row.name) + " was changed after it was applied: SHA-256 " +
                row.up_sha256 + " in the history, " + file.up_sha256 + " of the file"
            );
        }
    }
    if (!faults.empty()) {
        throw Error{TENON_CONFLICT, "schema history: " + faults};
    }
}

void Migrator::apply(Session& session, const Migration& migration) {
    const std::string what = label(migration.version, migration.name);
    const std::int64_t began = clock_->now_ns(clock_.self);
    try {
        session.execute(migration.up_sql);
    } catch (const StorageError& e) {
        throw StorageError{e.code(), "migration " + what + ": " + e.what(), e.failure()};
    }
    check_foreign_keys(session, storage_.dialect(), "migration " + what);
    const std::int64_t took = clock_->now_ns(clock_.self) - began;
    session
        .prepare(
            "INSERT INTO schema_history (version, name, up_sha256, down_sha256, down_sql, "
            "applied_real_ns, duration_ns, app_version, host) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind_all(
            migration.version,
            migration.name,
            migration.up_sha256,
            migration.down_sha256,
            migration.down_sql,
            clock_->now_real_ns(clock_.self),
            took,
            options_.app_version,
            options_.host
        )
        .run();
    log_.info("migration_applied", {{"migration", what}, {"ms", took / 1'000'000}});
}

void Migrator::up() {
    const std::lock_guard lock{mutex_};
    bool more = true;
    while (more) {
        more = locked_step([&](Session& session, const std::vector<Applied>& applied) {
            compare(applied);
            if (applied.size() < migrations_.size()) {
                apply(session, migrations_[applied.size()]);
            }
            return applied.size() + 1 < migrations_.size();
        });
    }
}

void Migrator::revert(Session& session, const Applied& applied) {
    const std::string what = label(applied.version, applied.name);
    if (sha256_hex(applied.down_sql) != applied.down_sha256) {
        throw Error{TENON_CORRUPT, "the down SQL kept for " + what + " does not fit its checksum"};
    }
    try {
        session.execute(applied.down_sql);
    } catch (const StorageError& e) {
        throw StorageError{e.code(), "taking back " + what + ": " + e.what(), e.failure()};
    }
    check_foreign_keys(session, storage_.dialect(), "taking back " + what);
    session.prepare("DELETE FROM schema_history WHERE version = ?").bind(1, applied.version).run();
    log_.warn("migration_taken_back", {{"migration", what}});
}

void Migrator::down(std::uint32_t to, bool confirm) {
    const std::lock_guard lock{mutex_};
    const std::vector<Applied> all = read_history();
    for (const Applied& row : all) {
        if (row.version > to && !confirm && is_destructive(row.down_sql, row.name)) {
            throw Error{
                TENON_DENIED,
                "taking back " + label(row.version, row.name) +
                    " destroys data: say \"confirm\":true"};
        }
    }
    bool more = true;
    while (more) {
        more = locked_step([&](Session& session, const std::vector<Applied>& applied) {
            if (applied.empty() || applied.back().version <= to) {
                return false;
            }
            revert(session, applied.back());
            return true;
        });
    }
}

void Migrator::verify() {
    const std::lock_guard lock{mutex_};
    compare(read_history());
}

std::string Migrator::report() {
    std::vector<Applied> applied;
    const std::int64_t deadline = clock_->now_ns(clock_.self) + options_.lock_timeout_ns;
    storage_.read(deadline, [&](Session& session) { applied = history(session); });
    boost::json::array rows;
    const auto row_of = [](std::uint32_t version,
                           std::string_view name,
                           const char* state,
                           std::string_view checksum,
                           boost::json::value applied_at) {
        return boost::json::object{
            {"version", version},
            {"name", boost::json::string_view{name.data(), name.size()}},
            {"state", state},
            {"checksum", boost::json::string_view{checksum.data(), checksum.size()}},
            {"applied_at", std::move(applied_at)}};
    };
    for (const Applied& row : applied) {
        const char* state = row.version > latest()                                    ? "unknown"
                            : migrations_[row.version - 1].up_sha256 == row.up_sha256 ? "applied"
                                                                                      : "changed";
        rows.push_back(
            row_of(row.version, row.name, state, row.up_sha256, row.applied_real_ns / 1'000'000)
        );
    }
    for (std::size_t i = applied.size(); i < migrations_.size(); ++i) {
        const Migration& file = migrations_[i];
        rows.push_back(row_of(file.version, file.name, "pending", file.up_sha256, nullptr));
    }
    return boost::json::serialize(boost::json::object{
        {"current", applied.empty() ? 0U : applied.back().version},
        {"latest", latest()},
        {"migrations", std::move(rows)}});
}

}  // namespace tenon::migrations
