// SPDX-License-Identifier: Apache-2.0
#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <new>
#include <stdexcept>

TEST_CASE("the guard turns every exception into a status with its message", "[sdk][K2]") {
    tenon::ErrorBuffer err;
    CHECK(tenon::guard(&err, [] {
              throw tenon::Error{TENON_CONFLICT, "taken"};
          }) == TENON_CONFLICT);
    CHECK(err.message() == "taken");
    CHECK(tenon::guard(&err, [] { throw std::runtime_error{"boom"}; }) == TENON_INTERNAL);
    CHECK(err.message() == "boom");
    CHECK(tenon::guard(&err, [] { throw 7; }) == TENON_INTERNAL);
    CHECK(err.message() == "unknown exception");
    CHECK(tenon::guard(&err, [] { throw std::bad_alloc{}; }) == TENON_UNAVAILABLE);
    CHECK(tenon::guard(nullptr, [] { throw 7; }) == TENON_INTERNAL);
    CHECK(tenon::guard(&err, [] { return TENON_PENDING; }) == TENON_PENDING);
}

TEST_CASE("an error never writes past the size that the caller gave", "[sdk][K2]") {
    struct {
        tenon_err err;
        char guard[8];
    } room{};

    room.err.size = offsetof(tenon_err, msg) + 4;
    room.err.msg[4] = '#';
    CHECK(tenon::fail(&room.err, TENON_INVALID, "too long") == TENON_INVALID);
    CHECK(room.err.len == 4);
    CHECK(std::string_view(room.err.msg, 5) == "too #");
    CHECK(tenon::fail(&room.err, TENON_INVALID, "abc\xc3\xa9") == TENON_INVALID);
    CHECK(room.err.len == 3);  // no character in half
    room.err.size = 4;
    room.err.code = 1;
    CHECK(tenon::fail(&room.err, TENON_INVALID, "x") == TENON_INVALID);
    CHECK(room.err.code == 1);
}

TEST_CASE("TENON_HAS sees a slot only when the table is long enough and it is set", "[sdk][K2]") {
    tenon_clock_1 clock{};
    clock.size = offsetof(tenon_clock_1, now_real_ns);
    CHECK_FALSE(TENON_HAS(&clock, tenon_clock_1, now_real_ns));
    clock.size = sizeof clock;
    CHECK_FALSE(TENON_HAS(&clock, tenon_clock_1, now_real_ns));
    clock.now_real_ns = [](void*) -> std::int64_t { return 0; };
    CHECK(TENON_HAS(&clock, tenon_clock_1, now_real_ns));
}

TEST_CASE("log fields keep numbers and booleans as JSON values", "[sdk][K13]") {
    CHECK(tenon::view(tenon::Field{"n", 42}.raw().value) == "42");
    CHECK(tenon::Field{"n", 42}.raw().kind == TENON_FIELD_NUMBER);
    CHECK(tenon::view(tenon::Field{"b", true}.raw().value) == "true");
    CHECK(tenon::Field{"t", "x"}.raw().kind == TENON_FIELD_TEXT);
}

TEST_CASE("check names what failed and why", "[sdk][K2]") {
    tenon::ErrorBuffer err;
    CHECK(tenon::check(TENON_OK, err, "open") == TENON_OK);
    tenon::fail(&err, TENON_DENIED, "no permission");
    CHECK_THROWS_WITH(tenon::check(TENON_DENIED, err, "open"), "open: no permission");
}
