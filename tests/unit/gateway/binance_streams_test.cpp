// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_streams_fixture.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>

using namespace tenon::binance;
using Fixture = tenon::test::StreamsFixture;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;

// A failure prints it; TENON_SEED repeats the run.
[[nodiscard]] unsigned make_seed() {
    const char* const given = std::getenv("TENON_SEED");
    return given == nullptr ? std::random_device{}()
                            : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

}  // namespace

TEST_CASE("a path may name streams, and an unknown tail names none", "[binance][T6]") {
    Fixture f;
    const auto raw = f.connect("btcusdt@trade");
    const auto none = f.connect("0");
    const auto both = f.connect("", "streams=btcusdt@trade/nope@trade/btcusdt%40aggTrade", true);
    CHECK(f.status == TENON_OK);
    CHECK(
        f.ask(raw, R"({"method":"LIST_SUBSCRIPTIONS","id":3})") ==
        R"({"result":["btcusdt@trade"],"id":3})"
    );
    CHECK(
        f.ask(none, R"({"method":"LIST_SUBSCRIPTIONS","id":"a"})") == R"({"result":[],"id":"a"})"
    );
    CHECK(
        f.ask(both, R"({"method":"LIST_SUBSCRIPTIONS","id":null})") ==
        R"({"result":["btcusdt@trade","btcusdt@aggTrade"],"id":null})"
    );
    const auto zone = f.connect("btcusdt@kline_1d@+08:00");
    CHECK(f.connections[zone]->topics.at(0)->text == "btcusdt@kline_1d@+08:00");
}

TEST_CASE("control messages are answered as Binance does", "[binance][T6]") {
    Fixture f;
    const auto c = f.connect("");
    const std::vector<std::pair<std::string, std::string>> cases{
        {R"({"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@depth"],"id":1})",
         R"({"result":null,"id":1})"},
        {R"({"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":-5})",
         R"({"result":null,"id":-5})"},
        {R"({"method":"LIST_SUBSCRIPTIONS","id":2})",
         R"({"result":["btcusdt@trade","ethusdt@depth"],"id":2})"},
        {R"({"method":"UNSUBSCRIBE","params":["btcusdt@trade","never@trade"],"id":"0f2c"})",
         R"({"result":null,"id":"0f2c"})"},
        {R"({"method":"LIST_SUBSCRIPTIONS","id":2})", R"({"result":["ethusdt@depth"],"id":2})"},
        {R"({"method":"GET_PROPERTY","params":["combined"],"id":2})", R"({"result":false,"id":2})"},
        {R"({"method":"SET_PROPERTY","params":["combined",true],"id":5})",
         R"({"result":null,"id":5})"},
        {R"({"method":"GET_PROPERTY","params":["combined"],"id":2})", R"({"result":true,"id":2})"},
        {R"({"method":"GET_PROPERTY","params":["colour"],"id":2})",
         R"({"error":{"code":0,"msg":"Unknown property"},"id":2})"},
        {R"({"method":"SET_PROPERTY","params":["combined",1],"id":2})",
         R"({"error":{"code":1,"msg":"Invalid value type: expected Boolean"},"id":2})"},
        {R"({"method":"GET_PROPERTY","params":[1],"id":2})",
         R"({"error":{"code":2,"msg":"Invalid request: property name must be a string"},"id":2})"},
        {R"({"method":"GET_PROPERTY","params":["combined","x"],"id":2})",
         R"({"error":{"code":2,"msg":"Invalid request: too many parameters"},"id":2})"},
        {R"({"method":"SUBSCRIB","params":["btcusdt@trade"],"id":2})",
         R"({"error":{"code":2,"msg":"Invalid request: unknown variant `SUBSCRIB`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 20"},"id":2})"},
        {R"({"params":["btcusdt@trade"],"id":2})",
         R"({"error":{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 35"},"id":2})"},
        {R"({"method":"LIST_SUBSCRIPTIONS"})",
         R"({"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}})"},
        {R"({"method":"LIST_SUBSCRIPTIONS","id":1.5})",
         R"({"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}})"},
        {"{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":\"" + std::string(37, 'a') + "\"}",
         R"({"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}})"},
        {R"({"method":"SUBSCRIBE","params":[],"id":2})",
         R"({"error":{"code":2,"msg":"Invalid request: params must be an array of stream names"},"id":2})"},
        {R"({"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@smile"],"id":2})",
         R"({"result":null,"id":2})"},
        {R"({"method":"SUBSCRIBE","params":["nopeusdt@trade"],"id":2})",
         R"({"result":null,"id":2})"},
        {R"({"method":"SUBSCRIBE","params":["btcusdt@depth","btcusdt@blockTrade"],"id":2})",
         R"({"error":{"code":2,"msg":"Invalid request: stream 'btcusdt@blockTrade' is not supported by this server yet"},"id":2})"},
        {R"({"method":"LIST_SUBSCRIPTIONS","id":2})",
         R"({"result":["ethusdt@depth","btcusdt@trade"],"id":2})"},
        {"x", R"({"error":{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}})"},
        {"[1]", R"({"error":{"code":2,"msg":"Invalid request: expected an object"}})"},
    };
    for (const auto& [message, expected] : cases) {
        CAPTURE(message);
        CHECK(f.ask(c, message) == expected);
    }
}

