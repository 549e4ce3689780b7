// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace tenon::monitor {

// What /proc says of this process. Linux.
struct ProcessUse {
    std::uint64_t cpu_ms = 0;  // user and system
    std::uint64_t resident_bytes = 0;
    std::uint64_t open_fds = 0;
    std::uint64_t threads = 0;
    std::int64_t start_real_ms = 0;  // since the epoch
};

// [io] What cannot be read stays 0.
[[nodiscard]] ProcessUse read_process_use();

// Prometheus text format 0.0.4.
[[nodiscard]] std::string process_metrics_text(const ProcessUse& use);

}  // namespace tenon::monitor
