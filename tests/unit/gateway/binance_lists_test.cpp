// SPDX-License-Identifier: Apache-2.0
// Order lists: parameters in, answers, queries and errors out.
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance;
using tenon::test::client_id;
using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;

namespace {

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), LimitSettings{}, builtin_weights()} {}

    FakeAnswer ask(const std::string& method, const std::string& path, const std::string& params) {
        last = send_signed(api, method, path, params);
        return answers[last];
    }

    [[nodiscard]] const std::string& body() { return answers[last].body; }

    [[nodiscard]] tenon_order_list list(std::uint32_t status = TENON_LIST_EXECUTING) const {
        auto row = tenon::sized<tenon_order_list>();
        row.list_id = 10;
        row.contingency = TENON_CONTINGENCY_OCO;
        row.status = status;
        row.order_count = 2;
        row.created_real_ns = row.updated_real_ns = 1'732'233'600'000'000'000;
        row.client_id = client_id("pair");
        row.orders[0] = {10, client_id("stop")};
        row.orders[1] = {11, client_id("target")};
        return row;
    }

    [[nodiscard]] std::vector<tenon_order> legs(std::uint8_t status) const {
        tenon_order stop = order(10, "stop");
        stop.type = TENON_ORDER_STOP_LOSS;
        stop.price = 0;
        stop.stop_price = 5'900'050;
        stop.working_real_ns = 0;
        tenon_order target = order(11, "target");
        target.type = TENON_ORDER_LIMIT_MAKER;
        for (tenon_order* leg : {&stop, &target}) {
            leg->list_id = 10;
            leg->status = status;
        }
        return {stop, target};
    }

    Api api;
    std::uint64_t last = 0;
};

// As of when it was placed, or of an answer at the fake's time.
std::string head(const std::string& ms = "1732233600000") {
    return R"({"orderListId":10,"contingencyType":"OCO","listStatusType":"EXEC_STARTED",)"
           R"("listOrderStatus":"EXECUTING","listClientOrderId":"pair","transactionTime":)" +
           ms +
           R"(,)"
           R"("symbol":"BTCUSDT","orders":[{"symbol":"BTCUSDT","orderId":10,"clientOrderId":"stop"},)"
           R"({"symbol":"BTCUSDT","orderId":11,"clientOrderId":"target"}])";
}

}  // namespace

TEST_CASE("above and below become a stop and a target, by side", "[binance][T2]") {
    Fixture f;
    const std::string base = "symbol=BTCUSDT&quantity=1&listClientOrderId=pair";
    f.ask(
        "POST",
        "/api/v3/orderList/oco",
        base +
            "&side=SELL&aboveType=LIMIT_MAKER&abovePrice=62000&aboveClientOrderId=target"
            "&belowType=STOP_LOSS_LIMIT&belowStopPrice=59000.50&belowPrice=58000"
            "&belowTimeInForce=GTC&belowClientOrderId=stop"
    );
    REQUIRE(f.submitted_lists.size() == 1);
    CHECK(text_of(f.submitted_lists[0].client_id) == "pair");
    REQUIRE(f.submitted.size() == 2);
    CHECK(f.submitted[0].type == TENON_ORDER_STOP_LOSS_LIMIT);
    CHECK(f.submitted[0].stop_price == 5'900'050);
    CHECK(f.submitted[0].price == 5'800'000);
    CHECK(text_of(f.submitted[0].client_id) == "stop");
    CHECK(f.submitted[1].type == TENON_ORDER_LIMIT_MAKER);
    CHECK(f.submitted[1].price == 6'200'000);
    CHECK(f.submitted[1].quantity == f.submitted[0].quantity);
    f.finish(TENON_REJECT_NONE, f.legs(TENON_STATUS_NEW), {}, {f.list()});
    CHECK(f.body().starts_with(
        head("1732233600123") + R"(,"orderReports":[{"symbol":"BTCUSDT","orderId":10,)"
                                R"("orderListId":10,"clientOrderId":"stop",)"
    ));
    CHECK(
        f.body().find(R"("status":"NEW","timeInForce":"GTC","type":"LIMIT_MAKER")") !=
        std::string::npos
    );
    CHECK(f.body().find("fills") == std::string::npos);

    f.ask(
        "POST",
        "/api/v3/orderList/oco",
        base +
            "&side=BUY&aboveType=STOP_LOSS&aboveStopPrice=62000"
            "&belowType=TAKE_PROFIT&belowStopPrice=58000&newOrderRespType=ACK"
    );
    REQUIRE(f.submitted.size() == 4);
    CHECK(f.submitted[2].type == TENON_ORDER_STOP_LOSS);
    CHECK(f.submitted[3].type == TENON_ORDER_TAKE_PROFIT);
    f.finish(TENON_REJECT_LIST_PRICES, {}, {});
    CHECK(
        f.body() ==
        R"({"code":-2010,"msg":"The relationship of the prices for the orders is not correct."})"
    );
}

