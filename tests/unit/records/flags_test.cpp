// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/flags.hpp"

#include "plugins/trading/records/failure.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

#include <string>

using tenon::records::ApiFailure;
using tenon::records::flags_answer;
using tenon::records::read_flag_change;
namespace json = boost::json;

namespace {

tenon::records::FlagChange read(std::string method, std::string body) {
    tenon::records::Request request;
    request.method = std::move(method);
    request.body = std::move(body);
    return read_flag_change(request);
}

}  // namespace

TEST_CASE("a body that switches a flag says on or off, and may say why", "[records][K8]") {
    const auto change = read("PUT", R"({"on":false,"reason":"slow disk"})");
    CHECK(change.on == false);
    CHECK(change.reason == "slow disk");
    CHECK(read("PUT", R"({"on":true})").on == true);
    CHECK_FALSE(read("DELETE", "").on.has_value());
    CHECK(read("DELETE", R"({"reason":"over"})").reason == "over");
    for (const auto& [method, body] : {
             std::pair{"PUT", ""},
             {"PUT", "{}"},
             {"PUT", R"({"on":1})"},
             {"PUT", R"({"on":"true"})"},
             {"PUT", R"({"on":true,"off":true})"},
             {"PUT", R"({"on":true,"reason":null})"},
             {"PUT", "true"},
             {"DELETE", R"({"on":true})"},
         }) {
        INFO(method << " " << body);
        CHECK_THROWS_AS(read(method, body), ApiFailure);
    }
    const std::string long_reason = R"({"on":true,"reason":")" + std::string(501, 'x') + "\"}";
    CHECK_THROWS_AS(read("PUT", long_reason), ApiFailure);
}

TEST_CASE("of the settings only flags are told, by name, with who switched them", "[records][K8]") {
    const json::value told = json::parse(flags_answer(R"({"ok":{"generation":7,"settings":[
        {"plugin":"http","pointer":"/etags","title":"T","description":"D","type":"boolean",
         "value":false,"deployment":true,"overridden":true,"flag":true,"by":"user:anna","reason":"<b>"},
        {"plugin":"http","pointer":"/gzip","type":"string","value":"off","deployment":"off",
         "overridden":false,"flag":false},
        {"plugin":"cache","pointer":"/prefetch","title":"P","description":"E","type":"boolean",
         "value":true,"deployment":true,"overridden":false,"flag":true}]}})"));
    CHECK(told.at("generation") == 7);
    const json::array& flags = told.at("data").as_array();
    REQUIRE(flags.size() == 2);
    CHECK(flags[0].at("name") == "cache.prefetch");
    CHECK(flags[0].at("on") == true);
    CHECK(flags[0].at("overridden") == false);
    CHECK(flags[0].at("by") == "");
    CHECK(flags[1].at("name") == "http.etags");
    CHECK(flags[1].at("on") == false);
    CHECK(flags[1].at("deployment") == true);
    CHECK(flags[1].at("by") == "user:anna");
    CHECK(flags[1].at("reason") == "<b>");
}

TEST_CASE("an answer of the server that cannot be read is a failure of its own", "[records][K8]") {
    for (const char* line :
         {"", "{", "[]", R"({"ok":1})", R"({"ok":{}})", R"({"error":{"message":"no"}})"}) {
        INFO(line);
        CHECK_THROWS_AS(flags_answer(line), ApiFailure);
    }
}
