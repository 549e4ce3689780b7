// SPDX-License-Identifier: Apache-2.0
// The wall clock of this process, which a test can step; the monotonic one is as it is.
//
// The C library's functions are replaced for the whole program: what waits until a time of day, or
// measures with it, goes wrong as it would on a machine whose clock is set.
#pragma once

#include <cstdint>

namespace tenon::test {

// Seconds that the wall clock is off by, from now on.
void set_wall_clock_offset(std::int64_t seconds) noexcept;

}  // namespace tenon::test
