// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/database.hpp"

#include "plugins/storage/postgres/clone.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_maintenance_ns = k_second;
constexpr std::int64_t k_sweep_ns = 30 * k_second;
constexpr std::int64_t k_prune_ns = 3600 * k_second;

}  // namespace

Database::Database(Settings settings, Telemetry telemetry)
    : settings_{std::move(settings)},
      statements_{telemetry.now_real_ns(), {.statements = settings_.statements_max}},
      tables_{
          {.bytes_max = std::size_t{settings_.query_cache_mb} << 20U,
           .ttl_ns = settings_.query_cache_ttl_ms * k_ms}},
      telemetry_{with_own(std::move(telemetry))},
      hosts_{settings_, telemetry_} {
    tables_.cache().serve(settings_.query_cache);
    statements_.record_runs(settings_.statement_capture);
    plans_ = std::make_unique<PlanWatch>(
        telemetry_,
        settings_.statements_max,
        [this](const std::string& sql) { return plan_beside(sql); },
        [this] { load_tables(); }
    );
    if (!settings_.trial) {
        telemetry_.plans = plans_.get();
        plans_->start();
        listener_ = std::make_unique<TableListener>(telemetry_, tables_, [this] {
            const std::size_t host = hosts_.primary_or_first();
            return std::pair{host, keywords_of(settings_)[host]};
        });
        listener_->start();
    }
    seed_ = static_cast<std::uint64_t>(telemetry_.now_ns());
    maintenance_ = std::thread{[this] { maintain(); }};
}

Database::~Database() {
    (void)stop();
}

std::uint32_t Database::stop(std::int64_t patience_ns) noexcept {
    in_flight_.close();
    std::map<void*, std::unique_ptr<Clone>> clones;
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        clones.swap(clones_);
    }
    wake_.notify_all();
    if (maintenance_.joinable()) {
        maintenance_.join();
    }
    clones.clear();
    plans_->stop();
    if (listener_) {
        listener_->stop();
    }
    const std::uint32_t out = hosts_.stop(patience_ns);
    return std::max(out, static_cast<std::uint32_t>(in_flight_.wait_for(patience_ns)));
}

void Database::take(const Settings& settings) noexcept {
    settings_.command_timeout_ms = settings.command_timeout_ms;
    settings_.slow_query_ms = settings.slow_query_ms;
    settings_.health_check_ms = settings.health_check_ms;
    settings_.replica_reads = settings.replica_reads;
    tables_.cache().set_ttl_ns(settings.query_cache_ttl_ms * k_ms);
    tables_.cache().serve(settings.query_cache);
    statements_.record_runs(settings.statement_capture);
    for (const auto& host : hosts_.pools()) {
        host->set_ping_after(settings_.health_check_ms * k_ms);
    }
}

// ---- connections

HostPool::Lease
Database::acquire(std::uint32_t intent, std::int64_t deadline_ns, std::string_view owner) {
    if (intent != TENON_INTENT_READ && intent != TENON_INTENT_WRITE) {
        throw invalid("unknown intent " + std::to_string(intent));
    }
    return hosts_.acquire({intent, deadline_ns, owner, 0, std::nullopt});
}

HostPool::Lease Database::acquire_for(const tenon_transaction_options& options) {
    if (options.intent == TENON_INTENT_WRITE) {
        return acquire(options.intent, options.deadline_ns, "transact");
    }
    if (options.intent != TENON_INTENT_READ) {
        throw invalid("unknown intent " + std::to_string(options.intent));
    }
    Wanted wanted{options.intent, options.deadline_ns, "transact", options.max_staleness_ns, {}};
    if (options.after.n != 0) {
        wanted.after = parse_position(view(options.after));
        if (!wanted.after) {
            throw invalid("after: expected a position that a write gave back");
        }
    }
    return hosts_.acquire(wanted);
}

StorageSession& Database::lease(std::uint32_t intent, std::int64_t deadline_ns) {
    const Inside call{*this};
    HostPool::Lease lease = acquire(intent, deadline_ns, "lease");
    lease->lend_for_long();
    return lease.detach();
}

