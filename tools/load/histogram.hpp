// SPDX-License-Identifier: Apache-2.0
// Durations in buckets whose width grows with the value, so that each is known to better than 0.1 %
// (the layout of HdrHistogram with three significant digits, http://hdrhistogram.org). From 0 to
// 18 minutes; what is longer counts as that. Memory grows with the longest one, to 250 kB at most.
// One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace tenon::load {

class Histogram {
public:
    static constexpr std::int64_t k_longest_ns = (std::int64_t{1} << 40) - 1;

    // Below 0 counts as 0.
    void record(std::int64_t duration_ns, std::uint64_t times = 1);
    void add(const Histogram& other);

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    // 0 when nothing was recorded.
    [[nodiscard]] std::int64_t min_ns() const noexcept { return count_ == 0 ? 0 : min_ns_; }

    [[nodiscard]] std::int64_t max_ns() const noexcept { return max_ns_; }

    [[nodiscard]] double mean_ns() const noexcept;

    // The smallest duration that at least this share of the recorded ones does not exceed: the
    // upper end of its bucket. `share` from 0 to 1; 0 when nothing was recorded.
    [[nodiscard]] std::int64_t quantile_ns(double share) const noexcept;

    // How many are longer than the bucket of this duration.
    [[nodiscard]] std::uint64_t above(std::int64_t duration_ns) const noexcept;

    // Each bucket that has something, the shortest first: its longest duration, how many.
    void each(const std::function<void(std::int64_t, std::uint64_t)>& tell) const;

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    std::int64_t min_ns_ = k_longest_ns, max_ns_ = 0;
    double sum_ns_ = 0;
};

}  // namespace tenon::load
