// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_socket_fixture.hpp"

using namespace tenon::binance;
using tenon::test::FakeBinanceWorld;
using tenon::test::SocketFixture;

namespace {

// A command's events, in the order in which the engine gives them.
struct Command {
    explicit Command(std::uint64_t number) : sequence{number} {}

    tenon_execution_event& add(std::uint32_t kind) {
        auto event = tenon::sized<tenon_execution_event>();
        event.kind = kind;
        event.sequence = sequence;
        event.index = static_cast<std::uint32_t>(events.size());
        event.time_real_ns = FakeBinanceWorld::k_now_ns;
        return events.emplace_back(event);
    }

    void order(const tenon_order& order) {
        add(TENON_EVENT_ORDER).order = &orders.emplace_back(order);
    }

    void fill(tenon_order order, std::uint64_t trade_id, std::int64_t quantity) {
        auto trade = tenon::sized<tenon_trade>();
        trade.trade_id = trade_id;
        trade.price = 6'000'000;
        trade.quantity = quantity;
        trade.quote_amount = 60'000 * quantity * 1'000;
        trade.fee = quantity;
        trade.fee_asset = 0;
        trade.is_maker = 1;
        tenon_execution_event& event = add(TENON_EVENT_ORDER);
        event.order = &orders.emplace_back(order);
        event.trade = &trades.emplace_back(trade);
    }

    void
    balance(std::uint64_t account, std::uint32_t asset, std::int64_t free, std::int64_t locked) {
        add(TENON_EVENT_BALANCE).balance = &balances.emplace_back(tenon_balance{
            sizeof(tenon_balance), asset, account, free, locked});
    }

    void give(Api& api) {
        api.on_execution(events.data(), static_cast<std::uint32_t>(events.size()));
    }

    std::uint64_t sequence;
    std::vector<tenon_execution_event> events;
    std::deque<tenon_order> orders;
    std::deque<tenon_trade> trades;
    std::deque<tenon_balance> balances;
};

constexpr std::uint64_t k_account = FakeBinanceWorld::k_account;

struct Fixture : SocketFixture {
    std::uint64_t follow(const std::string& key) {
        const auto c = connect("returnRateLimits=false");
        CHECK(
            call(c, "userDataStream.subscribe.signature", credentials(key)) ==
            R"({"id":1,"status":200,"result":{"subscriptionId":0}})"
        );
        sent[c].clear();
        return c;
    }

    std::string listen_key(const std::string& key = "reader") {
        const auto request =
            send(api, "POST", "/api/v3/userDataStream", {}, {{"x-mbx-apikey", key}});
        const std::string& body = answers[request].body;
        REQUIRE(body.size() == 64 + std::string_view{R"({"listenKey":""})"}.size());
        return body.substr(14, 64);
    }

    std::uint32_t listen_key_call(
        const std::string& method,
        const std::string& name,
        const std::string& key = "reader"
    ) {
        const auto request = send(
            api, method, "/api/v3/userDataStream?listenKey=" + name, {}, {{"x-mbx-apikey", key}}
        );
        return answers[request].status;
    }

    void listen(std::uint64_t connection, std::string_view tail, std::string_view query = {}) {
        tenon_http_request request{};
        request.size = sizeof request;
        request.tail = tenon::str(tail);
        request.query = tenon::str(query);
        follow_listen_keys(api, connection, request, tail.empty());
    }
};

}  // namespace

