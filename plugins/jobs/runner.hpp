// SPDX-License-Identifier: Apache-2.0
// Runs this server's share of the jobs: claims for the kinds that have handlers, calls them,
// tells the store how it ended. The caller brings the threads: work() is one worker's batch,
// heartbeat() extends the leases of what runs. Thread-safe.
#pragma once

#include "plugins/jobs/store.hpp"

#include <tenon/in_flight.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tenon::jobs {

class Runner {
public:
    // Called with the result and duration of each run that kept its lease.
    using Told = std::function<void(const Outcome&, std::int64_t duration_ns)>;

    Runner(Store& store, Clocks clocks, std::string owner, std::int64_t lease_ns, Told told)
        : store_{store},
          clocks_{std::move(clocks)},
          owner_{std::move(owner)},
          lease_ns_{lease_ns},
          told_{std::move(told)} {}

    // Throws Error TENON_CONFLICT.
    std::uint64_t handle(std::string_view queue, std::string_view kind, void* ctx, tenon_job_fn fn);
    // After it returns the handler does not run. Its runs are asked to end.
    void unhandle(std::uint64_t handle) noexcept;

    // Up to `batch` jobs of each queue, one after the other. False: there was nothing to do.
    bool work(std::uint32_t batch);
    // Extends the leases of what is claimed and within its time. A run whose lease has passed on is
    // asked to end.
    void heartbeat();

    // Runs are asked to end; what is claimed and not begun is put back.
    void stop() noexcept { stopping_ = true; }

private:
    struct Handler {
        std::string queue, kind;
        void* ctx = nullptr;
        tenon_job_fn fn = nullptr;
        std::atomic<bool> closing{false};
        InFlight runs;
    };

    struct Run {
        Claimed job;
        Runner* runner = nullptr;
        Handler* handler = nullptr;
        std::atomic<std::int64_t> deadline_ns{0};  // 0: it does not run
        // As last heard: 0 when another may have it. Not extended while the database is away.
        std::atomic<std::int64_t> lease_until_ns{0};
        std::atomic<bool> finished{false};  // by its handler, in a transaction
    };

    [[nodiscard]] std::map<std::string, std::vector<std::string>> handled() const;
    [[nodiscard]] std::shared_ptr<Handler> handler_of(const Claimed& job) const;
    [[nodiscard]] Outcome run(Run& run);
    [[nodiscard]] std::vector<bool> told_to_store(const std::vector<Outcome>& outcomes);
    [[nodiscard]] bool is_cancelled(const Run& run) const noexcept;

    Store& store_;
    Clocks clocks_;
    std::string owner_;
    std::int64_t lease_ns_;
    Told told_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    std::map<std::uint64_t, std::shared_ptr<Handler>> handlers_;
    std::uint64_t next_handle_ = 1;
    // By id and token: a run that lost its lease may still go on beside the one that follows it.
    std::map<std::pair<std::int64_t, std::int64_t>, std::shared_ptr<Run>> held_;
};

}  // namespace tenon::jobs
