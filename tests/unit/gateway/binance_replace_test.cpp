// SPDX-License-Identifier: Apache-2.0
// order/cancelReplace: one order goes, another comes, one answer tells of both.
#include "plugins/gateway/binance/order_waits.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance;
using Catch::Matchers::StartsWith;
using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;

namespace {

struct Fixture : FakeBinanceWorld {
    explicit Fixture(const LimitSettings& limits = {})
        : api{services(), limits, builtin_weights()} {}

    // Of an order with the id 4, by a limit order of one BTC.
    FakeAnswer replace(const std::string& mode, const std::string& more = "") {
        last = send_signed(
            api,
            "POST",
            "/api/v3/order/cancelReplace",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=60000"
            "&cancelReplaceMode=" +
                mode + (more.find("cancelO") == std::string::npos ? "&cancelOrderId=4" : "") + more
        );
        return answers[last];
    }

    void cancel_done() {
        tenon_order old = order(4, "old");
        old.status = TENON_STATUS_CANCELED;
        finish(TENON_REJECT_NONE, {old});
    }

    [[nodiscard]] FakeAnswer answer() { return answers[last]; }

    [[nodiscard]] std::string order_count() {
        return answers[send_signed(api, "GET", "/api/v3/rateLimit/order")].body;
    }

    Api api;
    std::uint64_t last = 0;
};

const std::string k_unknown = R"({"code":-2011,"msg":"Unknown order sent."})";
const std::string k_poor =
    R"({"code":-2010,"msg":"Account has insufficient balance for requested action."})";

}  // namespace

