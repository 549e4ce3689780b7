// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/freshness.hpp"

#include <catch2/catch.hpp>

namespace tenon::postgres {

TEST_CASE(
    "a replica is fresh as of the newest beat that it replayed",
    "[postgres][freshness][S6]"
) {
    FreshnessLog log;
    log.add({1, 100}, 10);
    log.add({1, 200}, 20);
    CHECK(log.as_of({1, 99}) == 0);
    CHECK(log.as_of({1, 100}) == 10);
    CHECK(log.as_of({1, 199}) == 10);
    CHECK(log.as_of({1, 5000}) == 20);
}

TEST_CASE("a replica of an idle primary stays fresh", "[postgres][freshness][S6]") {
    FreshnessLog log;
    log.add({1, 100}, 10);
    log.add({1, 100}, 3600);
    CHECK(log.as_of({1, 100}) == 3600);
}

TEST_CASE("beats of another timeline say nothing", "[postgres][freshness][S6]") {
    FreshnessLog log;
    log.add({1, 100}, 10);
    CHECK(log.as_of({2, 100}) == 0);
    log.add({2, 50}, 20);
    CHECK(log.as_of({1, 100}) == 0);
    CHECK(log.as_of({2, 50}) == 20);
    log.add({1, 200}, 30);
    CHECK(log.as_of({2, 300}) == 20);
}

TEST_CASE("a beat out of order is left out", "[postgres][freshness][S6]") {
    FreshnessLog log;
    log.add({1, 200}, 20);
    log.add({1, 100}, 30);
    log.add({1, 300}, 10);
    CHECK(log.as_of({1, 150}) == 0);
    CHECK(log.as_of({1, 300}) == 20);
}

TEST_CASE(
    "old beats are forgotten, and who needs them is of unknown age",
    "[postgres][freshness][S6]"
) {
    FreshnessLog log;
    for (std::uint64_t i = 1; i <= FreshnessLog::k_beats_max + 1; ++i) {
        log.add({1, i * 10}, static_cast<std::int64_t>(i));
    }
    CHECK(log.as_of({1, 10}) == 0);
    CHECK(log.as_of({1, 20}) == 2);
}

}  // namespace tenon::postgres