TEST_CASE("trades, aggregates and best prices are sent as they happen", "[binance][T6]") {
    Fixture f;
    const auto c = f.connect("btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker");
    f.trade(5);
    tenon_md_event agg{};
    agg.kind = TENON_MD_AGG;
    agg.agg = f.agg_trades.data();
    f.streams.on_market(agg);
    f.event(TENON_MD_BEST, nullptr);
    tenon_feed_event ticker{};
    ticker.kind = TENON_FEED_BOOK_TICKER;
    ticker.last_update_id = 999;
    f.event(TENON_MD_BEST, &ticker);
    f.event(TENON_MD_BEST, nullptr, 1);
    REQUIRE(f.sent[c].size() == 4);
    CHECK(
        f.sent[c][0] ==
        R"({"e":"trade","E":1732233600123,"s":"BTCUSDT","t":5,"p":"61000.10000000",)"
        R"("q":"1.00000000","T":1732233600123,"m":true,"M":true})"
    );
    CHECK(
        f.sent[c][1] ==
        R"({"e":"aggTrade","E":1732233600123,"s":"BTCUSDT","a":26129,"p":"61000.10000000",)"
        R"("q":"1.00000000","f":27781,"l":27782,"T":1732233600123,"m":true,"M":true})"
    );
    CHECK(
        f.sent[c][2] ==
        R"({"u":160,"s":"BTCUSDT","b":"61000.10000000","B":"1.50000000","a":"61000.20000000",)"
        R"("A":"0.50000000"})"
    );
    CHECK(f.sent[c][3].substr(0, 8) == R"({"u":999)");
    CHECK(f.frames_alive == 0);
}

TEST_CASE("a payload is framed once for all who listen in the same form", "[binance][P2]") {
    Fixture f;
    std::vector<std::uint64_t> raw;
    for (int i = 0; i < 10; ++i) {
        raw.push_back(f.connect("btcusdt@trade"));
    }
    const auto combined = f.connect("", "streams=btcusdt@trade", true);
    const auto micro = f.connect("btcusdt@trade", "timeUnit=MICROSECOND");
    f.frames_made = 0;
    f.trade(1);
    CHECK(f.frames_made == 3);
    CHECK(f.frames_alive == 0);
    for (const auto id : raw) {
        CHECK(f.sent[id].size() == 1);
    }
    CHECK(f.sent[combined].at(0).substr(0, 35) == R"({"stream":"btcusdt@trade","data":{")");
    CHECK(f.sent[combined].at(0).back() == '}');
    CHECK(f.sent[micro].at(0).find(R"("E":1732233600123456)") != std::string::npos);
    for (const auto id : raw) {
        f.streams.close(*f.connections[id]);
    }
    f.streams.close(*f.connections[combined]);
    f.streams.close(*f.connections[micro]);
    CHECK(f.streams.topics().topic_count() == 0);
    CHECK(f.streams.connection_count() == 0);
    f.frames_made = 0;
    f.trade(2);
    CHECK(f.frames_made == 0);
}