TEST_CASE("an order is replaced when its cancel is on disk, in one answer", "[binance][T6]") {
    Fixture f;
    CHECK(
        f.replace(
             "STOP_ON_FAILURE",
             "&cancelOrigClientOrderId=old&cancelNewClientOrderId=c-1&newClientOrderId=new"
             "&newOrderRespType=ACK"
        )
            .status == 0
    );
    REQUIRE(f.canceled.size() == 1);
    CHECK(text_of(f.canceled[0].client_id) == "old");
    CHECK(text_of(f.canceled[0].cancel_client_id) == "c-1");
    CHECK(f.submitted.empty());
    f.cancel_done();
    CHECK(f.answer().status == 0);
    REQUIRE(f.submitted.size() == 1);
    CHECK(text_of(f.submitted[0].client_id) == "new");
    CHECK(f.submitted[0].price == 6'000'000);
    f.finish(TENON_REJECT_NONE, {f.order(5, "new")});
    CHECK(f.answer().status == 200);
    CHECK_THAT(
        f.answer().body,
        StartsWith(R"({"cancelResult":"SUCCESS","newOrderResult":"SUCCESS","cancelResponse":)"
                   R"({"symbol":"BTCUSDT","origClientOrderId":"old","orderId":4,)")
    );
    CHECK(
        f.answer().body.substr(f.answer().body.find(R"("newOrderResponse")")) ==
        R"("newOrderResponse":{"symbol":"BTCUSDT","orderId":5,"orderListId":-1,)"
        R"("clientOrderId":"new","transactTime":1732233600123}})"
    );
    CHECK(f.answer().headers.at("x-mbx-order-count-10s") == "1");
    CHECK(f.answer().headers.at("x-mbx-used-weight-1m") == "0");
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("what follows a cancel that fails is a matter of the mode", "[binance][T6]") {
    Fixture f;
    SECTION("nothing") {
        (void)f.replace("STOP_ON_FAILURE");
        f.finish(TENON_REJECT_UNKNOWN_ORDER, {});
        CHECK(f.submitted.empty());
        CHECK(f.answer().status == 400);
        CHECK(
            f.answer().body == R"({"code":-2022,"msg":"Order cancel-replace failed.","data":)"
                               R"({"cancelResult":"FAILURE","newOrderResult":"NOT_ATTEMPTED",)"
                               R"("cancelResponse":)" +
                                   k_unknown + R"(,"newOrderResponse":null}})"
        );
        // As at Binance: what was not attempted counts.
        CHECK(f.answer().headers.at("x-mbx-order-count-10s") == "1");
    }
    SECTION("the new order, which is taken") {
        (void)f.replace("ALLOW_FAILURE", "&newOrderRespType=ACK");
        f.finish(TENON_REJECT_UNKNOWN_ORDER, {});
        REQUIRE(f.submitted.size() == 1);
        f.finish(TENON_REJECT_NONE, {f.order(5, "new")});
        CHECK(f.answer().status == 409);
        CHECK_THAT(
            f.answer().body,
            StartsWith(
                R"({"code":-2021,"msg":"Order cancel-replace partially failed.","data":)"
                R"({"cancelResult":"FAILURE","newOrderResult":"SUCCESS","cancelResponse":)" +
                k_unknown + R"(,"newOrderResponse":{"symbol":"BTCUSDT","orderId":5,)"
            )
        );
    }
    SECTION("the new order, which fails too") {
        (void)f.replace("ALLOW_FAILURE");
        f.finish(TENON_REJECT_UNKNOWN_ORDER, {});
        f.finish(TENON_REJECT_BALANCE, {});
        CHECK(f.answer().status == 400);
        CHECK(
            f.answer().body == R"({"code":-2022,"msg":"Order cancel-replace failed.","data":)"
                               R"({"cancelResult":"FAILURE","newOrderResult":"FAILURE",)"
                               R"("cancelResponse":)" +
                                   k_unknown + R"(,"newOrderResponse":)" + k_poor + "}}"
        );
    }
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("a new order that fails after its cancel is told as such", "[binance][T6]") {
    Fixture f;
    (void)f.replace("STOP_ON_FAILURE");
    f.cancel_done();
    f.finish(TENON_REJECT_BALANCE, {});
    CHECK(f.answer().status == 409);
    CHECK_THAT(
        f.answer().body,
        StartsWith(R"({"code":-2021,"msg":"Order cancel-replace partially failed.","data":)"
                   R"({"cancelResult":"SUCCESS","newOrderResult":"FAILURE",)")
    );
    CHECK(f.answer().body.find(k_poor) != std::string::npos);
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("a cancel whose outcome is unknown is followed by nothing", "[binance][T6][T9]") {
    Fixture f;
    (void)f.replace("ALLOW_FAILURE");
    f.finish(TENON_REJECT_NONE, {f.order(4, "old")});  // its exchange has not said
    CHECK(f.answer().status == 0);
    f.api.waits().give_up(f.now_ns, true);
    CHECK(f.submitted.empty());
    CHECK(f.answer().status == 400);
    CHECK(f.answer().body.find(R"("newOrderResult":"NOT_ATTEMPTED")") != std::string::npos);
    CHECK(f.answer().body.find(R"("cancelResponse":{"code":-1007)") != std::string::npos);
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("an account without room replaces nothing, or cancels alone", "[binance][T6][T3]") {
    LimitSettings limits;
    limits.orders_per_10_seconds = 1;
    Fixture f{limits};
    (void)f.replace("STOP_ON_FAILURE");
    f.cancel_done();
    f.finish(TENON_REJECT_NONE, {f.order(5, "new")});
    SECTION("nothing") {
        CHECK(
            f.replace("STOP_ON_FAILURE").body ==
            R"({"code":-1015,"msg":"Too many new orders; current limit is 1 orders per 10 SECOND.",)"
            R"("data":{"cancelResult":"NOT_ATTEMPTED","newOrderResult":"NOT_ATTEMPTED",)"
            R"("cancelResponse":null,"newOrderResponse":null}})"
        );
        CHECK(f.canceled.size() == 1);
    }
    SECTION("the cancel") {
        (void)f.replace("STOP_ON_FAILURE", "&orderRateLimitExceededMode=CANCEL_ONLY");
        CHECK(f.canceled.size() == 2);
        f.cancel_done();
        CHECK(f.submitted.size() == 1);
        CHECK(f.answer().body.find(R"("code":-1015)") != std::string::npos);
        CHECK(
            f.answer().body.find(R"("cancelResult":"SUCCESS","newOrderResult":"NOT_ATTEMPTED")") !=
            std::string::npos
        );
    }
    CHECK(f.answer().status == 429);
    CHECK(f.answer().headers.at("retry-after") == "10");
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("what cannot be replaced is refused before anything is cancelled", "[binance][T6]") {
    Fixture f;
    const auto refused = [&](const std::string& mode, const std::string& more) {
        return f.replace(mode, more).body;
    };
    CHECK(
        refused("SOMETIMES", "") ==
        R"({"code":-1130,"msg":"Data sent for parameter 'cancelReplaceMode' is not valid."})"
    );
    CHECK(
        refused("ALLOW_FAILURE", "&orderRateLimitExceededMode=X") ==
        R"({"code":-1130,"msg":"Data sent for parameter 'orderRateLimitExceededMode' is not valid."})"
    );
    CHECK(
        refused("ALLOW_FAILURE", "&cancelRestrictions=ONLY_FILLED") ==
        R"({"code":-1130,"msg":"Data sent for parameter 'cancelRestrictions' is not valid."})"
    );
    CHECK(
        refused("ALLOW_FAILURE", "&cancelOrigClientOrderId=") ==
        R"({"code":-1105,"msg":"Parameter 'cancelOrigClientOrderId' was empty."})"
    );
    CHECK(refused("ALLOW_FAILURE", "&cancelOrderId=0") == k_unknown);
    const auto none = f.send_signed(
        f.api,
        "POST",
        "/api/v3/order/cancelReplace",
        "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&cancelReplaceMode=STOP_ON_FAILURE"
    );
    CHECK(
        f.answers[none].body ==
        R"({"code":-1102,"msg":"Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!"})"
    );
    // Its filters, which Binance looks at first, too.
    const auto small = f.send_signed(
        f.api,
        "POST",
        "/api/v3/order/cancelReplace",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00001&price=60000"
        "&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId=4"
    );
    CHECK(f.answers[small].body == R"({"code":-1013,"msg":"Filter failure: NOTIONAL"})");
    CHECK(f.canceled.empty());
    CHECK(f.order_count().find(R"("limit":100,"count":0)") != std::string::npos);
    CHECK(f.api.in_flight() == 0);
}
