// SPDX-License-Identifier: Apache-2.0
// How long something took, as counts in buckets that grow with the value.
//
// Eight buckets to each doubling above a microsecond: a percentile is the middle of its bucket, at
// most 1/16 (6.25 %) off; below a microsecond the buckets are 128 ns wide. Longer than about
// seventeen minutes counts as that. The idea is that of HdrHistogram (G. Tene); memory is fixed at
// 2 KB. Thread-safe, relaxed: percentiles read while others record may miss the newest records.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>

namespace tenon {

class LatencyHistogram {
public:
    static constexpr std::size_t k_buckets = 248;

    using Counts = std::array<std::uint64_t, k_buckets>;

    void record(std::int64_t ns) noexcept {
        counts_[index_of(ns)].fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] Counts counts() const noexcept {
        Counts out{};
        for (std::size_t i = 0; i < k_buckets; ++i) {
            out[i] = counts_[i].load(std::memory_order_relaxed);
        }
        return out;
    }

    [[nodiscard]] static std::uint64_t total(const Counts& counts) noexcept {
        std::uint64_t sum = 0;
        for (const std::uint64_t count : counts) {
            sum += count;
        }
        return sum;
    }

    // `share` in (0, 1]; 0 when nothing was recorded.
    [[nodiscard]] static std::int64_t percentile_ns(const Counts& counts, double share) noexcept {
        const std::uint64_t all = total(counts);
        const auto rank = std::max<std::uint64_t>(
            static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all))), 1
        );
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < k_buckets && all != 0; ++i) {
            seen += counts[i];
            if (seen >= rank) {
                return middle_ns(i);
            }
        }
        return 0;
    }

    [[nodiscard]] static std::size_t index_of(std::int64_t ns) noexcept {
        const std::uint64_t units = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0)) >> 7U;
        if (units < 16) {
            return units;
        }
        const auto octave = static_cast<std::size_t>(std::bit_width(units)) - 4;
        return std::min(octave * 8 + (units >> octave), k_buckets - 1);
    }

private:
    static std::int64_t middle_ns(std::size_t index) noexcept {
        if (index < 16) {
            return static_cast<std::int64_t>(index * 128 + 64);
        }
        const std::size_t octave = index / 8 - 1;
        const std::uint64_t low = (std::uint64_t{index} - octave * 8) << octave;
        const std::uint64_t width = std::uint64_t{1} << octave;
        return static_cast<std::int64_t>((low * 2 + width) << 6U);
    }

    std::array<std::atomic<std::uint64_t>, k_buckets> counts_{};
};

}  // namespace tenon
