// SPDX-License-Identifier: Apache-2.0
// The two clocks, in nanoseconds; and their table for plugins (tenon.clock/1).
#pragma once

#include <tenon/abi/host.h>

#include <cstdint>

namespace tenon::runtime {

[[nodiscard]] std::int64_t monotonic_ns() noexcept;
[[nodiscard]] std::int64_t realtime_ns() noexcept;  // since the epoch, UTC; may step back

extern const tenon_clock_1 k_clock_table;

}  // namespace tenon::runtime
