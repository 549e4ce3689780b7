// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance;
using tenon::test::client_id;
using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;

namespace {

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), {}, builtin_weights()} {}

    // The answer, or an empty one when the engine has to answer first.
    FakeAnswer ask(std::string_view method, const std::string& path, std::string params = {}) {
        last = send_signed(api, method, path, std::move(params));
        return answers[last];
    }

    [[nodiscard]] std::string place(const std::string& params) {
        return ask("POST", "/api/v3/order", params).body;
    }

    Api api;
    std::uint64_t last = 0;
};

const std::string k_limit =
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=60000";

}  // namespace

TEST_CASE("an order is answered when the engine has it on disk", "[binance][T6]") {
    Fixture f;
    CHECK(f.ask("POST", "/api/v3/order", k_limit + "&newClientOrderId=x-1").status == 0);
    REQUIRE(f.submitted.size() == 1);
    const tenon_order_request& request = f.submitted[0];
    CHECK(request.account == FakeBinanceWorld::k_account);
    CHECK(request.instrument == 0);
    CHECK(request.side == TENON_SIDE_BUY);
    CHECK(request.type == TENON_ORDER_LIMIT);
    CHECK(request.time_in_force == TENON_TIF_GTC);
    CHECK(request.price == 6'000'000);
    CHECK(request.quantity == 100'000);
    CHECK(text_of(request.client_id) == "x-1");
    CHECK(f.api.in_flight() == 1);
    tenon_order order = f.order(28, "x-1");
    order.status = TENON_STATUS_PARTIALLY_FILLED;
    order.filled_quantity = 40'000;
    order.filled_quote = 2'400'000'000'000;
    auto fill = tenon::sized<tenon_trade>();
    fill.trade_id = 56;
    fill.order_id = 28;
    fill.price = 6'000'000;
    fill.quantity = 40'000;
    fill.fee = 40'000;
    fill.fee_asset = 0;
    f.finish(TENON_REJECT_NONE, {order}, {fill});
    CHECK(f.answers[f.last].status == 200);
    CHECK(
        f.answers[f.last].body ==
        R"({"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"x-1",)"
        R"("transactTime":1732233600123,"price":"60000.00000000","origQty":"1.00000000",)"
        R"("executedQty":"0.40000000","origQuoteOrderQty":"0.00000000",)"
        R"("cummulativeQuoteQty":"24000.00000000","status":"PARTIALLY_FILLED",)"
        R"("timeInForce":"GTC","type":"LIMIT","side":"BUY","workingTime":1732233600123,)"
        R"("selfTradePreventionMode":"NONE","fills":[{"price":"60000.00000000",)"
        R"("qty":"0.40000000","commission":"0.00040000","commissionAsset":"BTC","tradeId":56}]})"
    );
    CHECK(f.answers[f.last].headers.at("x-mbx-order-count-10s") == "1");
    CHECK(f.answers[f.last].headers.at("x-mbx-order-count-1d") == "1");
    CHECK(f.answers[f.last].headers.at("x-mbx-used-weight-1m") == "0");
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("the answer has the form that was asked for", "[binance][T6]") {
    Fixture f;
    const auto body = [&](const std::string& params) {
        f.ask("POST", "/api/v3/order", params);
        f.finish(TENON_REJECT_NONE, {f.order(28, "x")});
        return f.answers[f.last].body;
    };
    const std::string ack =
        R"({"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"x",)"
        R"("transactTime":1732233600123})";
    CHECK(body(k_limit + "&newOrderRespType=ACK") == ack);
    CHECK(body("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=60000") == ack);
    const std::string result = body(k_limit + "&newOrderRespType=RESULT");
    CHECK(result.find("fills") == std::string::npos);
    CHECK(result.find(R"("status":"NEW")") != std::string::npos);
    CHECK(body(k_limit).find(R"("fills":[])") != std::string::npos);
    CHECK(
        f.place(k_limit + "&newOrderRespType=MORE") ==
        R"({"code":-1130,"msg":"Data sent for parameter 'newOrderRespType' is not valid."})"
    );
}