TEST_CASE(
    "a connection that cannot take a frame does not keep it from the others",
    "[binance][T6]"
) {
    Fixture f;
    const auto slow = f.connect("btcusdt@trade");
    const auto quick = f.connect("btcusdt@trade");
    f.full_connection = slow;
    f.trade(1);
    CHECK(f.sent[slow].empty());
    CHECK(f.sent[quick].size() == 1);
    CHECK(f.frames_alive == 0);
}

TEST_CASE("depth events follow each other without a gap", "[binance][T6]") {
    Fixture f;
    const auto fast = f.connect("btcusdt@depth@100ms");
    const auto slow = f.connect("btcusdt@depth");
    std::int64_t now = f.now_ns / k_second * k_second;
    f.streams.tick(now);
    CHECK(f.sent[fast].empty());
    f.diff(161, 165, {{100, 5}, {200, 6}}, {{300, 1}});
    f.diff(166, 170, {{200, 0}}, {{299, 2}, {300, 3}});
    f.streams.tick(now += k_second / 10);
    REQUIRE(f.sent[fast].size() == 1);
    const std::string head = R"({"e":"depthUpdate","E":)" + std::to_string(now / 1'000'000);
    CHECK(
        f.sent[fast][0] ==
        head + R"(,"s":"BTCUSDT","U":161,"u":170,"b":[["2.00000000","0.00000000"],)" +
            R"(["1.00000000","0.00005000"]],"a":[["2.99000000","0.00002000"],)" +
            R"(["3.00000000","0.00003000"]]})"
    );
    CHECK(f.sent[slow].empty());
    f.diff(171, 171, {{100, 4}});
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[fast].back().find(R"("U":171,"u":171)") != std::string::npos);
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[fast].size() == 2);
    f.streams.tick(now += k_second);
    REQUIRE(f.sent[slow].size() == 1);
    CHECK(f.sent[slow][0].find(R"("U":161,"u":171)") != std::string::npos);
    // After a snapshot the ids jump, and what came before is not mixed in.
    f.diff(172, 172, {{100, 9}});
    tenon_feed_event snapshot{};
    snapshot.kind = TENON_FEED_SNAPSHOT;
    snapshot.last_update_id = 500;
    f.event(TENON_MD_BOOK, &snapshot);
    f.diff(501, 502, {{100, 7}});
    f.streams.tick(now += k_second / 10);
    CHECK(
        f.sent[fast].back().find(R"("U":501,"u":502,"b":[["1.00000000","0.00007000"]],"a":[]})") !=
        std::string::npos
    );
}

TEST_CASE("random diffs, gathered at random, rebuild the same book", "[binance][T6]") {
    const unsigned seed = make_seed();
    CAPTURE(seed);
    std::mt19937 random{seed};
    std::map<std::int64_t, std::int64_t> direct;
    std::map<std::int64_t, std::int64_t> gathered;
    DepthDiff diff;
    std::uint64_t id = 100;
    std::uint64_t expected_first = 101;
    for (int round = 0; round < 3'000; ++round) {
        std::vector<tenon_level> levels;
        for (unsigned i = 0; i < 1 + random() % 8; ++i) {
            levels.push_back(
                {static_cast<std::int64_t>(random() % 50), static_cast<std::int64_t>(random() % 4)}
            );
        }
        tenon_feed_event event{};
        event.kind = TENON_FEED_DIFF;
        event.first_update_id = id + 1;
        event.last_update_id = id + 1 + random() % 3;
        id = event.last_update_id;
        event.bids = levels.data();
        event.bid_count = static_cast<std::uint32_t>(levels.size());
        for (const tenon_level& level : levels) {
            direct[level.price] = level.quantity;
        }
        diff.add(event);
        if (random() % 5 == 0) {
            REQUIRE(diff.first_update_id() == expected_first);
            REQUIRE(diff.last_update_id() == id);
            expected_first = id + 1;
            std::int64_t last_price = 1'000;
            for (const tenon_level& level : diff.bids()) {
                REQUIRE(level.price < last_price);
                last_price = level.price;
                gathered[level.price] = level.quantity;
            }
            diff.reset();
            REQUIRE(gathered == direct);
        }
    }
}

