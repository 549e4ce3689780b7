// SPDX-License-Identifier: Apache-2.0
// Transactions of Database: attempts, retries, keys.
#include "plugins/storage/postgres/database.hpp"

#include <algorithm>
#include <chrono>

namespace tenon::postgres {
namespace {

constexpr BackoffOptions k_retry_waits{k_ms, 250 * k_ms};
constexpr int k_failures_to_queue = 2;
constexpr std::size_t k_key_max = 64;
constexpr const char* k_claim =
    "INSERT INTO tenon_transaction_keys (key) VALUES (?) ON CONFLICT DO NOTHING";
// A write, so that the commit after it waits for what the first one may not have waited for.
constexpr const char* k_confirm = "UPDATE tenon_transaction_keys SET at = at WHERE key = ?";

// Databases that this thread is writing to: SQLite would wait for itself, so nobody may.
thread_local std::vector<const Database*> writing;

struct Writing {
    Writing(const Database* database, std::uint32_t intent) : on{intent == TENON_INTENT_WRITE} {
        if (!on) {
            return;
        }
        if (std::find(writing.begin(), writing.end(), database) != writing.end()) {
            on = false;
            throw invalid("a write transaction inside of another");
        }
        writing.push_back(database);
    }

    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

    ~Writing() {
        if (on) {
            writing.pop_back();
        }
    }