TEST_CASE("market orders take a quantity of either asset", "[binance][T6]") {
    Fixture f;
    f.ask("POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.50000");
    CHECK(f.submitted.back().quantity == 50'000);
    CHECK(f.submitted.back().side == TENON_SIDE_SELL);
    f.finish(TENON_REJECT_NONE, {f.order(1, "a")});
    f.ask("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100.5");
    CHECK(f.submitted.back().quantity == 0);
    CHECK(f.submitted.back().quote_quantity == 10'050'000'000);
    tenon_order order = f.order(2, "b");
    order.type = TENON_ORDER_MARKET;
    order.price = 0;
    order.quantity = 0;
    order.quote_quantity = 10'050'000'000;
    order.filled_quantity = 164;
    order.filled_quote = 10'004'000'000;
    order.status = TENON_STATUS_FILLED;
    f.finish(TENON_REJECT_NONE, {order});
    const std::string& body = f.answers[f.last].body;
    CHECK(body.find(R"("origQty":"0.00164000","executedQty":"0.00164000")") != std::string::npos);
    CHECK(body.find(R"("origQuoteOrderQty":"100.50000000")") != std::string::npos);
}

TEST_CASE("parameters of an order are checked one by one", "[binance][T6]") {
    const std::string base = "symbol=BTCUSDT&side=BUY&";
    const auto missing = [](const std::string& name) {
        return R"({"code":-1102,"msg":"Mandatory parameter ')" + name +
               R"(' was not sent, was empty/null, or malformed."})";
    };
    const auto extra = [](const std::string& name) {
        return R"({"code":-1106,"msg":"Parameter ')" + name + R"(' sent when not required."})";
    };
    const std::vector<std::pair<std::string, std::string>> cases{
        {"side=BUY&type=LIMIT", missing("symbol")},
        {"symbol=BTCUSDT&type=LIMIT", missing("side")},
        {"symbol=BTCUSDT&side=BUY", missing("type")},
        {"symbol=XXXYYY&side=BUY&type=LIMIT", R"({"code":-1121,"msg":"Invalid symbol."})"},
        {"symbol=BTCUSDT&side=HOLD&type=LIMIT", R"({"code":-1117,"msg":"Invalid side."})"},
        {base + "type=LUCKY", R"({"code":-1116,"msg":"Invalid orderType."})"},
        {base + "type=LIMIT&quantity=1&price=1", missing("timeInForce")},
        {base + "type=LIMIT&timeInForce=GTX&quantity=1&price=1",
         R"({"code":-1115,"msg":"Invalid timeInForce."})"},
        {base + "type=LIMIT&timeInForce=GTC&price=1", missing("quantity")},
        {base + "type=LIMIT&timeInForce=GTC&quantity=1", missing("price")},
        {base + "type=LIMIT_MAKER&timeInForce=GTC&quantity=1&price=1", extra("timeInForce")},
        {base + "type=MARKET&quantity=1&price=1", extra("price")},
        {base + "type=MARKET&quantity=1&timeInForce=GTC", extra("timeInForce")},
        {base + "type=MARKET",
         R"({"code":-1102,"msg":"Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"})"},
        {base + "type=MARKET&quantity=1&quoteOrderQty=1",
         R"({"code":-1128,"msg":"Combination of optional parameters invalid."})"},
        {k_limit + "&quoteOrderQty=1", extra("quoteOrderQty")},
        {k_limit + "&stopPrice=1", extra("stopPrice")},
        {k_limit + "&icebergQty=1",
         R"({"code":-2010,"msg":"Iceberg orders are not supported for this symbol."})"},
        {k_limit + "&trailingDelta=1",
         R"({"code":-1106,"msg":"Parameter 'trailingDelta' sent when not required."})"},
        {k_limit + "&strategyId=1",
         R"({"code":-1020,"msg":"Parameter 'strategyId' is not supported by this server yet."})"},
        {k_limit + "&selfTradePreventionMode=EXPIRE_MAKER",
         R"({"code":-1013,"msg":"This symbol does not allow the specified self-trade prevention mode."})"},
        {base + "type=STOP_LOSS&quantity=1", missing("stopPrice")},
        {base + "type=STOP_LOSS&stopPrice=1", missing("quantity")},
        {base + "type=STOP_LOSS&quantity=1&stopPrice=1&price=1", extra("price")},
        {base + "type=STOP_LOSS&quantity=1&stopPrice=1&timeInForce=GTC", extra("timeInForce")},
        {base + "type=TAKE_PROFIT&quoteOrderQty=1&stopPrice=1", extra("quoteOrderQty")},
        {base + "type=TAKE_PROFIT_LIMIT&quantity=1&price=1&stopPrice=1", missing("timeInForce")},
        {base + "type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=1&stopPrice=1", missing("price")},
        {base + "type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=1&price=1", missing("stopPrice")},
        {base + "type=STOP_LOSS&quantity=1&stopPrice=0",
         R"({"code":-1013,"msg":"Invalid stop price."})"},
        {base + "type=STOP_LOSS&quantity=1&stopPrice=1.001",
         R"({"code":-1013,"msg":"Filter failure: PRICE_FILTER"})"},
        {base + "type=MARKET&quantity=0", R"({"code":-1013,"msg":"Invalid quantity."})"},
        {base + "type=LIMIT&timeInForce=GTC&quantity=1&price=0",
         R"({"code":-1013,"msg":"Invalid price."})"},
        {base + "type=MARKET&quantity=1e5",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."})"},
        {base + "type=MARKET&quantity=-1",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."})"},
        {base + "type=MARKET&quantity=0.123456789",
         R"({"code":-1111,"msg":"Parameter 'quantity' has too much precision."})"},
        {base + "type=MARKET&quantity=99999999999999999999",
         R"({"code":-1108,"msg":"Parameter 'quantity' overflowed."})"},
        {base + "type=MARKET&quantity=0.000001",
         R"({"code":-1013,"msg":"Filter failure: LOT_SIZE"})"},
        {base + "type=LIMIT&timeInForce=GTC&quantity=1&price=1.001",
         R"({"code":-1013,"msg":"Filter failure: PRICE_FILTER"})"},
        {k_limit + "&newClientOrderId=a+b",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."})"},
        {k_limit + "&newClientOrderId=" + std::string(37, 'a'),
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."})"},
        {k_limit + "&what=1",
         R"({"code":-1104,"msg":"Not all sent parameters were read; read '8' parameter(s) but was sent '9'."})"},
    };
    Fixture f;
    std::uint32_t failed = 0;
    for (const auto& [params, expected] : cases) {
        CAPTURE(params);
        const FakeAnswer answer = f.ask("POST", "/api/v3/order", params);
        CHECK(answer.body == expected);
        CHECK(answer.status == 400);
        // What fails is charged.
        CHECK(answer.headers.at("x-mbx-used-weight-1m") == std::to_string(++failed));
    }
    CHECK(f.submitted.empty());
}

