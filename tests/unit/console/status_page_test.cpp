// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/status_page.hpp"

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

TEST_CASE("the status page shows states and lets no text become markup", "[console]") {
    const std::string page = console::status_page(k_down, "1.0<", 61'000);
    CHECK_THAT(page, Contains("Version 1.0&lt;"));
    CHECK_THAT(page, Contains(R"(<span class="badge bad">critical</span> and not ready.)"));
    CHECK_THAT(page, Contains("disk &lt;full&gt;"));
    CHECK_THAT(page, Contains("no &quot;key&quot;"));
    CHECK_THAT(page, Contains("<td>60 s</td>"));
    CHECK_THAT(page, Contains("<a href=\"/status\">Refresh</a>"));
    CHECK_THAT(page, !Contains("<script"));
    CHECK_THAT(page, !Contains("style="));
    CHECK_THAT(console::status_page(k_up, "1", 0), Contains("and ready."));
    CHECK_THROWS(console::status_page("{}", "1", 0));
}
