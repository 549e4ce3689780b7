// SPDX-License-Identifier: Apache-2.0

#include "sdk/manifest/plan_difference.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using tenon::manifest::compare;
using tenon::manifest::Difference;
using tenon::manifest::Plan;
using tenon::manifest::Problems;
using tenon::manifest::Settings;
using tenon::test::Scene;
namespace json = boost::json;

namespace {

constexpr std::string_view k_schema = R"({"config_schema":{"type":"object","properties":{
    "limit":{"type":"integer","default":5,"minimum":1,"x-reload":"live","description":"d"},
    "file":{"type":"string","default":"a","description":"d"},
    "key":{"type":"string","default":"","x-secret":true,"x-reload":"live","description":"d"},
    "inner":{"type":"object","x-reload":"live","description":"d","properties":{
        "x":{"type":"integer","default":1,"description":"d"},
        "keys":{"type":"array","default":[],"description":"d",
                "items":{"type":"string","x-secret":true}}}}}}})";

struct Two {
    Scene scene;
    Problems problems;

    Two() { scene.plugin("a", k_schema); }

    static Settings settings(const Plan& plan) {
        Settings out;
        for (const auto& plugin : plan.plugins) {
            out[plugin.instance.name] = plugin.config;
        }
        return out;
    }

    std::vector<Difference> compared(std::string_view before, std::string_view after) {
        const Plan running = scene.plan_of_text(document(before));
        const Plan fresh = scene.plan_of_text(document(after));
        REQUIRE(running.good());
        problems = fresh.problems;
        return compare(running, fresh, settings(running), settings(fresh), problems);
    }

    static std::string document(std::string_view rest) {
        return "{\"deployment_version\":1," + std::string{rest} + "}";
    }

    [[nodiscard]] bool has(std::string_view code, std::string_view pointer) const {
        return std::any_of(problems.begin(), problems.end(), [&](const auto& problem) {
            return problem.code == code && problem.pointer == pointer;
        });
    }
};

}  // namespace

TEST_CASE("the same deployment, written otherwise, is no change", "[reload][K5]") {
    Two two;
    const auto changes = two.compared(
        R"("plugins":{"one":{"id":"test.a","config":{"limit":5}}})",
        R"("log":{},"plugins":{"one":{"enabled":true,"config":{"file":"a"},"id":"test.a"}})"
    );
    CHECK(changes.empty());
    CHECK(two.problems.empty());
}

TEST_CASE("live settings and log levels change without a problem", "[reload][K5]") {
    Two two;
    const auto changes = two.compared(
        R"("plugins":{"one":{"id":"test.a"}})",
        R"("log":{"level":"debug"},
           "plugins":{"one":{"id":"test.a","config":{"limit":7,"inner":{"x":2}}}})"
    );
    REQUIRE(changes.size() == 3);
    const auto& limit = *std::find_if(changes.begin(), changes.end(), [](const auto& change) {
        return change.pointer == "/plugins/one/config/limit";
    });
    CHECK(limit.before == 5);
    CHECK(limit.after == 7);
    CHECK(std::all_of(changes.begin(), changes.end(), [](const auto& c) { return c.live; }));
    CHECK(two.problems.empty());
}

TEST_CASE("each difference that needs a restart is named with its rule", "[reload][K5]") {
    Two two;
    two.scene.plugin("b", R"({"requires":[{"interface":"test.z/1","optional":true}]})");
    two.scene.plugin("z", R"({"provides":[{"interface":"test.z/1"}]})");
    const auto changes = two.compared(
        R"("plugins":{"one":{"id":"test.a"},"gone":{"id":"test.a"},"other":{"id":"test.a"},
            "user":{"id":"test.b","bind":{"test.z/1":"z1"}},
            "z1":{"id":"test.z"},"z2":{"id":"test.z"}})",
        R"("log":{"format":"json"},"runtime":{"spin_us":5},
           "plugins":{"one":{"id":"test.a","config":{"limit":6,"file":"b"},"on_failure":"stop"},
            "new":{"id":"test.a"},"other":{"id":"test.z"},
            "user":{"id":"test.b","bind":{"test.z/1":"z2"}},
            "z1":{"id":"test.z"},"z2":{"id":"test.z"}})"
    );
    INFO(json::serialize(tenon::manifest::to_json(two.problems)));
    CHECK(two.has("R01", "/plugins/one/config/file"));
    CHECK(two.has("R02", "/plugins/gone"));
    CHECK(two.has("R02", "/plugins/new"));
    CHECK(two.has("R03", "/plugins/other/id"));
    CHECK(two.has("R04", "/plugins/one/on_failure"));
    CHECK(two.has("R04", "/plugins/user/bind"));
    CHECK(two.has("R05", "/log/format"));
    CHECK(two.has("R05", "/runtime/spin_us"));
    CHECK_FALSE(two.has("R01", "/plugins/one/config/limit"));
    for (const auto& problem : two.problems) {
        CHECK(problem.message.find("needs a restart") != std::string::npos);
    }
    CHECK(changes.size() >= 8);
}

TEST_CASE("a pointer that is wrong already is not named again", "[reload][K5]") {
    Two two;
    (void)two.compared(
        R"("plugins":{"one":{"id":"test.a"}})",
        R"("plugins":{"one":{"id":"test.a","config":{"file":7,"limit":0}}})"
    );
    CHECK(two.has("M17", "/plugins/one/config/file"));
    CHECK(two.has("M17", "/plugins/one/config/limit"));
    CHECK(two.problems.size() == 2);
}

TEST_CASE("secrets are compared and never shown", "[reload][K5]") {
    Two two;
    const Plan plan = two.scene.plan_of_text(
        Two::document(R"("plugins":{"one":{"id":"test.a","config":{"key":"file:k"}}})")
    );
    Settings before = Two::settings(plan);
    Settings after = before;
    before["one"].get_object()["key"] = "hunter2";
    after["one"].get_object()["key"] = "hunter3";
    after["one"].get_object()["inner"] = json::object{{"x", 1}, {"keys", {"hunter4"}}};
    const auto changes = compare(plan, plan, before, after, two.problems);
    REQUIRE(changes.size() == 2);
    for (const auto& change : changes) {
        CHECK(change.live);
        CHECK(json::serialize(change.before).find("hunter") == std::string::npos);
        CHECK(json::serialize(change.after).find("hunter") == std::string::npos);
    }
    CHECK(changes[0].after == "(secret)");
    CHECK(two.problems.empty());
}
