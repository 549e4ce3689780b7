// SPDX-License-Identifier: Apache-2.0
// Tickers of windows that the client names.
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace tenon::binance;
using tenon::test::FakeBinanceWorld;

namespace {

constexpr std::int64_t k_minute = 60'000'000'000;

struct Fixture : FakeBinanceWorld {
    Api api{services(), {}, builtin_weights()};

    std::string body(std::string_view target) { return get(api, target).body; }
};

}  // namespace

TEST_CASE("a ticker of a window is summed from its candles", "[binance][T6]") {
    Fixture f;
    // The world's time is within the first second of a day: an hour before it is a full one.
    CHECK(
        f.body("/api/v3/ticker?symbol=BTCUSDT&windowSize=1h") ==
        R"({"symbol":"BTCUSDT","priceChange":"0.50000000","priceChangePercent":"0.000",)"
        R"("weightedAvgPrice":"61000.00000000","openPrice":"61000.00000000",)"
        R"("highPrice":"61001.00000000","lowPrice":"60999.00000000",)"
        R"("lastPrice":"61000.50000000","volume":"2.50000000","quoteVolume":"152500.00000000",)"
        R"("openTime":1732230000000,"closeTime":1732233600123,"firstId":)" +
            std::to_string(f.candles[0].first_trade_id) + R"(,"lastId":)" +
            std::to_string(f.candles[0].last_trade_id) + R"(,"count":3})"
    );
    CHECK(f.asked.interval == TENON_INTERVAL_1H);
    CHECK(f.asked.start == 1'732'230'000'000'000'000);
    CHECK(f.asked.end == f.now_ns);
    const std::string mini = f.body("/api/v3/ticker?symbols=[\"BTCUSDT\"]&windowSize=7d&type=MINI");
    CHECK(mini.front() == '[');
    CHECK(mini.find("priceChange") == std::string::npos);
    f.now_ns += 10 * k_minute;
    (void)f.body("/api/v3/ticker?symbol=BTCUSDT&windowSize=5m");
    CHECK(f.asked.interval == TENON_INTERVAL_1M);
    CHECK(f.asked.start == 1'732'233'600'000'000'000 + 5 * k_minute);
    f.has_data = false;
    CHECK(
        f.body("/api/v3/ticker?symbol=BTCUSDT").find(R"("firstId":-1,"lastId":-1,"count":0)") !=
        std::string::npos
    );
}

TEST_CASE("a trading day opens at midnight of the zone", "[binance][T6]") {
    Fixture f;
    const std::string utc = f.body("/api/v3/ticker/tradingDay?symbol=BTCUSDT");
    CHECK(utc.find(R"("openTime":1732233600000,"closeTime":1732319999999)") != std::string::npos);
    const std::string zone = f.body("/api/v3/ticker/tradingDay?symbol=BTCUSDT&timeZone=-1:00");
    CHECK(zone.find(R"("openTime":1732150800000,"closeTime":1732237199999)") != std::string::npos);
}

TEST_CASE("a window needs a symbol and a length that there is", "[binance][T6]") {
    Fixture f;
    for (const char* const size : {"0m", "60m", "24h", "8d", "1w", "", "d", "1", "-1h", "1hh"}) {
        CAPTURE(size);
        const std::string target = std::string{"/api/v3/ticker?symbol=BTCUSDT&windowSize="} + size;
        CHECK(f.get(f.api, target).status == 400);
    }
    CHECK(f.body("/api/v3/ticker").find("-1102") != std::string::npos);
    CHECK(
        f.body("/api/v3/ticker?symbol=BTCUSDT&symbols=[\"BTCUSDT\"]").find("-1128") !=
        std::string::npos
    );
    CHECK(f.body("/api/v3/ticker?symbol=NONE").find("-1121") != std::string::npos);
    CHECK(f.body("/api/v3/ticker?symbol=BTCUSDT&type=BOTH").find("-1139") != std::string::npos);
}

TEST_CASE("a market of another status than asked for is refused or left out", "[binance][T6]") {
    Fixture f;
    const std::string refused =
        R"({"code":-1220,"msg":"The symbol's status does not match the requested symbolStatus."})";
    for (const char* const path :
         {"depth",
          "ticker",
          "ticker/tradingDay",
          "ticker/24hr",
          "ticker/price",
          "ticker/bookTicker"}) {
        CAPTURE(path);
        const std::string one = std::string{"/api/v3/"} + path + "?symbol=BTCUSDT&symbolStatus=";
        f.instrument_status = TENON_INSTRUMENT_TRADING;
        CHECK(f.get(f.api, one + "TRADING").status == 200);
        CHECK(f.get(f.api, one + "BREAK").status == 400);
        CHECK(f.body(one + "HALT") == refused);
        CHECK(f.body(one + "OPEN") == R"({"code":-1122,"msg":"Invalid symbolStatus."})");
        f.instrument_status = TENON_INSTRUMENT_HALT;
        CHECK(f.get(f.api, one + "HALT").status == 200);
        if (std::string_view{path} == "depth") {
            continue;
        }
        const std::string many =
            std::string{"/api/v3/"} + path + "?symbols=[\"BTCUSDT\",\"ETHUSDT\"]&symbolStatus=";
        CHECK(f.body(many + "TRADING") == "[]");
        CHECK(f.body(many + "HALT").find("ETHUSDT") != std::string::npos);
    }
    CHECK(f.body("/api/v3/ticker/price?symbolStatus=TRADING") == "[]");
    CHECK(f.body("/api/v3/ticker/price?symbolStatus=HALT").find("BTCUSDT") != std::string::npos);
}