TEST_CASE("parameters may stand in the body, and the query goes first", "[binance][T6]") {
    Fixture f;
    const std::string query = "symbol=BTCUSDT&price=60000";
    const std::string body = "side=BUY&type=LIMIT&timeInForce=IOC&quantity=1&price=1&timestamp=" +
                             std::to_string(f.now_ns / 1'000'000) + "&signature=good";
    const auto handle =
        f.send(f.api, "POST", "/api/v3/order?" + query, body, {{"x-mbx-apikey", "trader"}});
    CHECK(f.answers[handle].status == 0);
    REQUIRE(f.submitted.size() == 1);
    CHECK(f.submitted[0].price == 6'000'000);
    CHECK(f.submitted[0].time_in_force == TENON_TIF_IOC);
    CHECK(f.signed_payload == query + body.substr(0, body.find("&signature")));
}

TEST_CASE("a refusal of the engine has Binance's code and words", "[binance][T6][T3]") {
    const auto error = [](int code, const std::string& message) {
        return R"({"code":)" + std::to_string(code) + R"(,"msg":")" + message + R"("})";
    };
    const std::vector<std::pair<std::uint32_t, std::string>> cases{
        {TENON_REJECT_UNKNOWN_INSTRUMENT, error(-1121, "Invalid symbol.")},
        {TENON_REJECT_MARKET_CLOSED, error(-2010, "Market is closed.")},
        {TENON_REJECT_PRICE_FILTER, error(-1013, "Filter failure: PRICE_FILTER")},
        {TENON_REJECT_LOT_SIZE, error(-1013, "Filter failure: LOT_SIZE")},
        {TENON_REJECT_MARKET_LOT_SIZE, error(-1013, "Filter failure: MARKET_LOT_SIZE")},
        {TENON_REJECT_NOTIONAL, error(-1013, "Filter failure: NOTIONAL")},
        {TENON_REJECT_PERCENT_PRICE, error(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")},
        {TENON_REJECT_MAX_ORDERS, error(-1013, "Filter failure: MAX_NUM_ORDERS")},
        {TENON_REJECT_MAX_POSITION, error(-1013, "Filter failure: MAX_POSITION")},
        {TENON_REJECT_BALANCE,
         error(-2010, "Account has insufficient balance for requested action.")},
        {TENON_REJECT_DUPLICATE_ID, error(-2010, "Duplicate order sent.")},
        {TENON_REJECT_WOULD_MATCH, error(-2010, "Order would immediately match and take.")},
        {TENON_REJECT_OVERFLOW, error(-1108, "Parameter 'quantity' overflowed.")},
        {TENON_REJECT_UNKNOWN_ACCOUNT,
         error(-2015, "Invalid API-key, IP, or permissions for action.")},
        {TENON_REJECT_ACCOUNT_DISABLED, error(-2010, "This action is disabled on this account.")},
        {TENON_REJECT_INVALID, error(-1014, "Unsupported order combination.")},
        {TENON_REJECT_UNSUPPORTED, error(-1020, "This operation is not supported.")},
        {TENON_REJECT_NO_LIQUIDITY, error(-1112, "No orders on book for symbol.")},
        {TENON_REJECT_VENUE, error(-2010, "The venue refused the order.")},
        {TENON_REJECT_CAPACITY,
         error(
             -1008,
             "Server is currently overloaded with other requests. Please try again in a few "
             "minutes."
         )},
        {999, error(-2010, "Refused for reason 999.")},
    };
    Fixture f;
    for (const auto& [reject, expected] : cases) {
        CAPTURE(reject);
        f.ask("POST", "/api/v3/order", k_limit);
        f.finish(reject, {});
        CHECK(f.answers[f.last].body == expected);
        // A refused order is not an unfilled one.
        CHECK(f.answers[f.last].headers.at("x-mbx-order-count-10s") == "0");
    }
}

TEST_CASE(
    "an engine that cannot take orders is told apart from one that lost them",
    "[binance][T6]"
) {
    Fixture f;
    f.command_status = TENON_UNAVAILABLE;
    f.command_error = "the disk is full";
    const FakeAnswer refused = f.ask("POST", "/api/v3/order", k_limit);
    CHECK(refused.status == 503);
    CHECK(
        refused.body ==
        R"({"code":-1001,"msg":"Internal error; unable to process your request: the disk is full"})"
    );
    CHECK(refused.headers.at("retry-after") == "1");
    CHECK(f.api.in_flight() == 0);
    f.command_status = TENON_PENDING;
    f.ask("POST", "/api/v3/order", k_limit);
    f.finish_status(TENON_IN_DOUBT, "the write failed");
    CHECK(f.answers[f.last].status == 500);
    CHECK(f.answers[f.last].body.find(R"("code":-1006)") != std::string::npos);
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("a cancel may ask for the state that the order has to be in", "[binance][T2]") {
    Fixture f;
    f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=4&cancelRestrictions=ONLY_NEW");
    REQUIRE(f.canceled.size() == 1);
    CHECK(f.canceled[0].restriction == TENON_CANCEL_ONLY_NEW);
    f.finish(TENON_REJECT_CANCEL_RESTRICTED, {});
    CHECK(
        f.answers[f.last].body ==
        R"({"code":-2011,"msg":"Order was not canceled due to cancel restrictions."})"
    );
}

TEST_CASE("an order is cancelled by its id or its client's", "[binance][T6]") {
    Fixture f;
    f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=4&newClientOrderId=c-1");
    REQUIRE(f.canceled.size() == 1);
    CHECK(f.canceled[0].order_id == 4);
    CHECK(text_of(f.canceled[0].cancel_client_id) == "c-1");
    tenon_order order = f.order(4, "mine");
    order.status = TENON_STATUS_CANCELED;
    order.cancel_client_id = client_id("c-1");
    f.finish(TENON_REJECT_NONE, {order});
    CHECK(
        f.answers[f.last].body ==
        R"({"symbol":"BTCUSDT","origClientOrderId":"mine","orderId":4,"orderListId":-1,)"
        R"("clientOrderId":"c-1","transactTime":1732233600123,"price":"60000.00000000",)"
        R"("origQty":"1.00000000","executedQty":"0.00000000",)"
        R"("origQuoteOrderQty":"0.00000000","cummulativeQuoteQty":"0.00000000",)"
        R"("status":"CANCELED","timeInForce":"GTC","type":"LIMIT","side":"BUY",)"
        R"("selfTradePreventionMode":"NONE"})"
    );
    CHECK(f.answers[f.last].headers.at("x-mbx-used-weight-1m") == "0");
    f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=mine");
    CHECK(f.canceled.back().order_id == 0);
    CHECK(text_of(f.canceled.back().client_id) == "mine");
    f.finish(TENON_REJECT_UNKNOWN_ORDER, {});
    CHECK(f.answers[f.last].body == R"({"code":-2011,"msg":"Unknown order sent."})");
    CHECK(f.answers[f.last].headers.at("x-mbx-used-weight-1m") == "1");
    CHECK(
        f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT").body ==
        R"({"code":-1102,"msg":"Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"})"
    );
    CHECK(
        f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=0").body ==
        R"({"code":-2011,"msg":"Unknown order sent."})"
    );
}

TEST_CASE("all open orders of a symbol are cancelled at once", "[binance][T6]") {
    Fixture f;
    f.ask("DELETE", "/api/v3/openOrders", "symbol=ETHUSDT");
    REQUIRE(f.canceled_all.size() == 1);
    CHECK(f.canceled_all[0] == std::pair<std::uint64_t, std::uint32_t>{16, 1});
    tenon_order one = f.order(1, "a");
    tenon_order two = f.order(2, "b");
    one.status = two.status = TENON_STATUS_CANCELED;
    f.finish(TENON_REJECT_NONE, {one, two});
    const std::string& body = f.answers[f.last].body;
    CHECK(body.substr(0, 2) == "[{");
    CHECK(body.find(R"("orderId":1)") != std::string::npos);
    CHECK(body.find(R"(},{"symbol":"BTCUSDT","origClientOrderId":"b")") != std::string::npos);
    f.ask("DELETE", "/api/v3/openOrders", "symbol=ETHUSDT");
    f.finish(TENON_REJECT_NONE, {});
    CHECK(f.answers[f.last].body == R"({"code":-2011,"msg":"Unknown order sent."})");
}

TEST_CASE("a key has a limit of its own, which cancels do not wait for", "[binance][H2]") {
    struct Budget {
        std::int64_t left = 4;
        std::string key;
    } budget;

    tenon_throttle_1 table{};
    table.size = sizeof table;
    table.take = [](void* self,
                    const tenon_throttle_claim* claims,
                    std::uint32_t count,
                    std::int64_t,
                    std::int64_t* retry_after_ns) -> tenon_status {
        auto& have = *static_cast<Budget*>(self);
        have.key = tenon::view(claims->key);
        if (count != 1 || claims->limit != 7 || have.left < claims->cost) {
            *retry_after_ns = 1'500'000'000;
            return TENON_LIMITED;
        }
        have.left -= claims->cost;
        return TENON_OK;
    };
    FakeBinanceWorld world;
    auto services = world.services();
    services.throttle = {&budget, &table};
    services.key_limit = 7;
    Api api{services, LimitSettings{}, builtin_weights()};
    const char* const what = "symbol=BTCUSDT&orderId=4";
    const auto first = world.send_signed(api, "GET", "/api/v3/order", what);
    CHECK(world.answers[first].status != 429);
    CHECK(budget.left == 0);
    CHECK_FALSE(budget.key.empty());
    const auto second = world.send_signed(api, "GET", "/api/v3/order", what);
    CHECK(world.answers[second].status == 429);
    CHECK(world.answers[second].headers.at("retry-after") == "2");
    CHECK(world.answers[second].body.find("-1003") != std::string::npos);
    const auto cancel = world.send_signed(api, "DELETE", "/api/v3/order", what);
    CHECK(world.answers[cancel].status != 429);
}

TEST_CASE("orders per account are limited and a fill gives room", "[binance][T3]") {
    FakeBinanceWorld world;
    LimitSettings limits;
    limits.orders_per_10_seconds = 1;
    Api api{world.services(), limits, builtin_weights()};
    const auto first = world.send_signed(api, "POST", "/api/v3/order", k_limit);
    world.finish(TENON_REJECT_NONE, {world.order(1, "a")});
    CHECK(world.answers[first].status == 200);
    const auto second = world.send_signed(api, "POST", "/api/v3/order", k_limit);
    CHECK(world.answers[second].status == 429);
    CHECK(
        world.answers[second].body ==
        R"({"code":-1015,"msg":"Too many new orders; current limit is 1 orders per 10 SECOND."})"
    );
    CHECK(world.answers[second].headers.at("retry-after") == "10");
    tenon_order order = world.order(1, "a");
    order.filled_quantity = 5;
    auto trade = tenon::sized<tenon_trade>();
    trade.quantity = 5;
    auto event = tenon::sized<tenon_execution_event>();
    event.kind = TENON_EVENT_ORDER;
    event.time_real_ns = world.now_ns;
    event.order = &order;
    event.trade = &trade;
    api.on_execution(&event, 1);
    const auto third = world.send_signed(api, "POST", "/api/v3/order", k_limit);
    CHECK(world.answers[third].status == 0);
    world.finish(TENON_REJECT_NONE, {world.order(2, "b")});
    const auto count = world.send_signed(api, "GET", "/api/v3/rateLimit/order");
    CHECK(
        world.answers[count].body ==
        R"([{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":1,"count":1},)"
        R"({"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000,"count":1}])"
    );
}

