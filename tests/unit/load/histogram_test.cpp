// SPDX-License-Identifier: Apache-2.0
#include "tools/load/histogram.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using tenon::load::Histogram;

TEST_CASE("quantiles agree with sorted values to a thousandth", "[load][P1]") {
    std::mt19937_64 random{20'261'122};
    std::vector<std::int64_t> values;
    Histogram histogram;
    for (int i = 0; i < 100'000; ++i) {
        // From nanoseconds to minutes, evenly in the exponent.
        const auto value = static_cast<std::int64_t>(random() >> (24 + random() % 40));
        values.push_back(value);
        histogram.record(value);
    }
    std::sort(values.begin(), values.end());
    for (const double share : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
        const double wanted = std::ceil(share * static_cast<double>(values.size()) - 1e-6);
        const auto rank = static_cast<std::size_t>(std::max(1.0, wanted));
        const std::int64_t exact = values[rank - 1];
        const std::int64_t told = histogram.quantile_ns(share);
        INFO(share << ": " << told << " for " << exact);
        CHECK(told >= exact);
        CHECK(told - exact <= exact / 1000);
    }
    CHECK(histogram.max_ns() == values.back());
    CHECK(histogram.min_ns() == values.front());
}

TEST_CASE("histograms add up to the histogram of all values", "[load][P1]") {
    std::mt19937_64 random{7};
    Histogram parts[2];
    Histogram whole;
    for (int i = 0; i < 10'000; ++i) {
        const auto value = static_cast<std::int64_t>(random() >> 34U);
        parts[i % 2].record(value);
        whole.record(value);
    }
    parts[0].add(parts[1]);
    parts[0].add(Histogram{});
    CHECK(parts[0].count() == whole.count());
    CHECK(parts[0].mean_ns() == Approx(whole.mean_ns()));
    for (const double share : {0.01, 0.5, 0.99, 1.0}) {
        CHECK(parts[0].quantile_ns(share) == whole.quantile_ns(share));
    }
    std::uint64_t told = 0;
    std::int64_t before = -1;
    parts[0].each([&](std::int64_t top_ns, std::uint64_t count) {
        CHECK(top_ns > before);
        before = top_ns;
        told += count;
    });
    CHECK(told == whole.count());
}

TEST_CASE("durations out of range count as the nearest one in it", "[load][P1]") {
    Histogram histogram;
    CHECK(histogram.quantile_ns(0.5) == 0);
    CHECK(histogram.min_ns() == 0);
    histogram.record(-5);
    histogram.record(INT64_MAX, 3);
    CHECK(histogram.count() == 4);
    CHECK(histogram.min_ns() == 0);
    CHECK(histogram.max_ns() == Histogram::k_longest_ns);
    CHECK(histogram.above(1'000'000) == 3);
    CHECK(histogram.above(-1) == 3);
}
