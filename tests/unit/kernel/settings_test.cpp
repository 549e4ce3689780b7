// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/settings.hpp"

#include "sdk/manifest/schema.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <sys/stat.h>

using tenon::Error;
using tenon::manifest::change_settings;
using tenon::manifest::list_settings;
using tenon::manifest::OverridesFile;
using tenon::manifest::Plan;
using tenon::manifest::SettingsHost;
using tenon::test::read_file;
using tenon::test::Scene;
using tenon::test::write_file;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view k_schema = R"({"config_schema":{"type":"object","properties":{
    "limit":{"type":"integer","default":5,"minimum":1,"maximum":9,"x-reload":"live",
             "description":"d"},
    "fast":{"type":"boolean","default":true,"x-reload":"live","x-flag":true,"title":"Faster",
            "description":"d"},
    "file":{"type":"string","default":"a","description":"d"},
    "key":{"type":"string","default":"","x-secret":true,"x-reload":"live","description":"d"},
    "hosts":{"type":"array","items":{"type":"string"},"default":[],"x-reload":"live",
             "description":"d"},
    "inner":{"type":"object","x-reload":"live","description":"d","properties":{
        "x":{"type":"integer","default":1,"description":"d"},
        "keys":{"type":"array","default":[],"description":"d",
                "items":{"type":"string","x-secret":true}}}}}}})";

// A server that takes what it is given, or refuses.
struct Server {
    Server() {
        scene.plugin("a", k_schema);
        plan = scene.plan(R"({"one":{"id":"test.a","config":{"limit":3}}})");
        REQUIRE(plan.good());
        start();
    }

    void start() {
        overrides = std::make_unique<OverridesFile>(file());
        overrides->apply(plan);
        host.running = &plan;
        host.generation = 1;
        host.apply = [this](Plan fresh, bool dry_run) {
            SettingsHost::Outcome out;
            if (!refusal.empty()) {
                tenon::manifest::Report{"", out.problems}.add("R06", "", refusal);
            } else if (!dry_run) {
                plan = std::move(fresh);
                ++host.generation;
                out.applied = true;
            }
            return out;
        };
        host.record = [this](auto action, auto actor, auto subject, const json::object& detail) {
            audit += std::string{action} + " " + std::string{actor} + " " + std::string{subject} +
                     " " + json::serialize(detail) + "\n";
        };
    }

    json::object set(std::string_view pointer, json::value value, bool dry_run = false) {
        return change_settings(
            "settings.set",
            {{"changes",
              json::array{json::object{{"plugin", "one"}, {"pointer", pointer}, {"value", value}}}},
             {"by", "user:anna"},
             {"reason", "a test"},
             {"dry_run", dry_run}},
            *overrides,
            host
        );
    }

    json::object unset(std::string_view pointer) {
        return change_settings(
            "settings.unset",
            {{"changes", json::array{json::object{{"plugin", "one"}, {"pointer", pointer}}}}},
            *overrides,
            host
        );
    }

    [[nodiscard]] fs::path file() const { return scene.path() / "overrides.json"; }

    [[nodiscard]] json::object config() const { return plan.plugins.at(0).config; }

    Scene scene;
    Plan plan;
    std::unique_ptr<OverridesFile> overrides;
    SettingsHost host;
    std::string refusal;
    std::string audit;
};

std::string code_of(const json::object& answer) {
    CHECK(answer.at("applied") == false);
    return std::string{answer.at("problems").at(0).at("code").as_string()};
}

}  // namespace

