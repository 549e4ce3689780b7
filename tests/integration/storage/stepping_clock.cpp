// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/storage/stepping_clock.hpp"

#include <atomic>
#include <ctime>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

std::atomic<std::int64_t> offset_s{0};

timespec wall_time() noexcept {
    timespec now{};
    (void)::syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    now.tv_sec += offset_s.load(std::memory_order_relaxed);
    return now;
}

}  // namespace

namespace tenon::test {

void set_wall_clock_offset(std::int64_t seconds) noexcept {
    offset_s = seconds;
}

}  // namespace tenon::test

extern "C" {

int clock_gettime(clockid_t id, timespec* out) noexcept {
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        *out = wall_time();
        return 0;
    }
    return static_cast<int>(::syscall(SYS_clock_gettime, id, out));
}

int gettimeofday(timeval* out, void*) noexcept {
    const timespec now = wall_time();
    *out = {now.tv_sec, static_cast<suseconds_t>(now.tv_nsec / 1000)};
    return 0;
}

time_t time(time_t* out) noexcept {
    const time_t now = wall_time().tv_sec;
    if (out != nullptr) {
        *out = now;
    }
    return now;
}
}
