// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/health/readiness.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace tenon;
using Catch::Contains;

namespace {

const std::string k_down = R"({"state":"critical","ready":false,
 "components":[{"plugin":"engine","component":"journal","state":"critical","reason":"disk <full>","since":1000},
  {"plugin":"http","component":"listener","state":"healthy","reason":"","since":1000}],
 "plugins":[{"name":"engine","id":"tenon.trading.engine","version":"0.1.0","state":"started","error":""},
  {"name":"binance","id":"tenon.gateway.binance","version":"0.1.0","state":"failed","error":"no \"key\""}]})";
const std::string k_up = R"({"state":"degraded","ready":true,"components":[],"plugins":[]})";

}  // namespace

TEST_CASE("health is 200 unless critical", "[monitor][health]") {
    CHECK(monitor::healthz(k_up).status == 200);
    CHECK(monitor::healthz(k_down).status == 503);
    CHECK(monitor::healthz(k_down).body == k_down);
}

TEST_CASE("readiness names what is missing", "[monitor][health]") {
    CHECK(monitor::readyz(k_up).status == 200);
    CHECK(monitor::readyz(k_up).body == R"({"ready":true,"reasons":[]})");
    const auto down = monitor::readyz(k_down);
    CHECK(down.status == 503);
    CHECK_THAT(down.body, Contains(R"(plugin binance is failed: no \"key\")"));
    CHECK_THAT(down.body, Contains("engine/journal is critical: disk <full>"));
    CHECK_THAT(down.body, !Contains("listener"));
}