    bool on;
};

}  // namespace

// One transaction, over its attempts.
struct Database::Work {
    const tenon_transaction_options& options;
    tenon_transaction_fn fn;
    void* ctx;
    tenon_sink position;
    tenon_err* err;
    std::string key;
    tenon_status status = TENON_OK;
    Failure failure = Failure::not_told;
    bool in_doubt = false;  // an attempt with the key had an unknown outcome
};

tenon_status Database::transact(
    std::uint32_t intent,
    std::int64_t deadline_ns,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_err* err
) {
    auto options = sized<tenon_transaction_options>();
    options.intent = intent;
    options.deadline_ns = deadline_ns;
    return transact_with(options, fn, ctx, {}, err);
}

tenon_status Database::transact_with(
    const tenon_transaction_options& options,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_sink position,
    tenon_err* err
) {
    const Inside call{*this};
    return run_transaction(options, fn, ctx, position, err);
}

tenon_status Database::run_transaction(
    const tenon_transaction_options& options,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_sink position,
    tenon_err* err
) {
    const bool write = options.intent == TENON_INTENT_WRITE;
    if (options.key.n > k_key_max || (options.key.n > 0 && !write)) {
        throw invalid(write ? "a key has 64 bytes at most" : "a key is for writes");
    }
    if (options.durability > TENON_DURABILITY_REPLICA) {
        throw invalid("unknown durability " + std::to_string(options.durability));
    }
    const Writing here{this, options.intent};
    Work work{options, fn, ctx, position, err, std::string{view(options.key)}};
    const std::int64_t began_ns = telemetry_.now_ns();
    const std::int64_t last_ns = std::min(options.deadline_ns, began_ns + k_retry_max_ns);
    Backoff waits{k_retry_waits, seed_.fetch_add(1)};
    std::unique_lock<std::timed_mutex> turn{retry_lane_, std::defer_lock};
    for (int failures = 0;; ++failures) {
        if (failures >= k_failures_to_queue && !turn.owns_lock() &&
            work.failure == Failure::retry_transaction) {
            const std::int64_t left_ns = std::max<std::int64_t>(last_ns - telemetry_.now_ns(), 0);
            (void)turn.try_lock_for(std::chrono::nanoseconds{left_ns});
        }
        if (attempt(work)) {
            break;
        }
        if (!pause_for_retry(waits.next(), last_ns)) {
            break;
        }
        ++retries_;
        Telemetry::count(telemetry_.retries);
    }
    if (work.status == TENON_OK) {
        ++transactions_;
    } else if (work.status != TENON_CONFLICT) {
        ++errors_;
    }
    if (work.in_doubt && work.status != TENON_OK && work.status != TENON_IN_DOUBT) {
        ++in_doubt_;
        return fail(
            err,
            TENON_IN_DOUBT,
            "it is not known whether the transaction was committed, and its key could not be "
            "looked up before the deadline",
            flags_of(Failure::in_doubt)
        );
    }
    return work.status;
}

bool Database::attempt(Work& work) {
    try {
        HostPool::Lease lease = acquire_for(work.options);

        struct Counted {
            Database& database;
            Connection& connection;
            std::uint64_t hits = connection.statement_hits();
            std::uint64_t misses = connection.statement_misses();

            ~Counted() {
                database.hits_ += connection.statement_hits() - hits;
                database.misses_ += connection.statement_misses() - misses;
            }
        } counted{*this, *lease};

        lease->begin();
        lease->set_durability(work.options.durability);
        if (work.position.put != nullptr && work.options.intent == TENON_INTENT_WRITE) {
            lease->want_position();
        }
        const bool is_done_before = !work.key.empty() && !claim_key(*lease, work.key);
        if (!is_done_before) {
            work.in_doubt = false;  // the key is ours: no earlier attempt was committed
            if (!run_body(work, *lease)) {
                return !is_retryable(work.failure);
            }
        }
        if (work.options.intent == TENON_INTENT_WRITE && !hosts_.may_commit(*lease)) {
            lease->rollback();
            throw DatabaseError{
                TENON_UNAVAILABLE,
                "the server was replaced as primary before the commit",
                Failure::other_host,
                ""};
        }
        lease->commit();
        if (is_done_before) {
            // Its commit got lost: what it wrote was marked as over before it may have been.
            tables_.cache().invalidate_all();
        }
        work.status = TENON_OK;
        if (work.position.put != nullptr && !lease->position().empty()) {
            (void)work.position.put(work.position.ctx, bytes(lease->position()));
        }
        return true;
    } catch (const StorageError& e) {
        work.failure = e.failure();
        work.status = fail(work.err, e.code(), e.what(), flags_of(e.failure()));
        if (e.failure() == Failure::in_doubt || e.failure() == Failure::other_host) {
            hosts_.suspect();
        }
        if (e.failure() == Failure::in_doubt) {
            ++doubts_;
            Telemetry::count(telemetry_.in_doubt);
            work.in_doubt = !work.key.empty();
            in_doubt_ += work.in_doubt ? 0 : 1;
            return !work.in_doubt;
        }
        return !e.retryable();
    }
}

// False: it failed, which is in `work`, and the transaction is rolled back.
bool Database::run_body(Work& work, Connection& connection) {
    ErrorBuffer error;
    const tenon_status status = work.fn(work.ctx, connection.handle(), &error);
    if (status == TENON_OK) {
        return true;
    }
    work.failure = failure_of(error.flags);
    work.status = fail(work.err, status, error.message(), error.flags);
    // What the body said stands, also when the session is lost over the ROLLBACK.
    (void)guard(nullptr, [&] { connection.rollback(); });
    return false;
}

void Database::make_key_table(Connection& connection) {
    try {
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tenon_transaction_keys ("
            "key TEXT PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now())"
        );
    } catch (const DatabaseError& e) {
        // Two at once: PostgreSQL's IF NOT EXISTS does not cover that, and the other made it.
        if (e.code() != TENON_CONFLICT && e.sqlstate() != "42710" && e.sqlstate() != "42P07") {
            throw;
        }
    }
}

// False: the work of this key was done before; the transaction confirms that once more.
bool Database::claim_key(Connection& connection, const std::string& key) {
    const tenon_value value = value_of(key);
    try {
        Prepared& claim = connection.prepare(k_claim);
        claim.bind(1, value);
        while (claim.step()) {}
    } catch (const DatabaseError& e) {
        if (e.sqlstate() != "42P01") {
            throw;
        }
        // The first key of this database.
        connection.rollback();
        make_key_table(connection);
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "the table of keys had to be made",
            Failure::retry_transaction,
            e.sqlstate()};
    }
    keys_used_ = true;
    if (connection.changes() == 1) {
        return true;
    }
    Prepared& confirm = connection.prepare(k_confirm);
    confirm.bind(1, value);
    while (confirm.step()) {}
    if (connection.changes() != 1) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "the key went while it was looked up",
            Failure::retry_transaction,
            ""};
    }
    return false;
}

}  // namespace tenon::postgres