TEST_CASE("who follows an account hears each change of an order once", "[binance][T6]") {
    Fixture f;
    const auto mine = f.follow("trader");
    const auto theirs = f.follow("other");
    Command command{5};
    tenon_order order = f.order(28, "x-1");
    command.order(order);
    order.status = TENON_STATUS_PARTIALLY_FILLED;
    order.filled_quantity = 40'000;
    order.filled_quote = 2'400'000'000'000;
    command.fill(order, 56, 40'000);
    command.balance(k_account, 0, 39'960'000, 0);
    command.balance(k_account, 2, 100, 200);
    command.give(f.api);
    Command waits{6};
    tenon_order stop = f.order(29, "x-2");
    stop.type = TENON_ORDER_STOP_LOSS;
    stop.stop_price = 5'900'000;
    stop.working_real_ns = 0;
    waits.order(stop);
    stop.working_real_ns = stop.created_real_ns + 1'000'000;
    waits.order(stop);
    waits.give(f.api);
    REQUIRE(f.sent[mine].size() == 5);
    CHECK(f.sent[mine][3].find(R"("P":"59000.00000000")") != std::string::npos);
    CHECK(f.sent[mine][3].find(R"("w":false)") != std::string::npos);
    CHECK(f.sent[mine][3].find(R"("W":)") == std::string::npos);
    CHECK(f.sent[mine][4].find(R"("x":"NEW","X":"NEW")") != std::string::npos);
    CHECK(f.sent[mine][4].find(R"("w":true)") != std::string::npos);
    CHECK(f.sent[mine][4].find(R"("W":1732233600124)") != std::string::npos);
    CHECK(
        f.sent[mine][0] ==
        R"({"subscriptionId":0,"event":{"e":"executionReport","E":1732233600123,"s":"BTCUSDT","c":"x-1","S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"60000.00000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":28,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1732233600123,"t":-1,"I":327680,"w":true,"m":false,"M":false,"O":1732233600123,"Z":"0.00000000","Y":"0.00000000","Q":"0.00000000","W":1732233600123,"V":"NONE"}})"
    );
    const std::string& fill = f.sent[mine][1];
    CHECK(fill.find(R"("x":"TRADE","X":"PARTIALLY_FILLED")") != std::string::npos);
    CHECK(
        fill.find(
            R"("l":"0.40000000","z":"0.40000000","L":"60000.00000000","n":"0.00040000","N":"BTC")"
        ) != std::string::npos
    );
    CHECK(fill.find(R"("t":56,"I":327681,"w":true,"m":true)") != std::string::npos);
    CHECK(
        f.sent[mine][2] ==
        R"({"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1732233600123,"u":1732233600123,"B":[{"a":"BTC","f":"0.39960000","l":"0.00000000"},{"a":"USDT","f":"0.00000100","l":"0.00000200"}]}})"
    );
    CHECK(f.sent[theirs].empty());
}

TEST_CASE("an order that its venue has not answered is not told as new", "[binance][T6][T9]") {
    Fixture f;
    const auto c = f.follow("reader");
    Command asked{5};
    tenon_order order = f.order(28, "x-1");
    order.status = TENON_STATUS_PENDING_NEW;
    asked.order(order);
    asked.give(f.api);
    CHECK(f.sent[c].empty());
    CHECK(order_status_name(order) == "PENDING_NEW");
    Command refused{6};
    order.status = TENON_STATUS_REJECTED;
    order.reject = TENON_REJECT_WOULD_MATCH;
    refused.order(order);
    refused.give(f.api);
    REQUIRE(f.sent[c].size() == 1);
    CHECK(
        f.sent[c][0].find(
            R"("x":"REJECTED","X":"REJECTED","r":"Order would immediately match and take.")"
        ) != std::string::npos
    );
}

TEST_CASE("a cancel is told with both client ids", "[binance][T6]") {
    Fixture f;
    const auto c = f.follow("reader");
    Command command{9};
    tenon_order order = f.order(28, "x-1");
    order.status = TENON_STATUS_CANCELED;
    order.cancel_client_id = tenon::test::client_id("stop-it");
    command.order(order);
    command.give(f.api);
    REQUIRE(f.sent[c].size() == 1);
    CHECK(f.sent[c][0].find(R"("c":"stop-it",)") != std::string::npos);
    CHECK(f.sent[c][0].find(R"("C":"x-1","x":"CANCELED","X":"CANCELED")") != std::string::npos);
    CHECK(f.sent[c][0].find(R"("w":false)") != std::string::npos);
}

