// SPDX-License-Identifier: Apache-2.0
// Which backups stay.
#include "sdk/vault/retention.hpp"

#include <catch2/catch.hpp>

using tenon::vault::Generation;
using tenon::vault::given_up;
using tenon::vault::Retention;

namespace {

constexpr std::int64_t k_hour = 3'600'000'000'000;
constexpr std::int64_t k_monday = 1'778'457'600'000'000'000;  // 2026-05-11, 00:00 UTC

// One every six hours, the newest with the highest number.
std::vector<Generation> every_six_hours(int count, bool is_proven) {
    std::vector<Generation> all;
    for (int i = 0; i < count; ++i) {
        all.push_back({std::to_string(1000 + i), k_monday + i * 6 * k_hour, is_proven});
    }
    return all;
}

std::size_t left(const std::vector<Generation>& all, const Retention& policy) {
    return all.size() - given_up(all, policy).size();
}

}  // namespace

TEST_CASE("the newest, and one of each period, stay", "[vault][S14]") {
    const auto all = every_six_hours(4 * 70, true);
    CHECK(left(all, {3, 0, 0, 0, 0}) == 3);
    CHECK(left(all, {1, 0, 7, 0, 0}) == 7);
    CHECK(left(all, {4, 0, 7, 0, 0}) == 10);  // the newest is one of both
    CHECK(left(all, {1, 0, 0, 4, 0}) == 4);
    CHECK(left(all, {1, 0, 0, 0, 12}) == 3);  // May, June and July
    CHECK(left(all, {0, 0, 0, 0, 0}) == 1);
    // Of each day the last one.
    const auto gone = given_up(
        {{"a", k_monday, true},
         {"b", k_monday + k_hour, true},
         {"c", k_monday + 25 * k_hour, true}},
        {1, 0, 2, 0, 0}
    );
    CHECK(gone == std::vector<std::string>{"a"});
    // A week begins on Monday.
    CHECK(given_up({{"a", k_monday - k_hour, true}, {"b", k_monday, true}}, {1, 0, 0, 2, 0}).empty()
    );
}

TEST_CASE("nothing goes that no newer proof covers", "[vault][S14]") {
    auto all = every_six_hours(10, false);
    const Retention one{1, 0, 0, 0, 0};
    CHECK(given_up(all, one).empty());
    all[4].is_proven = true;
    CHECK(given_up(all, one) == std::vector<std::string>{"1000", "1001", "1002", "1003"});
    all[2].is_proven = true;
    CHECK(given_up(all, one) == std::vector<std::string>{"1000", "1001", "1002", "1003"});
    all[9].is_proven = true;
    CHECK(left(all, one) == 1);
    CHECK(given_up({}, one).empty());
}
