// SPDX-License-Identifier: Apache-2.0
// Cells of counters: each lies once in the shared part, where its address is what tenon.metrics/1
// hands out, and at the same place of every thread's own part. Pages are taken as they are touched.
#pragma once

#include "sdk/metrics/thread_part.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::metrics {

class CounterCells {
public:
    static constexpr std::size_t k_max = k_part_bytes / sizeof(std::uint64_t);

    // Throws std::bad_alloc.
    CounterCells();
    ~CounterCells();
    CounterCells(const CounterCells&) = delete;
    CounterCells& operator=(const CounterCells&) = delete;

    // The next cell; nullptr after k_max of them.
    [[nodiscard]] std::uint64_t* make() noexcept;
    // `totals` becomes the sums of all cells, in the order in which they were made.
    void sum(std::vector<std::uint64_t>& totals) const;

    [[nodiscard]] std::size_t index_of(const std::uint64_t* cell) const noexcept {
        return static_cast<std::size_t>(cell - cells_);
    }

private:
    std::uint64_t* cells_;
    std::size_t made_ = 0;
};

}  // namespace tenon::metrics
