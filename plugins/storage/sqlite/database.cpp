// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/database.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tenon::sqlite {
namespace {

// Reads that were ended have this long to notice.
constexpr std::int64_t k_stop_wait_ns = 2'000 * k_ms;

PoolOptions pool_options(const Settings& settings, std::int64_t now_ns) {
    PoolOptions options;
    options.size_min = 1;
    options.size_max = settings.pool_size;
    options.ping_after_ns = settings.health_check_ms * k_ms;
    options.seed = static_cast<std::uint64_t>(now_ns);
    return options;
}

Telemetry counting_statements(Telemetry telemetry, std::uint64_t* hits, std::uint64_t* misses) {
    telemetry.statement_hits = hits;
    telemetry.statement_misses = misses;
    return telemetry;
}

}  // namespace

Database::Database(Settings settings, Telemetry telemetry)
    : settings_{std::move(settings)},
      statements_{telemetry.now_real_ns(), {.statements = settings_.statements_max, .slow = 128}},
      queries_{
          // A follower's rows change past the marks that the cache goes by.
          {.bytes_max = settings_.source.empty() ? std::size_t{settings_.query_cache_mb} << 20U : 0,
           .ttl_ns = settings_.query_cache_ttl_ms * k_ms}},
      telemetry_{with_own(counting_statements(telemetry, &statement_hits_, &statement_misses_))},
      readers_{Readers{settings_, telemetry_}, pool_options(settings_, telemetry.now_ns())} {
    queries_.serve(settings_.query_cache);
    statements_.record_runs(settings_.statement_capture);
    if (settings_.source.empty()) {
        const Writer::Hooks hooks{[this] { maintain(); }, [this] { forget_file(); }};
        writer_ = std::make_unique<Writer>(settings_, telemetry_, hooks);
    } else {
        const Follower::Hooks hooks{[this] { maintain(); }, [this] { forget_file(); }};
        follower_ = std::make_unique<Follower>(settings_, telemetry_, hooks);
    }
    remove_old_clones();
}

// The file at the path is another one.
void Database::forget_file() {
    readers_.invalidate();
    queries_.invalidate_all();
}

Writer& Database::writer() const {
    if (!writer_) {
        throw DatabaseError{
            TENON_UNSUPPORTED,
            settings_.file + " only reads: it follows " + settings_.source,
            Failure::other_host};
    }
    return *writer_;
}

Telemetry Database::with_own(Telemetry telemetry) noexcept {
    telemetry.statements = settings_.statements_max == 0 ? nullptr : &statements_;
    telemetry.queries = queries_.is_on() ? &queries_ : nullptr;
    telemetry.snapshots = &snapshots_;
    return telemetry;
}

Database::~Database() {
    (void)stop();
}

void Database::maintain() {
    readers_.set_ping_after(settings_.health_check_ms * k_ms);
    readers_.maintain();
    const std::int64_t now = telemetry_.now_ns();
    if (now >= next_sweep_ns_) {
        next_sweep_ns_ = now + k_sweep_ns;
        queries_.sweep(now);
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
        std::uint64_t txid = 0;
        return writer().transact({deadline_ns, fn, ctx, err, {}, TENON_DURABILITY_DEFAULT}, txid);
    }
    if (intent != TENON_INTENT_READ) {
        throw Error{TENON_INVALID, "unknown intent " + std::to_string(intent)};
    }

    const auto lease = take_reader(deadline_ns, "read");
    (void)lease->begin_current();
    const tenon_status status = fn(ctx, reinterpret_cast<tenon_session*>(&*lease), err);
    if (status != TENON_OK) {
        (void)guard(nullptr, [&] { lease->rollback(); });  // else the pool does
        return status < 0 ? status
                          : fail(err, TENON_INTERNAL, "a transaction ends with TENON_OK or fails");
    }
    lease->finish_current();
    reads_.fetch_add(1, std::memory_order_relaxed);
    Telemetry::count(telemetry_.transactions);
    return TENON_OK;
}

// What a reader sees beside the writer is the newest: neither staleness nor `after` asks for more.
tenon_status Database::transact_with(
    const tenon_transaction_options& options,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_sink position,
    tenon_err* err
) {
    const bool write = options.intent == TENON_INTENT_WRITE;
    if (options.key.n > TransactionKeys::k_key_max || (options.key.n > 0 && !write)) {
        throw DatabaseError{
            TENON_INVALID,
            write ? "a key has 64 bytes at most" : "a key is for writes",
            Failure::permanent};
    }
    if (options.durability > TENON_DURABILITY_REPLICA) {
        throw DatabaseError{
            TENON_INVALID,
            "unknown durability " + std::to_string(options.durability),
            Failure::permanent};
    }
    if (!write) {
        if (follower_) {
            follower_->require(options.max_staleness_ns, view(options.after), options.deadline_ns);
        }
        return transact(options.intent, options.deadline_ns, fn, ctx, err);
    }
    std::uint64_t txid = 0;
    const tenon_status status = writer().transact(
        {options.deadline_ns, fn, ctx, err, view(options.key), options.durability}, txid
    );
    if (status == TENON_OK && txid != 0 && position.put != nullptr) {
        const std::string text = std::to_string(txid);
        (void)position.put(position.ctx, bytes(text));  // it is committed, whatever comes back
    }
    return status;
}