TEST_CASE("a live setting is overridden, kept over a restart, and unset", "[settings][K5]") {
    Server server;
    const json::object answer = server.set("/limit", 7);
    CHECK(answer.at("applied") == true);
    CHECK(answer.at("generation") == 2);
    CHECK(answer.at("changes").at(0).at("before") == 3);
    CHECK(answer.at("changes").at(0).at("after") == 7);
    CHECK(server.config().at("limit") == 7);
    CHECK(server.audit.find("settings.set user:anna one/limit") == 0);
    CHECK(server.audit.find(R"("before":3,"after":7,"reason":"a test")") != std::string::npos);

    struct stat info {};

    REQUIRE(::stat(server.file().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);

    server.plan = server.scene.plan(R"({"one":{"id":"test.a","config":{"limit":4}}})");
    server.start();
    CHECK(server.config().at("limit") == 7);
    CHECK(server.plan.plugins.at(0).deployed.at("limit") == 4);
    CHECK(server.unset("/limit").at("changes").at(0).at("after") == 4);
    CHECK(server.config().at("limit") == 4);
    CHECK(code_of(server.unset("/limit")) == "S06");
}

TEST_CASE(
    "what may not be overridden is refused with its rule, and nothing changes",
    "[settings][K5]"
) {
    Server server;
    CHECK(code_of(server.set("/limit", 10)) == "M17");
    CHECK(code_of(server.set("/limit", "seven")) == "M17");
    CHECK(code_of(server.set("/limits", 1)) == "S02");
    CHECK(code_of(server.set("/inner", json::object{})) == "S02");
    CHECK(code_of(server.set("/hosts/0", "x")) == "S02");
    CHECK(code_of(server.set("/file", "b")) == "S03");
    CHECK(code_of(server.set("/key", "hunter2")) == "S04");
    CHECK(code_of(server.set("/inner/keys", json::array{"hunter2"})) == "S04");
    server.refusal = "not now";
    CHECK(code_of(server.set("/limit", 8)) == "R06");
    CHECK(server.config().at("limit") == 3);
    CHECK_FALSE(fs::exists(server.file()));
    CHECK_FALSE(fs::exists(server.file().string() + ".new"));
    CHECK(server.audit.find("hunter2") == std::string::npos);
    CHECK(server.audit.find("refused") != std::string::npos);
    for (const char* bad :
         {R"({})",
          R"({"changes":[]})",
          R"({"changes":[7]})",
          R"({"changes":[{"plugin":"one","pointer":"limit","value":1}]})",
          R"({"changes":[{"plugin":"one","pointer":"/limit"}]})",
          R"({"changes":[{"plugin":"one","pointer":"/limit","value":1}],"by":7})",
          R"({"changes":[{"plugin":"one","pointer":"/limit","value":1}],"dry_run":"yes"})",
          R"({"changes":[{"plugin":"one","pointer":"/limit","value":1},
                         {"plugin":"one","pointer":"/limit","value":2}]})"}) {
        CHECK_THROWS_AS(
            change_settings(
                "settings.set", json::parse(bad).as_object(), *server.overrides, server.host
            ),
            Error
        );
    }
}

TEST_CASE("of several changes all are applied or none", "[settings][K5]") {
    Server server;
    const auto both = [&](int limit) {
        return change_settings(
            "settings.set",
            {{"changes",
              json::array{
                  json::object{{"plugin", "one"}, {"pointer", "/fast"}, {"value", false}},
                  json::object{{"plugin", "one"}, {"pointer", "/inner/x"}, {"value", limit}},
                  json::object{{"plugin", "one"}, {"pointer", "/limit"}, {"value", limit}}}}},
            *server.overrides,
            server.host
        );
    };
    CHECK(code_of(both(12)) == "M17");
    CHECK(server.config().at("fast") == true);
    CHECK(both(6).at("applied") == true);
    CHECK(server.config().at("fast") == false);
    CHECK(server.config().at("inner").at("x") == 6);
}

TEST_CASE("a dry run tells and changes nothing", "[settings][K5]") {
    Server server;
    const json::object answer = server.set("/limit", 7, true);
    CHECK(answer.at("applied") == false);
    CHECK(answer.at("problems").as_array().empty());
    CHECK(answer.at("changes").at(0).at("after") == 7);
    CHECK(server.config().at("limit") == 3);
    CHECK(server.audit.empty());
    CHECK_FALSE(fs::exists(server.file()));
}

