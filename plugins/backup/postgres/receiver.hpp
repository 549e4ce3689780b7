// SPDX-License-Identifier: Apache-2.0
// Takes the write-ahead log from the server as it is written, and puts it into the store.
//
// It speaks PostgreSQL's streaming replication protocol (PostgreSQL 15, chapter 55.4), as
// pg_receivewal does, and holds a replication slot: the server keeps what the store does not yet
// have, and is told of nothing that was not read back from there. So a kill at any moment loses
// nothing: what is newest in the store says where to go on. Timelines are followed as they branch.
// Where the server has thrown away what is missing (its max_slot_wal_keep_size, or another server
// in its place), that is a gap: backups before it end there, and a new one is wanted.
#pragma once

#include "plugins/backup/postgres/server.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace tenon::backup_postgres {

struct ReceiverSettings {
    ServerSettings server;
    std::string slot;
    std::chrono::milliseconds every{1000};  // at most so long the log stays unstored
};

class Receiver {
public:
    struct State {
        bool streaming = false;
        std::string problem;  // "" when all is well
        Timeline timeline = 0;
        Lsn stored = 0;                   // all before it was read back from the store
        Lsn written = 0;                  // by the server, when it was last asked
        std::int64_t stored_real_ns = 0;  // commits up to then are in the store
        double gap_seconds = 0;           // how old the oldest byte is that is not stored
        std::uint64_t gaps = 0;           // since the start
    };

    Receiver(Pieces& pieces, ReceiverSettings settings)
        : wal_{pieces}, settings_{std::move(settings)} {}

    ~Receiver() { stop(); }

    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    void start();
    void stop() noexcept;

    // [any]
    [[nodiscard]] State state();
    // [any] Waits until everything before a position is in the store. Throws TENON_TIMEOUT, or
    // TENON_UNAVAILABLE with the reason why the log does not come.
    void wait_for(
        Lsn lsn,
        std::chrono::steady_clock::time_point deadline,
        const std::function<bool()>& cancelled
    );

private:
    struct Place {
        Timeline timeline = 0;
        Lsn at = 0;
        bool gap = false;
    };

    void loop() noexcept;
    void stream();
    [[nodiscard]] Place place(Session& replication, Session& session);
    void ready_slot(Session& session);
    void receive(Session& replication, Session& session);
    void take(std::string_view message, Session& replication);
    void store_until(Lsn limit);
    void store_due(Session& replication);
    void look(Session& session);
    void confirm(Session& replication);

    WalStore wal_;
    ReceiverSettings settings_;
    std::uint64_t segment_bytes_ = 0;
    // Of the stream.
    Timeline timeline_ = 0;
    Lsn stored_ = 0;
    std::string buffer_;  // from stored_ on
    std::deque<Mark> marks_;
    std::int64_t marked_order_ = 0;  // of the newest mark that is stored
    std::chrono::steady_clock::time_point buffered_at_{};
    std::chrono::steady_clock::time_point looked_at_{};
    std::chrono::steady_clock::time_point confirmed_at_{};
    bool has_orders_ = false;
    bool lost_ = false;  // the server no longer has what comes after the store's end

    std::mutex mutex_;
    std::condition_variable changed_;
    State state_;                                                             // guarded by mutex_
    std::deque<std::pair<Lsn, std::chrono::steady_clock::time_point>> seen_;  // guarded by mutex_
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace tenon::backup_postgres
