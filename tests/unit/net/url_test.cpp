// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/url.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

using tenon::net::parse_url;

TEST_CASE("a URL gives scheme, host, port and path", "[net][T4]") {
    const auto plain = parse_url("http://127.0.0.1:8080/api?x=1");
    CHECK_FALSE(plain.is_tls);
    CHECK(plain.host == "127.0.0.1");
    CHECK(plain.port == "8080");
    CHECK(plain.path == "/api?x=1");
    CHECK(plain.authority() == "127.0.0.1:8080");
    const auto tls = parse_url("wss://stream.binance.com:9443");
    CHECK(tls.is_tls);
    CHECK(tls.path == "/");
    CHECK(tls.authority() == "stream.binance.com:9443");
    CHECK(parse_url("https://api.binance.com").authority() == "api.binance.com");
    const auto six = parse_url("ws://[::1]:9/x");
    CHECK(six.host == "::1");
    CHECK(six.authority() == "[::1]:9");
}

TEST_CASE("what is no URL is refused without showing it", "[net][T4]") {
    for (const char* const text :
         {"",
          "ftp://a",
          "http://",
          "http://a:0",
          "http://a:70000",
          "http://a:x",
          "http://u@a",
          "http://a b",
          "http://[::1",
          "http://[::1]9",
          "http://a\r\nX: y",
          "http://a?key=secret",
          "http://a/#f"}) {
        CAPTURE(text);
        REQUIRE_THROWS_AS(parse_url(text), tenon::Error);
    }
    try {
        (void)parse_url("http://secret@host");
        FAIL("it was taken");
    } catch (const tenon::Error& e) {
        CHECK(std::string{e.what()}.find("secret") == std::string::npos);
    }
}
