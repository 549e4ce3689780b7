// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_host.hpp"
#include "tests/support/loaded_plugin.hpp"

#include <tenon/json.hpp>
#include <tenon/limited.hpp>

#include <catch2/catch.hpp>

using tenon::test::FakeHost;
using tenon::test::LoadedPlugin;

TEST_CASE(
    "a limited call is limited by the plugin, and its level changes while running",
    "[throttle][H1]"
) {
    FakeHost host;
    LoadedPlugin plugin{
        host,
        "throttle-token-bucket",
        R"({"level":"conservative","keys_max":64,"limits":[{"name":"default"},
            {"name":"api","rate":1000,"period_ms":60000,"burst":50}]})"};
    host.bind("tenon.throttle/1", plugin.query("tenon.throttle/1"));
    tenon::Limit limit{tenon::Host{host.raw()}, "default"};
    const auto call = [&] {
        try {
            tenon::limited(limit, "a", 1, std::chrono::seconds{0}, [] {});
            return true;
        } catch (const tenon::LimitExceeded&) {
            return false;
        }
    };
    int given = 0;
    for (int i = 0; i < 20; ++i) {
        given += call() ? 1 : 0;
    }
    CHECK(given >= 10);
    CHECK(given < 13);
    auto stats =
        tenon::Json::parse(host.admin("throttle.level", R"({"limit":"default","level":"moderate"})")
        );
    CHECK(stats.find("default")->find("level")->text() == "moderate");
    CHECK(stats.find("default")->find("burst")->integer<int>() == 40);
    CHECK(call());
    CHECK_THROWS_AS(host.admin("throttle.level", R"({"level":"wild"})"), tenon::Error);
    CHECK_THROWS_AS(
        host.admin("throttle.level", R"({"limit":"x","level":"moderate"})"), tenon::Error
    );
    stats = tenon::Json::parse(host.admin("throttle.stats", "{}"));
    CHECK(stats.find("api")->find("rate_per_second")->integer<int>() == 16);
    tenon::StringSink text;
    const auto metrics = tenon::Host{host.raw()}.service<tenon_metrics_1>("tenon.metrics/1");
    REQUIRE(metrics->collect(metrics.self, text.sink()) == TENON_OK);
    CHECK(host.metric("tenon_throttle_taken_total", "limit=\"default\"") == given + 1);
    CHECK(host.metric("tenon_throttle_limited_total", "limit=\"default\"") == 20 - given);
}
