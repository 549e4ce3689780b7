// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/schema.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <tenon/abi/base.h>

#include <catch2/catch.hpp>

#include <sys/stat.h>

using tenon::test::has;
using tenon::test::Scene;
using tenon::test::text_of;
using tenon::test::write_file;

namespace {

const std::string k_abi = std::to_string(TENON_ABI_MAJOR) + "." + std::to_string(TENON_ABI_MINOR);

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a sound deployment has no problem and keeps its order", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a");
    scene.plugin("b");
    const auto plan = scene.plan(R"({"one":{"id":"test.b"},"two":{"id":"test.a"}})");
    INFO(text_of(plan));
    REQUIRE(plan.good());
    REQUIRE(plan.plugins.size() == 2);
    CHECK(plan.plugins[0].instance.name == "one");
    CHECK(plan.plugins[1].manifest.id == "test.a");
}

TEST_CASE("M01: unknown keys are named with the nearest declared one", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"provide":[],"x-note":1,"config_schema":{"type":"object","properties":{
        "capacity":{"type":"integer","description":"entries"}}}})");
    const auto plan = scene.plan(
        R"({"one":{"id":"test.a","config":{"capcity":5},"enabeld":true}})", "\"plugin\":{},"
    );
    CHECK(has(plan, "M01", "/provide"));
    CHECK(has(plan, "M01", "/plugins/one/config/capcity"));
    CHECK(has(plan, "M01", "/plugins/one/enabeld"));
    CHECK(has(plan, "M01", "/plugin"));
    CHECK(contains(text_of(plan), "perhaps \"capacity\""));
    CHECK(contains(text_of(plan), "perhaps \"enabled\""));
    CHECK(plan.problems.size() == 4);
}

TEST_CASE("M01: a bind for what is not required is refused", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"requires":[{"interface":"test.x/1","optional":true}]})");
    const auto plan = scene.plan(R"({"one":{"id":"test.a","bind":{"test.y/1":"two"}}})");
    CHECK(has(plan, "M01", "/plugins/one/bind/test.y~11"));
}

TEST_CASE("M02: missing members and wrong types are all told", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"provides":{},"permissions":[1]})");
    const auto plan = scene.plan(R"({"one":{"id":"test.a","grant":"*"},"two":{}})");
    CHECK(has(plan, "M02", "/provides"));
    CHECK(has(plan, "M02", "/permissions/0"));
    CHECK(has(plan, "M02", "/plugins/one/grant"));
    CHECK(has(plan, "M02", "/plugins/two/id"));
}

TEST_CASE("M02: text that is not JSON is placed by line and column", "[kernel][K3]") {
    Scene scene;
    const auto plan = scene.plan_of_text("{\n \"plugins\": {},\n oops\n}");
    REQUIRE(plan.problems.size() == 1);
    CHECK(plan.problems[0].code == "M02");
    CHECK(contains(plan.problems[0].found, "line 3"));
    CHECK_FALSE(scene.plan_of_text("{\"plugins\":{\"a\":\"\xff\"}}").good());
    CHECK_FALSE(scene.plan_of_text(std::string(100, '[') + std::string(100, ']')).good());
    CHECK_FALSE(scene.plan_of_text("{} {}").good());
}

TEST_CASE("M03: ids and names have their patterns", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"id":"Test","provides":[{"interface":"test.x"}]})");
    const auto plan = scene.plan(R"({"One":{"id":"Test"}})");
    CHECK(has(plan, "M03", "/id"));
    CHECK(has(plan, "M03", "/provides/0/interface"));
    CHECK(has(plan, "M03", "/plugins/One"));
}

TEST_CASE("M04: versions are semantic versions", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"version":"1.2"})");
    scene.plugin("b");
    const auto plan = scene.plan(R"({"one":{"id":"test.a"},"two":{"id":"test.b","version":"~1"}})");
    CHECK(has(plan, "M04", "/version"));
    CHECK(has(plan, "M04", "/plugins/two/version"));
}

TEST_CASE("M05: unknown document versions are refused", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"manifest_version":2})");
    const auto plan =
        scene.plan_of_text(R"({"deployment_version":7,"plugins":{"one":{"id":"test.a"}}})");
    CHECK(has(plan, "M05", "/manifest_version"));
    CHECK(has(plan, "M05", "/deployment_version"));
}

