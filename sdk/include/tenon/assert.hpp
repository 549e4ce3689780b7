// SPDX-License-Identifier: Apache-2.0
// TENON_ASSERT: an invariant of our own code, checked in release builds too. It stops the process
// before a broken state can be written. Never for input from outside: that gets an error.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace tenon::detail {

[[noreturn]] inline void assertion_failed(const char* what, const char* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
    std::abort();
}

}  // namespace tenon::detail

#define TENON_ASSERT(condition)                                                \
    do {                                                                       \
        if (!(condition)) [[unlikely]] {                                       \
            ::tenon::detail::assertion_failed(#condition, __FILE__, __LINE__); \
        }                                                                      \
    } while (false)
