// SPDX-License-Identifier: Apache-2.0
// What a process has and is set to: to compare before and after plugin code ran.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tenon::conformance {

struct ProcessState {
    std::map<int, std::string> fds;      // number to what it refers to
    std::map<int, std::string> threads;  // id to name
    std::string locale;
    std::uint32_t umask = 0;
    std::uint32_t fp_mode = 0;           // rounding and exceptions of SSE and x87
    std::map<int, std::string> signals;  // dispositions that are not the default
    std::string blocked_signals;
    std::string working_folder;
    std::int64_t output_bytes = 0;  // of standard output and error, when they are files

    // What differs in `after`, as text; empty when nothing does.
    [[nodiscard]] std::string new_threads(const ProcessState& after) const;
    [[nodiscard]] std::string new_fds(const ProcessState& after) const;
    [[nodiscard]] std::string changed_settings(const ProcessState& after) const;
};

[[nodiscard]] ProcessState process_state();

// Resident memory in bytes.
[[nodiscard]] std::int64_t resident_bytes();

}  // namespace tenon::conformance
