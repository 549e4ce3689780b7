// SPDX-License-Identifier: Apache-2.0
// Icebergs, trailing stops, self-trade prevention and amendments: parameters in, what answers,
// queries and events say of them.
#include "plugins/gateway/binance/user_render.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <tenon/order_state.hpp>

#include <catch2/catch.hpp>

using namespace tenon;
using namespace tenon::binance;
using tenon::test::FakeBinanceWorld;

namespace {

constexpr std::uint32_t k_everything = TENON_VENUE_LISTS | TENON_VENUE_STP | TENON_VENUE_ICEBERG |
                                       TENON_VENUE_TRAILING | TENON_VENUE_AMEND;

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), LimitSettings{}, builtin_weights()} { venue_takes = k_everything; }

    std::string ask(const std::string& method, const std::string& path, const std::string& params) {
        last = send_signed(api, method, path, params);
        return answers[last].body;
    }

    std::string place(const std::string& params) { return ask("POST", "/api/v3/order", params); }

    // Answers the command of the last request with everything that a reply has.
    std::string finish_with(
        const tenon_order& order,
        const std::vector<tenon_prevented_match>& matches,
        const tenon_amendment* amendment
    ) {
        auto reply = sized<tenon_trading_reply>();
        reply.time_real_ns = k_now_ns;
        reply.orders = &order;
        reply.order_count = 1;
        reply.prevented = matches.data();
        reply.prevented_count = static_cast<std::uint32_t>(matches.size());
        reply.amendment = amendment;
        done.fn(done.ctx, TENON_OK, &reply, nullptr);
        return answers[last].body;
    }

    tenon_order lessened() const {
        tenon_order row = order(28, "x-1");
        row.stp_mode = TENON_STP_DECREMENT;
        row.prevented_quantity = 40'000;
        row.prevented_match_id = 5;
        return row;
    }

    static tenon_prevented_match match() {
        auto match = sized<tenon_prevented_match>();
        match.match_id = 5;
        match.taker_order_id = 28;
        match.maker_order_id = 20;
        match.account = k_account;
        match.stp_mode = TENON_STP_DECREMENT;
        match.price = 6'000'000;
        match.taker_quantity = match.maker_quantity = 40'000;
        match.time_real_ns = k_now_ns;
        return match;
    }

    static tenon_amendment amendment() {
        auto amendment = sized<tenon_amendment>();
        amendment.order_id = 28;
        amendment.account = k_account;
        amendment.old_client_id = test::client_id("x-1");
        amendment.client_id = test::client_id("x-2");
        amendment.old_quantity = 100'000;
        amendment.quantity = 90'000;
        amendment.time_real_ns = k_now_ns;
        amendment.sequence = 75;
        return amendment;
    }

    Api api;
    std::uint64_t last = 0;
};

const std::string k_limit =
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=60000";
const std::string k_stop = "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=1";

[[nodiscard]] bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an iceberg, a trailing stop and a mode go to the engine", "[binance][T2]") {
    Fixture f;
    CHECK(f.place(k_limit + "&icebergQty=0.25&selfTradePreventionMode=EXPIRE_BOTH").empty());
    REQUIRE(f.submitted.size() == 1);
    CHECK(f.submitted[0].display_quantity == 25'000);
    CHECK(f.submitted[0].stp_mode == TENON_STP_EXPIRE_BOTH);
    CHECK(f.place(k_stop + "&trailingDelta=100").empty());
    REQUIRE(f.submitted.size() == 2);
    CHECK(f.submitted[1].trailing_delta == 100);
    CHECK(f.submitted[1].stop_price == 0);
    CHECK(f.place(k_stop + "&trailingDelta=100&stopPrice=59000").empty());
    REQUIRE(f.submitted.size() == 3);
    CHECK(f.submitted[2].stop_price == 5'900'000);
    constexpr const char* k_modes[] = {
        "NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"};
    for (std::uint32_t mode = 0; mode < std::size(k_modes); ++mode) {
        CHECK(f.place(k_limit + "&selfTradePreventionMode=" + k_modes[mode]).empty());
        CHECK(f.submitted.back().stp_mode == mode);
    }
}

