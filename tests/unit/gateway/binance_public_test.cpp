// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/rendered.hpp"
#include "plugins/gateway/binance/settings.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;
namespace binance = tenon::binance;

namespace {

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), {}, binance::builtin_weights()} {}

    [[nodiscard]] std::string body(std::string_view target) { return get(api, target).body; }

    binance::Api api;
};

}  // namespace

TEST_CASE("ping and time answer as Binance does", "[binance][T6]") {
    Fixture f;
    CHECK(f.body("/api/v3/ping") == "{}");
    CHECK(f.body("/api/v3/time") == R"({"serverTime":1732233600123})");
    const auto micro =
        f.send(f.api, "GET", "/api/v3/time", {}, {{"x-mbx-time-unit", "MICROSECOND"}});
    CHECK(f.answers[micro].body == R"({"serverTime":1732233600123456})");
    const auto wrong = f.send(f.api, "GET", "/api/v3/time", {}, {{"x-mbx-time-unit", "DAY"}});
    CHECK(
        f.answers[wrong].body ==
        R"({"code":-1194,"msg":"Invalid value for time unit; expected either MICROSECOND or MILLISECOND."})"
    );
    CHECK(f.body("/sapi/v1/system/status") == R"({"status":0,"msg":"normal"})");
}

TEST_CASE("exchangeInfo has every field that clients read", "[binance][T6][T3]") {
    Fixture f;
    CHECK(
        f.body("/api/v3/exchangeInfo?symbol=BTCUSDT") ==
        R"({"timezone":"UTC","serverTime":1732233600123,"rateLimits":[)"
        R"({"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000},)"
        R"({"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100},)"
        R"({"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000},)"
        R"({"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000}],)"
        R"("exchangeFilters":[],"symbols":[{"symbol":"BTCUSDT","status":"TRADING",)"
        R"("baseAsset":"BTC","baseAssetPrecision":8,"quoteAsset":"USDT","quotePrecision":8,)"
        R"("quoteAssetPrecision":8,"baseCommissionPrecision":8,"quoteCommissionPrecision":8,)"
        R"("orderTypes":["LIMIT","LIMIT_MAKER","MARKET","STOP_LOSS","STOP_LOSS_LIMIT",)"
        R"("TAKE_PROFIT","TAKE_PROFIT_LIMIT"],"icebergAllowed":false,)"
        R"("ocoAllowed":true,"otoAllowed":false,"opoAllowed":false,)"
        R"("quoteOrderQtyMarketAllowed":true,"allowTrailingStop":false,)"
        R"("cancelReplaceAllowed":true,"amendAllowed":false,"pegInstructionsAllowed":false,)"
        R"("isSpotTradingAllowed":true,"isMarginTradingAllowed":false,"filters":[)"
        R"({"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000",)"
        R"("tickSize":"0.01000000"},{"filterType":"PERCENT_PRICE_BY_SIDE","bidMultiplierUp":"5",)"
        R"("bidMultiplierDown":"0.2","askMultiplierUp":"5","askMultiplierDown":"0.2",)"
        R"("avgPriceMins":0},{"filterType":"LOT_SIZE","minQty":"0.00001000",)"
        R"("maxQty":"9000.00000000","stepSize":"0.00001000"},{"filterType":"MARKET_LOT_SIZE",)"
        R"("minQty":"0.00000000","maxQty":"100.00000000","stepSize":"0.00000000"},)"
        R"({"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,)"
        R"("maxNotional":"9000000.00000000","applyMaxToMarket":false,"avgPriceMins":0},)"
        R"({"filterType":"MAX_NUM_ORDERS","maxNumOrders":200},)"
        R"({"filterType":"MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5}],"permissions":[],)"
        R"("permissionSets":[["SPOT"]],"defaultSelfTradePreventionMode":"NONE",)"
        R"("allowedSelfTradePreventionModes":["NONE"]}]})"
    );
    const std::string all = f.body("/api/v3/exchangeInfo");
    CHECK(all.find(R"("symbol":"ETHUSDT")") != std::string::npos);
    CHECK(
        f.body("/api/v3/exchangeInfo?showPermissionSets=false").find("permissionSets") ==
        std::string::npos
    );
    CHECK(
        f.body("/api/v3/exchangeInfo?permissions=MARGIN").find(R"("symbols":[]})") !=
        std::string::npos
    );
    f.instrument_status = TENON_INSTRUMENT_HALT;
    CHECK(
        f.body("/api/v3/exchangeInfo?symbolStatus=TRADING").find(R"("symbols":[]})") !=
        std::string::npos
    );
    CHECK(f.body("/api/v3/exchangeInfo").find(R"("status":"HALT")") != std::string::npos);
}

