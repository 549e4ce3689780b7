// SPDX-License-Identifier: Apache-2.0
// A copy that goes on by itself: a thread that takes step after step, and what it tells of it.
//
// Steps that fail are tried again after a while, and the reason is in the status; only another run
// that took the copy over ends it. Thread-safe; every function blocks, and waits for a step's end.
// The destructor ends the thread between two parts of a step; the copy goes on with the next job.
#pragma once

#include "plugins/migrations/copy/copier.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace tenon::copy {

struct JobOptions {
    CopyOptions copy;
    std::int64_t idle_ns = 100'000'000;     // between looks for changes
    std::int64_t retry_ns = 5'000'000'000;  // after a failure
};

class CopyJob {
public:
    // Begins or takes over the copy, or throws what Copier's constructor and begin() throw.
    CopyJob(Side source, Side target, Service<tenon_clock_1> clock, Log log, JobOptions options);
    ~CopyJob();
    CopyJob(const CopyJob&) = delete;
    CopyJob& operator=(const CopyJob&) = delete;

    // JSON: {"from","to","phase","source_closed","running","percent","rows_total","rows_copied",
    // "rows_per_s","changes_applied","changes_waiting","error","tables":[{"name","rows_total",
    // "rows_copied","done"}]}
    [[nodiscard]] std::string status();
    // JSON: {"ok","rows","tables":[{"name","rows","source_digest","target_digest","different",
    // "differences":[…]}]}
    [[nodiscard]] std::string verify();
    void finish();
    void abandon();

    // Why the last step failed; "" while it goes on.
    [[nodiscard]] std::string error() const;

    [[nodiscard]] const std::string& target() const noexcept { return target_.name; }

private:
    class Turn;

    void run();
    // False: the thread ends.
    bool step(std::unique_lock<std::mutex>& lock);
    void tell(const std::string& error);
    void end_thread() noexcept;

    Side source_, target_;
    Service<tenon_clock_1> clock_;
    Log log_;
    JobOptions options_;
    std::atomic<bool> interrupted_{false};
    std::unique_ptr<Copier> copier_;
    std::mutex mutex_;  // of the copier
    std::condition_variable turn_;
    std::atomic<int> waiting_{0};  // for the copier, before the thread
    bool stopping_ = false;
    std::atomic<bool> running_{false};
    mutable std::mutex error_mutex_;
    std::string error_;
    std::int64_t began_ns_ = 0;
    std::int64_t rows_before_ = 0;  // copied when this job began
    std::thread thread_;
};

}  // namespace tenon::copy