TEST_CASE("what a venue does not take is refused before the engine sees it", "[binance][T2]") {
    Fixture f;
    f.venue_takes = 0;
    CHECK(
        f.place(k_limit + "&icebergQty=0.25") ==
        R"({"code":-2010,"msg":"Iceberg orders are not supported for this symbol."})"
    );
    CHECK(
        f.place(k_stop + "&trailingDelta=100") ==
        R"({"code":-2010,"msg":"Trailing stop orders are not supported for this symbol."})"
    );
    CHECK(
        f.place(k_limit + "&selfTradePreventionMode=DECREMENT") ==
        R"({"code":-1013,"msg":"This symbol does not allow the specified self-trade prevention mode."})"
    );
    CHECK(f.place(k_limit + "&selfTradePreventionMode=NONE").empty());
    CHECK(f.submitted.size() == 1);
    f.venue_takes = k_everything | TENON_VENUE_STP_EXPIRES;
    for (const char* const mode : {"DECREMENT", "TRANSFER"}) {
        CHECK(
            f.place(k_limit + "&selfTradePreventionMode=" + mode) ==
            R"({"code":-1013,"msg":"This symbol does not allow the specified self-trade prevention mode."})"
        );
    }
    CHECK(f.place(k_limit + "&selfTradePreventionMode=EXPIRE_BOTH").empty());
    CHECK(f.submitted.size() == 2);
}

TEST_CASE(
    "what the engine would refuse is told before the old order is cancelled",
    "[binance][T2]"
) {
    Fixture f;
    const std::string now = std::to_string(f.now_ns / 1'000'000);
    const std::pair<std::string, std::string> wrong[] = {
        {"side=BUY&type=LIMIT&timeInForce=IOC&quantity=1&price=60000&icebergQty=0.5",
         R"({"code":-1014,"msg":"Unsupported order combination."})"},
        {"side=BUY&type=LIMIT&timeInForce=GTD&quantity=1&price=60000&goodTillDate=" + now,
         R"({"code":-1130,"msg":"Data sent for parameter 'goodTillDate' is not valid."})"}};
    for (const auto& [params, told] : wrong) {
        INFO(params);
        const std::string whole = "symbol=BTCUSDT&" + params;
        CHECK(f.ask("POST", "/api/v3/order/test", whole) == told);
        CHECK(
            f.ask(
                "POST",
                "/api/v3/order/cancelReplace",
                whole + "&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId=4"
            ) == told
        );
    }
    CHECK(f.canceled.empty());
}

TEST_CASE("icebergs and trailing stops that make no sense say why", "[binance][T2]") {
    Fixture f;
    const std::pair<std::string, std::string> cases[] = {
        {k_limit + "&icebergQty=0", R"({"code":-1013,"msg":"Invalid iceberg quantity."})"},
        {k_limit + "&icebergQty=1.1", R"({"code":-2010,"msg":"IcebergQty exceeds QTY."})"},
        {k_limit + "&icebergQty=-1",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'icebergQty'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."})"},
        {"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&icebergQty=1",
         R"({"code":-1106,"msg":"Parameter 'icebergQty' sent when not required."})"},
        {k_limit + "&trailingDelta=100",
         R"({"code":-1106,"msg":"Parameter 'trailingDelta' sent when not required."})"},
        {k_stop + "&trailingDelta=9", R"({"code":-1013,"msg":"Filter failure: TRAILING_DELTA"})"},
        {k_stop + "&trailingDelta=2001",
         R"({"code":-1013,"msg":"Filter failure: TRAILING_DELTA"})"},
        {k_stop,
         R"({"code":-1102,"msg":"Mandatory parameter 'stopPrice' was not sent, was empty/null, or malformed."})"},
        {k_limit + "&selfTradePreventionMode=SOMETIMES",
         R"({"code":-1130,"msg":"Data sent for parameter 'selfTradePreventionMode' is not valid."})"},
    };
    for (const auto& [params, expected] : cases) {
        CAPTURE(params);
        CHECK(f.place(params) == expected);
    }
    CHECK(f.submitted.empty());
    const auto test = [&](const std::string& params) {
        return f.ask("POST", "/api/v3/order/test", params);
    };
    CHECK(
        test(k_limit + "&icebergQty=0.005") ==
        R"({"code":-1013,"msg":"Filter failure: ICEBERG_PARTS"})"
    );
    CHECK(test(k_limit + "&icebergQty=0.01") == "{}");
}

