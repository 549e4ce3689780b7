// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/ws_client.hpp"

#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <vector>

using namespace std::chrono_literals;
using tenon::net::append_ws_frame;
using tenon::net::ws_accept_of;
using tenon::net::WsClient;
using tenon::net::WsClientOptions;
using tenon::net::WsFrameReader;
using tenon::net::WsOpcode;
using tenon::test::local_url;
using tenon::test::NetRig;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

struct Heard final : WsClient::Events {
    bool open = false;
    std::vector<std::string> texts;
    std::vector<std::string> closed;

    void ws_open() override { open = true; }

    void ws_text(std::string_view text) override { texts.emplace_back(text); }

    void ws_closed(const std::string& reason) override { closed.push_back(reason); }
};

std::string frame(unsigned first, std::string_view payload) {
    std::string out;
    out.push_back(static_cast<char>(first));
    if (payload.size() <= 125) {
        out.push_back(static_cast<char>(payload.size()));
    } else {
        out.push_back(126);
        out.push_back(static_cast<char>(payload.size() >> 8U));
        out.push_back(static_cast<char>(payload.size() & 0xFFU));
    }
    return out.append(payload);
}

// What a client's frame says; short ones only.
std::string unmasked(WireConnection& connection, unsigned& opcode) {
    const std::string head = connection.read_exactly(6);
    if (head.size() < 6) {
        opcode = 0;
        return "gone";
    }
    opcode = static_cast<unsigned char>(head[0]);
    std::string payload = connection.read_exactly(static_cast<unsigned char>(head[1]) & 0x7FU);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        payload[i] = static_cast<char>(payload[i] ^ head[2 + i % 4]);
    }
    return payload;
}

std::string handshake(WireConnection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    const std::size_t at = head.find("Sec-WebSocket-Key: ") + 19;
    const std::string key = head.substr(at, head.find("\r\n", at) - at);
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: " +
           ws_accept_of(key) + "\r\n\r\n";
}

WsClientOptions options(const WireServer& server) {
    WsClientOptions out;
    out.url = local_url(server.port());
    out.url.path = "/stream?streams=a";
    return out;
}

}  // namespace

