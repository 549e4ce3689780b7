// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/address.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace tenon::redis;

TEST_CASE("a URL names host, port, database, user and password", "[redis][C2]") {
    const Address all = parse_url("redis://anna:p%40ss%3a@cache.example:7000/3");
    CHECK(all.host == "cache.example");
    CHECK(all.port == 7000);
    CHECK(all.database == 3);
    CHECK(all.user == "anna");
    CHECK(all.password == "p@ss:");
    const Address plain = parse_url("redis://10.0.0.7");
    CHECK(plain.host == "10.0.0.7");
    CHECK(plain.port == 6379);
    CHECK(plain.database == 0);
    CHECK(parse_url("redis://[::1]:6380/").host == "::1");
    CHECK(parse_url("redis://[::1]:6380/").port == 6380);
    CHECK(parse_url("redis://:only@h").password == "only");
    const Address socket = parse_url("unix:///run/redis.sock?db=2");
    CHECK(socket.socket == "/run/redis.sock");
    CHECK(socket.database == 2);
    CHECK_FALSE(plain.tls);
    const Address sealed = parse_url("rediss://anna:p@cache.example:6390/1");
    CHECK(sealed.tls);
    CHECK(sealed.host == "cache.example");
    CHECK(sealed.port == 6390);
    CHECK(sealed.user == "anna");
    CHECK(sealed.database == 1);
}

TEST_CASE("a bad URL is refused without being quoted", "[redis][C2]") {
    for (const std::string url :
         {"http://secret@h",
          "redis://u:secret@",
          "redis://u:secret@h:0x1",
          "redis://u:secret@h:70000",
          "redis://u:secret@h/db",
          "redis://u:secret%4@h",
          "redis://u:secret@[::1",
          "redis://u:secret@[::1]7",
          "unix://u:secret@relative",
          "rediss://u:secret@"}) {
        CAPTURE(url);
        std::string why;
        try {
            (void)parse_url(url);
        } catch (const tenon::Error& fault) {
            CHECK(fault.code() == TENON_INVALID);
            why = fault.what();
        }
        CHECK(why.starts_with("the URL of Redis: "));
        CHECK(why.find("secret") == std::string::npos);
    }
}

TEST_CASE("an address is shown without its password", "[redis][C2]") {
    CHECK(parse_url("redis://u:secret@h:1/2").shown() == "h:1");
    CHECK(parse_url("redis://u:secret@[::1]:1").shown() == "[::1]:1");
    CHECK(parse_url("unix://u:secret@/run/r.sock").shown() == "/run/r.sock");
}