TEST_CASE("market data endpoints answer in Binance's form", "[binance][T6]") {
    Fixture f;
    CHECK(
        f.body("/api/v3/depth?symbol=BTCUSDT&limit=1") ==
        R"({"lastUpdateId":160,"bids":[["61000.10000000","1.50000000"]],)"
        R"("asks":[["61000.20000000","0.50000000"]]})"
    );
    CHECK(
        f.body("/api/v3/trades?symbol=BTCUSDT") ==
        R"([{"id":28457,"price":"61000.10000000","qty":"1.00000000",)"
        R"("quoteQty":"61000.10000000","time":1732233600123,"isBuyerMaker":true,)"
        R"("isBestMatch":true}])"
    );
    CHECK(
        f.body("/api/v3/aggTrades?symbol=BTCUSDT") ==
        R"([{"a":26129,"p":"61000.10000000","q":"1.00000000","f":27781,"l":27782,)"
        R"("T":1732233600123,"m":true,"M":true}])"
    );
    CHECK(
        f.body("/api/v3/klines?symbol=BTCUSDT&interval=1m") ==
        R"([[1732233540000,"61000.00000000","61001.00000000","60999.00000000",)"
        R"("61000.50000000","2.50000000",1732233599999,"152500.00000000",3,"1.00000000",)"
        R"("61000.00000000","0"]])"
    );
    CHECK(f.body("/api/v3/uiKlines?symbol=BTCUSDT&interval=1M") != "");
    CHECK(f.asked.interval == TENON_INTERVAL_1MO);
    CHECK(
        f.body("/api/v3/avgPrice?symbol=BTCUSDT") ==
        R"({"mins":5,"price":"61000.12000000","closeTime":1732233600123})"
    );
}

TEST_CASE("tickers come as an object for a symbol and as an array otherwise", "[binance][T6]") {
    Fixture f;
    const std::string full =
        R"({"symbol":"BTCUSDT","priceChange":"1000.10000000","priceChangePercent":"1.666",)"
        R"("weightedAvgPrice":"60500.00000000","prevClosePrice":"59999.90000000",)"
        R"("lastPrice":"61000.10000000","lastQty":"1.00000000","bidPrice":"61000.10000000",)"
        R"("bidQty":"1.50000000","askPrice":"61000.20000000","askQty":"0.50000000",)"
        R"("openPrice":"60000.00000000","highPrice":"62000.00000000","lowPrice":"59000.00000000",)"
        R"("volume":"1234.56789000","quoteVolume":"74691357.34500000",)"
        R"("openTime":1732147200123,"closeTime":1732233600123,"firstId":1,"lastId":28457,)"
        R"("count":28457})";
    CHECK(f.body("/api/v3/ticker/24hr?symbol=BTCUSDT") == full);
    CHECK(
        f.body("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI") ==
        R"({"symbol":"BTCUSDT","openPrice":"60000.00000000","highPrice":"62000.00000000",)"
        R"("lowPrice":"59000.00000000","lastPrice":"61000.10000000","volume":"1234.56789000",)"
        R"("quoteVolume":"74691357.34500000","openTime":1732147200123,)"
        R"("closeTime":1732233600123,"firstId":1,"lastId":28457,"count":28457})"
    );
    CHECK(f.body("/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22%5D") == "[" + full + "]");
    CHECK(
        f.body("/api/v3/ticker/price") == R"([{"symbol":"BTCUSDT","price":"61000.10000000"},)"
                                          R"({"symbol":"ETHUSDT","price":"61000.10000000"}])"
    );
    CHECK(
        f.body("/api/v3/ticker/bookTicker?symbol=ETHUSDT") ==
        R"({"symbol":"ETHUSDT","bidPrice":"61000.10000000","bidQty":"15.00000000",)"
        R"("askPrice":"61000.20000000","askQty":"5.00000000"})"
    );
    f.has_data = false;
    f.ticker = {};
    f.version = 2;
    CHECK(
        f.body("/api/v3/ticker/price?symbol=BTCUSDT") ==
        R"({"symbol":"BTCUSDT","price":"0.00000000"})"
    );
    CHECK(f.body("/api/v3/depth?symbol=BTCUSDT") == R"({"lastUpdateId":0,"bids":[],"asks":[]})");
    CHECK(f.body("/api/v3/trades?symbol=BTCUSDT") == "[]");
}