TEST_CASE("order/test checks the filters and submits nothing", "[binance][T6][T3]") {
    Fixture f;
    const auto test = [&](const std::string& params) {
        return f.ask("POST", "/api/v3/order/test", params).body;
    };
    CHECK(test(k_limit) == "{}");
    CHECK(
        test(k_limit + "&computeCommissionRates=true") ==
        R"({"standardCommissionForOrder":{"maker":"0.00100000","taker":"0.00100000"},)"
        R"("specialCommissionForOrder":{"maker":"0.00000000","taker":"0.00000000"},)"
        R"("taxCommissionForOrder":{"maker":"0.00000000","taker":"0.00000000"},)"
        R"("discount":{"enabledForAccount":false,"enabledForSymbol":false,)"
        R"("discountAsset":"BNB","discount":"0.00000000"}})"
    );
    const std::string limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&";
    const auto failure = [](const std::string& name) {
        return R"({"code":-1013,"msg":"Filter failure: )" + name + R"("})";
    };
    CHECK(test(limit + "quantity=0.00001&price=60000") == failure("NOTIONAL"));
    CHECK(test(limit + "quantity=9001&price=60000") == failure("LOT_SIZE"));
    CHECK(test(limit + "quantity=1&price=2000000") == failure("PRICE_FILTER"));
    CHECK(test(limit + "quantity=1&price=500000") == failure("PERCENT_PRICE_BY_SIDE"));
    CHECK(test(limit + "quantity=1&price=100") == failure("PERCENT_PRICE_BY_SIDE"));
    CHECK(test("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=101") == failure("MARKET_LOT_SIZE"));
    CHECK(test("symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=1") == failure("NOTIONAL"));
    CHECK(f.submitted.empty());
}

