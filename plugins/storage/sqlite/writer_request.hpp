// SPDX-License-Identifier: Apache-2.0
// What waits in the writer's queue. It lives on its caller's stack.
#pragma once

#include "plugins/storage/sqlite/writer.hpp"

#include <cerrno>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tenon::sqlite {

// Set once, waited for by one thread, which may take the memory away as soon as it is set. A mutex
// with a condition takes up to three sleeps for that: who is woken finds the mutex taken.
class Signal {
public:
    void set() noexcept {
        if (state_.exchange(k_set, std::memory_order_acq_rel) == k_waited_for) {
            // Perhaps it is gone by now: then nobody sleeps at the address, or somebody who looks.
            (void)::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
        }
    }

    // False: not within that time. INT64_MAX: for ever.
    [[nodiscard]] bool wait(std::int64_t for_ns) noexcept {
        std::uint32_t unset = k_unset;
        if (!state_.compare_exchange_strong(unset, k_waited_for, std::memory_order_acq_rel) &&
            unset == k_set) {
            return true;
        }
        timespec until{};
        if (for_ns != INT64_MAX) {
            (void)::clock_gettime(CLOCK_MONOTONIC, &until);
            const std::int64_t ns = until.tv_nsec + for_ns % k_second_ns;
            until.tv_sec += for_ns / k_second_ns + ns / k_second_ns;
            until.tv_nsec = ns % k_second_ns;
        }
        bool in_time = true;
        while (state_.load(std::memory_order_acquire) != k_set && in_time) {
            const long woken = ::syscall(
                SYS_futex,
                &state_,
                FUTEX_WAIT_BITSET_PRIVATE,
                k_waited_for,
                for_ns == INT64_MAX ? nullptr : &until,
                nullptr,
                FUTEX_BITSET_MATCH_ANY
            );
            in_time = woken == 0 || errno != ETIMEDOUT;
        }
        return state_.load(std::memory_order_acquire) == k_set;
    }

private:
    static constexpr std::uint32_t k_unset = 0, k_waited_for = 1, k_set = 2;
    static constexpr std::int64_t k_second_ns = 1'000'000'000;

    std::atomic<std::uint32_t> state_{k_unset};
    static_assert(sizeof state_ == sizeof(std::uint32_t));
};

struct Writer::Request {
    Work work;  // without fn: a lease
    std::int64_t queued_ns = 0;
    Connection* leased = nullptr;
    std::uint64_t txid = 0;
    std::thread::id caller = std::this_thread::get_id();
    bool in_doubt = false;  // a commit of it had an unknown outcome

    Signal finished;
    tenon_status status = TENON_OK;
};

}  // namespace tenon::sqlite