TEST_CASE("the last fill of a market order by money fills it", "[binance][T6]") {
    Fixture f;
    const auto c = f.follow("reader");
    Command command{9};
    tenon_order order = f.order(28, "x-1");
    order.type = TENON_ORDER_MARKET;
    order.quantity = 0;
    order.quote_quantity = 500;
    order.status = TENON_STATUS_PARTIALLY_FILLED;
    order.filled_quantity = 1;
    command.fill(order, 1, 1);
    order.filled_quantity = 2;
    command.fill(order, 2, 1);
    order.status = TENON_STATUS_FILLED;
    order.quantity = 2;
    command.order(order);
    command.give(f.api);
    REQUIRE(f.sent[c].size() == 2);
    CHECK(f.sent[c][0].find(R"("x":"TRADE","X":"PARTIALLY_FILLED")") != std::string::npos);
    CHECK(f.sent[c][1].find(R"("x":"TRADE","X":"FILLED")") != std::string::npos);
}

TEST_CASE("both sides of a transfer are told of their own", "[binance][T6]") {
    Fixture f;
    const auto from = f.follow("reader");
    const auto to = f.follow("other");
    tenon_ledger_entry entry{};
    entry.asset = 2;
    entry.from = k_account;
    entry.to = k_account + 1;
    entry.amount = 150'000'000;
    Command command{9};
    command.add(TENON_EVENT_LEDGER).ledger = &entry;
    command.give(f.api);
    CHECK(
        f.sent[from].at(0) ==
        R"({"subscriptionId":0,"event":{"e":"balanceUpdate","E":1732233600123,"a":"USDT","d":"-1.50000000","T":1732233600123}})"
    );
    CHECK(f.sent[to].at(0).find(R"("d":"1.50000000")") != std::string::npos);
}

TEST_CASE("execution ids rise over commands and restarts", "[binance][T6]") {
    std::vector<std::string> told;
    for (const std::uint64_t first : {1U, 3U}) {  // the second one: a new server, the same journal
        Fixture f;
        const auto c = f.follow("reader");
        for (const std::uint64_t sequence : {first, first + 1}) {
            Command command{sequence};
            command.order(f.order(sequence, "x"));
            command.order(f.order(sequence, "x"));
            command.give(f.api);
        }
        told.insert(told.end(), f.sent[c].begin(), f.sent[c].end());
    }
    std::uint64_t last = 0;
    REQUIRE(told.size() == 8);
    for (const std::string& event : told) {
        const std::uint64_t id = std::stoull(event.substr(event.find(R"("I":)") + 4));
        CHECK(id > last);
        last = id;
    }
}

TEST_CASE("subscriptions are numbered, listed and ended", "[binance][T6]") {
    Fixture f;
    const auto c = f.follow("trader");
    CHECK(
        f.call(c, "userDataStream.subscribe.signature", f.credentials("reader")) ==
        R"({"id":1,"status":400,"error":{"code":-2035,"msg":"User Data Stream subscription already active."}})"
    );
    CHECK(
        f.call(c, "userDataStream.subscribe.signature", f.credentials("other"))
            .find(R"("subscriptionId":1)") != std::string::npos
    );
    CHECK(
        f.call(c, "session.subscriptions") ==
        R"({"id":1,"status":200,"result":[{"subscriptionId":0},{"subscriptionId":1}]})"
    );
    CHECK(
        f.call(c, "userDataStream.unsubscribe", R"("subscriptionId":7)").find("-2036") !=
        std::string::npos
    );
    const auto told =
        f.say(c, R"({"id":2,"method":"userDataStream.unsubscribe","params":{"subscriptionId":0}})");
    REQUIRE(told.size() == 2);
    CHECK(
        told[0] == R"({"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1732233600123}})"
    );
    CHECK(told[1] == R"({"id":2,"status":200,"result":{}})");
    CHECK(f.api.user_streams().size() == 1);
    f.hang_up(c);
    CHECK(f.api.user_streams().size() == 0);
}

