// SPDX-License-Identifier: Apache-2.0
#include "sdk/metrics/thread_part.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

namespace tenon::metrics {

namespace {

constinit std::mutex g_mutex;
constinit std::array<bool, k_parts> g_taken{true};  // guarded by g_mutex
constinit std::atomic<std::size_t> g_used{1};

// Gives the part back at the thread's end. What counts later still, another thread_local's
// destructor say, shares the first part.
struct Leave {
    ~Leave() {
        if (thread_word != k_shares) {
            const std::lock_guard lock{g_mutex};
            g_taken[static_cast<std::size_t>(thread_word / k_part_bytes)] = false;
            thread_word = k_shares;
        }
    }
};

}  // namespace

constinit thread_local std::int64_t thread_word = k_not_joined;

std::int64_t word_distance() noexcept {
#if __has_builtin(__builtin_thread_pointer)
    return reinterpret_cast<const char*>(&thread_word) -
           static_cast<const char*>(__builtin_thread_pointer());
#else
    return 0;
#endif
}

void join() noexcept {
    if (thread_word != k_not_joined) {
        return;
    }
    static thread_local const Leave leave;
    const std::lock_guard lock{g_mutex};
    const auto free = std::find(g_taken.begin(), g_taken.end(), false);
    if (free == g_taken.end()) {
        thread_word = k_shares;
        return;
    }
    *free = true;
    const auto part = static_cast<std::size_t>(free - g_taken.begin());
    g_used.store(std::max(g_used.load(), part + 1));
    thread_word = static_cast<std::int64_t>(part) * k_part_bytes;
}

std::size_t parts_used() noexcept {
    return g_used.load();
}

}  // namespace tenon::metrics
