// SPDX-License-Identifier: Apache-2.0
#include "kernel/daemon.hpp"

#include <catch2/catch.hpp>

using tenon::parse_daemon_options;
using tenon::UsageError;

TEST_CASE("options are read in both spellings", "[kernel][K1]") {
    const auto options = parse_daemon_options(
        {"--deployment",
         "d.json",
         "--data-dir=data",
         "--listen",
         "[::1]:80",
         "--set",
         "/plugins/a/config/b=c=d",
         "--plugin-path",
         "p"}
    );
    CHECK(options.deployment == "d.json");
    CHECK(options.data_dir == "data");
    CHECK(options.listen == "[::1]:80");
    REQUIRE(options.overrides.size() == 1);
    CHECK(options.overrides[0].pointer == "/plugins/a/config/b");
    CHECK(options.overrides[0].value == "c=d");
    CHECK(options.plugin_path.size() == 1);
}

TEST_CASE("wrong options are refused", "[kernel][K1]") {
    CHECK_THROWS_AS(parse_daemon_options({}), UsageError);
    CHECK_THROWS_AS(parse_daemon_options({"--deployment"}), UsageError);
    CHECK_THROWS_AS(parse_daemon_options({"--deployment", "d"}), UsageError);
    CHECK_THROWS_AS(parse_daemon_options({"--deplyoment", "d"}), UsageError);
    CHECK_THROWS_AS(parse_daemon_options({"--check=yes", "--deployment", "d"}), UsageError);
    CHECK_THROWS_AS(
        parse_daemon_options({"--deployment", "d", "--data-dir", "x", "--set", "a=b"}), UsageError
    );
    CHECK_THROWS_AS(
        parse_daemon_options(
            {"--deployment", "d", "--data-dir", "x", "--no-listen", "--listen", "127.0.0.1:1"}
        ),
        UsageError
    );
    CHECK_NOTHROW(parse_daemon_options({"--check", "--deployment", "d"}));
    CHECK(parse_daemon_options({"--help"}).help);
}
