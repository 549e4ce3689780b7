// SPDX-License-Identifier: Apache-2.0
// Are two sets of measurements different, and by how much? Both questions must be answered with yes
// before a difference is told: a p-value alone finds what nobody can feel, an effect alone finds
// noise. Nothing is assumed of the distribution of the measurements. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::statistics {

struct RankTest {
    double u = 0;  // pairs (a, b) with a < b, ties for a half
    double z = 0;
    double p = 1;  // two-sided
};

// Mann and Whitney's U (Annals of Mathematical Statistics 18, 1947) with the normal approximation,
// the correction for ties (Lehmann, Nonparametrics, 1.4) and for continuity:
//   mean = n m / 2,  variance = n m / 12 * (N + 1 - sum(t^3 - t) / (N (N - 1))),  N = n + m,
// t being the sizes of the groups of equal values. Of fewer than two values in a set, or when all
// are equal, p is 1.
[[nodiscard]] RankTest mann_whitney(const std::vector<double>& a, const std::vector<double>& b);

// Hodges and Lehmann's estimate (Annals of Mathematical Statistics 34, 1963) of b over a: the
// median of the quotients of all pairs. Values must be above 0; others are left out. 1 without any.
[[nodiscard]] double typical_ratio(const std::vector<double>& a, const std::vector<double>& b);

enum class Verdict : std::uint8_t { too_few, no_difference, lower, higher };

[[nodiscard]] std::string_view name_of(Verdict verdict) noexcept;

struct Bars {
    double p = 0.01;        // below it a difference is no accident
    double effect = 0.05;   // the share by which it must differ at least
    std::size_t least = 8;  // measurements a side; with fewer the p cannot be trusted
};

struct Difference {
    RankTest test;
    double ratio = 1;  // b over a
    Verdict verdict = Verdict::too_few;
};

// What b is, beside a.
[[nodiscard]] Difference
compare(const std::vector<double>& a, const std::vector<double>& b, const Bars& bars);

}  // namespace tenon::statistics
