// SPDX-License-Identifier: Apache-2.0
// Counts work that other threads still do for a plugin, so that stop can wait for it. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace tenon {

class InFlight {
public:
    void enter() {
        const std::lock_guard lock{mutex_};
        ++count_;
    }

    void leave() noexcept {
        const std::lock_guard lock{mutex_};
        if (--count_ == 0) {
            empty_.notify_all();  // under the lock: the waiter may destroy this right after
        }
    }

    // Returns when nothing is in flight. Nobody may enter meanwhile.
    void wait() {
        std::unique_lock lock{mutex_};
        empty_.wait(lock, [this] { return count_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable empty_;
    std::size_t count_ = 0;
};

}  // namespace tenon
