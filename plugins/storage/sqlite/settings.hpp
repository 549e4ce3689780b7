// SPDX-License-Identifier: Apache-2.0
// What the SQLite backend can be told, and what it reports to.
#pragma once

#include <tenon/plugin.hpp>
#include <tenon/size_metric.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace tenon {
class QueryCache;
class StatementLog;
}  // namespace tenon

namespace tenon::sqlite {

class KeptSnapshots;

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

// Every commit is taken down in a folder: see capture.hpp.
struct CaptureSettings {
    std::string folder;  // absolute; empty: off
    std::uint32_t segment_mb = 16;
    std::int64_t segment_s = 300;
    int zstd_level = 1;
    bool before_acknowledge = false;
    std::int64_t base_s = 21'600;
    std::int64_t keep_s = 172'800;
    std::uint32_t keep_mb = 10'240;
    std::uint32_t behind_mb = 1024;  // of the log, while it cannot be captured
};

struct Settings {
    std::string file;  // absolute
    std::uint32_t pool_size = 10;
    std::uint32_t statement_cache = 256;
    std::uint32_t queue_max = 4096;
    std::uint32_t group_max = 256;
    std::int64_t busy_timeout_ms = 10'000;
    LiveNumber query_timeout_ms = 30'000;
    LiveNumber slow_query_ms = 200;
    LiveNumber health_check_ms = 30'000;
    std::uint32_t page_size = 8192;
    // Upper bounds: pages are held only once they were read or written.
    std::uint32_t cache_mb = 128;
    std::uint32_t reader_cache_mb = 16;
    std::uint32_t mmap_mb = 512;
    std::uint32_t wal_checkpoint_mb = 16;
    std::uint32_t max_page_count = 0;  // 0: SQLite's own bound
    std::string synchronous = "full";
    std::uint32_t statements_max = 1000;  // in the log of statements; 0: none
    std::uint32_t query_cache_mb = 32;    // 0: no cache
    LiveNumber query_cache_ttl_ms = 300'000;
    bool query_cache = true;        // as it was read; the database has the one in force
    bool statement_capture = true;  // likewise
    CaptureSettings capture;
    std::string source;  // the capture folder to follow; empty: the database is written here
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
    std::uint64_t* statement_hits = nullptr;
    std::uint64_t* statement_misses = nullptr;
    std::int64_t* active_connections = nullptr;
    std::int64_t* waiting = nullptr;
    std::uint64_t* plan_changes = nullptr;
    std::uint64_t* query_hits = nullptr;
    std::uint64_t* query_misses = nullptr;
    std::uint64_t* query_evictions = nullptr;
    std::uint64_t* capture_commits = nullptr;
    std::uint64_t* capture_bytes = nullptr;
    std::uint64_t* capture_foreign = nullptr;
    std::int64_t* capture_txid = nullptr;
    std::int64_t* follower_txid = nullptr;
    std::int64_t* follower_lag_s = nullptr;
    std::uint64_t* follower_bases = nullptr;
    std::shared_ptr<SizeMetric> size;  // may be null
    // Of the database whose connections these are; may be null.
    StatementLog* statements = nullptr;
    QueryCache* queries = nullptr;
    KeptSnapshots* snapshots = nullptr;

    [[nodiscard]] std::int64_t now_ns() const { return clock->now_ns(clock.self); }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock->now_real_ns(clock.self); }

    static void count(std::uint64_t* cell) noexcept {
        if (cell != nullptr) {
            __atomic_fetch_add(cell, 1, __ATOMIC_RELAXED);
        }
    }

    static void set(std::uint64_t* cell, std::uint64_t value) noexcept {
        if (cell != nullptr) {
            __atomic_store_n(cell, value, __ATOMIC_RELAXED);
        }
    }

    static void set(std::int64_t* cell, std::int64_t value) noexcept {
        if (cell != nullptr) {
            __atomic_store_n(cell, value, __ATOMIC_RELAXED);
        }
    }
};

inline constexpr std::int64_t k_ms = 1'000'000;

}  // namespace tenon::sqlite
