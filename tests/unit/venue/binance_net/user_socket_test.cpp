// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/user_socket.hpp"

#include "sdk/net/ws_codec.hpp"
#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <future>
#include <memory>
#include <vector>

using namespace std::chrono_literals;
using tenon::binance_venue::Signer;
using tenon::binance_venue::UserSocket;
using tenon::binance_venue::UserSocketOptions;
using tenon::binance_venue::UserStreamListener;
using tenon::test::local_url;
using tenon::test::NetRig;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

struct Account final : UserStreamListener {
    int connected = 0;
    std::vector<std::string> broken;
    std::vector<std::string> events;

    void user_stream_connected() override { ++connected; }

    void user_stream_broken(std::string_view reason) override { broken.emplace_back(reason); }

    void user_stream_event(std::string_view json) override { events.emplace_back(json); }
};

void say(WireConnection& connection, const std::string& text) {
    REQUIRE(text.size() < 126);
    connection.send("\x81" + std::string(1, static_cast<char>(text.size())) + text);
}

// The handshake, and the text of the first frame.
std::string subscription(WireConnection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    const std::size_t at = head.find("Sec-WebSocket-Key: ") + 19;
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        tenon::net::ws_accept_of(head.substr(at, head.find("\r\n", at) - at)) + "\r\n\r\n"
    );
    const std::string start = connection.read_exactly(2);
    if (start.size() < 2) {
        return {};
    }
    std::size_t size = static_cast<unsigned char>(start[1]) & 0x7FU;
    if (size == 126) {
        const std::string length = connection.read_exactly(2);
        size = static_cast<std::size_t>(static_cast<unsigned char>(length[0])) << 8U |
               static_cast<unsigned char>(length[1]);
    }
    const std::string mask = connection.read_exactly(4);
    std::string text = connection.read_exactly(size);
    for (std::size_t i = 0; i < text.size(); ++i) {
        text[i] = static_cast<char>(text[i] ^ mask[i % 4]);
    }
    return text;
}

struct Rig : NetRig {
    std::shared_ptr<const Signer> signer = std::make_shared<Signer>("the-key", "the-secret");
    Account account;
    WireServer server;
    UserSocket socket;

    explicit Rig(WireServer::Script script)
        : server{std::move(script)}, socket{network, options(server), signer, [] {
                                                return std::int64_t{1'900'000'000'000};
                                            }} {}

    static UserSocketOptions options(const WireServer& server) {
        UserSocketOptions out;
        out.url = local_url(server.port());
        out.url.path = "/ws-api/v3";
        out.age_max_ns = std::chrono::nanoseconds{1h}.count();
        return out;
    }
};

}  // namespace

TEST_CASE("the account's stream is subscribed to with a signature", "[binance][T4]") {
    std::promise<std::string> asked;
    Rig rig{[&](WireConnection& connection) {
        asked.set_value(subscription(connection));
        say(connection, R"({"id":"1","status":200,"result":{"subscriptionId":0}})");
        say(connection, R"({"subscriptionId":0,"event":{"e":"executionReport","i":7}})");
        (void)connection.wait_for_end();
    }};
    rig.socket.open(rig.account);
    REQUIRE(rig.until([&] { return !rig.account.events.empty(); }));
    CHECK(rig.account.connected == 1);
    CHECK(rig.account.events[0] == R"({"e":"executionReport","i":7})");
    const tenon::Json request = tenon::Json::parse(asked.get_future().get());
    CHECK(request.find("method")->text() == "userDataStream.subscribe.signature");
    const tenon::Json& params = *request.find("params");
    CHECK(params.find("apiKey")->text() == "the-key");
    CHECK(
        params.find("signature")->text() ==
        rig.signer->sign("apiKey=the-key&recvWindow=5000&timestamp=1900000000000")
    );
    rig.socket.close();
    CHECK(rig.account.broken.empty());
}