TEST_CASE("an order can be good till a date, which Binance has for futures", "[binance][T2]") {
    Fixture f;
    const std::string base = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=60000";
    CHECK(f.place(base + "&timeInForce=GTD&goodTillDate=1732233700123").empty());
    REQUIRE(f.submitted.size() == 1);
    CHECK(f.submitted[0].time_in_force == TENON_TIF_GTC);
    CHECK(f.submitted[0].expires_real_ns == 1'732'233'700'123'000'000);
    tenon_order order = f.order(28, "x-1");
    order.expires_real_ns = 1'732'233'700'123'000'000;
    const std::string body = f.finish_with(order, {}, nullptr);
    CHECK(has(body, R"("timeInForce":"GTD","type":"LIMIT")"));
    CHECK(has(body, R"("goodTillDate":1732233700123)"));
    CHECK(has(f.place(base + "&timeInForce=GTD"), "-1102"));
    CHECK(has(f.place(base + "&timeInForce=GTC&goodTillDate=1732233700123"), "-1106"));
    CHECK(has(f.place(k_stop + "&stopPrice=1&timeInForce=GTD&goodTillDate=1732233700123"), "-1106")
    );
    CHECK(f.submitted.size() == 1);
    CHECK(f.place(base + "&timeInForce=GTD&goodTillDate=1732233700123").empty());
    f.finish(TENON_REJECT_TIME_OVER, {});
    CHECK(
        f.answers[f.last].body ==
        R"({"code":-1130,"msg":"Data sent for parameter 'goodTillDate' is not valid."})"
    );
}

TEST_CASE("an answer tells the matches that were prevented", "[binance][T2]") {
    Fixture f;
    (void)f.place(k_limit + "&selfTradePreventionMode=DECREMENT");
    tenon_order order = f.lessened();
    const std::string body = f.finish_with(order, {Fixture::match()}, nullptr);
    CHECK(has(
        body,
        R"("selfTradePreventionMode":"DECREMENT","preventedMatchId":5,"preventedQuantity":"0.40000000")"
    ));
    CHECK(has(
        body,
        R"("preventedMatches":[{"preventedMatchId":5,"makerOrderId":20,"price":"60000.00000000",)"
        R"("takerPreventedQuantity":"0.40000000","makerPreventedQuantity":"0.40000000"}])"
    ));
    CHECK(has(body, R"("status":"NEW")"));
    order.prevented_quantity = order.quantity;
    order.status = TENON_STATUS_EXPIRED;
    f.orders = {order};
    CHECK(has(
        f.ask("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=28"), R"("status":"EXPIRED_IN_MATCH")"
    ));
    // One that expired with something left expired for another reason.
    f.orders[0].prevented_quantity -= 1;
    CHECK(has(f.ask("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=28"), R"("status":"EXPIRED",)")
    );
}

