// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/sign_in_guard.hpp"

#include <catch2/catch.hpp>

#include <string>

using tenon::console::SignInGuard;

TEST_CASE("a name may be tried a few times from an address, then it has to wait", "[console][M5]") {
    SignInGuard guard;
    for (std::uint32_t i = 0; i < SignInGuard::k_pair_max; ++i) {
        REQUIRE_FALSE(guard.take("anna", "10.0.0.1", 0));
    }
    const auto wait = guard.take("anna", "10.0.0.1", 1);
    REQUIRE(wait);
    CHECK(wait->count() == SignInGuard::k_window.count() - 1);
    CHECK_FALSE(guard.take("bob", "10.0.0.1", 1));
    CHECK_FALSE(guard.take("anna", "10.0.0.2", 1));
    CHECK_FALSE(guard.take("anna", "10.0.0.1", SignInGuard::k_window.count()));
}

TEST_CASE("many names from one address and one name from many are bounded", "[console][M5]") {
    SignInGuard guard;
    std::uint32_t taken = 0;
    for (int i = 0; i < 100; ++i) {
        taken += guard.take("name" + std::to_string(i), "10.0.0.1", 0) ? 0U : 1U;
    }
    CHECK(taken == SignInGuard::k_address_max);
    taken = 0;
    for (int i = 0; i < 100; ++i) {
        taken += guard.take("anna", "10.0.1." + std::to_string(i), 0) ? 0U : 1U;
    }
    CHECK(taken == SignInGuard::k_name_max);
}

TEST_CASE("a success forgets what went wrong before", "[console][M5]") {
    SignInGuard guard;
    for (int round = 0; round < 4; ++round) {
        for (std::uint32_t i = 0; i + 1 < SignInGuard::k_pair_max; ++i) {
            REQUIRE_FALSE(guard.take("anna", "10.0.0.1", 0));
        }
        guard.succeeded("anna", "10.0.0.1");
    }
}

TEST_CASE("a flood of names takes no more memory than it may", "[console][M5]") {
    SignInGuard guard;
    for (std::size_t i = 0; i < SignInGuard::k_counts_max; ++i) {
        (void)guard.take("n" + std::to_string(i), "a" + std::to_string(i), 0);
    }
    CHECK(guard.take("fresh", "10.9.9.9", 0));
    CHECK_FALSE(guard.take("fresh", "10.9.9.9", SignInGuard::k_window.count()));
}

TEST_CASE("one address with ever new names keeps nobody else out", "[console][M5]") {
    SignInGuard guard;
    for (int i = 0; i < 10'000; ++i) {
        (void)guard.take("name" + std::to_string(i), "10.0.0.1", 0);
    }
    CHECK(guard.take("anna", "10.0.0.1", 0));
    CHECK_FALSE(guard.take("anna", "10.0.0.2", 0));
}

TEST_CASE("the addresses of one subscriber are one address", "[console][M5]") {
    SignInGuard guard;
    std::uint32_t taken = 0;
    for (int i = 1; i <= 100; ++i) {
        const std::string address = "2001:db8:1:2::" + std::to_string(i);
        taken += guard.take("name" + std::to_string(i), address, 0) ? 0U : 1U;
    }
    CHECK(taken == SignInGuard::k_address_max);
    CHECK_FALSE(guard.take("anna", "2001:db8:1:3::1", 0));
    for (std::uint32_t i = 0; i < SignInGuard::k_pair_max; ++i) {
        (void)guard.take("bob", "192.0.2.1", 0);
    }
    CHECK(guard.take("bob", "::ffff:192.0.2.1", 0));
    guard.succeeded("bob", "::ffff:192.0.2.1");
    CHECK_FALSE(guard.take("bob", "192.0.2.1", 0));
}