TEST_CASE("the older form of a pair is taken", "[binance][T2]") {
    Fixture f;
    const std::string base = "symbol=BTCUSDT&side=SELL&quantity=1&price=62000&stopPrice=59000";
    f.ask(
        "POST",
        "/api/v3/order/oco",
        base +
            "&stopLimitPrice=58000&stopLimitTimeInForce=IOC"
            "&limitClientOrderId=t&stopClientOrderId=s"
    );
    REQUIRE(f.submitted.size() == 2);
    CHECK(f.submitted[0].type == TENON_ORDER_STOP_LOSS_LIMIT);
    CHECK(f.submitted[0].time_in_force == TENON_TIF_IOC);
    CHECK(f.submitted[0].price == 5'800'000);
    CHECK(text_of(f.submitted[0].client_id) == "s");
    CHECK(f.submitted[1].price == 6'200'000);
    CHECK(text_of(f.submitted[1].client_id) == "t");
    f.ask("POST", "/api/v3/order/oco", base);
    REQUIRE(f.submitted.size() == 4);
    CHECK(f.submitted[2].type == TENON_ORDER_STOP_LOSS);
    CHECK(
        f.ask("POST", "/api/v3/order/oco", base + "&stopLimitPrice=58000").body ==
        R"({"code":-1102,"msg":"Mandatory parameter 'stopLimitTimeInForce' was not sent, was empty/null, or malformed."})"
    );
}

TEST_CASE("what is no pair is refused before the engine sees it", "[binance][T2]") {
    Fixture f;
    const std::string base = "symbol=BTCUSDT&quantity=1&side=SELL";
    const auto place = [&](const std::string& rest) {
        return f.ask("POST", "/api/v3/orderList/oco", base + rest).body;
    };
    const std::string stop = "&belowType=STOP_LOSS&belowStopPrice=59000";
    CHECK(
        place("&aboveType=LIMIT_MAKER&abovePrice=62000").find("'belowType'") != std::string::npos
    );
    CHECK(place(stop + "&aboveType=LIMIT_MAKER").find("'abovePrice'") != std::string::npos);
    CHECK(place(stop + "&aboveType=MARKET").find("-1130") != std::string::npos);
    CHECK(
        place(stop + "&aboveType=STOP_LOSS&aboveStopPrice=62000").find("-1014") != std::string::npos
    );
    CHECK(
        place("&belowType=LIMIT_MAKER&belowPrice=59000&aboveType=STOP_LOSS&aboveStopPrice=62000")
            .find("-1014") != std::string::npos
    );
    CHECK(
        place(stop + "&aboveType=LIMIT_MAKER&abovePrice=62000&abovePegPriceType=X").find("-1020") !=
        std::string::npos
    );
    CHECK(f.submitted_lists.empty());
}