TEST_CASE("prevented matches are found by their id and by their orders", "[binance][T2]") {
    Fixture f;
    f.prevented = {Fixture::match()};
    const auto ask = [&](const std::string& params) {
        return f.ask("GET", "/api/v3/myPreventedMatches", "symbol=BTCUSDT" + params);
    };
    CHECK(
        ask("&preventedMatchId=5") ==
        R"([{"symbol":"BTCUSDT","preventedMatchId":5,"takerOrderId":28,"makerSymbol":"BTCUSDT",)"
        R"("makerOrderId":20,"tradeGroupId":-1,"selfTradePreventionMode":"DECREMENT",)"
        R"("price":"60000.00000000","takerPreventedQuantity":"0.40000000",)"
        R"("makerPreventedQuantity":"0.40000000","transactTime":1732233600123}])"
    );
    CHECK(f.prevented_asked.match_id == 5);
    CHECK(f.prevented_asked.limit == 500);
    (void)ask("&orderId=28&fromPreventedMatchId=0&limit=7");
    CHECK(f.prevented_asked.order_id == 28);
    CHECK(f.prevented_asked.from_match_id == 1);
    CHECK(f.prevented_asked.limit == 7);
    CHECK(has(ask(""), "-1128"));
    CHECK(has(ask("&orderId=1&preventedMatchId=1"), "-1128"));
    CHECK(has(ask("&preventedMatchId=1&fromPreventedMatchId=1"), "-1128"));
    CHECK(ask("&preventedMatchId=0") == "[]");
}

