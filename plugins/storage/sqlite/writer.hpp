// SPDX-License-Identifier: Apache-2.0
// The one thread that writes to the database, and the only one that checkpoints.
//
// Transactions queue up; what is there is run as one group: BEGIN IMMEDIATE, a savepoint for each
// request so that a failing one leaves nothing behind, COMMIT, then the callers wake. So a group
// costs one sync. SQLite rolls the whole transaction back after some failures (full disk,
// interrupt): then the request that failed is taken out and the others run again, which the
// contract allows. A group is synced unless each of its requests may be lost with the power.
//
// A request whose COMMIT had an unknown outcome (a failed sync, a file that was replaced meanwhile)
// is in doubt. With a key it runs again instead, unless the key says that it is done.
//
// The thread also watches the file: one that was deleted is written anew from the open connection,
// one that was replaced is opened in place of the old.
#pragma once

#include "plugins/storage/sqlite/capture.hpp"
#include "plugins/storage/sqlite/connection.hpp"
#include "plugins/storage/sqlite/file_identity.hpp"
#include "plugins/storage/sqlite/transaction_keys.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tenon::sqlite {

struct WriterFigures {
    std::uint64_t transactions = 0;
    std::uint64_t groups = 0;
    std::uint64_t errors = 0;
    std::uint64_t in_doubt = 0;
    std::uint64_t timeouts = 0;
    std::uint32_t waiting = 0;
    bool leased = false;
    std::int64_t wait_total_ns = 0;
    std::int64_t wait_max_ns = 0;
};

class Writer {
public:
    // What runs on the writer's thread when it has nothing to write (about twice a second), and
    // when the database at the path became another file.
    struct Hooks {
        std::function<void()> idle;
        std::function<void()> reopened;
    };

    // Opens the database, or throws DatabaseError.
    Writer(const Settings& settings, const Telemetry& telemetry, Hooks hooks);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    struct Work {
        std::int64_t deadline_ns = 0;
        tenon_transaction_fn fn = nullptr;
        void* ctx = nullptr;
        tenon_err* err = nullptr;
        std::string_view key;
        std::uint32_t durability = TENON_DURABILITY_DEFAULT;
    };

    // Returns when the transaction is durable or will never be. Status and err as the contract
    // says. `txid` becomes the number of the captured commit that holds it, or 0.
    tenon_status transact(const Work& work, std::uint64_t& txid);
    // The connection itself, with no other writer beside; its statements have no time limit but
    // stop(), which ends them.
    [[nodiscard]] Connection* lease(std::int64_t deadline_ns);
    void release(Connection* connection) noexcept;

    // Refuses new work and finishes what is queued.
    void stop() noexcept;
    [[nodiscard]] WriterFigures figures() const;

    // Null: commits are not captured.
    [[nodiscard]] const Capture* capture() const noexcept { return capture_.get(); }

private:
    struct Request;
    using Group = std::vector<Request*>;

    void enqueue_and_wait(Request& request);
    void loop() noexcept;
    [[nodiscard]] bool take_group(Group& group);
    void run_group(Group& group) noexcept;
    [[nodiscard]] bool run_all(Group& group);
    [[nodiscard]] bool run_one(Request& request, bool alone);
    [[nodiscard]] tenon_status run_body(Request& request);
    [[nodiscard]] bool needs_sync(const Group& group) const noexcept;
    void commit_group(Group& group);
    void finish_committed(Group& group);
    void finish_failed(Request& request) noexcept;
    void keep_keys(Group& group, const DatabaseError& error) noexcept;
    void lend(Request& request) noexcept;
    void begin_patiently(const Group& group);
    void tell_wait(const Group& group, std::int64_t began_ns) const noexcept;
    void expire(Group& group) noexcept;
    void finish(Request& request, tenon_status status) noexcept;
    void fail_all(Group& group, const DatabaseError& error) noexcept;
    void tidy() noexcept;
    void prune_keys(std::int64_t now_ns) noexcept;
    void checkpoint(bool idle) noexcept;
    void require_file();
    void recover_file(FileState state);
    void rescue();
    void reopen(bool drop_wal);
    void health(std::int32_t state, std::string_view reason) noexcept;

    const Settings& settings_;
    const Telemetry& telemetry_;
    Hooks hooks_;
    std::unique_ptr<Connection> connection_;
    std::unique_ptr<Capture> capture_;  // null: off
    FileIdentity identity_;
    TransactionKeys keys_;
    std::string reason_;  // of the degraded state; empty: healthy
    std::int64_t next_check_ns_ = 0;
    std::int64_t next_optimize_ns_ = 0;
    std::int64_t next_checkpoint_ns_ = 0;
    std::int64_t last_write_ns_ = 0;
    std::int64_t held_until_ns_ = 0;  // the degraded state stays until then, to be seen
    bool wal_warned_ = false;

    mutable std::mutex mutex_;
    std::condition_variable work_;
    std::deque<Request*> queue_;
    bool stopping_ = false;
    bool leased_ = false;
    bool returned_unusable_ = false;
    std::thread::id lessee_;
    WriterFigures figures_;
    std::thread thread_;
};

}  // namespace tenon::sqlite
