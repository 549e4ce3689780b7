// SPDX-License-Identifier: Apache-2.0
// What the PostgreSQL backend can be told, and what it reports to.
#pragma once

#include "plugins/storage/postgres/cluster/cluster_settings.hpp"

#include <tenon/plugin.hpp>
#include <tenon/size_metric.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tenon {
class StatementLog;
}  // namespace tenon

namespace tenon::postgres {

class PlanWatch;
class Tables;

inline constexpr std::int64_t k_ms = 1'000'000;
inline constexpr std::int64_t k_second = 1'000 * k_ms;

// A number that changes while others read it; copied as a number is.
class LiveNumber {
public:
    LiveNumber(std::int64_t value) : value_{value} {}  // NOLINT: as a number

    LiveNumber(const LiveNumber& other) : value_{std::int64_t{other}} {}

    LiveNumber& operator=(const LiveNumber& other) noexcept {
        value_.store(std::int64_t{other}, std::memory_order_relaxed);
        return *this;
    }

    ~LiveNumber() = default;

    operator std::int64_t() const noexcept {  // NOLINT: as a number
        return value_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<std::int64_t> value_;
};

struct Settings {
    // "host" or "host:port" or the folder of a unix socket; empty: what `conninfo` or libpq say.
    std::vector<std::string> hosts;
    std::string database = "tenon";
    std::string user;
    std::string password;
    std::string tls_mode = "prefer";
    // A connection string of libpq; what it has wins over database, user, password and tls_mode.
    std::string conninfo;

    std::uint32_t pool_min = 4;
    std::uint32_t pool_size = 20;
    std::int64_t connect_timeout_ms = 2'000;
    LiveNumber command_timeout_ms = 30'000;
    LiveNumber slow_query_ms = 200;
    LiveNumber health_check_ms = 30'000;
    std::int64_t idle_timeout_s = 300;
    std::uint32_t queries_max = 50'000;
    std::uint32_t statement_cache = 256;
    std::int64_t statement_idle_s = 300;
    std::uint32_t query_cache_mb = 32;  // 0: no cache
    LiveNumber query_cache_ttl_ms = 300'000;
    LiveNumber replica_reads = 1;   // 0: reads go to the primary too
    bool query_cache = true;        // as it was read; the database has the one in force
    bool statement_capture = true;  // likewise
    bool trial = false;  // a copy for trials: nobody else uses it, and nothing of it is told
    std::string isolation = "serializable";
    std::string application_name = "tenon";
    std::uint32_t statements_max = 1000;  // in the log of statements; 0: none
    ClusterSettings cluster;
    // Where pg_dump and psql are, for clones; "": found.
    std::string tools;
};

// Where the backend's figures go. Cells may be null: then nobody counts.
struct Telemetry {
    Log log;
    Service<tenon_clock_1> clock;
    Service<tenon_metrics_1> metrics;
    Service<tenon_health_1> health;
    tenon_histogram* query_duration = nullptr;
    std::uint64_t* errors = nullptr;
    std::uint64_t* slow_queries = nullptr;
    std::uint64_t* transactions = nullptr;
    std::uint64_t* retries = nullptr;
    std::uint64_t* in_doubt = nullptr;
    std::int64_t* active_connections = nullptr;
    std::int64_t* waiting = nullptr;
    std::uint64_t* plan_changes = nullptr;
    std::uint64_t* query_hits = nullptr;
    std::uint64_t* query_misses = nullptr;
    std::uint64_t* query_evictions = nullptr;
    std::shared_ptr<SizeMetric> size;  // may be null
    // Of the database whose connections these are; may be null.
    StatementLog* statements = nullptr;
    PlanWatch* plans = nullptr;
    Tables* tables = nullptr;

    [[nodiscard]] std::int64_t now_ns() const { return clock->now_ns(clock.self); }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock->now_real_ns(clock.self); }

    static void count(std::uint64_t* cell) noexcept {
        if (cell != nullptr) {
            __atomic_fetch_add(cell, 1, __ATOMIC_RELAXED);
        }
    }

    static void set(std::int64_t* cell, std::int64_t value) noexcept {
        if (cell != nullptr) {
            __atomic_store_n(cell, value, __ATOMIC_RELAXED);
        }
    }
};

}  // namespace tenon::postgres
