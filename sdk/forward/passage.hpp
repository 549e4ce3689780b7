// SPDX-License-Identifier: Apache-2.0
// Who is inside a forwarded call, so that what was called can be taken away once nobody is.
//
// The side that calls writes to a cell of its own thread and executes no fence; the side that waits
// makes every running thread execute one (membarrier(2)). Without that system call the callers
// fence themselves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace tenon::forward {

// Of one thread.
struct Reader {
    std::atomic<std::uint64_t> since{0};  // the epoch of its outermost call, 0: in none
    std::uint32_t depth = 0;              // its own thread's alone
};

namespace detail {

extern const bool k_asymmetric;
extern std::atomic<std::uint64_t> g_epoch;
inline thread_local constinit Reader* t_reader = nullptr;

[[nodiscard]] Reader& enlist() noexcept;

}  // namespace detail

// [nonblock] but for a thread's first. The thread is in a forwarded call until the end of the
// scope.
class Passage {
public:
    Passage() noexcept
        : reader_{detail::t_reader != nullptr ? *detail::t_reader : detail::enlist()} {
        if (reader_.depth++ == 0) {
            reader_.since.store(
                detail::g_epoch.load(std::memory_order_relaxed), std::memory_order_relaxed
            );
            if (detail::k_asymmetric) [[likely]] {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            } else {
                std::atomic_thread_fence(std::memory_order_seq_cst);
            }
        }
    }

    ~Passage() {
        if (--reader_.depth == 0) {
            reader_.since.store(0, std::memory_order_release);
        }
    }

    Passage(const Passage&) = delete;
    Passage& operator=(const Passage&) = delete;

private:
    Reader& reader_;
};

// Waits until every call that began before this one has ended, in whichever thread; calls that
// begin later are not waited for. False when `enough` said so first. Not within a Passage.
[[nodiscard]] bool quiesce(const std::function<bool()>& enough);

}  // namespace tenon::forward
