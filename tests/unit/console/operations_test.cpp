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