TEST_CASE("every live setting is listed, and no secret", "[settings][K5]") {
    Server server;
    (void)server.set("/fast", false);
    const json::object all = list_settings({}, *server.overrides, server.plan, 2);
    std::string pointers;
    for (const json::value& item : all.at("settings").as_array()) {
        pointers += std::string{item.at("pointer").as_string()} + " ";
    }
    CHECK(pointers == "/limit /fast /hosts /inner/x ");
    const json::value& fast = all.at("settings").at(1);
    CHECK(fast.at("flag") == true);
    CHECK(fast.at("title") == "Faster");
    CHECK(fast.at("value") == false);
    CHECK(fast.at("deployment") == true);
    CHECK(fast.at("overridden") == true);
    CHECK(fast.at("by") == "user:anna");
    CHECK(all.at("settings").at(0).at("maximum") == 9);
    CHECK(all.at("settings").at(0).at("overridden") == false);
    CHECK_THROWS_AS(list_settings({{"plugin", "two"}}, *server.overrides, server.plan, 2), Error);
}

TEST_CASE(
    "an override that no longer fits is left out, named, and can be unset",
    "[settings][K5]"
) {
    Server server;
    (void)server.set("/limit", 7);
    (void)server.set("/fast", false);
    std::string schema{k_schema};
    schema.replace(schema.find("\"maximum\":9"), 11, "\"maximum\":6");
    server.scene.plugin("a", schema);
    server.plan = server.scene.plan(R"({"one":{"id":"test.a","config":{"limit":3}}})");
    server.start();
    CHECK(server.plan.good());
    CHECK(server.config().at("limit") == 3);
    CHECK(server.config().at("fast") == false);
    const std::string told = tenon::test::text_of(server.plan);
    CHECK(told.find("warning M17") == 0);
    CHECK(told.find("an override is left out") != std::string::npos);
    CHECK(server.overrides->complaint().find("one/limit") != std::string::npos);
    CHECK(list_settings({}, *server.overrides, server.plan, 1).at("unfit").at(0).at("value") == 7);
    // It hinders no other change, and is gone when it is unset.
    CHECK(server.set("/hosts", json::array{"x"}).at("applied") == true);
    CHECK(server.unset("/limit").at("applied") == true);
    CHECK(server.overrides->complaint().empty());
}

TEST_CASE("a damaged file is told, kept aside, and hinders no change", "[settings][K5]") {
    for (const char* text :
         {"",
          "{",
          "[]",
          R"({"overrides_version":2,"overrides":[]})",
          R"({"overrides_version":1,"overrides":[{"plugin":"one","pointer":"limit","value":1}]})"}) {
        Server server;
        write_file(server.file(), text);
        server.start();
        CHECK(tenon::test::has(server.plan, "S05", ""));
        CHECK(server.overrides->complaint().find("damaged") != std::string::npos);
        CHECK(server.set("/limit", 7).at("applied") == true);
        CHECK(server.overrides->complaint().empty());
        CHECK(read_file(server.file().string() + ".damaged") == text);
    }
}

TEST_CASE("a list that cannot be written changes nothing", "[settings][K5]") {
    Server server;
    fs::create_directory(server.file().string() + ".new");  // in the way of the new file
    CHECK_THROWS_AS(server.set("/limit", 7), Error);
    CHECK(server.config().at("limit") == 3);
    fs::remove(server.file().string() + ".new");
    // In the way of the rename, when everything is applied already.
    fs::create_directories(server.file() / "x");
    CHECK_THROWS_AS(server.set("/limit", 7), Error);
    CHECK(server.config().at("limit") == 3);
    CHECK_FALSE(fs::exists(server.file().string() + ".new"));
}

TEST_CASE("a flag is a live boolean with a title", "[settings][K8]") {
    const auto good = [](std::string_view text) {
        tenon::manifest::Problems problems;
        tenon::manifest::Report report{"", problems};
        const bool usable = tenon::manifest::check_schema(json::parse(text), "", report);
        CHECK((usable || problems.at(0).code == "M19"));
        return usable;
    };
    CHECK(good(R"({"type":"boolean","x-flag":true,"x-reload":"live","title":"t"})"));
    CHECK(good(R"({"type":"boolean","x-flag":false})"));
    CHECK_FALSE(good(R"({"type":"integer","x-flag":true,"x-reload":"live","title":"t"})"));
    CHECK_FALSE(good(R"({"type":"boolean","x-flag":true,"title":"t"})"));
    CHECK_FALSE(good(R"({"type":"boolean","x-flag":true,"x-reload":"live"})"));
    CHECK_FALSE(good(R"({"type":"boolean","x-flag":"yes","x-reload":"live","title":"t"})"));
}
