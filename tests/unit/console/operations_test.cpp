// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/operations.hpp"

#include "plugins/console/refusal.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace tenon::console;
using tenon::Json;

TEST_CASE("an operation that writes is for operators, and each has one name", "[console][M5]") {
    std::set<std::string_view> names;
    for (const Operation& operation : operations()) {
        INFO(operation.name);
        CHECK(names.insert(operation.name).second);
        CHECK(find_operation(operation.name) == &operation);
        if (operation.writes) {
            CHECK(operation.right == k_right_operate);
        } else {
            CHECK(operation.texts.empty());
        }
    }
    // What a browser has no business with.
    for (const char* const command :
         {"stop",
          "keys.create",
          "accounts.fund",
          "users.add",
          "key.rotate",
          "reload",
          "migrate.down"}) {
        CHECK(find_operation(command) == nullptr);
        for (const Operation& operation : operations()) {
            CHECK(operation.command != command);
        }
    }
}

TEST_CASE("an operation takes its own arguments alone, and they stay texts", "[console][M5]") {
    const Operation& level = *find_operation("throttle-level");
    const auto read = [&](const char* text) { return arguments_of(level, Json::parse(text)); };
    CHECK(read("{}") == "{}");
    CHECK(read(R"({"limit":"a\"b","level":"x"})") == R"({"limit":"a\"b","level":"x"})");
    CHECK(
        line_of(level, read(R"({"level":"x"})")) ==
        R"({"command":"throttle.level","args":{"level":"x"}})"
    );
    CHECK_THROWS_AS(read("[]"), Refusal);
    CHECK_THROWS_AS(read(R"({"level":1})"), Refusal);
    CHECK_THROWS_AS(read(R"({"level":""})"), Refusal);
    CHECK_THROWS_AS(read(R"({"other":"x"})"), Refusal);
    CHECK_THROWS_AS(read(("{\"level\":\"" + std::string(257, 'x') + "\"}").c_str()), Refusal);
    const Operation& imports = *find_operation("imports");
    CHECK(arguments_of(imports, Json::parse("{}")) == R"({"status":true})");
    CHECK_THROWS_AS(arguments_of(imports, Json::parse(R"({"source":"x"})")), Refusal);
}

TEST_CASE(
    "a change of settings has a reason, and who asked is told by the server",
    "[console][M5]"
) {
    const Operation& set = *find_operation("settings-set");
    const auto read = [&](const std::string& text) {
        return arguments_of(set, Json::parse(text), "user:anna");
    };
    CHECK(
        read(R"({"changes":[{"plugin":"cache","pointer":"/x","value":[1,{"a":null,"b":-0.50}]}],)"
             R"("reason":"<i>","dry_run":true})") ==
        R"({"changes":[{"plugin":"cache","pointer":"/x","value":[1,{"a":null,"b":-0.50}]}],)"
        R"("reason":"<i>","dry_run":true,"by":"user:anna"})"
    );
    const std::string changes = R"("changes":[{"plugin":"a","pointer":"/b","value":true}])";
    CHECK_NOTHROW(read("{" + changes + R"(,"reason":"r"})"));
    for (const std::string& refused :
         {"{" + changes + "}",
          "{" + changes + R"(,"reason":""})",
          "{" + changes + R"(,"reason":"r","by":"user:other"})",
          "{" + changes + R"(,"reason":"r","dry_run":1})",
          std::string{R"({"reason":"r"})"},
          std::string{R"({"reason":"r","changes":[]})"},
          std::string{R"({"reason":"r","changes":{"plugin":"a","pointer":"/b"}})"},
          std::string{R"({"reason":"r","changes":[{"plugin":"a"}]})"},
          std::string{R"({"reason":"r","changes":[1]})"},
          std::string{R"({"reason":"r","changes":[{"plugin":"a","pointer":"/b","more":1}]})"}}) {
        INFO(refused);
        CHECK_THROWS_AS(read(refused), Refusal);
    }
    std::string many = R"({"plugin":"a","pointer":"/b"})";
    for (int i = 0; i < 64; ++i) {
        many.append(R"(,{"plugin":"a","pointer":"/b"})");
    }
    CHECK_THROWS_AS(read(R"({"reason":"r","changes":[)" + many + "]}"), Refusal);
    CHECK(
        arguments_of(
            *find_operation("plugin-restart"),
            Json::parse(R"({"plugin":"cache","reason":"r"})"),
            "key:x"
        ) == R"({"plugin":"cache","reason":"r","by":"key:x"})"
    );
    CHECK_THROWS_AS(
        arguments_of(
            *find_operation("recommendation-apply"), Json::parse(R"({"id":"1","by":"x"})"), "key:x"
        ),
        Refusal
    );
}