TEST_CASE("messages of a WebSocket come whole, pings are answered", "[net][T4]") {
    std::promise<std::vector<std::string>> said;
    WireServer server{[&](WireConnection& connection) {
        connection.send(handshake(connection) + frame(0x81, "first"));  // in one piece
        connection.send(frame(0x01, "one ") + frame(0x89, "beat") + frame(0x80, "two"));
        connection.send(frame(0x81, std::string(300, 'l')));
        std::vector<std::string> got;
        for (int i = 0; i < 2; ++i) {
            unsigned opcode = 0;
            const std::string text = unmasked(connection, opcode);
            got.push_back(std::to_string(opcode & 0x0FU) + text);
        }
        said.set_value(got);
        const std::string code{"\x03\xe9", 2};
        connection.send(frame(0x88, code + "bye"));
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    Heard heard;
    WsClient client{rig.network, options(server), heard};
    REQUIRE(rig.until([&] { return heard.texts.size() == 3; }));
    CHECK(heard.open);
    CHECK(heard.texts[0] == "first");
    CHECK(heard.texts[1] == "one two");
    CHECK(heard.texts[2] == std::string(300, 'l'));
    client.send_text("hello");
    REQUIRE(rig.until([&] { return !heard.closed.empty(); }));
    CHECK(heard.closed == std::vector<std::string>{"the server closes with code 1001"});
    CHECK(said.get_future().get() == std::vector<std::string>{"10beat", "1hello"});
}

TEST_CASE("a server that is silent is asked and then given up", "[net][T4]") {
    std::promise<unsigned> asked;
    WireServer server{[&](WireConnection& connection) {
        connection.send(handshake(connection));
        unsigned opcode = 0;
        (void)unmasked(connection, opcode);
        asked.set_value(opcode & 0x0FU);
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    Heard heard;
    WsClient client{rig.network, options(server), heard};
    REQUIRE(rig.until([&] { return heard.open; }));
    rig.host.reactor().advance(std::chrono::nanoseconds{31s}.count());
    auto opcode = asked.get_future();
    REQUIRE(rig.until([&] { return opcode.wait_for(0s) == std::future_status::ready; }));
    CHECK(opcode.get() == 9);
    CHECK(heard.closed.empty());
    rig.host.reactor().advance(std::chrono::nanoseconds{31s}.count());
    REQUIRE(rig.until([&] { return !heard.closed.empty(); }));
    CHECK(heard.closed[0] == "the server is silent");
}

TEST_CASE("who does not speak WebSocket is refused with the reason", "[net][T4]") {
    struct Case {
        std::string answer, reason;
    };

    const Case wrong = GENERATE(
        Case{"HTTP/1.1 403 Forbidden\r\n\r\n", "the server refuses the WebSocket with status 403"},
        Case{
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: no\r\n\r\n",
            "the server does not speak WebSocket"},
        Case{"nonsense\r\n\r\n", "the handshake's answer cannot be read"},
        Case{std::string(20'000, 'x'), "the handshake's answer is too long"}
    );
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        connection.send(wrong.answer);
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    Heard heard;
    WsClient client{rig.network, options(server), heard};
    REQUIRE(rig.until([&] { return !heard.closed.empty(); }));
    CHECK(heard.closed.size() == 1);
    CHECK(heard.closed[0].starts_with(wrong.reason));
    CHECK_FALSE(heard.open);
}

TEST_CASE("frames that break the protocol are found", "[net][T4]") {
    struct Case {
        std::string bytes, why;
    };

    const Case bad = GENERATE(
        Case{"\xC1\x01x", "a reserved bit is set"},
        Case{"\x81\x81xxxx\x01", "a server's frame is masked"},
        Case{frame(0x09, "x"), "a control frame is too large"},
        Case{frame(0x89, std::string(126, 'x')), "a control frame is too large"},
        Case{frame(0x80, "x"), "a fragment has no beginning"},
        Case{frame(0x01, "x") + frame(0x81, "y"), "a message begins inside another"},
        Case{frame(0x83, "x"), "an opcode is unknown"},
        Case{
            frame(0x01, std::string(90, 'x')) + frame(0x80, std::string(90, 'y')),
            "a message is too large"},
        Case{std::string{"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10}, "a message is too large"}
    );
    CAPTURE(bad.why);
    WsFrameReader reader{100};
    reader.feed(bad.bytes);
    WsFrameReader::Item item = reader.next();
    REQUIRE(item.event == WsFrameReader::Event::failed);
    CHECK(item.payload == bad.why);
}

TEST_CASE("a message that was joined does not count against the next one", "[net][T4]") {
    WsFrameReader reader{10};
    using Event = WsFrameReader::Event;
    reader.feed(frame(0x01, "12345") + frame(0x80, "67890") + frame(0x81, "abcdefgh"));
    const WsFrameReader::Item joined = reader.next();
    CHECK(joined.event == Event::text);
    CHECK(joined.payload == "1234567890");
    const WsFrameReader::Item whole = reader.next();
    CHECK(whole.event == Event::text);
    CHECK(whole.payload == "abcdefgh");
    reader.feed(frame(0x01, "12345") + frame(0x80, "678901"));  // one byte more than may be
    CHECK(reader.next().event == Event::failed);
}

TEST_CASE("a frame reads the same however its bytes are cut", "[net][T4]") {
    const std::string all = frame(0x81, std::string(200, 'a')) + frame(0x01, "b") +
                            frame(0x8A, "") + frame(0x80, "c") + frame(0x82, "d");
    for (std::size_t step = 1; step < all.size(); step += 7) {
        WsFrameReader reader{1000};
        std::string seen;
        for (std::size_t at = 0; at < all.size(); at += step) {
            reader.feed(std::string_view{all}.substr(at, step));
            while (true) {
                const auto item = reader.next();
                if (item.event == WsFrameReader::Event::need_more) {
                    break;
                }
                seen.append(std::to_string(static_cast<int>(item.event))).append(item.payload);
            }
        }
        CHECK(seen == "1" + std::string(200, 'a') + "4" + "1bc" + "2d");
    }
}

TEST_CASE("a client's frame is masked and carries its length", "[net][T4]") {
    std::string out;
    append_ws_frame(out, WsOpcode::text, "Hello", 0x3d21fa37U);  // RFC 6455, 5.7
    CHECK(out == "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    out.clear();
    append_ws_frame(out, WsOpcode::text, std::string(70'000, 'x'), 0);
    CHECK(static_cast<unsigned char>(out[1]) == 0xFFU);
    CHECK(out.size() == 70'000 + 14);
    CHECK(ws_accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
