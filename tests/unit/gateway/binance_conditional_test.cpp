// SPDX-License-Identifier: Apache-2.0
// Stop-loss and take-profit orders: parameters in, what answers and events say of them.
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance;
using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;

namespace {

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), LimitSettings{}, builtin_weights()} {}

    FakeAnswer ask(const std::string& method, const std::string& path, const std::string& params) {
        last = send_signed(api, method, path, params);
        return answers[last];
    }

    Api api;
    std::uint64_t last = 0;
};

}  // namespace

TEST_CASE("a stop-loss goes to the engine, and its answers tell the stop price", "[binance][T2]") {
    Fixture f;
    const std::string base = "symbol=BTCUSDT&side=SELL&quantity=1&stopPrice=59000.50";
    f.ask("POST", "/api/v3/order", base + "&type=STOP_LOSS_LIMIT&timeInForce=IOC&price=58000");
    REQUIRE(f.submitted.size() == 1);
    CHECK(f.submitted[0].type == TENON_ORDER_STOP_LOSS_LIMIT);
    CHECK(f.submitted[0].time_in_force == TENON_TIF_IOC);
    CHECK(f.submitted[0].stop_price == 5'900'050);
    CHECK(f.submitted[0].price == 5'800'000);
    tenon_order order = f.order(28, "x-1");
    order.type = TENON_ORDER_STOP_LOSS_LIMIT;
    order.stop_price = 5'900'050;
    order.working_real_ns = 0;
    f.finish(TENON_REJECT_NONE, {order}, {});
    // ACK, unless another form is asked for.
    CHECK(f.answers[f.last].body.find("status") == std::string::npos);
    f.ask("POST", "/api/v3/order", base + "&type=TAKE_PROFIT&newOrderRespType=RESULT");
    REQUIRE(f.submitted.size() == 2);
    CHECK(f.submitted[1].type == TENON_ORDER_TAKE_PROFIT);
    CHECK(f.submitted[1].price == 0);
    f.finish(TENON_REJECT_NONE, {order}, {});
    CHECK(
        f.answers[f.last].body.find(
            R"("stopPrice":"59000.50000000","workingTime":-1,"selfTradePreventionMode":"NONE"})"
        ) != std::string::npos
    );
    f.orders = {order};
    const auto asked = [&] {
        return f.ask("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=28").body;
    };
    CHECK(asked().find(R"("isWorking":false,"workingTime":-1,)") != std::string::npos);
    f.orders[0].working_real_ns = 1'732'233'700'000'000'000;
    CHECK(asked().find(R"("isWorking":true,"workingTime":1732233700000,)") != std::string::npos);
    CHECK(asked().find(R"("stopPrice":"59000.50000000")") != std::string::npos);

    f.ask("POST", "/api/v3/order", base + "&type=STOP_LOSS");
    f.finish(TENON_REJECT_WOULD_TRIGGER, {}, {});
    CHECK(f.answers[f.last].body == R"({"code":-2010,"msg":"Order would trigger immediately."})");
}
