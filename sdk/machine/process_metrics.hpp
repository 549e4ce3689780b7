// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/machine/exposition.hpp"

#include <cstdint>
#include <filesystem>

namespace tenon::machine {

// What proc(5) and clock_gettime(2) say of this process. Linux.
struct ProcessUse {
    std::uint64_t cpu_ms = 0;  // user and system
    std::uint64_t resident_bytes = 0;
    std::uint64_t open_fds = 0;
    std::uint64_t open_fds_max = 0;
    std::uint64_t threads = 0;
    std::uint64_t major_faults = 0;   // pages that had to be read from disk
    std::uint64_t start_real_ms = 0;  // since the epoch
    std::uint64_t disk_read_bytes = 0;
    std::uint64_t disk_written_bytes = 0;
};

// [io] What cannot be read stays 0.
[[nodiscard]] ProcessUse read_process_use(const std::filesystem::path& proc = "/proc");

void append_process(Exposition& out, const ProcessUse& use);

}  // namespace tenon::machine
