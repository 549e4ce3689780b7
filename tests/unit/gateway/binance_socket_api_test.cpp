// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_socket_fixture.hpp"

using namespace tenon::binance;
using tenon::test::FakeBinanceWorld;
using tenon::test::SocketFixture;

namespace {

const std::string k_limit =
    R"("symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"1","price":"60000")";

}  // namespace

TEST_CASE("a request of the WebSocket API has its id, status and limits back", "[binance][T6]") {
    SocketFixture f;
    const auto c = f.connect();
    CHECK(
        f.ask(c, R"({"id":"a-1","method":"ping"})") ==
        R"({"id":"a-1","status":200,"result":{},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":3}]})"
    );
    CHECK(
        f.ask(c, R"({"id":7,"method":"time","params":{"returnRateLimits":false}})") ==
        R"({"id":7,"status":200,"result":{"serverTime":1732233600123}})"
    );
    CHECK(f.ask(c, R"({"method":"ping","params":{}})").rfind(R"({"id":null,)", 0) == 0);
    const auto quiet = f.connect("returnRateLimits=false&timeUnit=MICROSECOND");
    CHECK(
        f.ask(quiet, R"({"id":8,"method":"time"})") ==
        R"({"id":8,"status":200,"result":{"serverTime":1732233600123456}})"
    );
    CHECK(
        f.ask(quiet, R"({"id":9,"method":"ping","params":{"returnRateLimits":true}})")
            .find("rateLimits") != std::string::npos
    );
}

TEST_CASE("market data of the WebSocket API is that of REST", "[binance][T6]") {
    SocketFixture f;
    const auto c = f.connect();
    const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> cases{
        {"depth", {R"("symbol":"BTCUSDT","limit":5)", "/api/v3/depth?symbol=BTCUSDT&limit=5"}},
        {"trades.recent", {R"("symbol":"BTCUSDT")", "/api/v3/trades?symbol=BTCUSDT"}},
        {"trades.historical", {R"("symbol":"BTCUSDT")", "/api/v3/historicalTrades?symbol=BTCUSDT"}},
        {"trades.aggregate", {R"("symbol":"BTCUSDT")", "/api/v3/aggTrades?symbol=BTCUSDT"}},
        {"klines",
         {R"("symbol":"BTCUSDT","interval":"1m")", "/api/v3/klines?symbol=BTCUSDT&interval=1m"}},
        {"avgPrice", {R"("symbol":"BTCUSDT")", "/api/v3/avgPrice?symbol=BTCUSDT"}},
        {"ticker",
         {R"("symbol":"BTCUSDT","windowSize":"1h")",
          "/api/v3/ticker?symbol=BTCUSDT&windowSize=1h"}},
        {"ticker.tradingDay",
         {R"("symbol":"BTCUSDT","symbolStatus":"TRADING")",
          "/api/v3/ticker/tradingDay?symbol=BTCUSDT&symbolStatus=TRADING"}},
        {"ticker.24hr", {R"("symbol":"BTCUSDT")", "/api/v3/ticker/24hr?symbol=BTCUSDT"}},
        {"ticker.price",
         {R"("symbols":["BTCUSDT","ETHUSDT"])",
          "/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"}},
        {"ticker.book", {R"("symbol":"BTCUSDT")", "/api/v3/ticker/bookTicker?symbol=BTCUSDT"}},
        {"exchangeInfo", {R"("symbol":"BTCUSDT")", "/api/v3/exchangeInfo?symbol=BTCUSDT"}}};
    for (const auto& [method, both] : cases) {
        CAPTURE(method);
        const std::string body = f.get(f.api, both.second).body;
        CHECK(f.call(c, method, both.first) == R"({"id":1,"status":200,"result":)" + body + "}");
    }
    // ccxt signs these as well.
    CHECK(
        f.call(c, "depth", R"("symbol":"BTCUSDT",)" + f.credentials())
            .rfind(R"({"id":1,"status":200)", 0) == 0
    );
}

