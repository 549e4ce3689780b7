// SPDX-License-Identifier: Apache-2.0
// The machine's clocks. What is waited for here are other programs and a database server, which
// live by real time, whatever clock a test may hand to a plugin.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace tenon::backup_postgres {

[[nodiscard]] inline std::chrono::steady_clock::time_point steady_now() noexcept {
    std::timespec now{};
    (void)::clock_gettime(CLOCK_MONOTONIC, &now);  // what steady_clock counts
    return std::chrono::steady_clock::time_point{
        std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

// Unix time.
[[nodiscard]] inline std::int64_t real_now_ns() noexcept {
    std::timespec now{};
    (void)::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace tenon::backup_postgres
