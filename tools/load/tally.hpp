// SPDX-License-Identifier: Apache-2.0
// What a run measured. Merged over rounds. One thread.
#pragma once

#include "tools/load/histogram.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tenon::load {

// One operation, or one stretch of time.
struct Tally {
    Histogram latency;                      // from when it was due
    std::map<int, std::uint64_t> statuses;  // 0: no answer
    std::uint64_t errors = 0;               // not what was wanted, or no answer

    void add(const Tally& other);
};

struct Run {
    std::uint64_t planned = 0;     // due after the warm-up; of a closed loop: sent
    std::uint64_t late = 0;        // handed out later than k_late_ns after they were due
    std::uint64_t never_sent = 0;  // their user's connection was not free before the end
    std::uint64_t unanswered = 0;  // sent, and no answer came
    std::uint64_t reconnects = 0;
    Tally all;
    Histogram service;              // from when it was sent, for comparison
    Histogram lateness;             // the generator's own: handed out after due
    std::vector<Tally> operations;  // as the workload numbers them
    std::vector<Tally> windows;     // by the time that they were due
    std::int64_t window_ns = 1'000'000'000;
    std::int64_t measured_ns = 0;  // from the end of the warm-up to the last answer
    bool exhausted = false;  // the generator had no pause, so what it read may have waited for it
    std::string trouble;     // the first that went wrong with a connection

    void add(const Run& other);
};

// What is handed out later than this is late: more than a timer's usual error.
inline constexpr std::int64_t k_late_ns = 1'000'000;

// Too many were late: the figures are not the server's alone.
[[nodiscard]] bool saturated(const Run& run) noexcept;

}  // namespace tenon::load
