// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance;
using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_minute = 60 * k_second;
constexpr std::int64_t k_day = 1'440 * k_minute;
constexpr std::int64_t k_start = 1'000 * k_day;

}  // namespace

TEST_CASE("weight counts by address in windows aligned to the minute", "[binance][T3]") {
    LimitSettings settings;
    settings.weight_per_minute = 10;
    AddressLimits limits{settings};
    CHECK(limits.admit("a", 6, true, k_start + 59 * k_second).used_weight == 6);
    CHECK(limits.admit("b", 10, true, k_start + 59 * k_second).used_weight == 10);
    const Admission refused = limits.admit("a", 5, true, k_start + 59 * k_second);
    CHECK(refused.verdict == Admission::Verdict::too_much_weight);
    CHECK(refused.retry_after_s == 1);
    CHECK(refused.used_weight == 6);
    CHECK(limits.admit("a", 4, true, k_start + 59 * k_second).used_weight == 10);
    CHECK(limits.admit("a", 10, true, k_start + k_minute).used_weight == 10);
    CHECK(limits.charge("a", 3, k_start + k_minute) == 13);
}

TEST_CASE("what is free on success needs room but takes none", "[binance][T3]") {
    LimitSettings settings;
    settings.weight_per_minute = 1;
    AddressLimits limits{settings};
    for (int i = 0; i < 5; ++i) {
        CHECK(limits.admit("a", 1, false, k_start).verdict == Admission::Verdict::admitted);
    }
    limits.charge("a", 1, k_start);
    CHECK(limits.admit("a", 1, false, k_start).verdict == Admission::Verdict::too_much_weight);
}