TEST_CASE("an account's events need the right to read it", "[binance][T6][K9]") {
    Fixture f;
    const auto c = f.connect("returnRateLimits=false");
    CHECK(
        f.call(c, "userDataStream.subscribe.signature", f.credentials("blind")).find("-2015") !=
        std::string::npos
    );
    CHECK(
        f.call(
             c,
             "userDataStream.subscribe.signature",
             R"("apiKey":"reader","signature":"bad","timestamp":1732233600123)"
        )
            .find("-1022") != std::string::npos
    );
    CHECK(f.call(c, "userDataStream.subscribe").find(R"("status":401)") != std::string::npos);
    const auto blind =
        f.send(f.api, "POST", "/api/v3/userDataStream", {}, {{"x-mbx-apikey", "blind"}});
    CHECK(f.answers[blind].status == 401);
    CHECK(f.api.user_streams().size() == 0);
}

TEST_CASE("a revoked key ends what it had subscribed", "[binance][T6][K9]") {
    Fixture f;
    const auto c = f.follow("reader");
    const std::string name = f.listen_key("reader");
    f.listen(900, name);
    tenon_api_key key{};
    key.key = tenon::str("reader");
    key.account = k_account;
    key.revoked = 1;
    Command command{9};
    command.add(TENON_EVENT_KEY).key = &key;
    command.give(f.api);
    CHECK(
        f.sent[c].at(0) ==
        R"({"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1732233600123}})"
    );
    CHECK(f.sent[900].at(0).find("listenKeyExpired") != std::string::npos);
    CHECK(f.api.user_streams().size() == 0);
    CHECK(f.api.user_streams().listen_keys().size() == 0);
}

TEST_CASE("a key that may read no more ends what it had subscribed", "[binance][T6][K9]") {
    Fixture f;
    const auto c = f.follow("reader");
    const auto kept = f.follow("trader");
    const std::string name = f.listen_key("reader");
    f.listen(900, name);
    tenon_api_key key{};
    key.key = tenon::str("reader");
    key.account = k_account;
    key.permissions = TENON_PERMISSION_READ;
    Command sealed_anew{9};
    sealed_anew.add(TENON_EVENT_KEY).key = &key;
    sealed_anew.give(f.api);
    CHECK(f.api.user_streams().size() == 3);
    key.permissions = TENON_PERMISSION_TRADE;
    Command command{10};
    command.add(TENON_EVENT_KEY).key = &key;
    command.give(f.api);
    CHECK(f.sent[c].at(0).find("eventStreamTerminated") != std::string::npos);
    CHECK(f.sent[900].at(0).find("listenKeyExpired") != std::string::npos);
    CHECK(f.sent[kept].empty());
    CHECK(f.api.user_streams().size() == 1);
    CHECK(f.api.user_streams().listen_keys().size() == 0);
}

TEST_CASE("an account that is disabled is followed no more, others are", "[binance][T6][K9]") {
    Fixture f;
    const auto c = f.follow("reader");
    const auto other = f.follow("other");
    const std::string name = f.listen_key("trader");
    f.listen(900, name);
    tenon_account account{};
    account.id = k_account;
    account.enabled = 1;
    Command renamed{9};
    renamed.add(TENON_EVENT_ACCOUNT).account = &account;
    renamed.give(f.api);
    CHECK(f.api.user_streams().size() == 3);
    account.enabled = 0;
    Command command{10};
    command.add(TENON_EVENT_ACCOUNT).account = &account;
    command.give(f.api);
    CHECK(f.sent[c].at(0).find("eventStreamTerminated") != std::string::npos);
    CHECK(f.sent[900].at(0).find("listenKeyExpired") != std::string::npos);
    CHECK(f.sent[other].empty());
    CHECK(f.api.user_streams().numbers(other).size() == 1);
    CHECK(f.api.user_streams().size() == 1);
    CHECK(f.api.user_streams().listen_keys().size() == 0);
}

TEST_CASE("the end of a connection touches its own subscriptions alone", "[binance][T6]") {
    Fixture f;
    const auto both = f.follow("reader");
    (void)f.call(both, "userDataStream.subscribe.signature", f.credentials("other"));
    const auto other = f.follow("other");
    f.api.user_streams().drop(4711);  // of market streams
    CHECK(f.api.user_streams().size() == 3);
    f.hang_up(both);
    CHECK(f.api.user_streams().size() == 1);
    CHECK(f.api.user_streams().numbers(both).empty());
    f.sent[both].clear();
    Command command{5};
    tenon_order order = f.order(28, "x-1");
    order.account = k_account + 1;
    command.order(order);
    command.give(f.api);
    CHECK(f.sent[both].empty());
    CHECK(f.sent[other].size() == 1);
}