TEST_CASE("a request that cannot be read says what is wrong with it", "[binance][T6][H1]") {
    SocketFixture f;
    const auto c = f.connect("returnRateLimits=false");
    const auto error = [](std::string_view id, int code, std::string_view message) {
        return R"({"id":)" + std::string{id} + R"(,"status":400,"error":{"code":)" +
               std::to_string(code) + R"(,"msg":")" + std::string{message} + R"("}})";
    };
    const std::vector<std::pair<std::string, std::string>> cases{
        {"}", error("null", -1135, "Invalid JSON Request")},
        {"[]", error("null", -1135, "Invalid JSON Request")},
        {R"({"id":1,"method":"ping","params":[]})", error("1", -1135, "Invalid JSON Request")},
        {R"({"id":1.5,"method":"ping"})",
         error(
             "null",
             -1100,
             "Illegal characters found in parameter 'id'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."
         )},
        {R"({"id":1})",
         error(
             "1", -1102, "Mandatory parameter 'method' was not sent, was empty/null, or malformed."
         )},
        {R"({"id":1,"method":"sor.order.place"})",
         error("1", -1020, "sor.order.place is not supported by this server yet.")},
        {R"({"id":1,"method":"depth","params":{"symbol":null}})",
         error(
             "1", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
         )},
        {R"({"id":1,"method":"depth","params":{"symbol":"NOPE"}})",
         error("1", -1121, "Invalid symbol.")}};
    for (const auto& [message, expected] : cases) {
        CAPTURE(message);
        CHECK(f.ask(c, message) == expected);
    }
    CHECK(f.ask(c, std::string(2'000, '[')) == error("null", -1135, "Invalid JSON Request"));
}

TEST_CASE("an order over the WebSocket API is answered by the engine", "[binance][T6]") {
    SocketFixture f;
    const auto c = f.connect("returnRateLimits=false");
    const std::string message =
        R"({"id":"o","method":"order.place","params":{)" + k_limit + "," + f.credentials() + "}}";
    CHECK(f.say(c, message).empty());
    CHECK(
        f.signed_payload ==
        "apiKey=trader&price=60000&quantity=1&side=BUY&symbol=BTCUSDT&timeInForce=GTC"
        "&timestamp=1732233600123&type=LIMIT"
    );
    REQUIRE(f.submitted.size() == 1);
    CHECK(f.submitted[0].account == FakeBinanceWorld::k_account);
    f.finish(TENON_REJECT_NONE, {f.order(28, "x-1")});
    REQUIRE(f.sent[c].size() == 1);
    CHECK(f.sent[c][0].rfind(R"({"id":"o","status":200,"result":{"symbol":"BTCUSDT")", 0) == 0);

    CHECK(f.say(c, message).empty());
    f.finish(TENON_REJECT_BALANCE, {});
    CHECK(
        f.sent[c].at(0) ==
        R"({"id":"o","status":400,"error":{"code":-2010,"msg":"Account has insufficient balance for requested action."}})"
    );
    const auto counted = f.connect();
    CHECK(f.say(counted, message).empty());
    f.finish(TENON_REJECT_NONE, {f.order(29, "x-2")});
    CHECK(
        f.sent[counted].at(0).find(
            R"("rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100,"count":2},{"rateLimitType":"ORDERS","interval":"DAY")"
        ) != std::string::npos
    );
}

TEST_CASE("an answer to a connection that has gone goes nowhere", "[binance][T6]") {
    SocketFixture f;
    const auto c = f.connect("returnRateLimits=false");
    CHECK(f.say(
               c,
               R"({"id":1,"method":"order.place","params":{)" + k_limit + "," + f.credentials() +
                   "}}"
    )
              .empty());
    f.hang_up(c);
    f.finish(TENON_REJECT_NONE, {f.order(28, "x-1")});
    CHECK(f.api.in_flight() == 0);
    CHECK(f.sockets.connection_count() == 0);
}

TEST_CASE("a session needs an Ed25519 key and ends when it is revoked", "[binance][T6][K9]") {
    SocketFixture f;
    const auto c = f.connect("returnRateLimits=false");
    CHECK(
        f.call(c, "session.logon", f.credentials("trader")) ==
        R"({"id":1,"status":400,"error":{"code":-4056,"msg":"HMAC_SHA256 API key is not supported."}})"
    );
    CHECK(
        f.call(c, "session.logon", f.credentials("edwards")) ==
        R"({"id":1,"status":200,"result":{"apiKey":"edwards","authorizedSince":1732233600123,"connectedSince":1732233600123,"returnRateLimits":false,"serverTime":1732233600123,"userDataStream":false}})"
    );
    const std::string time = R"("timestamp":1732233600123)";
    CHECK(f.call(c, "openOrders.status", time).rfind(R"({"id":1,"status":200,"result":[)", 0) == 0);
    CHECK(f.call(c, "openOrders.status").find("-1102") != std::string::npos);
    f.revoked_key = "edwards";
    CHECK(
        f.call(c, "openOrders.status", time) ==
        R"({"id":1,"status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}})"
    );
    CHECK(f.call(c, "session.status").find(R"("apiKey":null)") != std::string::npos);
    f.revoked_key.clear();
    CHECK(
        f.call(c, "session.logon", f.credentials("edwards")).find("edwards") != std::string::npos
    );
    CHECK(f.call(c, "session.logout").find(R"("apiKey":null)") != std::string::npos);
    CHECK(f.call(c, "openOrders.status", time).find("-2014") != std::string::npos);
}

