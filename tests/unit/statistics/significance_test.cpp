// SPDX-License-Identifier: Apache-2.0
#include "sdk/statistics/significance.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

using namespace tenon::statistics;

namespace {

std::uint64_t seed() {
    const char* given = std::getenv("TENON_SEED");
    return given == nullptr ? 20'261'122 : std::stoull(given);
}

// How long one request takes in an interleaved comparison of a shared machine: each round has its
// own level, both sides of it a scatter of 3 %, a slow drift is common to both, and in one of
// twelve measurements something else ran (up to twice as long).
class Machine {
public:
    explicit Machine(std::uint64_t number) : random_{number} {}

    // Adds a round: a's and b's cost, b being `factor` times as dear.
    void round(std::vector<double>& a, std::vector<double>& b, double factor) {
        drift_ += normal_(random_) * 0.005;
        const double level = 20 * std::exp(drift_ + normal_(random_) * 0.01);
        a.push_back(level * noise());
        b.push_back(level * noise() * factor);
    }

private:
    double noise() {
        const double usual = std::exp(normal_(random_) * 0.03);
        return unit_(random_) < 1.0 / 12 ? usual * (1 + unit_(random_)) : usual;
    }

    std::mt19937_64 random_;
    std::normal_distribution<double> normal_{0, 1};
    std::uniform_real_distribution<double> unit_{0, 1};
    double drift_ = 0;
};

// Of `count` comparisons of 20 rounds, how many say that b is higher, and how many lower.
std::pair<int, int> alarms(double factor, int count) {
    std::pair<int, int> found{0, 0};
    for (int i = 0; i < count; ++i) {
        Machine machine{seed() * 1'000 + static_cast<std::uint64_t>(i)};
        std::vector<double> a;
        std::vector<double> b;
        for (int round = 0; round < 20; ++round) {
            machine.round(a, b, factor);
        }
        const Verdict verdict = compare(a, b, {}).verdict;
        found.first += verdict == Verdict::higher ? 1 : 0;
        found.second += verdict == Verdict::lower ? 1 : 0;
    }
    return found;
}

}  // namespace

TEST_CASE("the rank test gives the figures of the textbooks", "[load][P2]") {
    // Worked by hand: no ties, U counts the pairs with a < b.
    const RankTest apart = mann_whitney({1, 2, 3, 4}, {5, 6, 7, 8});
    CHECK(apart.u == 16);
    CHECK(apart.z == Approx(7.5 / std::sqrt(12.0)));
    CHECK(apart.p == Approx(0.030383).margin(1e-5));
    // Ties: ranks 1, 2.5, 2.5, 4 | 5.5, 5.5, 7, 8; the variance loses (6 + 6) / 56 of 9.
    const RankTest tied = mann_whitney({1, 2, 2, 3}, {4, 4, 5, 6});
    CHECK(tied.u == 16);
    CHECK(tied.z == Approx(7.5 / std::sqrt(16.0 / 12 * (9 - 12.0 / 56))));
    const RankTest turned = mann_whitney({5, 6, 7, 8}, {1, 2, 3, 4});
    CHECK(turned.u == 0);
    CHECK(turned.p == apart.p);
    CHECK(turned.z == -apart.z);
    CHECK(mann_whitney({3, 3, 3}, {3, 3, 3}).p == 1);
    CHECK(mann_whitney({1}, {2}).p == 1);
}

TEST_CASE("a difference is told by its typical ratio", "[load][P2]") {
    CHECK(typical_ratio({1, 2, 4}, {2, 4, 8}) == 2);
    CHECK(typical_ratio({10, 10, 10}, {11, 11, 1000}) == Approx(1.1));
    CHECK(typical_ratio({}, {1}) == 1);
    CHECK(typical_ratio({0}, {1}) == 1);
}

TEST_CASE("a difference needs both significance and size", "[load][P2]") {
    std::vector<double> a;
    std::vector<double> slightly;
    std::vector<double> clearly;
    for (int i = 0; i < 20; ++i) {
        a.push_back(100 + i * 0.01);
        slightly.push_back(a.back() * 1.03);
        clearly.push_back(a.back() * 1.06);
    }
    CHECK(compare(a, slightly, {}).test.p < 0.01);
    CHECK(compare(a, slightly, {}).verdict == Verdict::no_difference);
    CHECK(compare(a, clearly, {}).verdict == Verdict::higher);
    CHECK(compare(clearly, a, {}).verdict == Verdict::lower);
    CHECK(compare({1, 1, 1}, {2, 2, 2}, {}).verdict == Verdict::too_few);
}

TEST_CASE("a planted tenth is found in 95 of 100 comparisons", "[load][P2]") {
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed()));
    const auto [higher, lower] = alarms(1.1, 100);
    CHECK(higher >= 95);
    CHECK(lower == 0);
}

TEST_CASE("the same beside the same alarms once in 100 at most", "[load][P2]") {
    const auto [higher, lower] = alarms(1.0, 1'000);
    CHECK(higher + lower <= 10);
}
