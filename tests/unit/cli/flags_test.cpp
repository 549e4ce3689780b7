// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/flags.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

namespace json = boost::json;

TEST_CASE("flags are the settings that are marked as such, by name", "[cli][K8]") {
    const json::array flags = tenon::cli::flags_of(json::parse(R"({"settings":[
        {"plugin":"http","pointer":"/etags","title":"T","description":"D","value":false,
         "deployment":true,"overridden":true,"flag":true,"by":"key:k","reason":"why"},
        {"plugin":"http","pointer":"/gzip","value":"off","deployment":"off","overridden":false},
        {"plugin":"cache","pointer":"/prefetch","title":"P","description":"E","value":true,
         "deployment":true,"overridden":false,"flag":true}]})"));
    REQUIRE(flags.size() == 2);
    CHECK(flags[0].at("name") == "cache.prefetch");
    CHECK(flags[0].at("on") == true);
    CHECK_FALSE(flags[0].as_object().contains("by"));
    CHECK(flags[1].at("name") == "http.etags");
    CHECK(flags[1].at("on") == false);
    CHECK(flags[1].at("deployment") == true);
    CHECK(flags[1].at("overridden") == true);
    CHECK(flags[1].at("by") == "key:k");
    CHECK(flags[1].at("reason") == "why");
}