TEST_CASE("M06: another ABI is named beside this host's", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"abi":{"entry":2,"min":"1.99"}})");
    const auto plan = scene.plan(R"({"one":{"id":"test.a"}})");
    CHECK(has(plan, "M06", "/abi/entry"));
    CHECK(has(plan, "M06", "/abi/min"));
    CHECK(contains(text_of(plan), "needs ABI 1.99, this host provides " + k_abi));
    for (const char* min : {"0.1", "2.0", "1", "1.0.0", "one"}) {
        scene.plugin("a", std::string{R"({"abi":{"entry":1,"min":")"} + min + "\"}}");
        CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M06", "/abi/min"));
    }
}

TEST_CASE("M06: a host serves plugins of its minor version and of older ones", "[kernel][K2]") {
    using tenon::manifest::abi_serves;
    CHECK(abi_serves({1, 3}, {1, 0}));
    CHECK(abi_serves({1, 3}, {1, 3}));
    CHECK_FALSE(abi_serves({1, 3}, {1, 4}));
    CHECK_FALSE(abi_serves({2, 3}, {1, 3}));
    CHECK_FALSE(abi_serves({1, 3}, {2, 0}));
}

TEST_CASE("M07: a library for another platform is refused", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"library":{"file":"a.so","platform":"linux-aarch64-musl"}})");
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M07", "/library/platform"));
    scene.plugin("a", R"({"library":{"file":"a.so","platform":"linux-x86_64-glibc9.99"}})");
    const auto newer = scene.plan(R"({"one":{"id":"test.a"}})");
    CHECK(has(newer, "M07", "/library/platform"));
    CHECK(contains(text_of(newer), "found linux-x86_64-glibc9.99"));
#if defined(__x86_64__)
    scene.plugin("a", R"({"library":{"file":"a.so","platform":"linux-x86_64-glibc2.31"}})");
    CHECK(scene.plan(R"({"one":{"id":"test.a"}})").good());
#endif
}

TEST_CASE("M08: a library that was changed is refused", "[kernel][K3]") {
    Scene scene;
    // SHA-256 of "library of a".
    scene.plugin("a", R"({"library":{"file":"a.so","sha256":
        "0000000000000000000000000000000000000000000000000000000000000000"}})");
    const auto plan = scene.plan(R"({"one":{"id":"test.a"}})");
    REQUIRE(has(plan, "M08", "/library/sha256"));
    const std::string found = plan.problems[0].found;
    CHECK(found.size() == 64);
    scene.plugin("a", R"({"library":{"file":"a.so","sha256":")" + found + "\"}}");
    CHECK(scene.plan(R"({"one":{"id":"test.a"}})").good());
}

TEST_CASE("M09: libraries must be there, regular, inside, and safe from others", "[kernel][K3]") {
    Scene scene;
    scene.plugin("missing", R"({"library":{"file":"nothing.so"}})");
    tenon::test::fs::create_directories(scene.plugin("folder") / "sub");
    scene.plugin("folder", R"({"library":{"file":"sub"}})");
    write_file(scene.path() / "out.so", "x");
    scene.plugin("outside", R"({"library":{"file":"../../out.so"}})");
    const auto open = scene.plugin("open") / "open.so";
    REQUIRE(::chmod(open.c_str(), 0666) == 0);
    for (const char* name : {"missing", "folder", "outside", "open"}) {
        INFO(name);
        const auto plan = scene.plan(R"({"one":{"id":"test.)" + std::string{name} + "\"}}");
        CHECK(has(plan, "M09", "/library/file"));
    }
    CHECK(has(scene.plan(R"({"one":{"id":"test.mising"}})"), "M09", "/plugins/one/id"));
}

TEST_CASE("M10: nothing is there twice", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a");
    scene.plugin("b", R"({"id":"test.a"})");
    scene.plugin("c", R"({"lifecycle":{"instances":"one"}})");
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M10", "/id"));
    CHECK(has(
        scene.plan(R"({"one":{"id":"test.c"},"two":{"id":"test.c"}})"), "M10", "/plugins/two/id"
    ));
    CHECK(has(scene.plan(R"({"one":{"id":"test.c"},"one":{"id":"test.c"}})"), "M10", "/plugins/one")
    );
    CHECK(
        has(scene.plan(R"({"one":{"id":"test.c","grant":[{"a":1,"a":2}]}})"),
            "M10",
            "/plugins/one/grant/0/a")
    );
    const auto folder = scene.plugin("d");
    tenon::test::fs::remove(folder / "d.so");
    tenon::test::fs::create_hard_link(scene.path() / "plugins/c/c.so", folder / "d.so");
    CHECK(
        has(scene.plan(R"({"one":{"id":"test.c"},"two":{"id":"test.d"}})"), "M10", "/library/file")
    );
}

