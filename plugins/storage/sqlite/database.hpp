// SPDX-License-Identifier: Apache-2.0
// A SQLite database behind tenon.storage/1: the writer, the readers, and the contract's table.
#pragma once

#include "plugins/storage/sqlite/follower.hpp"
#include "plugins/storage/sqlite/reader_pool.hpp"
#include "plugins/storage/sqlite/writer.hpp"

#include <tenon/abi/probe.h>
#include <tenon/abi/storage.h>

namespace tenon::sqlite {

struct DatabaseHolder;

// Thread-safe. Lives until the last session is back.
class Database {
public:
    // Opens the file, or throws DatabaseError. `telemetry` is copied.
    Database(Settings settings, Telemetry telemetry);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // [any] Takes over what may change live.
    void take(const Settings& settings) noexcept {
        queries_.set_ttl_ns(settings.query_cache_ttl_ms * k_ms);
        queries_.serve(settings.query_cache);
        statements_.record_runs(settings.statement_capture);
        settings_.query_timeout_ms = settings.query_timeout_ms;
        settings_.slow_query_ms = settings.slow_query_ms;
        settings_.health_check_ms = settings.health_check_ms;
    }

    tenon_status transact(
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    );
    // As transact(), with the options of the contract. A captured write's position is its number.
    tenon_status transact_with(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    );
    [[nodiscard]] Connection* lease(std::uint32_t intent, std::int64_t deadline_ns);
    void release(Connection* connection) noexcept;
    // Rows through the query cache.
    tenon_status query(const tenon_query& query, tenon_row_fn row, void* ctx);
    // [any] The captured statements, as JSON.
    [[nodiscard]] std::string statements() const;
    // A copy in a file beside, as a storage of its own.
    [[nodiscard]] tenon_iface clone(bool with_rows, std::int64_t deadline_ns);
    void drop_clone(const void* self) noexcept;
    [[nodiscard]] tenon_storage_stats stats() const;
    // Throws DatabaseError when the database does not answer; deep: also checks its structure.
    void check(bool deep, std::int64_t deadline_ns);
    // Refuses new work, finishes the writes that are queued and ends the reads that run. Gives back
    // how many sessions somebody still has; while there are any, this object must stay.
    std::uint32_t stop() noexcept;
    void publish() const noexcept;

private:
    class Borrowed;

    static constexpr std::size_t k_clones_max = 4;
    static constexpr std::int64_t k_ttl_ms_max = 86'400'000;
    static constexpr std::int64_t k_sweep_ns = 30'000'000'000;

    Telemetry with_own(Telemetry telemetry) noexcept;
    void maintain();
    void forget_file();
    [[nodiscard]] Writer& writer() const;
    [[nodiscard]] ReaderPool::Lease take_reader(std::int64_t deadline_ns, std::string_view owner);
    tenon_status
    run_query(const tenon_query& query, tenon_row_fn row, void* ctx, QueryCache::Key* key);
    void publish_queries() const;
    void publish_capture() const noexcept;
    void publish_size() const noexcept;
    void copy_schema(Database& to, std::int64_t deadline_ns);
    void remove_old_clones() const noexcept;
    // How many are being made.
    std::size_t end_clones() noexcept;

    Settings settings_;
    StatementLog statements_;
    QueryCache queries_;
    KeptSnapshots snapshots_;
    Telemetry telemetry_;
    std::uint64_t statement_hits_ = 0;
    std::uint64_t statement_misses_ = 0;
    std::mutex clones_mutex_;
    std::vector<std::unique_ptr<DatabaseHolder>> clones_;
    std::size_t clones_begun_ = 0;
    bool clones_closed_ = false;
    std::uint64_t clones_made_ = 0;
    std::int64_t next_sweep_ns_ = 0;
    std::atomic<std::uint64_t> reads_{0};
    ReaderPool readers_;
    // One of them.
    std::unique_ptr<Writer> writer_;
    std::unique_ptr<Follower> follower_;
};

// The table of tenon.storage/1. `self` is a DatabaseHolder.
struct DatabaseHolder {
    std::unique_ptr<Database> database;  // null outside start .. stop
};

[[nodiscard]] const tenon_storage_1& storage_table() noexcept;
[[nodiscard]] const tenon_probe_1& probe_table() noexcept;

}  // namespace tenon::sqlite
