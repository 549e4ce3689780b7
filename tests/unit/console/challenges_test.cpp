// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/challenges.hpp"

#include <catch2/catch.hpp>

#include <sodium.h>

using tenon::console::Challenges;

TEST_CASE("a challenge holds for a minute, once, and at its server alone", "[console][M5]") {
    REQUIRE(sodium_init() >= 0);
    Challenges challenges;
    const std::string one = challenges.make(5);
    const std::string other = challenges.make(5);
    CHECK(one != other);
    CHECK(challenges.holds(one, 5));
    CHECK(challenges.holds(one, 4 + Challenges::k_holds_ns));
    CHECK_FALSE(challenges.holds(one, 5 + Challenges::k_holds_ns));
    CHECK(challenges.use(one, 6));
    CHECK_FALSE(challenges.holds(one, 6));
    CHECK(challenges.holds(other, 6));
    CHECK_FALSE(Challenges{}.holds(other, 6));
}

TEST_CASE("a challenge of which a byte was changed does not hold", "[console][M5]") {
    REQUIRE(sodium_init() >= 0);
    Challenges challenges;
    const std::string good = challenges.make(5);
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = bad[at] == '1' ? '2' : '1';
        CHECK_FALSE(challenges.holds(bad, 5));
    }
    for (const char* const bad : {"", ".", "..", "1", "9999999999999.x.y"}) {
        CHECK_FALSE(challenges.holds(bad, 5));
    }
}

TEST_CASE("what was used is remembered for its time, and in bounds", "[console][M5]") {
    REQUIRE(sodium_init() >= 0);
    Challenges challenges;
    for (std::size_t i = 0; i < Challenges::k_used_max; ++i) {
        REQUIRE(challenges.use(challenges.make(5), 5));
    }
    CHECK_FALSE(challenges.use(challenges.make(5), 5));
    CHECK(challenges.use(challenges.make(5), 5 + Challenges::k_holds_ns));
}

TEST_CASE("what is signed names what it is for, and the server", "[console][M5]") {
    CHECK(Challenges::text_of("a:1", "x") == "tenon-console-sign-in\na:1\nx");
}