void Database::release(StorageSession& session) noexcept {
    in_flight_.enter();  // also once it is closed
    hosts_.give_back(static_cast<Connection&>(session));
    in_flight_.leave();
}

bool Database::owns(const StorageSession& session) const noexcept {
    const void* const home = static_cast<const Connection&>(session).home();
    const auto& pools = hosts_.pools();
    return std::any_of(pools.begin(), pools.end(), [&](const auto& pool) {
        return pool.get() == home;
    });
}

// ---- looking after

bool Database::pause_for_retry(std::int64_t ns, std::int64_t last_ns) {
    return telemetry_.now_ns() + ns < last_ns && !hosts_.is_away_for(k_outage_wait_ns) && pause(ns);
}

bool Database::pause(std::int64_t ns) {
    std::unique_lock lock{mutex_};
    return !wake_.wait_for(lock, std::chrono::nanoseconds{ns}, [&] { return stopping_; });
}

void Database::maintain() noexcept {
    do {
        look_after();
    } while (pause(k_maintenance_ns));
}

void Database::look_after() noexcept {
    for (const auto& host : hosts_.pools()) {
        host->maintain();
    }
    report_health();
    const std::int64_t now_ns = telemetry_.now_ns();
    if (now_ns >= next_sweep_ns_) {
        next_sweep_ns_ = now_ns + k_sweep_ns;
        tables_.cache().sweep(now_ns);
    }
    if (!keys_used_ || now_ns < next_prune_ns_) {
        return;
    }
    next_prune_ns_ = now_ns + k_prune_ns;
    (void)guard(nullptr, [&] {
        HostPool::Lease lease =
            acquire(TENON_INTENT_WRITE, now_ns + k_maintenance_ns, "maintenance");
        lease->begin();
        lease->execute("DELETE FROM tenon_transaction_keys WHERE at < now() - interval '1 day'");
        lease->commit();
    });
}

void Database::report_health() noexcept {
    if (telemetry_.health.self == nullptr) {
        return;
    }
    (void)guard(nullptr, [&] {
        std::string down;
        for (const auto& host : hosts_.pools()) {
            if (!host->is_up()) {
                down += (down.empty() ? "" : ", ") + host->backend().name();
            }
        }
        const bool well = down.empty();
        const std::string reason = well ? "" : "does not answer: " + down;
        telemetry_.health->set(
            telemetry_.health.self,
            str("database"),
            well ? TENON_HEALTHY : TENON_DEGRADED,
            str(reason)
        );
    });
}

void Database::check(bool deep, std::int64_t deadline_ns) {
    const Inside call{*this};
    HostPool::Lease lease =
        acquire(deep ? TENON_INTENT_WRITE : TENON_INTENT_READ, deadline_ns, "probe");
    const std::string bytes = lease->ask("SELECT pg_database_size(current_database())");
    if (telemetry_.size) {
        telemetry_.size->set(std::strtoll(bytes.c_str(), nullptr, 10));
    }
}

void Database::stats(tenon_storage_stats& out) {
    for (const auto& host : hosts_.pools()) {
        host->stats().add_to(out);
    }
    out.transactions = transactions_;
    out.errors = errors_;
    out.in_doubt = in_doubt_;
    out.statement_hits = hits_;
    out.statement_misses = misses_;
    const QueryCache::Figures queries = tables_.cache().figures();
    out.query_hits = queries.hits;
    out.query_misses = queries.misses;
    if (telemetry_.slow_queries != nullptr) {
        out.slow_queries = __atomic_load_n(telemetry_.slow_queries, __ATOMIC_RELAXED);
    }
}

void Database::publish() noexcept {
    PoolStats sum;
    for (const auto& host : hosts_.pools()) {
        const PoolStats one = host->stats();
        sum.in_use += one.in_use;
        sum.waiting += one.waiting;
    }
    hosts_.publish();
    publish_queries();
    Telemetry::set(telemetry_.active_connections, sum.in_use);
    Telemetry::set(telemetry_.waiting, sum.waiting);
}

}  // namespace tenon::postgres
