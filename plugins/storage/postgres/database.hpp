// SPDX-License-Identifier: Apache-2.0
// PostgreSQL behind tenon.storage/1: the servers, their pools, transactions and their retries.
//
// A transaction that fails in a way that a retry mends (serialisation, deadlock, lock time-out, a
// connection lost before COMMIT) runs again, with growing waits, until its deadline and for
// k_retry_max_ns at most. So a restart of the server is waited out; once no server could be
// connected to for k_outage_wait_ns, what fails is not tried again until one can: who waits holds a
// thread of the pool that what needs no database wants too. After two such failures in a row it
// waits for its turn among those that retry, so that they do not keep defeating each other. A
// commit whose outcome is unknown is not run again, unless it has a key: then the key, written with
// the transaction's rows to the table tenon_transaction_keys, says whether it was done. A key that
// is there from before makes a transaction succeed without running its body: it writes the key once
// more, so that its commit waits for replicas and tells a position as the first one would have.
// Keys are kept for a day.
#pragma once

#include "plugins/storage/postgres/host_set.hpp"
#include "plugins/storage/postgres/plan_watch.hpp"
#include "plugins/storage/postgres/table_listener.hpp"

#include <tenon/in_flight.hpp>
#include <tenon/probe.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace tenon::postgres {

inline constexpr std::int64_t k_retry_max_ns = 30 * k_second;
inline constexpr std::int64_t k_outage_wait_ns = 5 * k_second;
inline constexpr std::int64_t k_stop_patience_ns = 5 * k_second;

// Thread-safe. Lives until the last session is back and the last call has returned.
class Database final : public StorageProvider, public Probe {
public:
    // Connects to nobody yet. Throws Error when the settings do not fit together.
    Database(Settings settings, Telemetry telemetry);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // Takes over what may change live.
    void take(const Settings& settings) noexcept;

    [[nodiscard]] std::string_view dialect() const noexcept override { return "postgres"; }

    [[nodiscard]] StorageSession& lease(std::uint32_t intent, std::int64_t deadline_ns) override;
    void release(StorageSession& session) noexcept override;
    // The session was lent by this database.
    [[nodiscard]] bool owns(const StorageSession& session) const noexcept;
    void stats(tenon_storage_stats& out) override;
    [[nodiscard]] tenon_status transact(
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) override;
    [[nodiscard]] tenon_status transact_with(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    ) override;
    [[nodiscard]] tenon_status
    run_query(const tenon_query& query, tenon_row_fn row, void* ctx, tenon_err* err) override;
    [[nodiscard]] std::string statements() override;
    [[nodiscard]] tenon_iface clone(bool with_rows, std::int64_t deadline_ns) override;
    void drop_clone(tenon_iface clone) noexcept override;

    void check(bool deep, std::int64_t deadline_ns) override;
    // Refuses new work and ends what runs, waiting for it. Gives back how many sessions are still
    // out or calls still inside, whichever are more: while any is, the database must be kept.
    std::uint32_t stop(std::int64_t patience_ns = k_stop_patience_ns) noexcept;
    void publish() noexcept;

    [[nodiscard]] HostSet& hosts() noexcept { return hosts_; }

    // [any] Commits whose outcome got lost, with those that their keys resolved.
    [[nodiscard]] std::uint64_t doubts() const noexcept { return doubts_; }

private:
    struct Work;
    struct Query;
    struct Clone;
    struct Inside;

    [[nodiscard]] tenon_status run_transaction(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    );

    // With the log and the watch of this database.
    [[nodiscard]] Telemetry with_own(Telemetry telemetry) noexcept;
    [[nodiscard]] std::string plan_beside(const std::string& sql);
    // Loads the map of the tables where it is not known.
    void load_tables();
    // What a query reads; null: not known now.
    [[nodiscard]] std::shared_ptr<const ReadUse>
    reads_of(Connection& connection, std::string_view sql);
    [[nodiscard]] tenon_status run_once(Query& query);
    void publish_queries() const noexcept;

    [[nodiscard]] HostPool::Lease
    acquire(std::uint32_t intent, std::int64_t deadline_ns, std::string_view owner);
    [[nodiscard]] HostPool::Lease acquire_for(const tenon_transaction_options& options);
    // True: done. False: the failure in `work` may be tried again.
    [[nodiscard]] bool attempt(Work& work);
    [[nodiscard]] bool run_body(Work& work, Connection& connection);
    [[nodiscard]] bool claim_key(Connection& connection, const std::string& key);
    [[nodiscard]] bool pause(std::int64_t ns);
    // After so long, if there is to be another try before last_ns.
    [[nodiscard]] bool pause_for_retry(std::int64_t ns, std::int64_t last_ns);
    [[nodiscard]] std::unique_ptr<Clone> make_clone(bool with_rows, std::int64_t deadline_ns);
    static void make_key_table(Connection& connection);
    void maintain() noexcept;
    void look_after() noexcept;
    void report_health() noexcept;

    Settings settings_;
    StatementLog statements_;
    Tables tables_;
    std::unique_ptr<PlanWatch> plans_;
    std::unique_ptr<TableListener> listener_;
    Telemetry telemetry_;
    HostSet hosts_;
    std::atomic<std::uint64_t> transactions_{0}, errors_{0}, in_doubt_{0}, retries_{0}, doubts_{0};
    std::atomic<std::uint64_t> hits_{0}, misses_{0};
    std::atomic<bool> keys_used_{false};
    std::atomic<std::uint64_t> seed_{0};
    std::timed_mutex retry_lane_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::int64_t next_prune_ns_ = 0;
    std::int64_t next_sweep_ns_ = 0;
    std::map<void*, std::unique_ptr<Clone>> clones_;
    InFlight in_flight_;  // calls of others
    std::thread maintenance_;
};

// A call of somebody's: stop() waits for its end. Refused once the database is closed.
struct Database::Inside {
    explicit Inside(Database& entered) : database{entered} {
        if (!database.in_flight_.try_enter()) {
            throw StorageError{TENON_UNAVAILABLE, "the database is closed", Failure::permanent};
        }
    }

    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    ~Inside() { database.in_flight_.leave(); }

    Database& database;
};

}  // namespace tenon::postgres
