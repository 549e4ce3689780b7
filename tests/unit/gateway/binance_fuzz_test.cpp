// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>

using namespace tenon::binance;
using tenon::test::FakeBinanceWorld;

namespace {

// A failure prints it; TENON_SEED repeats the run.
[[nodiscard]] unsigned make_seed() {
    const char* const given = std::getenv("TENON_SEED");
    return given == nullptr ? std::random_device{}()
                            : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

}  // namespace

TEST_CASE("random requests are always answered with JSON, once", "[binance][T6]") {
    const unsigned seed = make_seed();
    CAPTURE(seed);
    std::mt19937 random{seed};
    FakeBinanceWorld world;
    LimitSettings limits;
    limits.weight_per_minute = limits.requests_per_5_minutes = 1'000'000'000;
    limits.orders_per_10_seconds = limits.orders_per_day = 1'000'000'000;
    Api api{world.services(), limits, builtin_weights()};
    const std::vector<std::string> names{"symbol",           "symbols",    "limit",
                                         "interval",         "fromId",     "startTime",
                                         "endTime",          "side",       "type",
                                         "timeInForce",      "quantity",   "price",
                                         "quoteOrderQty",    "orderId",    "origClientOrderId",
                                         "newClientOrderId", "recvWindow", "timeZone",
                                         "newOrderRespType", "",           "x"};
    const std::vector<std::string> values{
        "BTCUSDT",
        "ETHUSDT",
        "%5B%22BTCUSDT%22%5D",
        "%5B%22",
        "1",
        "0",
        "-1",
        "1.5",
        "0.000000001",
        "99999999999999999999",
        "1m",
        "1M",
        "BUY",
        "SELL",
        "LIMIT",
        "MARKET",
        "LIMIT_MAKER",
        "GTC",
        "IOC",
        "a",
        "%",
        "%zz",
        "%00",
        "+",
        "",
        "FULL",
        "ACK",
        "1732233600000"};
    for (int round = 0; round < 20'000; ++round) {
        const auto endpoints = Api::endpoints();
        const Endpoint& endpoint = endpoints[random() % endpoints.size()];
        std::string query;
        for (unsigned i = 0; i < random() % 8; ++i) {
            query += (i == 0 ? "" : "&") + names[random() % names.size()] + "=" +
                     values[random() % values.size()];
        }
        const auto handle =
            world.send_signed(api, endpoint.method, std::string{endpoint.path}, query);
        if (api.in_flight() > 0) {
            tenon_order order = world.order(1, "a");
            order.status = endpoint.method == "DELETE" ? TENON_STATUS_CANCELED : TENON_STATUS_NEW;
            world.finish(TENON_REJECT_NONE, {order});
        }
        const auto& answer = world.answers[handle];
        REQUIRE(answer.status >= 200);
        REQUIRE(answer.status < 500);
        REQUIRE((answer.body.front() == '{' || answer.body.front() == '['));
        REQUIRE(api.in_flight() == 0);
    }
}