TEST_CASE("a kept answer is rendered again only when the data changed", "[binance][P2]") {
    Fixture f;
    for (int i = 0; i < 5; ++i) {
        (void)f.body("/api/v3/ticker/24hr?symbol=BTCUSDT");
        (void)f.body("/api/v3/depth?symbol=BTCUSDT");
    }
    CHECK(f.ticker_reads == 1);
    CHECK(f.book_reads == 1);
    f.version = 2;
    f.last_update_id = 161;
    CHECK(f.body("/api/v3/depth?symbol=BTCUSDT").find("161") != std::string::npos);
    CHECK(f.book_reads == 2);
    for (int limit = 1; limit <= 40; ++limit) {
        (void)f.body("/api/v3/depth?symbol=BTCUSDT&limit=" + std::to_string(limit));
    }
    CHECK(f.body("/api/v3/depth?symbol=BTCUSDT&limit=1").find("61000.1") != std::string::npos);
}

TEST_CASE("a book that is not to be trusted is not shown", "[binance][T6]") {
    Fixture f;
    f.trusted = 0;
    const FakeAnswer answer = f.get(f.api, "/api/v3/depth?symbol=BTCUSDT");
    CHECK(answer.status == 503);
    CHECK(answer.headers.at("retry-after") == "1");
    f.trusted = 1;
    CHECK(f.get(f.api, "/api/v3/depth?symbol=BTCUSDT").status == 200);
}

TEST_CASE("answers about one market say how old they are and from where", "[binance][C2]") {
    Fixture f;
    f.book_age_ns = 1'234'567'890;
    for (const std::string_view path :
         {"depth?symbol=BTCUSDT",
          "trades?symbol=BTCUSDT",
          "aggTrades?symbol=BTCUSDT",
          "klines?symbol=BTCUSDT&interval=1m",
          "avgPrice?symbol=BTCUSDT",
          "ticker/24hr?symbol=BTCUSDT",
          "ticker/bookTicker?symbol=BTCUSDT"}) {
        CAPTURE(path);
        const FakeAnswer answer = f.get(f.api, "/api/v3/" + std::string{path});
        CHECK(answer.status == 200);
        CHECK(answer.headers.at("x-tenon-age-ms") == "1234");
        CHECK(answer.headers.at("x-tenon-source") == "feed");
    }
    CHECK(f.get(f.api, "/api/v3/time").headers.count("x-tenon-age-ms") == 0);
    f.trusted = 0;
    CHECK(
        f.get(f.api, "/api/v3/ticker/price?symbol=BTCUSDT").headers.at("x-tenon-source") == "stale"
    );
    f.book_age_ns = -5;  // its clock is ahead of ours
    CHECK(f.get(f.api, "/api/v3/trades?symbol=BTCUSDT").headers.at("x-tenon-age-ms") == "0");
    f.has_data = false;
    CHECK(f.get(f.api, "/api/v3/trades?symbol=BTCUSDT").headers.count("x-tenon-source") == 0);
}