TEST_CASE("orders are found by id, and queries may come later", "[binance][T6]") {
    Fixture f;
    CHECK(
        f.ask("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=9").body ==
        R"({"code":-2013,"msg":"Order does not exist."})"
    );
    f.orders = {f.order(9, "nine")};
    const std::string order =
        R"({"symbol":"BTCUSDT","orderId":9,"orderListId":-1,"clientOrderId":"nine",)"
        R"("price":"60000.00000000","origQty":"1.00000000","executedQty":"0.00000000",)"
        R"("cummulativeQuoteQty":"0.00000000","status":"NEW","timeInForce":"GTC",)"
        R"("type":"LIMIT","side":"BUY","stopPrice":"0.00000000","icebergQty":"0.00000000",)"
        R"("time":1732233600123,"updateTime":1732233600124,"isWorking":true,)"
        R"("workingTime":1732233600123,"origQuoteOrderQty":"0.00000000",)"
        R"("selfTradePreventionMode":"NONE"})";
    CHECK(f.ask("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=9").body == order);
    CHECK(f.ask("GET", "/api/v3/openOrders").body == "[" + order + "]");
    CHECK(f.orders_asked.instrument == TENON_ANY_INSTRUMENT);
    CHECK(f.orders_asked.which == TENON_ORDERS_OPEN);
    f.query_later = true;
    CHECK(
        f.ask("GET", "/api/v3/allOrders", "symbol=BTCUSDT&startTime=1700000000000&limit=7")
            .status == 0
    );
    CHECK(f.orders_asked.which == TENON_ORDERS_ALL);
    CHECK(f.orders_asked.limit == 7);
    CHECK(f.orders_asked.start_real_ns == 1'700'000'000'000'000'000);
    f.finish_query();
    CHECK(f.answers[f.last].body == "[" + order + "]");
    CHECK(
        f.ask(
             "GET",
             "/api/v3/allOrders",
             "symbol=BTCUSDT&startTime=1700000000000&endTime=1700086400001"
        )
            .body == R"({"code":-1127,"msg":"More than 24 hours between startTime and endTime."})"
    );
    CHECK(
        f.ask("GET", "/api/v3/order", "symbol=BTCUSDT").body ==
        R"({"code":-1102,"msg":"Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"})"
    );
}

