// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/blocking_pool.hpp"

#include "kernel/runtime/crash.hpp"

#include <algorithm>

namespace tenon::runtime {

BlockingPool::BlockingPool(std::uint32_t threads) {
    for (std::uint32_t i = 0; i < threads; ++i) {
        threads_.emplace_back([this] { work(); });
    }
}

BlockingPool::~BlockingPool() {
    (void)stop(std::chrono::hours{24});
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

std::vector<std::string> BlockingPool::stop(std::chrono::milliseconds limit) {
    std::unique_lock lock{mutex_};
    stopping_ = true;
    changed_.notify_all();
    const auto done = [this] { return queue_.empty() && in_hand_.empty(); };
    std::vector<std::string> left;
    if (!idle_.wait_for(lock, limit, done)) {
        for (const Owner* owner : in_hand_) {
            left.push_back(owner == nullptr ? "kernel" : owner->instance);
        }
        return left;
    }
    lock.unlock();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) {
            thread.join();
        }
    }
    return left;
}

bool BlockingPool::leave(const Owner& owner, std::chrono::milliseconds limit) {
    std::unique_lock lock{mutex_};
    return idle_.wait_for(lock, limit, [&] {
        return std::none_of(
                   queue_.begin(), queue_.end(), [&](const Task& t) { return t.owner == &owner; }
               ) &&
               std::find(in_hand_.begin(), in_hand_.end(), &owner) == in_hand_.end();
    });
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
        in_hand_.push_back(task.owner);
        lock.unlock();
        task.run("a blocking task");
        lock.lock();
        in_hand_.erase(std::find(in_hand_.begin(), in_hand_.end(), task.owner));
        idle_.notify_all();
    }
}

}  // namespace tenon::runtime