TEST_CASE("M11: a missing provider is told with near misses", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"requires":[{"interface":"test.store/2"}]})");
    scene.plugin("b", R"({"provides":[{"interface":"test.store/1"}]})");
    const auto plan = scene.plan(R"({"one":{"id":"test.a"},"two":{"id":"test.b"}})");
    CHECK(has(plan, "M11", "/plugins/one"));
    CHECK(contains(text_of(plan), "found \"test.store/1\""));
    const auto bound =
        scene.plan(R"({"one":{"id":"test.a","bind":{"test.store/2":"two"}},"two":{"id":"test.b"}})"
        );
    CHECK(has(bound, "M11", "/plugins/one/bind/test.store~12"));
    const auto version = scene.plan(R"({"two":{"id":"test.b","version":"^1.3"}})");
    CHECK(has(version, "M11", "/plugins/two/version"));
    CHECK(scene.plan(R"({"two":{"id":"test.b","version":"^1.2"}})").good());
    scene.plugin("d", R"({"requires":[{"interface":"tenon.log/9"}]})");
    const auto service = scene.plan(R"({"one":{"id":"test.d"}})");
    CHECK(has(service, "M11", "/plugins/one"));
    CHECK(contains(text_of(service), "found \"tenon.log/1\""));
    // A disabled provider provides nothing.
    scene.plugin("c", R"({"requires":[{"interface":"test.store/1"}]})");
    CHECK(
        has(scene.plan(R"({"one":{"id":"test.c"},"two":{"id":"test.b","enabled":false}})"),
            "M11",
            "/plugins/one")
    );
}

TEST_CASE("M12: of several providers none is picked silently", "[kernel][K3]") {
    Scene scene;
    scene.plugin("user", R"({"requires":[{"interface":"test.x/1"}]})");
    scene.plugin("all", R"({"requires":[{"interface":"test.x/1","many":true}]})");
    scene.plugin("low", R"({"provides":[{"interface":"test.x/1","score":1}]})");
    scene.plugin("high", R"({"provides":[{"interface":"test.x/1","score":9}]})");
    const std::string both = R"("low":{"id":"test.low"},"high":{"id":"test.high"})";
    const auto open = scene.plan(R"({"u":{"id":"test.user"},)" + both + "}");
    CHECK(has(open, "M12", "/plugins/u/bind"));
    CHECK(contains(text_of(open), "found high, low"));
    const auto bound =
        scene.plan(R"({"u":{"id":"test.user","bind":{"test.x/1":"low"}},)" + both + "}");
    REQUIRE(bound.good());
    const auto& user =
        *std::find_if(bound.plugins.begin(), bound.plugins.end(), [](const auto& plugin) {
            return plugin.instance.name == "u";
        });
    REQUIRE(user.providers.at("test.x/1").size() == 1);
    CHECK(bound.plugins[user.providers.at("test.x/1")[0]].instance.name == "low");
    const auto many = scene.plan(R"({"u":{"id":"test.all"},)" + both + "}");
    REQUIRE(many.good());
    CHECK(many.plugins.back().providers.at("test.x/1").size() == 2);
    CHECK(has(
        scene.plan(R"({"u":{"id":"test.user","bind":{"test.x/1":["low","high"]}},)" + both + "}"),
        "M12",
        "/plugins/u/bind/test.x~11"
    ));
}

TEST_CASE("M13: a circle is printed as a path", "[kernel][K1][K3]") {
    Scene scene;
    scene.plugin("a", R"({"provides":[{"interface":"t.a/1"}],"requires":[{"interface":"t.b/1"}]})");
    scene.plugin("b", R"({"provides":[{"interface":"t.b/1"}],"requires":[{"interface":"t.c/1"}]})");
    scene.plugin("c", R"({"provides":[{"interface":"t.c/1"}],"order":{"after":["t.a/1"]}})");
    const auto plan =
        scene.plan(R"({"a":{"id":"test.a"},"b":{"id":"test.b"},"c":{"id":"test.c"}})");
    CHECK(has(plan, "M13", "/plugins/a"));
    CHECK(contains(text_of(plan), "a -> b -> c -> a"));
}