TEST_CASE("exactly a day, and the time 0, are times like others", "[binance][T6]") {
    Fixture f;
    CHECK(
        f.ask(
             "GET",
             "/api/v3/allOrders",
             "symbol=BTCUSDT&startTime=1700000000000&endTime=1700086400000"
        )
            .status == 200
    );
    CHECK(f.ask("GET", "/api/v3/allOrders", "symbol=BTCUSDT&startTime=0").status == 200);
    CHECK(f.orders_asked.start_real_ns == 1);
    for (const std::string time : {"9223372036854775", "9223372036854775807", "9223372036854"}) {
        CAPTURE(time);
        CHECK(f.ask("GET", "/api/v3/allOrders", "symbol=BTCUSDT&endTime=" + time).status == 200);
        CHECK(f.orders_asked.end_real_ns > FakeBinanceWorld::k_now_ns);
        CHECK(f.orders_asked.end_real_ns < 5'000'000'000'000'000'000);
    }
}

TEST_CASE("own trades of order 0 are none, not all", "[binance][T6]") {
    Fixture f;
    f.own_trades = {tenon_trade{}};
    CHECK(f.ask("GET", "/api/v3/myTrades", "symbol=BTCUSDT&orderId=0").body == "[]");
}

TEST_CASE("own trades carry their fee", "[binance][T6]") {
    Fixture f;
    auto trade = tenon::sized<tenon_trade>();
    trade.trade_id = 28;
    trade.order_id = 100;
    trade.side = TENON_SIDE_BUY;
    trade.price = 6'000'000;
    trade.quantity = 100'000;
    trade.quote_amount = 6'000'000'000'000;
    trade.fee = 100'000;
    trade.time_real_ns = FakeBinanceWorld::k_now_ns;
    f.own_trades = {trade};
    CHECK(
        f.ask("GET", "/api/v3/myTrades", "symbol=BTCUSDT&orderId=100&fromId=0").body ==
        R"([{"symbol":"BTCUSDT","id":28,"orderId":100,"orderListId":-1,)"
        R"("price":"60000.00000000","qty":"1.00000000","quoteQty":"60000.00000000",)"
        R"("commission":"0.00100000","commissionAsset":"BTC","time":1732233600123,)"
        R"("isBuyer":true,"isMaker":false,"isBestMatch":true}])"
    );
    CHECK(f.trades_asked.order_id == 100);
    CHECK(f.trades_asked.from_trade_id == 1);
    CHECK(
        f.ask("GET", "/api/v3/myTrades", "symbol=BTCUSDT&fromId=1&startTime=1").body ==
        R"({"code":-1128,"msg":"Combination of optional parameters invalid."})"
    );
}

