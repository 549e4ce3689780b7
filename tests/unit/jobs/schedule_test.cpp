// SPDX-License-Identifier: Apache-2.0
#include "plugins/jobs/schedule.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

using tenon::jobs::Rule;

namespace {

constexpr std::int64_t k_s = 1'000'000'000, k_day = 86'400 * k_s;

}  // namespace

TEST_CASE("an interval keeps its beat and leaves missed runs out", "[jobs][T8]") {
    const Rule rule{"every 300s"};
    CHECK(rule.first(1'000 * k_s) == 1'300 * k_s);
    CHECK(rule.next(1'300 * k_s, 1'300 * k_s) == 1'600 * k_s);
    CHECK(rule.next(1'300 * k_s, 2'599 * k_s) == 2'800 * k_s);
    CHECK(rule.next(1'300 * k_s, 100 * k_s) == 1'600 * k_s);
}

TEST_CASE("a daily time is the next such time in UTC", "[jobs][T8]") {
    const Rule rule{"daily 04:30"};
    const std::int64_t at = (4 * 3'600 + 30 * 60) * k_s;
    CHECK(rule.first(10 * k_day) == 10 * k_day + at);
    CHECK(rule.next(0, 10 * k_day + at) == 11 * k_day + at);
    CHECK(rule.next(0, 10 * k_day + at - 1) == 10 * k_day + at);
}

TEST_CASE("a rule that is none is refused", "[jobs][T8]") {
    for (const char* text :
         {"",
          "every s",
          "every 0s",
          "every 5m",
          "every -1s",
          "every 31622401s",
          "daily 24:00",
          "daily 04:60",
          "daily 4:30",
          "hourly"}) {
        INFO(text);
        CHECK_THROWS_AS(Rule{text}, tenon::Error);
    }
}