TEST_CASE("plugins start after what they require, and as order says", "[kernel][K1]") {
    Scene scene;
    scene.plugin(
        "a", R"({"requires":[{"interface":"t.b/1"},{"interface":"t.z/1","optional":true}]})"
    );
    scene.plugin("b", R"({"provides":[{"interface":"t.b/1"}],"order":{"after":["t.c/1"]}})");
    scene.plugin("c", R"({"provides":[{"interface":"t.c/1"}]})");
    scene.plugin("d", R"({"order":{"before":["t.c/1"]}})");
    const auto plan = scene.plan(
        R"({"a":{"id":"test.a"},"b":{"id":"test.b"},"c":{"id":"test.c"},"d":{"id":"test.d"}})"
    );
    INFO(text_of(plan));
    REQUIRE(plan.good());
    std::string order;
    for (const auto& plugin : plan.plugins) {
        order += plugin.instance.name;
    }
    CHECK(order == "dcba");
    CHECK(plan.plugins.back().providers.at("t.z/1").empty());
}

TEST_CASE("M14: enemies do not run beside each other", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"conflicts":["test.b"]})");
    scene.plugin("b");
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"},"two":{"id":"test.b"}})"), "M14", "/plugins/one")
    );
}

TEST_CASE("M15: drafts need the operator's consent and this very host", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"abi":{"entry":1,"draft":["test.new/1"],"min":")" + k_abi + R"("}})");
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M15", "/plugins/one"));
    CHECK(scene.plan(R"({"one":{"id":"test.a"}})", "\"allow_draft\":true,").good());
    // Consent does not make up for another ABI than the draft was tried with.
    scene.plugin("a", R"({"abi":{"entry":1,"min":"1.99","draft":["test.new/1"]}})");
    const auto other = scene.plan(R"({"one":{"id":"test.a"}})", "\"allow_draft\":true,");
    CHECK(has(other, "M15", "/abi/min"));
    scene.plugin("a", R"({"abi":{"entry":1,"min":"1.0","draft":["new"]}})");
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M03", "/abi/draft/0"));
}

TEST_CASE("M16: permissions are granted by name or all at once", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"permissions":["net.listen","fs.write:data"]})");
    const auto none = scene.plan(R"({"one":{"id":"test.a","grant":["net.listen"]}})");
    CHECK(has(none, "M16", "/plugins/one/grant"));
    CHECK(contains(text_of(none), "fs.write:data"));
    CHECK(scene.plan(R"({"one":{"id":"test.a","grant":["*"]}})").good());
    const auto extra =
        scene.plan(R"({"one":{"id":"test.a","grant":["net.listen","fs.write:data","net.connect"]}})"
        );
    CHECK(extra.good());
    REQUIRE(extra.problems.size() == 1);
    CHECK(extra.problems[0].warning);
}

TEST_CASE("M17: settings are checked and completed", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"config_schema":{"type":"object","required":["path"],"properties":{
        "path":{"type":"string","minLength":1,"description":"where"},
        "size":{"type":"integer","minimum":1,"maximum":9,"default":4,"description":"how many"},
        "inner":{"type":"object","properties":{
            "mode":{"type":"string","enum":["a","b"],"default":"a","description":"which"}}}}}})");
    const auto good = scene.plan(R"({"one":{"id":"test.a","config":{"path":"x"}}})");
    INFO(text_of(good));
    REQUIRE(good.good());
    CHECK(
        good.plugins[0].config ==
        boost::json::object{{"path", "x"}, {"size", 4}, {"inner", {{"mode", "a"}}}}
    );
    const auto bad =
        scene.plan(R"({"one":{"id":"test.a","config":{"size":10,"inner":{"mode":"c"}}}})");
    CHECK(has(bad, "M17", "/plugins/one/config/path"));
    CHECK(has(bad, "M17", "/plugins/one/config/size"));
    CHECK(has(bad, "M17", "/plugins/one/config/inner/mode"));
    CHECK(contains(text_of(bad), "too large (how many); found 10; expected at most 9"));
}

TEST_CASE("M18: a secret in plain text is refused and not repeated", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"config_schema":{"type":"object","properties":{
        "password":{"type":"string","x-secret":true,"description":"a reference"}}}})");
    const auto plain = scene.plan(R"({"one":{"id":"test.a","config":{"password":"hunter2"}}})");
    CHECK(has(plain, "M18", "/plugins/one/config/password"));
    CHECK_FALSE(contains(text_of(plain), "hunter2"));
    CHECK(scene.plan(R"({"one":{"id":"test.a","config":{"password":"env:PW"}}})").good());
}