TEST_CASE("a wrong or late signature of the WebSocket API is refused", "[binance][T6]") {
    SocketFixture f;
    const auto c = f.connect();
    CHECK(
        f.call(
             c, "account.status", R"("apiKey":"trader","signature":"bad","timestamp":1732233600123)"
        )
            .find(R"("code":-1022)") != std::string::npos
    );
    CHECK(
        f.call(
             c,
             "account.status",
             R"("apiKey":"trader","signature":"good","timestamp":1732233590000)"
        )
            .find(R"("code":-1021)") != std::string::npos
    );
    CHECK(
        f.call(c, "order.place", k_limit + "," + f.credentials("reader")).find(R"("code":-2015)") !=
        std::string::npos
    );
    CHECK(f.submitted.empty());
}

TEST_CASE("requests of a WebSocket share the budget of their address", "[binance][T6][H1]") {
    LimitSettings limits;
    limits.weight_per_minute = 10;
    SocketFixture f{limits};
    const auto c = f.connect();
    CHECK(f.call(c, "depth", R"("symbol":"BTCUSDT")").find(R"("status":200)") != std::string::npos);
    CHECK(f.get(f.api, "/api/v3/ping").headers["x-mbx-used-weight-1m"] == "8");
    const std::string refused = f.call(c, "depth", R"("symbol":"BTCUSDT")");
    CHECK(refused.rfind(R"({"id":1,"status":429,"error":{"code":-1003,)", 0) == 0);
    CHECK(
        refused.find(R"("data":{"serverTime":1732233600123,"retryAfter":1732233660123}})") !=
        std::string::npos
    );
}

TEST_CASE("a connection of a banned address is answered once and closed", "[binance][T6][H1]") {
    LimitSettings limits;
    limits.weight_per_minute = 2;
    limits.refusals_before_ban = 3;
    SocketFixture f{limits};
    const auto c = f.connect();
    std::string answer;
    for (int n = 0; n < 10 && f.closed.empty(); ++n) {
        answer = f.call(c, "ping");
    }
    CHECK(answer.rfind(R"({"id":1,"status":418,"error":{"code":-1003,)", 0) == 0);
    CHECK(f.closed[c] == 1'008);
}

TEST_CASE("orders of an account end with the connection that asked for it", "[binance][T3]") {
    SocketFixture f;
    const auto armed = [&](std::uint64_t c, const std::string& enabled) {
        return f.call(
            c, "session.cancelOnDisconnect", R"("enabled":)" + enabled + "," + f.credentials()
        );
    };
    const auto silent = f.connect();
    f.hang_up(silent);
    CHECK(f.canceled_all.empty());

    const auto c = f.connect();
    CHECK(armed(c, "true") == R"({"id":1,"status":200,"result":{"cancelOnDisconnect":true}})");
    const std::uint64_t account =
        f.sockets.connection_count() == 1 ? f.connections.at(c)->cancels_account : 0;
    CHECK(account != 0);
    f.hang_up(c);
    REQUIRE(f.canceled_all.size() == 1);
    CHECK(f.canceled_all[0] == std::pair{account, std::uint32_t{TENON_ANY_INSTRUMENT}});

    const auto again = f.connect();
    CHECK(armed(again, "true").find("true") != std::string::npos);
    CHECK(
        armed(again, "false") == R"({"id":1,"status":200,"result":{"cancelOnDisconnect":false}})"
    );
    f.hang_up(again);
    CHECK(f.canceled_all.size() == 1);

    const auto bad = f.connect();
    CHECK(
        f.call(bad, "session.cancelOnDisconnect", R"("enabled":true)").find("-1102") !=
        std::string::npos
    );
    CHECK(
        f.call(bad, "session.cancelOnDisconnect", f.credentials()).find("'enabled' was not sent") !=
        std::string::npos
    );
    CHECK(
        f.call(bad, "session.cancelOnDisconnect", R"("enabled":true,)" + f.credentials("reader"))
            .find("-2015") != std::string::npos
    );
    f.hang_up(bad);
    CHECK(f.canceled_all.size() == 1);
}

TEST_CASE(
    "a cancel that the engine could not take is sent again, and none by a stop",
    "[binance][T3]"
) {
    SocketFixture f;
    const std::string params = R"("enabled":true,)" + f.credentials();
    const auto c = f.connect();
    (void)f.call(c, "session.cancelOnDisconnect", params);
    const auto other = f.connect();
    (void)f.call(other, "session.cancelOnDisconnect", params);
    f.command_status = TENON_UNAVAILABLE;
    f.hang_up(c);
    CHECK(f.sockets.owes_cancels());
    f.command_status = TENON_PENDING;
    const std::size_t before = f.canceled_all.size();
    f.sockets.tick(0);
    CHECK(f.canceled_all.size() == before + 1);
    CHECK_FALSE(f.sockets.owes_cancels());
    f.sockets.announce_shutdown();
    f.hang_up(other);
    CHECK(f.canceled_all.size() == before + 1);
}
