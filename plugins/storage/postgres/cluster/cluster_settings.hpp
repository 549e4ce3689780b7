// SPDX-License-Identifier: Apache-2.0
// What an operator can tell of several servers.
#pragma once

#include <cstdint>
#include <string>

namespace tenon::postgres {

struct ClusterSettings {
    std::int64_t probe_interval_ms = 500;
    std::int64_t probe_timeout_ms = 2'000;
    std::uint32_t eject_after = 2;    // failed probes in a row
    std::uint32_t readmit_after = 3;  // good probes in a row
    std::int64_t max_lag_ms = 10'000;
    std::string fence_file;  // absolute; needed when there is more than one host
};

}  // namespace tenon::postgres