TEST_CASE("M19: a schema with an unknown keyword is refused", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"config_schema":{"type":"object","additionalProperties":true,
        "properties":{"x":{"type":"string","pattern":"a+"},"y":{"type":"text"}}}})");
    const auto plan = scene.plan(R"({"one":{"id":"test.a"}})");
    CHECK(has(plan, "M19", "/config_schema/properties/x/pattern"));
    CHECK(has(plan, "M19", "/config_schema/properties/y/type"));
    CHECK(has(plan, "M19", "/config_schema/additionalProperties"));
}

TEST_CASE("M20: an author is told of every setting without a description", "[kernel][K3]") {
    Scene scene;
    const auto folder = scene.plugin("a", R"({"config_schema":{"type":"object","properties":{
        "x":{"type":"string"},"y":{"type":"array","description":"ys","items":{
            "type":"object","properties":{"z":{"type":"integer","description":""}}}}}}})");
    const auto manifest = tenon::manifest::read_plugin_manifest(folder / "plugin.json");
    REQUIRE(manifest.schema_usable);
    tenon::manifest::Problems problems;
    tenon::manifest::Report report{"plugin.json", problems};
    tenon::manifest::check_descriptions(manifest.config_schema, "/config_schema", report);
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].code == "M20");
    CHECK(problems[0].pointer == "/config_schema/properties/x");
    CHECK(problems[1].pointer == "/config_schema/properties/y/items/properties/z");
    // It does not keep a server from starting.
    CHECK(scene.plan(R"({"one":{"id":"test.a"}})").good());
}

TEST_CASE("the faults of a plugin that is not used do not matter", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a");
    scene.plugin("broken", R"({"abi":7,"version":"x"})");
    CHECK(scene.plan(R"({"one":{"id":"test.a"}})").good());
}

TEST_CASE("--set changes one value, and never names a new plugin", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a", R"({"config_schema":{"type":"object","properties":{
        "n":{"type":"integer","description":"n"},"t":{"type":"string","description":"t"}}}})");
    scene.overrides = {
        {"/plugins/one/config/n", "5"},
        {"/plugins/one/config/t", "plain text"},
        {"/log/level", "debug"}};
    const auto plan = scene.plan(R"({"one":{"id":"test.a"}})");
    INFO(text_of(plan));
    REQUIRE(plan.good());
    CHECK(plan.plugins[0].config == boost::json::object{{"n", 5}, {"t", "plain text"}});
    CHECK(plan.deployment.log.level == "debug");
    scene.overrides = {{"/plugins/oen/config/n", "5"}};
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M01", "/plugins/oen/config/n"));
    CHECK_FALSE(tenon::manifest::parse_override("plugins/x=1"));
    CHECK_FALSE(tenon::manifest::parse_override("/plugins/x"));
}

TEST_CASE("regression_a_number_that_no_double_holds_is_refused", "[kernel][K3]") {
    tenon::manifest::Problems problems;
    tenon::manifest::Report report{"file", problems};
    CHECK_FALSE(tenon::manifest::parse_json(R"({"a":[0,18446744073709551e6915]})", report));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "M02");
    CHECK(problems[0].pointer == "/a/1");
}

TEST_CASE("regression_a_set_that_is_not_utf_8_is_refused", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a");
    scene.overrides = {{"/log/\xff", "1"}};
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M01", ""));
    scene.overrides = {{"/log/level", "\xff"}};
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M01", ""));
}

TEST_CASE("regression_a_set_that_nests_too_deeply_is_refused", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a");
    std::string pointer = "/x-note";
    for (int depth = 0; depth < 40; ++depth) {
        pointer += "/a";
    }
    scene.overrides = {{pointer, "1"}};
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M01", ""));
    scene.overrides = {{"/x-note", "1e999"}};
    CHECK(has(scene.plan(R"({"one":{"id":"test.a"}})"), "M01", ""));
    scene.overrides = {{"/x-note/a/b", "1"}};
    CHECK(scene.plan(R"({"one":{"id":"test.a"}})").good());
}

TEST_CASE("a recorded deployment starts the same from another folder", "[kernel][K3]") {
    Scene scene;
    scene.plugin("a");
    const auto first = scene.plan(R"({"one":{"id":"test.a"}})", R"("plugin_path":["plugins"],)");
    REQUIRE(first.good());
    const auto text = boost::json::serialize(portable_document(first.deployment));
    write_file(scene.path() / "elsewhere/deployment.json", text);
    const auto second =
        tenon::manifest::make_plan(scene.path() / "elsewhere/deployment.json", {}, {}, {});
    INFO(text_of(second));
    CHECK(second.good());
    CHECK(second.deployment.folder == first.deployment.folder);
}
