// SPDX-License-Identifier: Apache-2.0
#include "sdk/statistics/significance.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tenon::statistics {

namespace {

struct Ranks {
    double of_a = 0;  // sum of the ranks of the first set, from 1, ties share theirs
    double ties = 0;  // sum of t^3 - t
};

Ranks ranks_of(const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<std::pair<double, bool>> all;
    all.reserve(a.size() + b.size());
    for (const double value : a) {
        all.emplace_back(value, true);
    }
    for (const double value : b) {
        all.emplace_back(value, false);
    }
    std::sort(all.begin(), all.end());
    Ranks ranks;
    for (std::size_t first = 0; first < all.size();) {
        std::size_t end = first;
        std::size_t of_a = 0;
        while (end < all.size() && !(all[first].first < all[end].first)) {
            of_a += all[end++].second ? 1U : 0U;
        }
        const auto size = static_cast<double>(end - first);
        ranks.of_a += static_cast<double>(of_a) * (static_cast<double>(first + end + 1) / 2);
        ranks.ties += size * size * size - size;
        first = end;
    }
    return ranks;
}

}  // namespace

RankTest mann_whitney(const std::vector<double>& a, const std::vector<double>& b) {
    RankTest test;
    const auto n = static_cast<double>(a.size());
    const auto m = static_cast<double>(b.size());
    if (a.size() < 2 || b.size() < 2) {
        return test;
    }
    const Ranks ranks = ranks_of(a, b);
    test.u = n * m - (ranks.of_a - n * (n + 1) / 2);
    const double both = n + m;
    const double variance = n * m / 12 * (both + 1 - ranks.ties / (both * (both - 1)));
    if (variance <= 0) {
        return test;
    }
    const double off = test.u - n * m / 2;
    const double step = std::min(0.5, std::fabs(off));
    test.z = std::copysign((std::fabs(off) - step) / std::sqrt(variance), off);
    test.p = std::min(1.0, std::erfc(std::fabs(test.z) / std::sqrt(2.0)));
    return test;
}

double typical_ratio(const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> ratios;
    ratios.reserve(a.size() * b.size());
    for (const double x : a) {
        for (const double y : b) {
            if (x > 0 && y > 0) {
                ratios.push_back(y / x);
            }
        }
    }
    if (ratios.empty()) {
        return 1;
    }
    std::sort(ratios.begin(), ratios.end());
    const std::size_t middle = ratios.size() / 2;
    return ratios.size() % 2 == 1 ? ratios[middle] : std::sqrt(ratios[middle - 1] * ratios[middle]);
}

std::string_view name_of(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::too_few:
            return "too few measurements";
        case Verdict::no_difference:
            return "no difference";
        case Verdict::lower:
            return "lower";
        case Verdict::higher:
            break;
    }
    return "higher";
}

Difference compare(const std::vector<double>& a, const std::vector<double>& b, const Bars& bars) {
    Difference difference;
    difference.test = mann_whitney(a, b);
    difference.ratio = typical_ratio(a, b);
    if (a.size() < bars.least || b.size() < bars.least) {
        return difference;
    }
    difference.verdict = Verdict::no_difference;
    if (difference.test.p < bars.p) {
        if (difference.ratio >= 1 + bars.effect) {
            difference.verdict = Verdict::higher;
        } else if (difference.ratio <= 1 - bars.effect) {
            difference.verdict = Verdict::lower;
        }
    }
    return difference;
}

}  // namespace tenon::statistics
