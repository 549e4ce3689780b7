// SPDX-License-Identifier: Apache-2.0
// Counts work that other threads still do for a plugin, so that stop can wait for it. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace tenon {

class InFlight {
public:
    void enter() {
        const std::lock_guard lock{mutex_};
        ++count_;
    }

    // False after close(): nothing was entered.
    [[nodiscard]] bool try_enter() {
        const std::lock_guard lock{mutex_};
        count_ += closed_ ? 0 : 1;
        return !closed_;
    }

    void leave() noexcept {
        const std::lock_guard lock{mutex_};
        if (--count_ == 0) {
            empty_.notify_all();  // under the lock: the waiter may destroy this right after
        }
    }

    // Who asks by try_enter() is refused from now on.
    void close() noexcept {
        const std::lock_guard lock{mutex_};
        closed_ = true;
    }

    // Returns when nothing is in flight. Nobody may enter meanwhile.
    void wait() {
        std::unique_lock lock{mutex_};
        empty_.wait(lock, [this] { return count_ == 0; });
    }

    // As wait(), for so long at most: gives back how many are in flight still.
    [[nodiscard]] std::size_t wait_for(std::int64_t ns) {
        std::unique_lock lock{mutex_};
        (void)empty_.wait_for(lock, std::chrono::nanoseconds{ns}, [this] { return count_ == 0; });
        return count_;
    }

private:
    std::mutex mutex_;
    std::condition_variable empty_;
    std::size_t count_ = 0;
    bool closed_ = false;
};

}  // namespace tenon
