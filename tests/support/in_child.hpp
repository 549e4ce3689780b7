// SPDX-License-Identifier: Apache-2.0
// Work in a process of its own, which a test may kill; its wait status.
#pragma once

#include <catch2/catch.hpp>

#include <cstdio>
#include <exception>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::test {

// In a child, so that this process has no threads and no connection.
template <class Work>
[[nodiscard]] int in_child(Work&& work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int result = 1;
        try {
            work();
            result = 0;
        } catch (const std::exception& e) {
            (void)std::fprintf(stderr, "child: %s\n", e.what());
        }
        ::_exit(result);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

}  // namespace tenon::test
