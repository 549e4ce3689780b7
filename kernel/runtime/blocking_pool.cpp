// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/blocking_pool.hpp"

#include "kernel/runtime/crash.hpp"

namespace tenon::runtime {

BlockingPool::BlockingPool(std::uint32_t threads) {
    for (std::uint32_t i = 0; i < threads; ++i) {
        threads_.emplace_back([this] { work(); });
    }
}

BlockingPool::~BlockingPool() {
    stop();
}

bool BlockingPool::run(tenon_fn fn, void* ctx) {
    {
        const std::lock_guard lock{mutex_};
        if (stopping_ || queue_.size() >= k_max_queued) {
            return false;
        }
        queue_.push_back({fn, ctx});
    }
    changed_.notify_one();
    return true;
}

void BlockingPool::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) {
            thread.join();
        }
    }
}

std::size_t BlockingPool::queued() const {
    const std::lock_guard lock{mutex_};
    return queue_.size();
}

void BlockingPool::work() {
    give_crash_stack();
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) {
            return;
        }
        const Task task = queue_.front();
        queue_.pop_front();
        lock.unlock();
        task.run("a blocking task");
        lock.lock();
    }
}

}  // namespace tenon::runtime