TEST_CASE("a pair counts as two orders, and as none when it is refused", "[binance][T2]") {
    Fixture f;
    const std::string pair = "symbol=BTCUSDT&side=SELL&quantity=1&price=62000&stopPrice=59000";
    f.ask("POST", "/api/v3/order/oco", pair);
    CHECK(f.api.orders().counts(Fixture::k_account, f.now_ns).ten_seconds == 2);
    f.finish(TENON_REJECT_BALANCE, {}, {});
    CHECK(f.api.orders().counts(Fixture::k_account, f.now_ns).ten_seconds == 0);
}

TEST_CASE("lists are cancelled by id or name, and answered with their orders", "[binance][T2]") {
    Fixture f;
    f.ask("DELETE", "/api/v3/orderList", "symbol=BTCUSDT&listClientOrderId=pair");
    REQUIRE(f.canceled_lists.size() == 1);
    CHECK(f.canceled_lists[0].list_id == 0);
    CHECK(text_of(f.canceled_lists[0].client_id) == "pair");
    f.finish(TENON_REJECT_NONE, f.legs(TENON_STATUS_CANCELED), {}, {f.list(TENON_LIST_ALL_DONE)});
    CHECK(
        f.body().find(R"("listStatusType":"ALL_DONE","listOrderStatus":"ALL_DONE")") !=
        std::string::npos
    );
    CHECK(
        f.body().find(R"("origClientOrderId":"target","orderId":11,"orderListId":10)") !=
        std::string::npos
    );
    f.ask("DELETE", "/api/v3/orderList", "symbol=BTCUSDT&orderListId=10");
    f.finish(TENON_REJECT_UNKNOWN_LIST, {}, {});
    CHECK(f.body() == R"({"code":-2011,"msg":"Unknown order list sent."})");
    // Of one of its orders, and among all open ones.
    f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=10");
    f.finish(TENON_REJECT_NONE, f.legs(TENON_STATUS_CANCELED), {}, {f.list(TENON_LIST_ALL_DONE)});
    CHECK(f.body().starts_with(R"({"orderListId":10,)"));
    f.ask("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
    std::vector<tenon_order> all = f.legs(TENON_STATUS_CANCELED);
    all.push_back(f.order(12, "alone"));
    all.back().status = TENON_STATUS_CANCELED;
    f.finish(TENON_REJECT_NONE, all, {}, {f.list(TENON_LIST_ALL_DONE)});
    CHECK(f.body().starts_with(R"([{"orderListId":10,)"));
    CHECK(
        f.body().find(R"(]},{"symbol":"BTCUSDT","origClientOrderId":"alone")") != std::string::npos
    );
}

TEST_CASE("lists are asked for alone, open or all", "[binance][T2]") {
    Fixture f;
    f.lists = {f.list()};
    CHECK(f.ask("GET", "/api/v3/orderList", "origClientOrderId=pair").body == head() + "}");
    CHECK(f.lists_asked.limit == 1);
    CHECK(f.ask("GET", "/api/v3/openOrderList", "").body == "[" + head() + "}]");
    CHECK(f.lists_asked.which == TENON_ORDERS_OPEN);
    f.ask("GET", "/api/v3/allOrderList", "fromId=7&limit=20");
    CHECK(f.lists_asked.from_list_id == 7);
    CHECK(f.lists_asked.limit == 20);
    CHECK(
        f.ask("GET", "/api/v3/allOrderList", "fromId=7&startTime=1").body.find("-1128") !=
        std::string::npos
    );
    f.lists.clear();
    CHECK(
        f.ask("GET", "/api/v3/orderList", "orderListId=3").body ==
        R"({"code":-2013,"msg":"Order list does not exist."})"
    );
    CHECK(f.ask("GET", "/api/v3/orderList", "").body.find("-1102") != std::string::npos);
    tenon_order order = f.legs(TENON_STATUS_NEW)[0];
    f.orders = {order};
    CHECK(
        f.ask("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=10")
            .body.find(R"("orderListId":10,)") != std::string::npos
    );
}
