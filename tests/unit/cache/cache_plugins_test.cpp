// SPDX-License-Identifier: Apache-2.0
// The plugins as they are built: a stack over a memory tier, used by the cached call.
#include "tests/support/fake_host.hpp"
#include "tests/support/loaded_plugin.hpp"

#include <tenon/cache.hpp>
#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <string>

using tenon::test::FakeHost;
using tenon::test::LoadedPlugin;

namespace {

constexpr std::string_view k_memory =
    R"({"bytes_max":1048576,"shards":4,"sweep_interval_ms":300000})";
constexpr std::string_view k_stack = R"({
    "default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,
    "sweep_interval_ms":300000,"caches":[{"name":"balance","ttl_ms":15000}],
    "events":[{"event":"order_placed","caches":["balance"]}]})";

struct Scene {
    Scene() {
        host.bind("tenon.cache_tier/1", memory.query("tenon.cache_tier/1"), "l1");
        stack = std::make_unique<LoadedPlugin>(host, "cache-stack", k_stack);
        host.bind("tenon.cache/1", stack->query("tenon.cache/1"), "cache");
    }

    FakeHost host;
    LoadedPlugin memory{host, "cache-memory", k_memory};
    std::unique_ptr<LoadedPlugin> stack;
};

}  // namespace

TEST_CASE("a cached call goes through the stack to the memory tier", "[cache][C4]") {
    Scene scene;
    const tenon::Cache cache{tenon::Host{scene.host.raw()}};
    int loads = 0;
    const auto funds = [&] {
        const tenon::Keep keep{std::chrono::seconds{0}, {"user:1"}};
        return tenon::cached(cache, "balance", "u1", keep, [&] { return ++loads; });
    };
    CHECK(funds() == 1);
    CHECK(funds() == 1);
    cache.event("order_placed", "user:1");
    CHECK(funds() == 2);
    CHECK(
        scene.host.admin("cache.invalidate", R"({"cache":"balance","key":"u1"})") ==
        R"({"invalidated":true})"
    );
    CHECK(funds() == 3);
    scene.host.reactor().advance(15'000'000'000);
    CHECK(funds() == 4);
    const auto stats = tenon::Json::parse(scene.host.admin("cache.stats", "{}"));
    CHECK(stats.find("balance")->find("hits")->integer<int>() == 1);
    CHECK(stats.find("tiers")->find("l1")->find("entries")->integer<int>() == 1);
    CHECK_THROWS_AS(scene.host.admin("cache.invalidate", "{}"), tenon::Error);
    scene.stack->stop();
    CHECK_THROWS_AS(funds(), tenon::Error);
}

TEST_CASE("the plugins' numbers are in the metrics", "[cache][M1]") {
    Scene scene;
    const tenon::Cache cache{tenon::Host{scene.host.raw()}};
    for (int i = 0; i < 4; ++i) {
        (void)tenon::cached(cache, "balance", "u1", {}, [] { return std::string{"x"}; });
    }
    tenon::StringSink text;
    const auto metrics = tenon::Host{scene.host.raw()}.service<tenon_metrics_1>("tenon.metrics/1");
    REQUIRE(metrics->collect(metrics.self, text.sink()) == TENON_OK);
    CHECK(scene.host.metric("tenon_cache_hits_total", "cache=\"balance\"") == 3);
    CHECK(scene.host.metric("tenon_cache_misses_total", "cache=\"balance\"") == 1);
    CHECK(scene.host.metric("tenon_cache_entries", "cache=\"balance\"") == 1);
    CHECK(scene.host.metric("tenon_cache_memory_entries") == 1);
    CHECK(scene.host.metric("tenon_cache_memory_bytes") > 0);
}

TEST_CASE("a memory tier that stops is left out by the stack", "[cache][C2]") {
    Scene scene;
    const tenon::Cache cache{tenon::Host{scene.host.raw()}};
    CHECK(tenon::cached(cache, "balance", "u1", {}, [] { return 1; }) == 1);
    scene.memory.stop();
    CHECK(tenon::cached(cache, "balance", "u1", {}, [] { return 2; }) == 2);
    CHECK(scene.host.health_of("tier-l1") == TENON_DEGRADED);
}