TEST_CASE("an amendment is sent, answered and listed", "[binance][T2][T6]") {
    Fixture f;
    const std::string path = "/api/v3/order/amend/keepPriority";
    (void)f.ask("PUT", path, "symbol=BTCUSDT&orderId=28&newQty=0.9&newClientOrderId=x-2");
    REQUIRE(f.amended.size() == 1);
    CHECK(f.amended[0].order_id == 28);
    CHECK(f.amended[0].quantity == 90'000);
    CHECK(text_of(f.amended[0].new_client_id) == "x-2");
    tenon_order order = f.order(28, "x-2");
    order.quantity = 90'000;
    const tenon_amendment amendment = Fixture::amendment();
    CHECK(
        f.finish_with(order, {}, &amendment) ==
        R"({"transactTime":1732233600123,"executionId":4915200,"amendedOrder":{)"
        R"("symbol":"BTCUSDT","orderId":28,"orderListId":-1,"origClientOrderId":"x-1",)"
        R"("clientOrderId":"x-2","price":"60000.00000000","qty":"0.90000000",)"
        R"("executedQty":"0.00000000","preventedQty":"0.00000000","quoteOrderQty":"0.00000000",)"
        R"("cumulativeQuoteQty":"0.00000000","status":"NEW","timeInForce":"GTC","type":"LIMIT",)"
        R"("side":"BUY","workingTime":1732233600123,"selfTradePreventionMode":"NONE"}})"
    );
    const auto refused = [&](std::uint32_t reject) {
        (void)f.ask("PUT", path, "symbol=BTCUSDT&origClientOrderId=x-1&newQty=0.9");
        CHECK(text_of(f.amended.back().client_id) == "x-1");
        f.finish(reject, {});
        return f.answers[f.last].body;
    };
    CHECK(
        refused(TENON_REJECT_AMEND_QUANTITY) ==
        R"({"code":-2038,"msg":"Order amend (quantity increase) is not supported."})"
    );
    CHECK(
        refused(TENON_REJECT_UNSUPPORTED) ==
        R"({"code":-2038,"msg":"Order amend is not supported for this symbol."})"
    );
    CHECK(refused(TENON_REJECT_UNKNOWN_ORDER) == R"({"code":-2038,"msg":"Unknown order sent."})");
    CHECK(has(f.ask("PUT", path, "symbol=BTCUSDT&orderId=28"), "-1102"));
    CHECK(has(f.ask("PUT", path, "symbol=BTCUSDT&newQty=1"), "-1102"));
    CHECK(has(f.ask("PUT", path, "symbol=BTCUSDT&orderId=0&newQty=1"), "-2038"));

    f.amendments = {amendment};
    CHECK(
        f.ask(
            "GET", "/api/v3/order/amendments", "symbol=BTCUSDT&orderId=28&fromExecutionId=4915201"
        ) == R"([{"symbol":"BTCUSDT","orderId":28,"executionId":4915200,"origClientOrderId":"x-1",)"
             R"("newClientOrderId":"x-2","origQty":"1.00000000","newQty":"0.90000000",)"
             R"("time":1732233600123}])"
    );
    CHECK(f.amendments_asked.order_id == 28);
    CHECK(f.amendments_asked.from_sequence == 76);
}

TEST_CASE("a symbol tells what its venue takes", "[binance][T6]") {
    Fixture f;
    const auto plain = [&] {
        return f.answers[f.send(f.api, "GET", "/api/v3/exchangeInfo?symbol=BTCUSDT")].body;
    };
    CHECK(has(plain(), R"("icebergAllowed":true,"ocoAllowed":true)"));
    CHECK(
        has(plain(), R"("allowTrailingStop":true,"cancelReplaceAllowed":true,"amendAllowed":true)")
    );
    CHECK(has(plain(), R"({"filterType":"ICEBERG_PARTS","limit":100})"));
    CHECK(has(plain(), R"({"filterType":"TRAILING_DELTA","minTrailingAboveDelta":10,)"));
    CHECK(has(
        plain(),
        R"("allowedSelfTradePreventionModes":["NONE","EXPIRE_TAKER","EXPIRE_MAKER","EXPIRE_BOTH","DECREMENT","TRANSFER"]})"
    ));
    f.venue_takes = k_everything | TENON_VENUE_STP_EXPIRES;
    CHECK(has(plain(), R"(["NONE","EXPIRE_TAKER","EXPIRE_MAKER","EXPIRE_BOTH"]})"));
    f.venue_takes = 0;
    CHECK(has(plain(), R"("icebergAllowed":false,"ocoAllowed":false)"));
    CHECK(has(plain(), R"("amendAllowed":false)"));
    CHECK_FALSE(has(plain(), "ICEBERG_PARTS"));
    CHECK(has(plain(), R"("allowedSelfTradePreventionModes":["NONE"]})"));
}

TEST_CASE("events tell what changed an order without a trade", "[binance][T6]") {
    Fixture f;
    const tenon_prevented_match match = Fixture::match();
    const tenon_amendment amendment = Fixture::amendment();
    tenon_order order = f.lessened();
    order.trailing_delta = 0;
    const auto told = [&](const tenon_execution_event& event) {
        std::string text;
        JsonWriter json{text};
        write_execution_report(json, f.services().instruments, event, order);
        return text;
    };
    auto event = sized<tenon_execution_event>();
    event.kind = TENON_EVENT_ORDER;
    event.sequence = 75;
    event.order = &order;
    event.prevented = &match;
    std::string text = told(event);
    CHECK(has(text, R"("x":"TRADE_PREVENTION","X":"NEW")"));
    CHECK(has(
        text,
        R"("V":"DECREMENT","v":5,"A":"0.40000000","B":"0.40000000","u":-1,"U":20,"Cs":"BTCUSDT",)"
        R"("pL":"60000.00000000"})"
    ));
    order.status = TENON_STATUS_EXPIRED;
    order.prevented_quantity = order.quantity;
    CHECK(has(told(event), R"("X":"EXPIRED_IN_MATCH")"));

    order = f.order(28, "x-2");
    order.display_quantity = 25'000;
    order.trailing_delta = 150;
    event.prevented = nullptr;
    event.amendment = &amendment;
    text = told(event);
    CHECK(has(text, R"("c":"x-2")"));
    CHECK(has(text, R"("F":"0.25000000")"));
    CHECK(has(text, R"("C":"x-1","x":"REPLACED","X":"NEW")"));
    CHECK(has(text, R"("I":4915200)"));
    CHECK(has(text, R"("d":150)"));
}
