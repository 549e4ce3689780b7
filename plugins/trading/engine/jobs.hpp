// SPDX-License-Identifier: Apache-2.0
// Work of the engine on the blocking pool, counted, so that stop can wait for its end.
#pragma once

#include <tenon/plugin.hpp>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

namespace tenon::engine {

class Jobs {
public:
    explicit Jobs(Service<tenon_exec_1> exec) : exec_{exec} {}

    // [any] False when the pool takes no more; the job does not run then. What it throws is
    // dropped: jobs report their own failures.
    [[nodiscard]] bool run(std::function<void()> job) {
        {
            const std::lock_guard lock{mutex_};
            ++running_;
        }
        try {
            run_blocking(exec_, [this, job = std::move(job)] {
                (void)guard(nullptr, [&] { job(); });
                finished();
            });
        } catch (const Error&) {
            finished();
            return false;
        }
        return true;
    }

    // [control] Returns when no job runs.
    void wait() {
        std::unique_lock lock{mutex_};
        idle_.wait(lock, [this] { return running_ == 0; });
    }

private:
    void finished() {
        const std::lock_guard lock{mutex_};
        --running_;
        idle_.notify_all();
    }

    Service<tenon_exec_1> exec_;
    std::mutex mutex_;
    std::condition_variable idle_;
    int running_ = 0;
};

}  // namespace tenon::engine
