// SPDX-License-Identifier: Apache-2.0
// Threads count in parts of their own, which nobody else writes, so that they take no line from
// each other and need no locked instruction; a reader sums the parts up.
//
// A thread joins at its first count and leaves when it ends; its part, with what was counted in it,
// then goes to the next one. Threads beyond the parts share the first, with atomic additions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::metrics {

inline constexpr std::size_t k_parts = 16;  // the first one is shared
inline constexpr std::int64_t k_part_bytes = 128 * 1024;

// What the word of a thread says before it has joined, and when it shares the first part. Else it
// is the number of its part times k_part_bytes.
inline constexpr std::int64_t k_not_joined = 0;
inline constexpr std::int64_t k_shares = 1;

// The running thread's word, for reading; nobody but join() and the thread's end writes it.
extern constinit thread_local std::int64_t thread_word __attribute__((tls_model("initial-exec")));

// [any] Bytes from a thread's thread pointer to its word: the same for all threads; 0 where the
// compiler has no thread pointer.
[[nodiscard]] std::int64_t word_distance() noexcept;

// [any] Gives the running thread a part. Takes a lock the first time.
void join() noexcept;

// [any] The running thread's part; 0 is the shared one.
[[nodiscard]] inline std::size_t own_part() noexcept {
    if (thread_word == k_not_joined) {
        join();
    }
    return static_cast<std::size_t>(thread_word) / static_cast<std::size_t>(k_part_bytes);
}

// [any] One more than the highest part that any thread has had.
[[nodiscard]] std::size_t parts_used() noexcept;

}  // namespace tenon::metrics
