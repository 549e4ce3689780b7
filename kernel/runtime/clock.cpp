// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/clock.hpp"

#include <ctime>

namespace tenon::runtime {

namespace {

std::int64_t read(clockid_t clock) noexcept {
    timespec now{};
    (void)::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::int64_t monotonic_ns() noexcept {
    return read(CLOCK_MONOTONIC);
}

std::int64_t realtime_ns() noexcept {
    return read(CLOCK_REALTIME);
}

const tenon_clock_1 k_clock_table{
    sizeof(tenon_clock_1),
    0,
    [](void*) noexcept { return monotonic_ns(); },
    [](void*) noexcept { return realtime_ns(); }};

}  // namespace tenon::runtime