TEST_CASE("a session's subscription ends with it, another's does not", "[binance][T6]") {
    Fixture f;
    const auto c = f.connect("returnRateLimits=false");
    (void)f.call(c, "session.logon", f.credentials("edwards"));
    CHECK(f.call(c, "userDataStream.subscribe").find(R"("subscriptionId":0)") != std::string::npos);
    CHECK(
        f.call(c, "userDataStream.subscribe.signature", f.credentials("other"))
            .find(R"("subscriptionId":1)") != std::string::npos
    );
    CHECK(f.call(c, "session.status").find(R"("userDataStream":true)") != std::string::npos);
    const auto told = f.say(c, R"({"id":1,"method":"session.logout"})");
    REQUIRE(told.size() == 2);
    CHECK(
        told[0].find(R"("subscriptionId":0,"event":{"e":"eventStreamTerminated")") !=
        std::string::npos
    );
    CHECK(f.api.user_streams().numbers(c) == std::vector<std::uint32_t>{1});
}

TEST_CASE("a wall clock that is set ends no listen key and no connection", "[binance][T6]") {
    Fixture f;
    const auto c = f.connect();
    const std::string name = f.listen_key();
    f.listen(900, name);
    f.wall_step_ns = 48LL * 3'600'000'000'000;
    f.api.user_streams().tick(f.api.now_ns());
    f.sockets.tick(f.api.now_ns());
    CHECK(f.api.user_streams().size() == 1);
    CHECK(f.closed.empty());
    f.wall_step_ns = -f.wall_step_ns;
    f.now_ns += 25LL * 3'600'000'000'000;
    f.api.user_streams().tick(f.api.now_ns());
    f.sockets.tick(f.api.now_ns());
    CHECK(f.api.user_streams().size() == 0);
    CHECK(f.closed[c] == 1001);
}

TEST_CASE("a listen key lasts an hour from when it was last kept alive", "[binance][T6]") {
    Fixture f;
    const std::string name = f.listen_key();
    CHECK(f.listen_key() == name);
    f.listen(900, name);
    f.listen(901, {}, "streams=btcusdt@trade/" + name);
    Command command{5};
    command.order(f.order(28, "x-1"));
    command.give(f.api);
    CHECK(f.sent[900].at(0).rfind(R"({"e":"executionReport")", 0) == 0);
    CHECK(
        f.sent[901].at(0).rfind(
            R"({"stream":")" + name + R"(","data":{"e":"executionReport")", 0
        ) == 0
    );
    f.now_ns += 59LL * 60'000'000'000;
    f.api.user_streams().tick(f.now_ns);
    CHECK(f.listen_key_call("PUT", name) == 200);
    CHECK(f.listen_key_call("PUT", name, "other") == 400);
    f.now_ns += 59LL * 60'000'000'000;
    f.api.user_streams().tick(f.now_ns);
    CHECK(f.api.user_streams().size() == 2);
    f.now_ns += 2LL * 60'000'000'000;
    f.api.user_streams().tick(f.now_ns);
    CHECK(f.api.user_streams().size() == 0);
    CHECK(f.sent[900].at(1).rfind(R"({"e":"listenKeyExpired")", 0) == 0);
    CHECK(f.listen_key_call("PUT", name) == 400);
    const std::string next = f.listen_key();
    CHECK(next != name);
    CHECK(f.listen_key_call("DELETE", next, "other") == 400);
    CHECK(f.listen_key_call("DELETE", next) == 200);
    CHECK(f.listen_key_call("DELETE", next) == 400);
}

TEST_CASE("clients of the WebSocket API hear that the server is about to stop", "[binance][T6]") {
    Fixture f;
    const auto c = f.follow("reader");
    f.sockets.announce_shutdown();
    CHECK(f.sent[c].at(0) == R"({"event":{"e":"serverShutdown","E":1732233600123}})");
}
