// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/weights.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

using tenon::binance_venue::parameter_of;
using tenon::binance_venue::RequestWeights;

namespace {

std::string shipped() {
    const char* const source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    std::ifstream in{std::string{source} + "/etc/venues/binance-weights.json"};
    return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE("requests cost what the exchange says that they do", "[binance][H2]") {
    const RequestWeights weights{shipped()};
    const auto get = [&](std::string_view path, std::string_view query) {
        return weights.of("GET", path, query);
    };
    CHECK(get("/api/v3/time", "") == 1);
    CHECK(get("/api/v3/exchangeInfo", "symbols=%5B%22A%22%5D") == 20);
    CHECK(get("/api/v3/depth", "symbol=BTCUSDT") == 5);
    CHECK(get("/api/v3/depth", "symbol=BTCUSDT&limit=100") == 5);
    CHECK(get("/api/v3/depth", "symbol=BTCUSDT&limit=101") == 25);
    CHECK(get("/api/v3/depth", "limit=1000&symbol=BTCUSDT") == 50);
    CHECK(get("/api/v3/depth", "symbol=BTCUSDT&limit=5000") == 250);
    CHECK(get("/api/v3/ticker/24hr", "symbol=BTCUSDT") == 2);
    CHECK(get("/api/v3/ticker/24hr", "symbols=%5B%22A%22%2C%22B%22%5D") == 2);
    std::string many = "symbols=[";
    for (int i = 0; i < 21; ++i) {
        many += i == 0 ? "\"A\"" : ",\"A\"";
    }
    CHECK(get("/api/v3/ticker/24hr", many + "]") == 40);
    CHECK(get("/api/v3/ticker/24hr", "") == 80);
    CHECK(get("/api/v3/openOrders", "symbol=BTCUSDT") == 6);
    CHECK(get("/api/v3/openOrders", "") == 80);
    CHECK(get("/api/v3/myTrades", "symbol=BTCUSDT&orderId=1") == 5);
    CHECK(weights.of("POST", "/api/v3/order", "symbol=BTCUSDT") == 1);
    CHECK(get("/api/v3/never/heard/of", "") == RequestWeights::k_unknown);
}

TEST_CASE("a table that says nothing sensible is refused with the entry", "[binance][H2]") {
    for (const char* const text :
         {"[]",
          "{",
          R"({"GET /x": -1})",
          R"({"GET /x": "a"})",
          R"({"GET /x": {"odd": 1}})",
          R"({"GET /x": {"steps": [[1]]}})"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(RequestWeights{text}, tenon::Error);
    }
    REQUIRE_THROWS_WITH(RequestWeights{R"({"GET /x": -1})"}, Catch::Contains("GET /x"));
}

TEST_CASE("a parameter is found by its whole name", "[binance][H2]") {
    CHECK(parameter_of("a=1&ab=2", "ab") == "2");
    CHECK(parameter_of("ab=2&a=1", "a") == "1");
    CHECK(parameter_of("a=", "a").empty());
    CHECK(parameter_of("", "a").empty());
    CHECK(parameter_of("a&b=2", "b") == "2");
}
