// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/desk.hpp"

#include <catch2/catch.hpp>

using namespace tenon::console;

TEST_CASE("a cookie is found among others, and only by its whole name", "[console][M5]") {
    CHECK(cookie_of("tenon_session=abc", "tenon_session") == "abc");
    CHECK(cookie_of("a=1; tenon_session=abc; b=2", "tenon_session") == "abc");
    CHECK(cookie_of("xtenon_session=abc", "tenon_session").empty());
    CHECK(cookie_of("tenon_sessions=abc", "tenon_session").empty());
    CHECK(cookie_of("tenon_session", "tenon_session").empty());
    CHECK(cookie_of("", "tenon_session").empty());
    CHECK(cookie_of(";;;", "tenon_session").empty());
}

TEST_CASE("a page of another site is another origin", "[console][M5]") {
    CHECK(is_same_origin("http://localhost:8765", "localhost:8765"));
    CHECK(is_same_origin("https://trade.example", "trade.example"));
    CHECK(is_same_origin("", "localhost:8765"));
    CHECK_FALSE(is_same_origin("http://localhost:8765.evil.example", "localhost:8765"));
    CHECK_FALSE(is_same_origin("http://evil.example", "localhost:8765"));
    CHECK_FALSE(is_same_origin("http://localhost:1", "localhost:8765"));
    CHECK_FALSE(is_same_origin("null", "localhost:8765"));
    CHECK_FALSE(is_same_origin("http://", ""));
}

TEST_CASE("a parameter is found by its whole name", "[console][M5]") {
    CHECK(query_of("account=demo&symbol=BTCUSDT", "symbol") == "BTCUSDT");
    CHECK(query_of("xsymbol=1&symbol=2", "symbol") == "2");
    CHECK(query_of("symbol", "symbol").empty());
    CHECK(query_of("", "symbol").empty());
}