TEST_CASE("a stream that breaks is told and subscribed to anew", "[binance][T9]") {
    std::promise<void> refused;
    Rig rig{[&](WireConnection& connection) {
        (void)subscription(connection);
        if (connection.number() == 1) {
            say(connection, R"({"id":"1","status":400,"error":{"code":-1022}})");
        } else {
            say(connection, R"({"id":"1","status":200,"result":{}})");
        }
        if (connection.number() == 2) {
            say(connection, R"({"event":{"e":"eventStreamTerminated"}})");
        }
        (void)connection.wait_for_end();
        if (connection.number() == 1) {
            refused.set_value();
        }
    }};
    constexpr std::int64_t k_longest_wait_ns = 31'000'000'000;
    rig.socket.open(rig.account);
    auto gave_up = refused.get_future();
    REQUIRE(rig.until([&] { return gave_up.wait_for(0s) == std::future_status::ready; }));
    CHECK(rig.account.connected == 0);
    rig.host.reactor().advance(k_longest_wait_ns);
    REQUIRE(rig.until([&] { return !rig.account.broken.empty(); }));
    CHECK(rig.account.connected == 1);
    rig.host.reactor().advance(k_longest_wait_ns);
    REQUIRE(rig.until([&] { return rig.account.connected == 2; }));
    CHECK(rig.account.broken == std::vector<std::string>{"the exchange ends the stream"});
    CHECK(rig.server.connections() == 3);
}

TEST_CASE("a stream is replaced before it is too old without being told broken", "[binance][T9]") {
    std::promise<bool> first_ended;
    Rig rig{[&](WireConnection& connection) {
        (void)subscription(connection);
        say(connection, R"({"id":"1","status":200,"result":{}})");
        say(connection, R"({"event":{"e":"x","n":)" + std::to_string(connection.number()) + "}}");
        const bool ended = connection.wait_for_end();
        if (connection.number() == 1) {
            first_ended.set_value(ended);
        }
    }};
    rig.socket.open(rig.account);
    REQUIRE(rig.until([&] { return rig.account.events.size() == 1; }));
    rig.host.reactor().advance(std::chrono::nanoseconds{61min}.count());
    REQUIRE(rig.until([&] { return rig.account.events.size() == 2; }));
    auto ended = first_ended.get_future();
    REQUIRE(rig.until([&] { return ended.wait_for(0s) == std::future_status::ready; }));
    CHECK(rig.account.connected == 1);
    CHECK(rig.account.broken.empty());
}

TEST_CASE("a new key takes over from the old one without being told broken", "[binance][T9]") {
    std::promise<std::string> second;
    Rig rig{[&](WireConnection& connection) {
        const std::string asked = subscription(connection);
        if (connection.number() == 2) {
            second.set_value(asked);
        }
        say(connection, R"({"id":"1","status":200,"result":{}})");
        (void)connection.wait_for_end();
    }};
    rig.socket.open(rig.account);
    REQUIRE(rig.until([&] { return rig.account.connected == 1; }));
    rig.socket.set_signer(std::make_shared<Signer>("other-key", "other-secret"));
    auto asked = second.get_future();
    REQUIRE(rig.until([&] { return asked.wait_for(0s) == std::future_status::ready; }));
    const tenon::Json request = tenon::Json::parse(asked.get());
    CHECK(request.find("params")->find("apiKey")->text() == "other-key");
    CHECK(rig.account.connected == 1);
    CHECK(rig.account.broken.empty());
    rig.socket.close();
}

TEST_CASE("without a key the stream is away until there is one", "[binance][T9]") {
    Rig rig{[&](WireConnection& connection) {
        (void)subscription(connection);
        say(connection, R"({"id":"1","status":200,"result":{}})");
        (void)connection.wait_for_end();
    }};
    constexpr std::int64_t k_longest_wait_ns = 31'000'000'000;
    rig.socket.open(rig.account);
    REQUIRE(rig.until([&] { return rig.account.connected == 1; }));
    rig.socket.set_signer(nullptr);
    CHECK(rig.account.broken == std::vector<std::string>{"the credential is gone"});
    rig.host.reactor().advance(k_longest_wait_ns);
    CHECK(rig.server.connections() == 1);
    rig.socket.set_signer(rig.signer);
    rig.host.reactor().advance(1);
    REQUIRE(rig.until([&] { return rig.account.connected == 2; }));
    CHECK(rig.server.connections() == 2);
    rig.socket.close();
}