// Its snapshot may be kept from an earlier caller.
ReaderPool::Lease Database::take_reader(std::int64_t deadline_ns, std::string_view owner) {
    if (follower_) {
        follower_->require(0, {}, deadline_ns);
    }
    ReaderPool::Lease lease = readers_.lease(deadline_ns, owner);
    lease->take();
    return lease;
}

Connection* Database::lease(std::uint32_t intent, std::int64_t deadline_ns) {
    switch (intent) {
        case TENON_INTENT_WRITE:
            return writer().lease(deadline_ns);
        case TENON_INTENT_READ: {
            ReaderPool::Lease reader = take_reader(deadline_ns, "lease");
            reader->end_snapshot();
            return &reader.detach();
        }
        default:
            throw Error{TENON_INVALID, "unknown intent " + std::to_string(intent)};
    }
}

void Database::release(Connection* connection) noexcept {
    if (connection->role() == Role::writer) {
        writer_->release(connection);
    } else {
        (void)readers_.adopt(*connection);  // and back with the end of this line
    }
}

tenon_storage_stats Database::stats() const {
    const WriterFigures writer = writer_ ? writer_->figures() : WriterFigures{};
    tenon_storage_stats stats{};
    stats.size = sizeof stats;
    readers_.stats().add_to(stats);
    stats.limit += writer_ ? 1U : 0U;
    stats.in_use += writer.leased ? 1U : 0U;
    stats.waiting += writer.waiting;
    stats.lease_timeouts += writer.timeouts;
    stats.errors = writer.errors;
    stats.in_doubt = writer.in_doubt;
    stats.transactions = writer.transactions + reads_.load(std::memory_order_relaxed);
    stats.group_commits = writer.groups;
    stats.wait_total_ns += writer.wait_total_ns;
    stats.wait_max_ns = std::max(stats.wait_max_ns, writer.wait_max_ns);
    stats.statement_hits = __atomic_load_n(&statement_hits_, __ATOMIC_RELAXED);
    stats.statement_misses = __atomic_load_n(&statement_misses_, __ATOMIC_RELAXED);
    if (telemetry_.slow_queries != nullptr) {
        stats.slow_queries = __atomic_load_n(telemetry_.slow_queries, __ATOMIC_RELAXED);
    }
    const QueryCache::Figures queries = queries_.figures();
    stats.query_hits = queries.hits;
    stats.query_misses = queries.misses;
    return stats;
}

void Database::publish() const noexcept {
    (void)guard(nullptr, [&] {
        const tenon_storage_stats now = stats();
        Telemetry::set(telemetry_.active_connections, now.in_use);
        Telemetry::set(telemetry_.waiting, now.waiting);
        publish_queries();
        publish_capture();
        publish_size();
    });
}

// The file without its write-ahead log, which comes and goes.
void Database::publish_size() const noexcept {
    std::error_code failed;
    const std::uintmax_t bytes = std::filesystem::file_size(settings_.file, failed);
    if (!failed && telemetry_.size) {
        telemetry_.size->set(static_cast<std::int64_t>(bytes));
    }
}

void Database::publish_capture() const noexcept {
    if (follower_) {
        const FollowerFigures now = follower_->figures();
        Telemetry::set(telemetry_.follower_txid, static_cast<std::int64_t>(now.txid));
        Telemetry::set(telemetry_.follower_lag_s, now.lag_ms < 0 ? -1 : (now.lag_ms + 999) / 1000);
        Telemetry::set(telemetry_.follower_bases, now.bases);
    }
    if (const Capture* const capture = writer_ ? writer_->capture() : nullptr) {
        const CaptureFigures now = capture->figures();
        Telemetry::set(telemetry_.capture_commits, now.commits);
        Telemetry::set(telemetry_.capture_bytes, now.bytes);
        Telemetry::set(telemetry_.capture_foreign, now.foreign);
        Telemetry::set(telemetry_.capture_txid, static_cast<std::int64_t>(now.txid));
    }
}

void Database::check(bool deep, std::int64_t deadline_ns) {
    std::string found;
    {
        const auto lease = take_reader(deadline_ns, "probe");
        lease->end_snapshot();
        Prepared& statement = lease->prepare(
            deep ? "PRAGMA quick_check(1)" : "SELECT 'ok' FROM (SELECT count(*) FROM sqlite_schema)"
        );
        if (statement.step()) {
            found = view(statement.column(0).b);
        }
    }
    if (found != "ok") {
        throw DatabaseError{TENON_CORRUPT, settings_.file + ": " + found, Failure::permanent};
    }
}

std::uint32_t Database::stop() noexcept {
    (void)end_clones();
    readers_.close();
    readers_.cancel();
    if (writer_) {
        writer_->stop();
    }
    if (follower_) {
        follower_->stop();
    }
    const std::uint32_t out = readers_.stop(k_stop_wait_ns);
    return out + static_cast<std::uint32_t>(end_clones());
}

}  // namespace tenon::sqlite
