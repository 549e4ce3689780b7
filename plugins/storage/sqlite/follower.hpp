// SPDX-License-Identifier: Apache-2.0
// A read-only copy of a database that is captured elsewhere: applies its commits from the capture
// folder, one after the other.
//
// A thread reads the segments (sdk/capture/folder.hpp: everything is checked), writes the pages of
// whole commits into the copy's write-ahead log in SQLite's own format, and lets SQLite build the
// log's index anew. So a reader sees all of a commit or nothing, as with any writer, and a process
// that is killed anywhere leaves a log whose whole commits count. What the copy holds is known from
// the log itself: `FILE.follower` says after which commit it begins.
//
// A gap or damage is told with the segment's name, and healed by a newer base if there is one. The
// writer's heartbeat says how old the rows may be; on another machine, by its clock.
#pragma once

#include "plugins/storage/sqlite/connection.hpp"
#include "sdk/capture/folder.hpp"
#include "sdk/capture/wal.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace tenon::sqlite {

struct FollowerFigures {
    std::uint64_t txid = 0;   // that readers see; 0: no base yet
    std::uint64_t bases = 0;  // taken by this process
    std::int64_t lag_ms = 0;  // as old as the rows may be; -1: not known
};

class Follower {
public:
    struct Hooks {
        std::function<void()> idle;      // about twice a second
        std::function<void()> reopened;  // the file became another one
    };

    Follower(const Settings& settings, const Telemetry& telemetry, Hooks hooks);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    // [any] Returns when a reader that begins now sees what is asked for; throws DatabaseError when
    // it cannot be had by the deadline, or here.
    void require(std::int64_t max_staleness_ns, std::string_view after, std::int64_t deadline_ns);
    [[nodiscard]] FollowerFigures figures() const noexcept;
    void stop() noexcept;

private:
    // What FILE.follower holds.
    struct State {
        std::array<unsigned char, 16> uuid{};
        std::uint64_t epoch = 0;
        std::uint64_t log_txid = 0;   // before the log's first commit
        std::uint64_t last_txid = 0;  // some commit that was applied, and its hash
        capture::Hash last_hash{};
        std::uint32_t salt1 = 0;  // of the log
        std::uint32_t salt2 = 0;
        capture::FileStamp stamp;  // of the database when the log was empty
    };

    void loop() noexcept;
    void turn();
    void tidy();
    // False: nothing to do.
    [[nodiscard]] bool apply();
    void apply_commits();
    [[nodiscard]] bool load();
    void save(bool durable) const;
    void open_files();
    void restart_log();
    void publish();
    void checkpoint(bool idle);
    [[nodiscard]] bool take_newer_base();
    void take_base(const std::string& file);
    void read_heartbeat();
    void health(std::string_view reason) noexcept;
    [[nodiscard]] std::int64_t lag_ns() const noexcept;
    [[nodiscard]] capture::FileStamp stamp() const;

    const Settings& settings_;
    const Telemetry& telemetry_;
    Hooks hooks_;
    std::string state_file_;
    State state_;
    std::unique_ptr<Connection> connection_;
    std::unique_ptr<capture::WalFile> wal_;
    std::unique_ptr<capture::Walker> walker_;
    capture::WalPlace place_;
    std::uint32_t page_size_ = 0;
    std::string reason_{"-"};
    std::int64_t next_tidy_ns_ = 0;
    std::int64_t next_try_ns_ = 0;
    std::int64_t next_checkpoint_ns_ = 0;

    std::atomic<std::uint64_t> txid_{0};
    std::atomic<std::uint64_t> bases_{0};
    std::atomic<std::int64_t> fresh_real_ns_{0};  // all commits of before then are here
    mutable std::mutex mutex_;
    std::condition_variable moved_;
    std::string why_not_;  // guarded by mutex_: why there is nothing to read
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace tenon::sqlite
