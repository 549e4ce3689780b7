// SPDX-License-Identifier: Apache-2.0
// The queue as rows: the tables jobs and job_schedules of migrations 0002 and 0010.
//
// A job is queued, running (with an owner and a lease), done or dead. Each claim raises its token;
// whatever ends a run names the token, so a run whose lease passed on changes nothing. On
// PostgreSQL servers claim, reclaim and run schedules past each other's locks (FOR UPDATE SKIP
// LOCKED), so that one that stands still within a transaction holds up none; at READ COMMITTED:
// each statement is right by itself there, and at SERIALIZABLE claims would make each other fail.
// On SQLite the one writer serialises them. Leases are by the servers' own wall clocks, which
// should be within a lease of each other: else a job may run twice at a time, and still completes
// once.
//
// Thread-safe; functions block ([io]) and throw StorageError or Error.
#pragma once

#include "plugins/jobs/schedule.hpp"

#include <tenon/abi/jobs.h>
#include <tenon/storage.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::jobs {

struct Limits {
    std::int64_t queue_max = 1'000'000;  // queued jobs of a queue
    std::size_t payload_max = 65'536;    // bytes
    std::int64_t timeout_ms = 60'000;    // of jobs that say nothing
    std::uint32_t attempts_max = 5;      // of jobs that say nothing
    std::int64_t backoff_ms = 1'000;     // before the second attempt; doubles
    std::int64_t backoff_max_ms = 3'600'000;
};

struct Clocks {
    std::function<std::int64_t()> now_ns, now_real_ns;
};

struct Claimed {
    std::int64_t id = 0, token = 0, rank_real_ns = 0, timeout_ms = 0;
    std::string queue, kind, payload;
    std::uint32_t attempt = 1, attempts_max = 1;
    std::int32_t priority = 0;
};

enum class Result { done, retry, dead, put_back };

struct Outcome {
    Claimed job;
    Result result = Result::done;
    std::string error;  // kept up to 500 bytes
};

struct Depth {
    std::int64_t queued = 0, running = 0, dead = 0;
    std::int64_t oldest_due_real_ns = 0;  // 0: nothing is queued
};

// Throws Error TENON_INVALID, which says `where` and `what`, unless it is 1 to 64 of A-Z a-z 0-9 .
// _ -.
void require_name(std::string_view name, std::string_view what, const std::string& where);

class Store {
public:
    Store(Storage storage, Limits limits, Clocks clocks)
        : storage_{storage}, limits_{limits}, clocks_{std::move(clocks)} {}

    // All or none. Throws Error TENON_INVALID, TENON_UNAVAILABLE.
    std::vector<std::int64_t>
    enqueue(const tenon_job* jobs, std::uint32_t count, std::int64_t deadline_ns);
    std::vector<std::int64_t>
    enqueue_in(Session& session, const tenon_job* jobs, std::uint32_t count);

    // Up to `most` due jobs of these kinds, best first, for `owner` until now + lease_ns.
    [[nodiscard]] std::vector<Claimed> claim(
        std::string_view queue,
        std::span<const std::string> kinds,
        std::uint32_t most,
        std::string_view owner,
        std::int64_t lease_ns
    );
    // Gives back for each whether it still has its lease.
    std::vector<bool> extend(std::span<const Claimed> held, std::int64_t lease_ns);
    // Ends runs, and gives back for each whether it still had its lease. What has no attempt left
    // dies.
    std::vector<bool> complete(std::span<const Outcome> outcomes);
    // Within the caller's transaction. Throws Error TENON_CONFLICT.
    void finish(Session& session, std::int64_t id, std::int64_t token);
    void finish_raw(tenon_session* session, std::int64_t id, std::int64_t token);
    // Jobs whose owner's lease is over are queued again, or dead after their last attempt.
    std::int64_t reclaim();
    // Deletes done jobs older than that, a bounded number at once.
    std::int64_t forget_done(std::int64_t keep_ns);
    // By queue. Also what the bound of the queue's length goes by.
    std::map<std::string, Depth> depths();

    // As a JSON list, newest first; empty texts: any. limit 1 .. 1000.
    [[nodiscard]] std::string
    list(std::string_view queue, std::string_view status, std::int64_t limit);
    // With its payload. Throws Error TENON_NOT_FOUND.
    [[nodiscard]] std::string show(std::int64_t id);
    // Queues a dead job anew, with all its attempts. Throws Error TENON_NOT_FOUND, TENON_CONFLICT.
    void replay(std::int64_t id);
    // Deletes a dead or queued job. Throws as replay.
    void discard(std::int64_t id);

    void schedule(const tenon_job_schedule& wanted);
    // False: there is none.
    bool unschedule(std::string_view name);
    // Enqueues what is due. Gives back how many.
    std::int64_t run_schedules();
    [[nodiscard]] std::string list_schedules();
    // Those whose names begin so.
    [[nodiscard]] std::vector<std::string> schedule_names(std::string_view prefix);

    [[nodiscard]] const Storage& storage() const noexcept { return storage_; }

private:
    struct Plain {
        std::string_view queue, kind, payload, key;
        std::int64_t due_real_ns, timeout_ms;
        std::int32_t priority;
        std::uint32_t attempts_max;
    };

    [[nodiscard]] Plain checked(const tenon_job& job, std::uint32_t index) const;
    void require_room(std::span<const Plain> jobs);
    [[nodiscard]] bool has_room(const std::string& queue) const;
    void add_counts(std::span<const Plain> jobs);
    [[nodiscard]] std::int64_t insert(Session& session, const Plain& job);

    [[nodiscard]] bool is_postgres() const { return storage_.dialect() == "postgres"; }

    [[nodiscard]] std::int64_t deadline() const;
    [[nodiscard]] std::int64_t backoff_ns(const Claimed& job) const noexcept;
    // A write whose statements are right one by one.
    template <class Body>
    void write(Body&& body);

    Storage storage_;
    Limits limits_;
    Clocks clocks_;
    mutable std::mutex mutex_;
    std::map<std::string, std::int64_t, std::less<>> queued_;  // as last seen, and what came since
};

}  // namespace tenon::jobs
