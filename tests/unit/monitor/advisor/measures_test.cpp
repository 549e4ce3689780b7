// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/rules.hpp"
#include "tests/unit/monitor/advisor/simulated_server.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace tenon;
using namespace tenon::advisor;
using tenon::test::SimulatedServer;

namespace {

Snapshot with(std::string_view family, std::vector<Snapshot::Value> values) {
    Snapshot out;
    out.families[std::string{family}] = std::move(values);
    return out;
}

std::vector<Bound> usual_bounds() {
    return {
        {"tenon.cache.memory/bytes_max", 1'048'576, 1'073'741'824, {}},
        {"tenon.cache.stack/caches/ttl_ms", 1'000, 3'600'000, {}},
        {"tenon.throttle.token-bucket/level", {}, {}, {"conservative", "moderate", "aggressive"}}};
}

// A minute of traffic, judged.
std::vector<Recommendation>
judged(SimulatedServer::Behaviour behaviour, std::vector<Bound> bounds = usual_bounds()) {
    SimulatedServer server{1, [=](const SimulatedServer&) { return behaviour; }};
    std::deque<Snapshot> snapshots;
    for (int i = 0; i < 120; ++i) {
        server.run();
        if (i % 10 == 0) {
            snapshots.push_back(server.look());
        }
    }
    return recommend(snapshots, server.settings(std::move(bounds)));
}

const Recommendation* find(const std::vector<Recommendation>& all, std::string_view kind) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.kind == kind; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("a quantile is interpolated in what a histogram grew by", "[advisor][M4]") {
    const Snapshot from = with("x_seconds_bucket", {{{{"le", "0.1"}}, 10}, {{{"le", "+Inf"}}, 10}});
    const Snapshot to = with(
        "x_seconds_bucket", {{{{"le", "0.1"}}, 60}, {{{"le", "0.2"}}, 100}, {{{"le", "+Inf"}}, 110}}
    );
    CHECK(*quantile(from, to, "x_seconds", 0.5, 1) == Approx(0.1));
    CHECK(*quantile(from, to, "x_seconds", 0.75, 1) == Approx(0.15));
    CHECK_FALSE(quantile(from, to, "x_seconds", 0.5, 101));
    CHECK_FALSE(quantile(to, from, "x_seconds", 0.5, 1));
}

TEST_CASE("too few events are no measure, nor is a counter that began anew", "[advisor][M4]") {
    Snapshot from;
    Snapshot to;
    from.families["tenon_cache_hits_total"] = {{{{"cache", "a"}}, 5}};
    from.families["tenon_cache_misses_total"] = {{{{"cache", "a"}}, 0}};
    to.families["tenon_cache_hits_total"] = {{{{"cache", "a"}}, 20}};
    to.families["tenon_cache_misses_total"] = {{{{"cache", "a"}}, 4}};
    CHECK_FALSE(take({"cache_miss_ratio", ""}, from, to));
    to.families["tenon_cache_misses_total"] = {{{{"cache", "a"}}, 5}};
    CHECK(*take({"cache_miss_ratio", "a"}, from, to) == Approx(0.25));
    CHECK_FALSE(take({"cache_miss_ratio", "b"}, from, to));
    CHECK_FALSE(take({"cache_miss_ratio", ""}, to, from));
    CHECK_FALSE(take({"no such measure", ""}, from, to));
}

TEST_CASE("a full cache that misses and evicts gets more memory", "[advisor][M4]") {
    const auto all = judged({});
    const Recommendation* const one = find(all, "cache_size");
    REQUIRE(one != nullptr);
    CHECK(one->id() == "cache_size:cache-memory/bytes_max");
    CHECK(one->from == 50 * SimulatedServer::k_mega);
    CHECK(one->to == 100 * SimulatedServer::k_mega);
    CHECK(one->applicable());
    CHECK_FALSE(one->evidence.empty());
    CHECK_FALSE(one->risk.empty());
    CHECK(find(judged({.miss_ratio = 0.05}), "cache_size") == nullptr);
}

TEST_CASE("what is beyond the bounds is told but cannot be applied", "[advisor][M4]") {
    const auto unbounded = judged({}, {});
    REQUIRE(find(unbounded, "cache_size") != nullptr);
    CHECK(find(unbounded, "cache_size")->why_not == "no bounds are set for cache-memory/bytes_max");
    // As far as it may go.
    const auto clipped =
        judged({}, {{"tenon.cache.memory/bytes_max", 0, 60 * SimulatedServer::k_mega, {}}});
    REQUIRE(find(clipped, "cache_size") != nullptr);
    CHECK(find(clipped, "cache_size")->to == 60 * SimulatedServer::k_mega);
    CHECK(
        find(
            judged({}, {{"tenon.cache.memory/bytes_max", 0, 50 * SimulatedServer::k_mega, {}}}),
            "cache_size"
        ) == nullptr
    );
}

TEST_CASE("only caches that are told of changes get a longer life", "[advisor][M4]") {
    for (const Recommendation& one : judged({.miss_ratio = 0.5})) {
        if (one.kind == "cache_ttl") {
            CHECK(one.knob->element == "user_config");
            CHECK(one.from == 2'000);
            CHECK(one.to == 4'000);
        }
    }
    CHECK(find(judged({.miss_ratio = 0.5}), "cache_ttl") != nullptr);
}

TEST_CASE("a throttle that refuses while all is calm lets more in", "[advisor][M4]") {
    const auto all = judged({.miss_ratio = 0, .limited_ratio = 0.2});
    const Recommendation* const one = find(all, "throttle_level");
    REQUIRE(one != nullptr);
    CHECK(one->to == "aggressive");
    CHECK(find(judged({.limited_ratio = 0.2, .cpu = 0.9}), "throttle_level") == nullptr);
    CHECK(find(judged({}), "throttle_level") == nullptr);
}

TEST_CASE("processors without rest are an advice that nothing here can follow", "[advisor][M4]") {
    const auto all = judged({.cpu = 0.95});
    REQUIRE(find(all, "scale_out") != nullptr);
    CHECK_FALSE(find(all, "scale_out")->applicable());
    CHECK(recommend({}, SettingsView{}).empty());
}
