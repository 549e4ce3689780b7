// SPDX-License-Identifier: Apache-2.0
// A histogram of durations, each thread counting in its own part (thread_part.hpp).
#pragma once

#include "sdk/metrics/thread_part.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::metrics {

// In buckets from 5 µs to 10 s.
class Histogram {
public:
    static constexpr std::array<std::int64_t, 20> k_bounds_ns{
        5'000,       10'000,        25'000,        50'000,        100'000,
        250'000,     500'000,       1'000'000,     2'500'000,     5'000'000,
        10'000'000,  25'000'000,    50'000'000,    100'000'000,   250'000'000,
        500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

    Histogram(std::string_view name, const std::string& labels);

    // [any]
    void observe(std::int64_t duration_ns) noexcept;
    // [any] One line of the page for each bucket, the sum and the count.
    void append_to(std::string& out) const;

private:
    struct alignas(64) Part {
        std::array<std::atomic<std::uint64_t>, k_bounds_ns.size() + 1> buckets{};
        std::atomic<std::int64_t> sum_ns{0};
    };

    std::array<Part, k_parts> parts_{};
    std::vector<std::string> heads_;  // its lines, up to their values
};

}  // namespace tenon::metrics