TEST_CASE("a book that lost its place is marked, and not shown past its bound", "[binance][C2]") {
    Fixture f;
    f.api.set_stale_book_ms(5'000);
    f.trusted = 0;
    f.book_age_ns = 4'999'000'000;
    const FakeAnswer marked = f.get(f.api, "/api/v3/depth?symbol=BTCUSDT");
    CHECK(marked.status == 200);
    CHECK(marked.headers.at("x-tenon-source") == "stale");
    CHECK(marked.headers.at("x-tenon-age-ms") == "4999");
    // The rendered text is still the same version: it is not shown any more all the same.
    f.book_age_ns = 5'000'000'000;
    CHECK(f.get(f.api, "/api/v3/depth?symbol=BTCUSDT").status == 503);
    f.trusted = 1;
    CHECK(f.get(f.api, "/api/v3/depth?symbol=BTCUSDT").status == 200);
}

TEST_CASE("wrong parameters get Binance's codes and messages", "[binance][T6]") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"ping?foo=1",
         R"({"code":-1101,"msg":"Too many parameters; expected '0' and received '1'."})"},
        {"depth",
         R"({"code":-1102,"msg":"Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."})"},
        {"depth?symbol=", R"({"code":-1105,"msg":"Parameter 'symbol' was empty."})"},
        {"depth?symbol=NOPE", R"({"code":-1121,"msg":"Invalid symbol."})"},
        {"depth?symbol=btcusdt",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'symbol'; legal range is '^[\\w\\-._&&[^a-z]]{1,50}$'."})"},
        {"depth?symbol=BTCUSDT&limit=-1",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."})"},
        {"depth?symbol=BTCUSDT&limit=99999999999999999999",
         R"({"code":-1108,"msg":"Parameter 'limit' overflowed."})"},
        {"depth?symbol=BTCUSDT&limit=0",
         R"({"code":-1130,"msg":"Data sent for parameter 'limit' is not valid."})"},
        {"depth?symbol=BTCUSDT&foo=1",
         R"({"code":-1104,"msg":"Not all sent parameters were read; read '1' parameter(s) but was sent '2'."})"},
        {"depth?symbol=BTCUSDT&foo=1&bar=2&baz=3",
         R"({"code":-1101,"msg":"Too many parameters; expected '3' and received '4'."})"},
        {"depth?symbol=BTCUSDT&symbol=ETHUSDT",
         R"({"code":-1101,"msg":"Duplicate values for a parameter detected."})"},
        {"depth?symbol=%zz", R"({"code":-1100,"msg":"Illegal characters found in a parameter."})"},
        {"depth?symbol=BTCUSDT&a%ff=b",
         R"({"code":-1100,"msg":"Illegal characters found in a parameter."})"},
        {"klines?symbol=BTCUSDT",
         R"({"code":-1102,"msg":"Mandatory parameter 'interval' was not sent, was empty/null, or malformed."})"},
        {"klines?symbol=BTCUSDT&interval=1x", R"({"code":-1120,"msg":"Invalid interval."})"},
        {"klines?symbol=BTCUSDT&interval=1m&timeZone=15",
         R"({"code":-1130,"msg":"Data sent for parameter 'timeZone' is not valid."})"},
        {"klines?fromId=1&symbol=BTCUSDT&interval=1h",
         R"({"code":-1104,"msg":"Not all sent parameters were read; read '2' parameter(s) but was sent '3'."})"},
        {"aggTrades?symbol=BTCUSDT&fromId=1&startTime=1",
         R"({"code":-1128,"msg":"Combination of optional parameters invalid."})"},
        {"ticker/24hr?symbol=BTCUSDT&type=HUGE", R"({"code":-1139,"msg":"Invalid ticker type."})"},
        {"ticker/price?symbol=BTCUSDT&symbols=%5B%22ETHUSDT%22%5D",
         R"({"code":-1128,"msg":"Combination of optional parameters invalid."})"},
        {"ticker/price?symbols=%5B%22BTCUSDT%22%2C%22BTCUSDT%22%5D",
         R"({"code":-1151,"msg":"Symbol is present multiple times in the list."})"},
        {"ticker/price?symbols=BTCUSDT",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'symbols'; legal range is '^\\[(\"[\\w\\-._&&[^a-z]]{1,50}\"(,\"[\\w\\-._&&[^a-z]]{1,50}\"){0,}){0,1}\\]$'."})"},
        {"exchangeInfo?symbol=BTCUSDT&permissions=SPOT",
         R"({"code":-1128,"msg":"Combination of optional parameters invalid."})"},
        {"exchangeInfo?symbolStatus=OPEN", R"({"code":-1122,"msg":"Invalid symbolStatus."})"},
        {"exchangeInfo?showPermissionSets=1",
         R"({"code":-1100,"msg":"Illegal characters found in parameter 'showPermissionSets'; legal range is '^(true|false)$'."})"},
    };
    Fixture f;
    for (const auto& [target, expected] : cases) {
        const FakeAnswer answer = f.get(f.api, "/api/v3/" + target);
        CAPTURE(target);
        CHECK(answer.body == expected);
        CHECK(answer.status == 400);
    }
}

