// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/market_message.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace tenon::binance_venue;

namespace {

std::optional<KnownSymbol> find(std::string_view name) {
    return name == "btcusdt" ? std::optional{KnownSymbol{7, {2, 5}}} : std::nullopt;
}

}  // namespace

TEST_CASE("messages of combined streams are read into our scales", "[binance][T4]") {
    const auto diff = read_stream_message(
        R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000123,"s":"BTCUSDT","U":10,"u":12,)"
        R"("b":[["60000.10000000","0.50000000"],["59999.00000000","0.00000000"]],"a":[["60001.00","25.42618900"]]}})",
        find
    );
    REQUIRE(diff);
    CHECK(diff->symbol == 7);
    const auto& depth = std::get<DepthDiff>(diff->data);
    CHECK(depth.first_id == 10);
    CHECK(depth.last_id == 12);
    CHECK(depth.real_ns == 1'700'000'000'123'000'000);
    REQUIRE(depth.bids.size() == 2);
    CHECK(depth.bids[0].price == 6'000'010);
    CHECK(depth.bids[0].quantity == 50'000);
    CHECK(depth.bids[1].quantity == 0);
    CHECK(depth.asks[0].quantity == 2'542'618);  // finer than the scale: cut

    const auto trade = read_stream_message(
        R"({"stream":"btcusdt@trade","data":{"e":"trade","E":5,"s":"BTCUSDT","t":99,"p":"1.50","q":"0.001","T":4,"m":true,"M":true}})",
        find
    );
    REQUIRE(trade);
    const auto& done = std::get<MarketTrade>(trade->data);
    CHECK(done.id == 99);
    CHECK(done.price == 150);
    CHECK(done.quantity == 100);
    CHECK(done.buyer_is_maker);
    CHECK(done.real_ns == 4'000'000);

    const auto quote = read_stream_message(
        R"({"stream":"btcusdt@bookTicker","data":{"u":400,"s":"BTCUSDT","b":"1.00","B":"2","a":"1.01","A":"3"}})",
        find
    );
    REQUIRE(quote);
    CHECK(std::get<BestQuote>(quote->data).ask.price == 101);
    const auto over = read_stream_message(R"({"stream":"!x","data":{"e":"serverShutdown"}})", find);
    REQUIRE(over);
    CHECK(std::holds_alternative<ServerShutdown>(over->data));
}

TEST_CASE("a damaged message is refused whole, however it is damaged", "[binance][T4]") {
    const std::string good =
        R"({"stream":"btcusdt@depth@100ms","data":{"E":1,"U":10,"u":12,"b":[["1.00","0.5"]],"a":[["2.00","1"]]}})";
    REQUIRE(read_stream_message(good, find));
    for (const char* const bad :
         {"",
          "null",
          "[]",
          R"({"stream":"btcusdt@depth","data":[]})",
          R"({"stream":"ethusdt@trade","data":{}})",
          R"({"stream":"btcusdt@depth","data":{"E":1,"U":13,"u":12,"b":[],"a":[]}})",
          R"({"stream":"btcusdt@depth","data":{"E":1,"U":1,"u":12,"b":[["1.001","1"]],"a":[]}})",
          R"({"stream":"btcusdt@depth","data":{"E":1,"U":1,"u":12,"b":[["-1.00","1"]],"a":[]}})",
          R"({"stream":"btcusdt@depth","data":{"E":1,"U":1,"u":12,"b":[["1.00"]],"a":[]}})",
          R"({"stream":"btcusdt@depth","data":{"E":1,"U":1,"u":12,"b":[[1,1]],"a":[]}})",
          R"({"stream":"btcusdt@depth","data":{"E":99999999999999,"U":1,"u":12,"b":[],"a":[]}})",
          R"({"stream":"btcusdt@trade","data":{"t":1,"p":"1","q":"1","T":1}})",
          R"({"stream":"btcusdt@nothing","data":{}})"}) {
        CAPTURE(bad);
        CHECK_FALSE(read_stream_message(bad, find));
    }
    const auto seed = GENERATE(take(10, random(1U, 1'000'000U)));
    CAPTURE(seed);
    std::mt19937 random{seed};
    for (int i = 0; i < 300; ++i) {
        std::string text = good;
        for (auto n = 1 + random() % 3; n > 0; --n) {
            text[random() % text.size()] = static_cast<char>(random() % 256);
        }
        const auto read = read_stream_message(text.substr(0, random() % (text.size() + 1)), find);
        CHECK((!read || read->symbol == 7 || read->symbol == 0));
    }
}

TEST_CASE("a snapshot's sides are strictly sorted, or it is none", "[binance][T4]") {
    const auto snapshot = read_depth(
        R"({"lastUpdateId":5,"bids":[["2.00","1"],["1.00","0.000001"]],"asks":[["3.00","1"]]})",
        {2, 5}
    );
    REQUIRE(snapshot);
    CHECK(snapshot->last_id == 5);
    CHECK(snapshot->bids.size() == 1);  // cut to nothing is no level
    CHECK_FALSE(
        read_depth(R"({"lastUpdateId":5,"bids":[["1.00","1"],["2.00","1"]],"asks":[]})", {2, 5})
    );
    CHECK_FALSE(
        read_depth(R"({"lastUpdateId":5,"bids":[],"asks":[["1.00","1"],["1.00","1"]]})", {2, 5})
    );
    CHECK_FALSE(read_depth(R"({"bids":[],"asks":[]})", {2, 5}));
}

TEST_CASE("trades of an answer come in order, or not at all", "[binance][T4]") {
    const auto trades = read_trades(
        R"([{"id":1,"price":"1.00","qty":"1","time":5,"isBuyerMaker":false},)"
        R"({"id":3,"price":"1.00","qty":"1","time":5,"isBuyerMaker":true}])",
        {2, 5}
    );
    REQUIRE(trades);
    CHECK(trades->size() == 2);
    CHECK_FALSE(read_trades(
        R"([{"id":3,"price":"1.00","qty":"1","time":5,"isBuyerMaker":false},)"
        R"({"id":3,"price":"1.00","qty":"1","time":5,"isBuyerMaker":true}])",
        {2, 5}
    ));
    CHECK_FALSE(read_trades("{}", {2, 5}));
}
