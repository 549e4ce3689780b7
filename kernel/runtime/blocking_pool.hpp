// SPDX-License-Identifier: Apache-2.0
// Threads for work that may block: SQL, files, admin commands. The queue is bounded; a full queue
// is the caller's to handle.
#pragma once

#include "kernel/runtime/owner.hpp"

#include <tenon/abi/host.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tenon::runtime {

class BlockingPool {
public:
    static constexpr std::size_t k_max_queued = 1024;

    explicit BlockingPool(std::uint32_t threads);
    ~BlockingPool();
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    // [any] False when the queue is full or the pool has stopped.
    [[nodiscard]] bool run(tenon_fn fn, void* ctx);
    // Finishes what is queued, then ends the threads. What goes on beyond the limit is named, by
    // the instance that asked for it ("kernel"): its thread is left, and nothing that it uses may
    // go.
    std::vector<std::string> stop(std::chrono::milliseconds limit);
    // Waits until nothing of this owner is queued or runs; false: not within the limit.
    [[nodiscard]] bool leave(const Owner& owner, std::chrono::milliseconds limit);
    [[nodiscard]] std::size_t queued() const;

private:
    void work();

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::condition_variable idle_;
    std::deque<Task> queue_;             // guarded by mutex_
    std::vector<const Owner*> in_hand_;  // guarded by mutex_; whose tasks run
    bool stopping_ = false;              // guarded by mutex_
    std::vector<std::thread> threads_;
};

}  // namespace tenon::runtime