TEST_CASE("an account shows its balances and rates", "[binance][T6]") {
    Fixture f;
    f.balances = {{FakeBinanceWorld::k_account, 2, 0, 10'000'000'000'000, 500'000'000}};
    const std::string head =
        R"({"makerCommission":10,"takerCommission":10,"buyerCommission":0,"sellerCommission":0,)"
        R"("commissionRates":{"maker":"0.00100000","taker":"0.00100000","buyer":"0.00000000",)"
        R"("seller":"0.00000000"},"canTrade":true,"canWithdraw":false,"canDeposit":false,)"
        R"("brokered":false,"requireSelfTradePrevention":false,"preventSor":false,)"
        R"("updateTime":1732233600123,"accountType":"SPOT","balances":[)";
    const std::string usdt = R"({"asset":"USDT","free":"100000.00000000","locked":"5.00000000"}],)"
                             R"("permissions":["SPOT"],"uid":16})";
    CHECK(
        f.ask("GET", "/api/v3/account").body ==
        head + R"({"asset":"BTC","free":"0.00000000","locked":"0.00000000"},)" +
            R"({"asset":"ETH","free":"0.00000000","locked":"0.00000000"},)" + usdt
    );
    CHECK(f.ask("GET", "/api/v3/account", "omitZeroBalances=true").body == head + usdt);
    const std::string coins = f.ask("GET", "/sapi/v1/capital/config/getall").body;
    CHECK(
        coins.find(R"({"coin":"USDT","depositAllEnable":false,"free":"100000.00000000")") !=
        std::string::npos
    );
    CHECK(f.ask("GET", "/sapi/v1/margin/allPairs").body == "[]");
    CHECK(
        f.ask("GET", "/sapi/v1/asset/tradeFee", "symbol=BTCUSDT").body ==
        R"([{"symbol":"BTCUSDT","makerCommission":"0.001","takerCommission":"0.001"}])"
    );
    CHECK(
        f.ask("GET", "/api/v3/account/commission", "symbol=BTCUSDT").body ==
        R"({"symbol":"BTCUSDT","standardCommission":{"maker":"0.00100000","taker":"0.00100000",)"
        R"("buyer":"0.00000000","seller":"0.00000000"},"specialCommission":{"maker":"0.00000000",)"
        R"("taker":"0.00000000","buyer":"0.00000000","seller":"0.00000000"},"taxCommission":{)"
        R"("maker":"0.00000000","taker":"0.00000000","buyer":"0.00000000","seller":"0.00000000"},)"
        R"("discount":{"enabledForAccount":false,"enabledForSymbol":false,"discountAsset":"BNB",)"
        R"("discount":"0.00000000"}})"
    );
}
