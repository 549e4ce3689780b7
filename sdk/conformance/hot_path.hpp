// SPDX-License-Identifier: Apache-2.0
// What a [nonblock] call must not do: allocate, or make a system call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace tenon::conformance {

struct HotPath {
    std::uint64_t allocations = 0;
    std::uint64_t system_calls = 0;
    long first_system_call = -1;      // its number (asm/unistd_64.h)
    bool allocations_known = false;   // false: this program has no allocation hook
    bool system_calls_known = false;  // false: the kernel is older than Linux 5.11, or not x86-64

    [[nodiscard]] bool clean() const { return allocations == 0 && system_calls == 0; }

    // "2 allocations, 1 system call (first: 202)".
    [[nodiscard]] std::string text() const;
};

// Runs the body on this thread and counts. System calls are caught by syscall user dispatch
// (prctl(2), PR_SET_SYSCALL_USER_DISPATCH) and then carried out. The body does not throw.
[[nodiscard]] HotPath watch_hot_path(const std::function<void()>& body);

}  // namespace tenon::conformance
