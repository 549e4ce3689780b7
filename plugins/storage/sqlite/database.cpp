// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/database.hpp"

#include <algorithm>

namespace tenon::sqlite {

Database::Database(Settings settings, Telemetry telemetry)
    : settings_{std::move(settings)},
      telemetry_{telemetry},
      readers_{settings_, telemetry_},
      writer_{settings_, telemetry_, {[this] { maintain(); }, [this] { readers_.invalidate(); }}} {}

Database::~Database() {
    stop();
}

void Database::maintain() {
    const std::int64_t now = telemetry_.now_ns();
    if (now >= next_pool_check_ns_) {
        next_pool_check_ns_ = now + settings_.health_check_ms * k_ms;
        readers_.check_idle();
    }
}

tenon_status Database::transact(
    std::uint32_t intent,
    std::int64_t deadline_ns,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_err* err
) {
    if (intent == TENON_INTENT_WRITE) {
        return writer_.transact(deadline_ns, fn, ctx, err);
    }
    if (intent != TENON_INTENT_READ) {
        throw Error{TENON_INVALID, "unknown intent " + std::to_string(intent)};
    }

    struct Lent {
        ReaderPool& pool;
        Connection* connection;

        ~Lent() { pool.release(connection); }
    } lent{readers_, readers_.lease(deadline_ns)};

    lent.connection->begin();
    const tenon_status status = fn(ctx, reinterpret_cast<tenon_session*>(lent.connection), err);
    if (status != TENON_OK) {
        return status < 0 ? status
                          : fail(err, TENON_INTERNAL, "a transaction ends with TENON_OK or fails");
    }
    lent.connection->commit();
    reads_.fetch_add(1, std::memory_order_relaxed);
    Telemetry::count(telemetry_.transactions);
    return TENON_OK;
}

Connection* Database::lease(std::uint32_t intent, std::int64_t deadline_ns) {
    switch (intent) {
        case TENON_INTENT_WRITE:
            return writer_.lease(deadline_ns);
        case TENON_INTENT_READ:
            return readers_.lease(deadline_ns);
        default:
            throw Error{TENON_INVALID, "unknown intent " + std::to_string(intent)};
    }
}

void Database::release(Connection* connection) noexcept {
    if (connection->role() == Role::writer) {
        writer_.release(connection);
    } else {
        readers_.release(connection);
    }
}

tenon_storage_stats Database::stats() const {
    const PoolFigures pool = readers_.figures();
    const WriterFigures writer = writer_.figures();
    tenon_storage_stats stats{};
    stats.size = sizeof stats;
    stats.limit = settings_.pool_size + 1;
    stats.in_use = pool.in_use + (writer.leased ? 1U : 0U);
    stats.idle = pool.idle;
    stats.waiting = pool.waiting + writer.waiting;
    stats.leases = pool.leases;
    stats.lease_timeouts = pool.timeouts + writer.timeouts;
    stats.errors = writer.errors;
    stats.transactions = writer.transactions + reads_.load(std::memory_order_relaxed);
    stats.group_commits = writer.groups;
    stats.wait_total_ns = pool.wait_total_ns + writer.wait_total_ns;
    stats.wait_max_ns = std::max(pool.wait_max_ns, writer.wait_max_ns);
    return stats;
}

void Database::publish() const noexcept {
    (void)guard(nullptr, [&] {
        const tenon_storage_stats now = stats();
        Telemetry::set(telemetry_.active_connections, now.in_use);
        Telemetry::set(telemetry_.waiting, now.waiting);
    });
}

void Database::check(bool deep, std::int64_t deadline_ns) {
    Connection* connection = readers_.lease(deadline_ns);
    std::string found;
    try {
        Prepared& statement = connection->prepare(
            deep ? "PRAGMA quick_check(1)" : "SELECT 'ok' FROM (SELECT count(*) FROM sqlite_schema)"
        );
        if (statement.step()) {
            found = view(statement.column(0).b);
        }
    } catch (...) {
        release(connection);
        throw;
    }
    release(connection);
    if (found != "ok") {
        throw DatabaseError{TENON_CORRUPT, settings_.file + ": " + found, false};
    }
}

void Database::stop() noexcept {
    readers_.close();
    writer_.stop();
}

}  // namespace tenon::sqlite