TEST_CASE("ignoring refusals earns a ban that grows", "[binance][T3]") {
    LimitSettings settings;
    settings.weight_per_minute = 1;
    settings.refusals_before_ban = 2;
    AddressLimits limits{settings};
    const auto provoke = [&](std::int64_t now) {
        (void)limits.admit("a", 1, true, now);
        (void)limits.admit("a", 1, true, now);
        (void)limits.admit("a", 1, true, now);
        return limits.admit("a", 1, true, now);
    };
    const Admission first = provoke(k_start);
    CHECK(first.verdict == Admission::Verdict::banned);
    CHECK(first.retry_after_s == 120);
    CHECK(limits.admit("a", 0, true, k_start + k_minute).verdict == Admission::Verdict::banned);
    CHECK(limits.admit("b", 1, true, k_start + k_minute).verdict == Admission::Verdict::admitted);
    CHECK(provoke(k_start + 10 * k_minute).retry_after_s == 240);
    std::int64_t now = k_start + k_day;
    Admission last;
    for (int i = 0; i < 20; ++i) {
        last = provoke(now);
        now = last.until_real_ns + k_minute;
    }
    CHECK(last.retry_after_s == 3 * 86'400);
}

TEST_CASE("raw requests and connections have windows of five minutes", "[binance][T3]") {
    LimitSettings settings;
    settings.requests_per_5_minutes = 2;
    settings.connections_per_5_minutes = 1;
    AddressLimits limits{settings};
    (void)limits.admit("a", 0, true, k_start);
    (void)limits.admit("a", 0, true, k_start + 4 * k_minute);
    const Admission refused = limits.admit("a", 0, true, k_start + 4 * k_minute);
    CHECK(refused.verdict == Admission::Verdict::too_many_requests);
    CHECK(refused.retry_after_s == 60);
    CHECK(limits.admit_connection("a", k_start));
    CHECK_FALSE(limits.admit_connection("a", k_start + k_minute));
    CHECK(limits.admit_connection("a", k_start + 5 * k_minute));
}

TEST_CASE("the table of addresses is bounded and forgets idle ones first", "[binance][T3]") {
    LimitSettings settings;
    settings.addresses_max = 3;
    settings.weight_per_minute = 10;
    AddressLimits limits{settings};
    for (const char* address : {"a", "b", "c", "d", "e"}) {
        (void)limits.admit(address, 4, true, k_start);
    }
    CHECK(limits.addresses() == 3);
    // d and e share one budget.
    CHECK(limits.used("d", k_start) == 8);
    CHECK(limits.admit("f", 4, true, k_start).verdict == Admission::Verdict::too_much_weight);
    CHECK(limits.admit("f", 4, true, k_start + k_minute).used_weight == 4);
    CHECK(limits.addresses() == 1);
}

TEST_CASE("unfilled orders count by account and a fill takes one back", "[binance][T3]") {
    LimitSettings settings;
    settings.orders_per_10_seconds = 2;
    settings.orders_per_day = 3;
    OrderLimits limits{settings};
    CHECK_FALSE(limits.admit(1, k_start));
    CHECK_FALSE(limits.admit(1, k_start));
    const auto refused = limits.admit(1, k_start + 4 * k_second);
    REQUIRE(refused);
    CHECK(refused->interval == "10 SECOND");
    CHECK(refused->retry_after_s == 6);
    limits.release(1, k_start + 4 * k_second);
    CHECK(limits.counts(1, k_start + 4 * k_second).ten_seconds == 1);
    CHECK(limits.counts(1, k_start + 4 * k_second).day == 1);
    CHECK_FALSE(limits.admit(1, k_start + 10 * k_second));
    CHECK_FALSE(limits.admit(1, k_start + 20 * k_second));
    const auto day = limits.admit(1, k_start + 30 * k_second);
    REQUIRE(day);
    CHECK(day->interval == "1 DAY");
    CHECK(limits.counts(1, k_start + k_day).day == 0);
    limits.release(1, k_start + k_day);
    CHECK(limits.counts(1, k_start + k_day).day == 0);
    limits.release(99, k_start);
}

TEST_CASE("weights follow the parameters", "[binance][T3]") {
    const Weights weights{builtin_weights()};
    const auto weigh = [&](std::string_view path, std::string_view query) {
        Params params;
        params.parse(query, {});
        return weights.of("GET", path).of(params);
    };
    CHECK(weigh("/api/v3/depth", "symbol=A") == 5);
    CHECK(weigh("/api/v3/depth", "limit=100") == 5);
    CHECK(weigh("/api/v3/depth", "limit=101") == 25);
    CHECK(weigh("/api/v3/depth", "limit=501") == 50);
    CHECK(weigh("/api/v3/depth", "limit=1001") == 250);
    CHECK(weigh("/api/v3/ticker/24hr", "symbol=A") == 2);
    CHECK(weigh("/api/v3/ticker/24hr", "symbols=%5B%22A%22%5D") == 2);
    CHECK(weigh("/api/v3/ticker/24hr", "symbols=" + std::string(20, ',')) == 40);
    CHECK(weigh("/api/v3/ticker/24hr", "symbols=" + std::string(100, ',')) == 80);
    CHECK(weigh("/api/v3/ticker/24hr", "") == 80);
    CHECK(weigh("/api/v3/ticker/price", "symbol=A") == 2);
    CHECK(weigh("/api/v3/ticker/price", "") == 4);
    CHECK(weigh("/api/v3/openOrders", "symbol=A") == 6);
    CHECK(weigh("/api/v3/openOrders", "") == 80);
    CHECK(weigh("/api/v3/myTrades", "orderId=5") == 5);
    CHECK(weigh("/api/v3/myTrades", "symbol=A") == 20);
    CHECK(weigh("/no/such/path", "") == 1);
    CHECK(weights.of("POST", "/api/v3/order").on_failure);
    const std::vector<std::pair<std::string, std::uint32_t>> plain{
        {"ping", 1},
        {"time", 1},
        {"exchangeInfo", 20},
        {"trades", 25},
        {"historicalTrades", 25},
        {"aggTrades", 4},
        {"klines", 2},
        {"uiKlines", 2},
        {"avgPrice", 2}};
    for (const auto& [path, weight] : plain) {
        CAPTURE(path);
        CHECK(weigh("/api/v3/" + path, "symbol=A") == weight);
    }
    for (const char* const path : {"/api/v3/ticker", "/api/v3/ticker/tradingDay"}) {
        CAPTURE(path);
        CHECK(weigh(path, "symbol=A") == 4);
        CHECK(weigh(path, "symbols=" + std::string(2, ',')) == 12);
        CHECK(weigh(path, "symbols=" + std::string(48, ',')) == 196);
        CHECK(weigh(path, "symbols=" + std::string(99, ',')) == 200);
    }
    CHECK(weigh("/api/v3/ticker/bookTicker", "symbol=A") == 2);
    CHECK(weigh("/api/v3/ticker/bookTicker", "symbols=%5B%22A%22%5D") == 4);
    for (const Endpoint& endpoint : Api::endpoints()) {
        const std::string key =
            "\"" + std::string{endpoint.method} + " " + std::string{endpoint.path} + "\"";
        CAPTURE(key);
        CHECK(builtin_weights().find(key) != std::string_view::npos);
    }
    CHECK_THROWS_WITH(Weights{"[]"}, Catch::Contains("not a JSON object"));
    CHECK_THROWS_WITH(
        Weights{R"({"GET /x":{"wait":1}})"}, Catch::Contains("unknown field \"wait\"")
    );
    CHECK_THROWS_WITH(Weights{R"({"GET /x":-1})"}, Catch::Contains("GET /x"));
}

TEST_CASE("a shared cache may keep the market and nothing else", "[binance][P4]") {
    FakeBinanceWorld world;
    Api api{world.services(), {}, builtin_weights()};
    CHECK(world.get(api, "/api/v3/depth?symbol=BTCUSDT").headers.at("cache-control") == "no-cache");
    CHECK(world.get(api, "/api/v3/time").headers.at("cache-control") == "no-store");
    const std::uint64_t account = world.send_signed(api, "GET", "/api/v3/account");
    CHECK(world.answers[account].headers.at("cache-control") == "no-store");
    api.set_cdn_seconds(2);
    const FakeAnswer shared = world.get(api, "/api/v3/depth?symbol=BTCUSDT");
    CHECK(shared.headers.at("cache-control") == "public, max-age=0, s-maxage=2");
    CHECK(shared.headers.at("vary") == "X-MBX-TIME-UNIT");
    CHECK(shared.headers.count("x-mbx-used-weight") == 0);
    CHECK(shared.headers.count("x-mbx-used-weight-1m") == 0);
    CHECK(world.get(api, "/api/v3/time").headers.count("x-mbx-used-weight") == 1);
}

TEST_CASE("an address over its limit gets 429, then 418, with the time to wait", "[binance][T3]") {
    FakeBinanceWorld world;
    LimitSettings settings;
    settings.weight_per_minute = 7;
    settings.refusals_before_ban = 1;
    Api api{world.services(), settings, builtin_weights()};
    const FakeAnswer first = world.get(api, "/api/v3/depth?symbol=BTCUSDT");
    CHECK(first.status == 200);
    CHECK(first.headers.at("x-mbx-used-weight-1m") == "5");
    CHECK(first.headers.at("x-mbx-used-weight") == "5");
    const FakeAnswer refused = world.get(api, "/api/v3/depth?symbol=BTCUSDT");
    CHECK(refused.status == 429);
    CHECK(refused.headers.at("retry-after") == "60");
    CHECK(
        refused.body ==
        R"({"code":-1003,"msg":"Too much request weight used; current limit is 7 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."})"
    );
    CHECK(world.get(api, "/api/v3/nothing").status == 404);
    const FakeAnswer banned = world.get(api, "/api/v3/depth?symbol=BTCUSDT");
    CHECK(banned.status == 418);
    CHECK(banned.headers.at("retry-after") == "120");
    CHECK(
        banned.body.find("Way too much request weight used; IP banned until 1732233720123.") !=
        std::string::npos
    );
    CHECK(world.get(api, "/api/v3/ping").status == 418);
    CHECK(world.get(api, "/api/v3/ping", "10.0.0.1").status == 200);
    world.now_ns += 121 * k_second;
    CHECK(world.get(api, "/api/v3/ping").status == 200);
}