TEST_CASE("limits and times of market data queries are understood", "[binance][T6]") {
    Fixture f;
    (void)f.body(
        "/api/v3/"
        "klines?symbol=BTCUSDT&interval=1h&startTime=1700000000000&endTime=1700000000001&timeZone=-"
        "1:30&limit=5000"
    );
    CHECK(f.asked.start == 1'700'000'000'000'000'000);
    CHECK(f.asked.end == 1'700'000'000'001'999'999);
    CHECK(f.asked.offset == -5'400'000'000'000);
    CHECK(f.asked.limit == 1'000);
    (void)f.body("/api/v3/aggTrades?symbol=BTCUSDT&startTime=1700000000000001");
    CHECK(f.asked.start == 1'700'000'000'000'001'000);
    CHECK(f.asked.limit == 500);
    (void)f.body("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=0");
    CHECK(f.asked.from_id == 1);
    CHECK(f.body("/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime=2&endTime=1") == "[]");
}

TEST_CASE("what is not supported says so", "[binance][T6]") {
    Fixture f;
    const FakeAnswer unknown = f.get(f.api, "/api/v3/myAllocations");
    CHECK(unknown.status == 404);
    CHECK(
        unknown.body ==
        R"({"code":-1020,"msg":"GET /api/v3/myAllocations is not supported by this server yet."})"
    );
    const auto method = f.send(f.api, "PUT", "/api/v3/ping");
    CHECK(f.answers[method].status == 405);
    const auto oto = f.send(f.api, "POST", "/api/v3/orderList/oto");
    CHECK(f.answers[oto].status == 404);
    const auto sbe = f.send(f.api, "GET", "/api/v3/ping", {}, {{"x-mbx-sbe", "3:4"}});
    CHECK(f.answers[sbe].body == R"({"code":-1155,"msg":"SBE is not enabled."})");
}

TEST_CASE("a hot answer is given until its market changes, or is rendered anew", "[binance][K8]") {
    using binance::Rendered;
    Rendered rendered;
    int renders = 0;
    const auto get = [&](std::uint64_t version) {
        return std::string{rendered.get(0, Rendered::k_depth + 5, version, [&](std::string& out) {
            ++renders;
            out = "v" + std::to_string(version);
        })};
    };
    CHECK(get(1) == "v1");
    CHECK(get(1) == "v1");
    CHECK(renders == 1);
    CHECK(get(2) == "v2");
    CHECK(rendered.hits() == 1);
    rendered.keep(false);
    CHECK(get(2) == "v2");
    CHECK(renders == 3);
    rendered.keep(true);
    CHECK(get(2) == "v2");
    CHECK(renders == 3);
    CHECK(rendered.hits() == 2);
    CHECK(
        binance::read_settings(R"({"conflation":false})").streams.conflate_above_bytes == UINT32_MAX
    );
    CHECK_FALSE(binance::read_settings(R"({"hot_answers":false})").hot_answers);
}