TEST_CASE("partial books are sent when they changed or somebody came", "[binance][T6]") {
    Fixture f;
    const auto c = f.connect("btcusdt@depth5@100ms");
    std::int64_t now = f.now_ns;
    f.streams.tick(now);
    REQUIRE(f.sent[c].size() == 1);
    CHECK(
        f.sent[c][0] ==
        R"({"lastUpdateId":160,"bids":[["61000.10000000","1.50000000"],)"
        R"(["61000.00000000","2.00000000"]],"asks":[["61000.20000000","0.50000000"],)"
        R"(["61000.50000000","0.70000000"]]})"
    );
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[c].size() == 1);
    const auto later = f.connect("btcusdt@depth5@100ms");
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[later].size() == 1);
    f.last_update_id = 161;
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[later].size() == 2);
    f.trusted = 0;
    f.last_update_id = 162;
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[later].size() == 2);
}

TEST_CASE("partial books may be had as often as a screen shows them", "[binance][M5]") {
    Fixture f;
    CHECK_FALSE(f.streams.wants_frames());
    const auto c = f.connect("btcusdt@depth5@16ms");
    CHECK(f.streams.wants_frames());
    f.streams.tick_frames();
    REQUIRE(f.sent[c].size() == 1);
    CHECK(f.sent[c][0].substr(0, 19) == R"({"lastUpdateId":160)");
    f.streams.tick_frames();  // nothing has changed
    CHECK(f.sent[c].size() == 1);
    for (std::uint64_t i = 1; i <= 60; ++i) {
        f.last_update_id = 160 + i;
        f.streams.tick_frames();
    }
    CHECK(f.sent[c].size() == 61);
    f.last_update_id = 999;
    f.streams.tick(f.now_ns);  // is not its clock
    CHECK(f.sent[c].size() == 61);
    CHECK(
        f.ask(c, R"({"method":"UNSUBSCRIBE","params":["btcusdt@depth5@16ms"],"id":1})") ==
        R"({"result":null,"id":1})"
    );
    CHECK_FALSE(f.streams.wants_frames());
    // Differences have no such speed: each has to come, and in order.
    (void)f.ask(c, R"({"method":"SUBSCRIBE","params":["btcusdt@depth@16ms"],"id":2})");
    CHECK_FALSE(f.streams.wants_frames());
    CHECK(f.streams.topics().topic_count() == 0);
    CHECK(f.frames_alive == 0);
}

TEST_CASE("tickers come once a second when something changed", "[binance][T6]") {
    Fixture f;
    const auto c = f.connect("btcusdt@ticker");
    const auto mini = f.connect("btcusdt@miniTicker");
    const auto all = f.connect("!miniTicker@arr");
    const auto average = f.connect("btcusdt@avgPrice");
    std::int64_t now = f.now_ns / k_second * k_second;
    f.streams.tick(now);
    REQUIRE(f.sent[c].size() == 1);
    CHECK(
        f.sent[c][0] ==
        R"({"e":"24hrTicker","E":1732233600000,"s":"BTCUSDT","p":"1000.10000000","P":"1.666",)"
        R"("w":"60500.00000000","x":"59999.90000000","c":"61000.10000000","Q":"1.00000000",)"
        R"("b":"61000.10000000","B":"1.50000000","a":"61000.20000000","A":"0.50000000",)"
        R"("o":"60000.00000000","h":"62000.00000000","l":"59000.00000000","v":"1234.56789000",)"
        R"("q":"74691357.34500000","O":1732147200123,"C":1732233600123,"F":1,"L":28457,)"
        R"("n":28457})"
    );
    const std::string small =
        R"({"e":"24hrMiniTicker","E":1732233600000,"s":"BTCUSDT","c":"61000.10000000",)"
        R"("o":"60000.00000000","h":"62000.00000000","l":"59000.00000000","v":"1234.56789000",)"
        R"("q":"74691357.34500000"})";
    CHECK(f.sent[mini].at(0) == small);
    CHECK(f.sent[all].at(0).substr(0, small.size() + 2) == "[" + small + ",");
    CHECK(
        f.sent[average].at(0) ==
        R"({"e":"avgPrice","E":1732233600000,"s":"BTCUSDT","i":"5m","w":"61000.12000000",)"
        R"("T":1732233600123})"
    );
    f.streams.tick(now += k_second / 10);
    f.streams.tick(now += k_second);
    CHECK(f.sent[c].size() == 1);
    CHECK(f.sent[all].size() == 1);
    f.version = 2;
    f.streams.tick(now += k_second / 10);
    CHECK(f.sent[c].size() == 1);
    f.streams.tick(now += k_second);
    CHECK(f.sent[c].size() == 2);
    CHECK(f.sent[all].size() == 2);
}

