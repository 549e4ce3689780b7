// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/run.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>

namespace tenon::migrations {
namespace {

// "tenon" in ASCII as the high part, 1 as the low: one lock for each database.
constexpr std::string_view k_try_lock =
    "SELECT CASE WHEN pg_try_advisory_lock(1952804463 * 4294967296 + 1) THEN CAST(1 AS BIGINT) "
    "ELSE 0 END";
constexpr std::string_view k_unlock =
    "SELECT CASE WHEN pg_advisory_unlock(1952804463 * 4294967296 + 1) THEN CAST(1 AS BIGINT) "
    "ELSE 0 END";
constexpr std::string_view k_have_lock =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND classid = 1952804463 AND objid = 1 AND pid = pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
constexpr std::string_view k_holder =
    "SELECT 'session ' || a.pid || ' of ' || coalesce(nullif(a.application_name, ''), 'unknown') "
    "|| ' on ' || coalesce(host(a.client_addr), 'this machine') || ', since ' "
    "|| a.backend_start::text FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = 1952804463 "
    "AND l.objid = 1 AND l.database = (SELECT oid FROM pg_database "
    "WHERE datname = current_database())";
constexpr std::string_view k_blockers =
    "SELECT 'session ' || a.pid || ' (' || coalesce(a.state, 'unknown') || ', '"
    " || CAST(CAST(extract(epoch FROM now() - a.xact_start) AS BIGINT) AS TEXT) || ' s) holds '"
    " || string_agg(DISTINCT c.relname || ' ' || l.mode, ', ') "
    "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c "
    "ON c.oid = l.relation WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relnamespace "
    "= current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.xact_start IS NOT NULL "
    "GROUP BY a.pid, a.state, a.xact_start ORDER BY a.xact_start LIMIT 5";

bool is_lock_timeout(const StorageError& e) {
    const std::string_view text{e.what()};
    return e.failure() == Failure::timeout || e.code() == TENON_TIMEOUT ||
           text.find("lock timeout") != std::string_view::npos ||
           text.find("55P03") != std::string_view::npos;
}

}  // namespace

Run::Run(const Storage& storage, Service<tenon_clock_1> clock, const RunOptions& options)
    : clock_{clock},
      options_{options},
      dialect_{dialect_of(storage.dialect())},
      deadline_ns_{clock->now_ns(clock.self) + options.lock_timeout_ns} {
    for (;;) {
        try {
            lease_ = std::make_unique<Lease>(storage.lease(TENON_INTENT_WRITE, deadline_ns_));
            lock();
            break;
        } catch (const StorageError& e) {
            lease_.reset();
            if (!e.retryable() || clock_->now_ns(clock_.self) >= deadline_ns_) {
                throw StorageError{
                    e.code(),
                    "the schema's lock or storage: " + std::string{e.what()},
                    e.failure()};
            }
            pause();
        }
    }
    at("locked");
}

Run::~Run() {
    if (dialect_ == Dialect::postgres && lease_) {
        // The session goes back to a pool: the lock must not go with it. A broken one has lost it.
        (void)guard(nullptr, [&] { (void)number(k_unlock); });
    }
}

void Run::pause() const {
    // Not the same in each process, so that they do not come in step.
    thread_local std::minstd_rand random{std::random_device{}()};
    std::mutex mutex;
    std::condition_variable nobody;
    std::unique_lock lock{mutex};
    const std::chrono::milliseconds time{std::uniform_int_distribution<int>{20, 120}(random)};
    (void)nobody.wait_for(lock, time, [] { return false; });
}

std::int64_t Run::number(std::string_view sql) {
    std::int64_t value = 0;
    for (Statement row = session().prepare(sql); row.step();) {
        value = row.integer(0);
    }
    return value;
}

std::string Run::holder() {
    std::string text;
    for (Statement row = session().prepare(k_holder); row.step();) {
        text = std::string{row.text(0)};
    }
    return text;
}

std::string Run::blockers() noexcept {
    std::string text;
    (void)guard(nullptr, [&] {
        for (Statement row = session().prepare(k_blockers); row.step();) {
            text.append(text.empty() ? "; " : ", ").append(row.text(0));
        }
    });
    return text;
}

void Run::lock() {
    if (dialect_ != Dialect::postgres) {
        return;
    }
    // A migration takes as long as it takes; the lock of the run is waited for by asking.
    session().execute("SET statement_timeout = 0");
    while (number(k_try_lock) == 0) {
        if (clock_->now_ns(clock_.self) >= deadline_ns_) {
            throw Error{
                TENON_TIMEOUT, "another run migrates this database and does not end: " + holder()};
        }
        pause();
    }
}

void Run::prove() {
    if (dialect_ == Dialect::postgres && number(k_have_lock) == 0) {
        throw Error{
            TENON_UNAVAILABLE,
            "the run lost its lock: its session was replaced (a pooler in transaction mode?); "
            "what is recorded as done is done, run again"};
    }
}

void Run::roll_back() noexcept {
    (void)guard(nullptr, [&] { session().rollback(); });
}

// False: a lock could not be had, and there are tries left.
bool Run::once(const std::function<void(Session&)>& body, std::uint32_t attempt) {
    try {
        session().begin();
        if (dialect_ == Dialect::postgres) {
            // A snapshot that prove() fixed would hide, from what fills a new column, rows that
            // were written while the DDL before it waited for its lock.
            session().execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
            prove();
            session().execute(
                "SET LOCAL lock_timeout = " +
                std::to_string(options_.ddl_lock_timeout_ns * attempt / 1'000'000)
            );
        }
        at("begun");
        body(session());
        session().commit();
        at("committed");
        return true;
    } catch (const StorageError& e) {
        roll_back();
        const bool patient = dialect_ == Dialect::sqlite
                                 ? e.retryable() && clock_->now_ns(clock_.self) < deadline_ns_
                                 : (is_lock_timeout(e) || e.failure() == Failure::retry_transaction
                                   ) && attempt < options_.ddl_attempts;
        if (patient) {
            return false;
        }
        throw StorageError{
            e.code(),
            e.what() + (is_lock_timeout(e) && dialect_ == Dialect::postgres ? blockers() : ""),
            e.failure()};
    } catch (...) {
        roll_back();
        throw;
    }
}

void Run::transaction(const std::function<void(Session&)>& body) {
    for (std::uint32_t attempt = 1; !once(body, attempt); ++attempt) {
        pause();
    }
}

void Run::alone(std::string_view sql) {
    if (dialect_ == Dialect::postgres) {
        prove();
        session().execute("SET lock_timeout = 0");
    }
    session().execute(sql);
}

}  // namespace tenon::migrations