TEST_CASE("tickers of windows are those of the last hours, from a minute on", "[binance][T6]") {
    Fixture f;
    const auto hour = f.connect("btcusdt@ticker_1h");
    const auto day = f.connect("btcusdt@ticker_1d");
    const auto all = f.connect("!ticker_4h@arr");
    const auto none = f.connect("btcusdt@ticker_2h/!ticker_2h@arr/!ticker_1h/!ticker_1h@all");
    CHECK(f.connections[none]->topics.empty());
    std::int64_t now = f.now_ns / k_second * k_second;
    f.streams.tick(now);
    REQUIRE(f.sent[hour].size() == 1);
    CHECK(
        f.sent[hour][0] ==
        R"({"e":"1hTicker","E":1732233600000,"s":"BTCUSDT","p":"0.50000000","P":"0.000",)"
        R"("o":"61000.00000000","h":"61001.00000000","l":"60999.00000000",)"
        R"("c":"61000.50000000","w":"61000.00000000","v":"2.50000000","q":"152500.00000000",)"
        R"("O":1732230000000,"C":1732233600000,"F":10,"L":12,"n":3})"
    );
    CHECK(f.sent[day].at(0).find(R"("O":1732147200000,"C":1732233600000)") != std::string::npos);
    CHECK(f.sent[all].at(0).find(R"([{"e":"4hTicker","E":1732233600000,"s":"BTC)") == 0);
    CHECK(f.sent[all].at(0).find(R"("O":1732219200000)") != std::string::npos);
    // Nothing new within the minute; a change, or the next minute, is told.
    f.streams.tick(now += k_second);
    CHECK(f.sent[hour].size() == 1);
    CHECK(f.sent[all].size() == 1);
    f.version = 2;
    f.streams.tick(now += k_second);
    CHECK(f.sent[hour].size() == 2);
    CHECK(f.sent[all].size() == 2);
    f.streams.tick(now += 60 * k_second);
    REQUIRE(f.sent[hour].size() == 3);
    CHECK(f.sent[hour].back().find(R"("O":1732230060000)") != std::string::npos);
    CHECK(f.sent[all].size() == 3);
}

TEST_CASE("a candle is followed and its last word is said once", "[binance][T6]") {
    Fixture f;
    f.candles[0].open_real_ns += 60 * k_second;
    f.candles[0].close_real_ns += 60 * k_second;
    const auto c = f.connect("btcusdt@kline_1m");
    std::int64_t now = f.now_ns / k_second * k_second;
    f.streams.tick(now);
    REQUIRE(f.sent[c].size() == 1);
    CHECK(
        f.sent[c][0] ==
        R"({"e":"kline","E":1732233600000,"s":"BTCUSDT","k":{"t":1732233600000,)"
        R"("T":1732233659999,"s":"BTCUSDT","i":"1m","f":10,"L":12,"o":"61000.00000000",)"
        R"("c":"61000.50000000","h":"61001.00000000","l":"60999.00000000","v":"2.50000000",)"
        R"("n":3,"x":false,"q":"152500.00000000","V":"1.00000000","Q":"61000.00000000",)"
        R"("B":"0"}})"
    );
    f.streams.tick(now += 2 * k_second);
    CHECK(f.sent[c].size() == 1);
    f.version = 2;
    f.streams.tick(now += k_second);
    CHECK(f.sent[c].size() == 1);
    f.streams.tick(now += k_second);
    CHECK(f.sent[c].size() == 2);
    // The next candle begins: the one before is closed first.
    tenon_candle next = f.candles[0];
    next.open_real_ns += 60 * k_second;
    next.close_real_ns += 60 * k_second;
    f.candles.push_back(next);
    f.version = 3;
    f.streams.tick(now += 58 * k_second);
    REQUIRE(f.sent[c].size() == 4);
    CHECK(f.sent[c][2].find(R"("t":1732233600000)") != std::string::npos);
    CHECK(f.sent[c][2].find(R"("x":true)") != std::string::npos);
    CHECK(f.sent[c][3].find(R"("t":1732233660000)") != std::string::npos);
    CHECK(f.sent[c][3].find(R"("x":false)") != std::string::npos);
    f.version = 4;
    f.streams.tick(now += 2 * k_second);
    CHECK(f.sent[c].size() == 5);
}

TEST_CASE("streams and connections are bounded", "[binance][T3]") {
    StreamSettings settings;
    settings.streams_max = 2;
    Fixture f{settings};
    const auto c = f.connect("");
    CHECK(
        f.ask(
            c,
            R"({"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@depth","btcusdt@ticker"],"id":1})"
        ) ==
        R"({"error":{"code":2,"msg":"Invalid request: too many streams; a connection may listen to 2"},"id":1})"
    );
    (void)f.connect("btcusdt@trade/btcusdt@depth/btcusdt@ticker");
    CHECK(f.status == TENON_INVALID);
    CHECK(f.closed[f.last_id] == 1008);
    CHECK(f.close_reasons[f.last_id] == "too many streams; a connection may listen to 2");
    CHECK(f.streams.topics().topic_count() == 0);
    for (int i = 0; i < 298; ++i) {
        (void)f.connect("");
        REQUIRE(f.status == TENON_OK);
    }
    (void)f.connect("");
    CHECK(f.status == TENON_UNAVAILABLE);
    CHECK(f.closed[f.last_id] == 1008);
    CHECK(
        f.close_reasons[f.last_id] ==
        "this address has opened its 300 connections of five minutes (connections_per_5_minutes)"
    );
}

TEST_CASE("old connections are closed and a shutdown is announced", "[binance][T6]") {
    Fixture f;
    const auto old = f.connect("");
    f.now_ns += 12 * 3'600 * k_second;
    const auto young = f.connect("");
    f.streams.tick(f.now_ns);
    CHECK(f.closed.empty());
    f.now_ns += 12 * 3'600 * k_second + k_second;
    f.streams.tick(f.now_ns);
    CHECK(f.closed[old] == 1001);
    CHECK(f.closed.count(young) == 0);
    f.streams.announce_shutdown();
    CHECK(f.sent[young].back().substr(0, 24) == R"({"e":"serverShutdown","E)");
}

TEST_CASE("random control messages never break a connection", "[binance][T6]") {
    const unsigned seed = make_seed();
    CAPTURE(seed);
    std::mt19937 random{seed};
    Fixture f;
    const auto c = f.connect("");
    const std::vector<std::string> parts{
        "{",
        "}",
        "[",
        "]",
        "\"method\"",
        ":",
        ",",
        "\"SUBSCRIBE\"",
        "\"UNSUBSCRIBE\"",
        "\"params\"",
        "\"btcusdt@trade\"",
        "\"ethusdt@kline_1m\"",
        "\"!ticker@arr\"",
        "\"id\"",
        "1",
        "-1",
        "null",
        "true",
        "\"x\"",
        "1e999",
        "\"\\ud800\"",
        "\"SET_PROPERTY\"",
        "\"combined\"",
        " ",
        "\n",
        "\x80"};
    for (int round = 0; round < 5'000; ++round) {
        std::string message;
        if (random() % 2 == 0) {
            for (unsigned i = 0; i < random() % 14; ++i) {
                message += parts[random() % parts.size()];
            }
        } else {
            message = R"({"method":"SUBSCRIBE","params":["btcusdt@depth20@100ms"],"id":17})";
            for (unsigned i = 0; i < 1 + random() % 3; ++i) {
                message[random() % message.size()] = static_cast<char>(random() % 256);
            }
        }
        const std::string reply = f.ask(c, message);
        REQUIRE(reply.front() == '{');
        REQUIRE(reply.back() == '}');
        REQUIRE(
            (reply.find("\"result\"") != std::string::npos ||
             reply.find("\"error\"") != std::string::npos)
        );
    }
    f.trade(1);
    f.streams.tick(f.now_ns);
    f.streams.close(*f.connections[c]);
    CHECK(f.streams.topics().topic_count() == 0);
    CHECK(f.frames_alive == 0);
}
