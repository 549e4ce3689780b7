// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/ws_frame.hpp"
#include "plugins/gateway/http/ws_reader.hpp"
#include "tests/unit/gateway/http_echo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::test;
using http::WsReader;
using Event = WsReader::Event;

namespace {

std::string masked(unsigned first, unsigned length, const std::string& rest) {
    std::string frame;
    frame.push_back(static_cast<char>(first));
    frame.push_back(static_cast<char>(length));
    return frame + std::string(4, '\0') + rest;  // the mask of zeros changes nothing
}

WsReader::Item read_one(std::string frame, std::size_t message_max = 1000) {
    WsReader reader{message_max};
    WsReader::Item item = reader.next(frame.data(), frame.size());
    item.payload = {};
    return item;
}

}  // namespace

TEST_CASE("frames of each length are read as they were built", "[http][ws]") {
    for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 70000U}) {
        tenon_ws_frame* const frame = http::make_frame(http::Opcode::text, std::string(size, 'a'));
        std::string bytes{frame->bytes(), frame->size};
        http::release_frame(frame);
        // What the server builds, as a client would send it: masked.
        const std::size_t head = bytes.size() - size;
        bytes[1] = static_cast<char>(static_cast<unsigned char>(bytes[1]) | 0x80U);
        bytes.insert(head, std::string(4, '\0'));
        WsReader reader{100000};
        for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 20); ++i) {
            CHECK(reader.next(bytes.data(), i).event == Event::need_more);
        }
        const WsReader::Item item = reader.next(bytes.data(), bytes.size());
        CHECK(item.event == Event::text);
        CHECK(item.payload.size() == size);
        CHECK(item.consumed == bytes.size());
    }
}

TEST_CASE("what the protocol forbids a client fails with its code", "[http][ws]") {
    CHECK(read_one(masked(0xC1, 0x80, "")).code == 1002);  // reserved bit
    CHECK(read_one(masked(0x83, 0x80, "")).code == 1002);  // unknown opcode
    CHECK(read_one(masked(0x81, 0x00, "")).code == 1002);  // not masked
    CHECK(read_one(masked(0x80, 0x80, "")).code == 1002);  // continues nothing
    CHECK(read_one(masked(0x09, 0x80, "")).code == 1002);  // a ping in fragments
    CHECK(read_one(masked(0x89, 0xFE, "")).code == 1002);  // a long ping
    CHECK(read_one(masked(0x82, 0x80, "")).code == 1003);  // binary
    CHECK(read_one(masked(0x81, 0x81, "\xFF")).code == 1007);
    CHECK(read_one(masked(0x88, 0x81, "a")).code == 1002);
    CHECK(read_one(masked(0x88, 0x82, "\x03\xED")).code == 1002);  // 1005 must not be sent
    CHECK(read_one(masked(0x88, 0x83, "\x03\xE8\xFF")).code == 1007);
    CHECK(read_one(std::string{"\x81\xFE\x00\x05\0\0\0\0hello", 13}).code == 1002);  // not shortest
    CHECK(read_one(std::string{"\x81\xFE\x04\x00\0\0\0\0", 8}, 1000).code == 1009);
    CHECK(read_one(masked(0x88, 0x80, "")).code == 1005);
    CHECK(read_one(masked(0x88, 0x82, "\x03\xE8")).code == 1000);
}

TEST_CASE("fragments join, with a ping in between", "[http][ws]") {
    std::string bytes = masked(0x01, 0x82, "\xE2\x82") + masked(0x89, 0x81, "p") +
                        masked(0x00, 0x81, "\xAC") + masked(0x80, 0x81, "!");
    WsReader reader{1000};
    std::vector<Event> events;
    std::string text;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto item = reader.next(bytes.data() + at, bytes.size() - at);
        REQUIRE(item.consumed != 0);
        at += item.consumed;
        events.push_back(item.event);
        text = item.event == Event::text ? std::string{item.payload} : text;
    }
    CHECK(events == std::vector{Event::fragment, Event::ping, Event::fragment, Event::text});
    CHECK(text == "\xE2\x82\xAC!");
}

TEST_CASE("a message has so many fragments at most", "[http][ws][T3]") {
    WsReader reader{1000};
    std::string begin = masked(0x01, 0x80, "");
    std::string more = masked(0x00, 0x80, "");
    WsReader::Item item = reader.next(begin.data(), begin.size());
    int read = 1;
    for (; item.event == Event::fragment; ++read) {
        more = masked(0x00, 0x80, "");
        item = reader.next(more.data(), more.size());
    }
    CHECK(item.event == Event::failed);
    CHECK(item.code == 1008);
    CHECK(read == 1'025);
}

TEST_CASE("the queue hands out its bytes in order across partial writes", "[http][ws]") {
    http::FrameQueue queue;
    std::string expected;
    for (int i = 0; i < 300; ++i) {
        tenon_ws_frame* const frame = http::make_frame(http::Opcode::text, std::to_string(i));
        expected.append(frame->bytes(), frame->size);
        queue.push(*frame);
        http::release_frame(frame);
    }
    std::string got;
    while (!queue.empty()) {
        std::array<iovec, 3> parts{};
        const std::size_t count = queue.gather(parts.data(), parts.size());
        std::string piece;
        for (std::size_t i = 0; i < count; ++i) {
            piece.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        }
        piece.resize(std::min<std::size_t>(piece.size(), 7));
        got += piece;
        queue.written(piece.size());
    }
    CHECK(got == expected);
    CHECK(queue.bytes() == 0);
}

TEST_CASE("dropping the queue keeps a frame that has begun", "[http][ws]") {
    http::FrameQueue queue;
    tenon_ws_frame* const frame = http::make_frame(http::Opcode::text, "hello");
    queue.push(*frame);
    queue.push(*frame);
    queue.written(3);
    queue.drop_unstarted();
    CHECK(queue.bytes() == frame->size - 3);
    queue.written(queue.bytes());
    queue.push(*frame);
    queue.drop_unstarted();
    CHECK(queue.empty());
    CHECK(frame->references == 1);
    http::release_frame(frame);
}

TEST_CASE("a WebSocket echoes text, whole and in fragments", "[http][ws][T6]") {
    Gateway gateway{R"({"ws_messages_per_second": 0})"};
    Echo echo{gateway};
    Client client{gateway.port()};
    const std::string answer = client.upgrade("/ws/btcusdt@trade");
    CHECK(answer.starts_with("HTTP/1.1 101 "));
    CHECK(
        answer.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos
    );
    CHECK(echo.tail == "btcusdt@trade");
    client.send_frame(1, "one");
    CHECK(client.frame().payload == "one");
    client.send_frame(1, "two ", false);
    client.send_frame(9, "ping");
    client.send_frame(0, "parts", true);
    const Client::Frame pong = client.frame();
    CHECK(pong.opcode == 10);
    CHECK(pong.payload == "ping");
    CHECK(client.frame().payload == "two parts");
    const std::string large(60'000, 'x');
    client.send_frame(1, large);
    CHECK(client.frame().payload == large);
    client.send_frame(8, std::string{"\x03\xE8", 2});
    const Client::Frame close = client.frame();
    CHECK(close.opcode == 8);
    CHECK(close_code(close.payload) == 1000);
    CHECK(client.read_to_end().empty());
    echo.wait_closed(1);
    CHECK(gateway.host().metric("tenon_ws_connections") == 0);
    CHECK(gateway.host().metric("tenon_ws_frames_total") == 3);
}

TEST_CASE("a handshake that is wrong is refused", "[http][ws]") {
    Gateway gateway;
    Echo echo{gateway};
    gateway.mount_text("/plain", "hello");
    Client client{gateway.port()};
    client.send("GET /ws/a HTTP/1.1\r\nHost: t\r\n\r\n");
    CHECK(status_of(client.response()) == 426);
    client.send(
        "GET /ws/a HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Version: 8\r\n\r\n"
    );
    CHECK(client.response().find("Sec-WebSocket-Version: 13\r\n") != std::string::npos);
    client.send(
        "GET /ws/a HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n"
    );
    CHECK(status_of(client.response()) == 400);
    CHECK(status_of(client.upgrade("/plain")) == 200);  // the upgrade is not offered there
    CHECK(status_of(client.upgrade("/ws/refused")) == 101);
    CHECK(close_code(client.frame().payload) == 1011);
    // A handler that closes before it refuses says why.
    Client other{gateway.port()};
    CHECK(status_of(other.upgrade("/ws/refused/why")) == 101);
    const Client::Frame why = other.frame();
    CHECK(close_code(why.payload) == 1008);
    CHECK(why.payload.substr(2) == "not today");
    CHECK(echo.opened == 0);
    CHECK(echo.closed == 0);
}

TEST_CASE("a client that breaks the protocol is told how and cut off", "[http][ws]") {
    Gateway gateway;
    Echo echo{gateway};
    Client client{gateway.port()};
    (void)client.upgrade("/ws/a");
    client.send(std::string{"\x81\x05hello", 7});
    const Client::Frame close = client.frame();
    CHECK(close_code(close.payload) == 1002);
    CHECK(client.read_to_end().empty());
    echo.wait_closed(1);
}

TEST_CASE("a client that reads too slowly is closed with 1008", "[http][ws]") {
    Gateway gateway{R"({"ws_queue_max_bytes": 100000})"};
    Echo echo{gateway};
    Client client{gateway.port()};
    client.set_receive_buffer(65536);
    (void)client.upgrade("/ws/a");
    const std::string message(10'000, 'm');
    tenon_status status = TENON_OK;
    std::uint64_t largest = 0;
    while (status == TENON_OK) {
        gateway.on_reactor([&] {
            status = echo.send(echo.connection, message);
            largest = std::max(
                largest, gateway.routes()->ws_queued(gateway.routes().self, echo.connection)
            );
        });
    }
    CHECK(status == TENON_UNAVAILABLE);
    CHECK(largest <= 100'000);
    gateway.on_reactor([&] { CHECK(echo.send(echo.connection, "late") == TENON_NOT_FOUND); });
    Client::Frame frame = client.frame();
    while (frame.opcode == 1) {
        CHECK(frame.payload == message);
        frame = client.frame();
    }
    CHECK(frame.opcode == 8);
    CHECK(close_code(frame.payload) == 1008);
    CHECK(frame.payload.substr(2) == "the client reads too slowly");
    CHECK(gateway.host().metric("tenon_ws_slow_closed_total") == 1);
}

TEST_CASE("what a client does not read waits where its user sees it", "[http][ws][C2]") {
    Gateway gateway;
    Echo echo{gateway};
    Client client{gateway.port()};
    client.set_receive_buffer(65536);
    (void)client.upgrade("/ws/a");
    const std::string message(10'000, 'm');
    std::size_t sent = 0;
    std::uint64_t queued = 0;
    while (queued == 0) {
        gateway.on_reactor([&] {
            REQUIRE(echo.send(echo.connection, message) == TENON_OK);
            sent += message.size();
        });
        gateway.on_reactor([&] {
            queued = gateway.routes()->ws_queued(gateway.routes().self, echo.connection);
        });
    }
    CHECK(sent < 700'000);  // of some megabytes that the system would take
    Client::Frame frame = client.frame();
    for (std::size_t left = sent / message.size(); left > 1; --left) {
        frame = client.frame();
    }
    CHECK(frame.payload == message);
}

TEST_CASE("a client that sends too much is closed with 1008", "[http][ws]") {
    Gateway gateway{R"({"ws_messages_per_second": 5, "ws_message_burst": 10})"};
    Echo echo{gateway};
    Client client{gateway.port()};
    (void)client.upgrade("/ws/a");
    for (int i = 0; i < 40; ++i) {
        client.send_frame(1, "x");
    }
    Client::Frame frame = client.frame();
    int echoed = 0;
    while (frame.opcode == 1) {
        ++echoed;
        frame = client.frame();
    }
    CHECK(echoed >= 10);
    CHECK(echoed < 40);
    CHECK(close_code(frame.payload) == 1008);
    CHECK(gateway.host().metric("tenon_ws_rate_closed_total") == 1);
}

TEST_CASE("messages that are requests are left to their handler, pings are not", "[http][ws]") {
    Gateway gateway{R"({"ws_messages_per_second": 5, "ws_message_burst": 10})"};
    Echo echo{gateway, "/ws-api/v3"};
    Client client{gateway.port()};
    (void)client.upgrade("/ws-api/v3");
    for (int i = 0; i < 40; ++i) {
        client.send_frame(1, "x");
    }
    for (int i = 0; i < 40; ++i) {
        REQUIRE(client.frame().opcode == 1);
    }
    for (int i = 0; i < 40; ++i) {
        client.send_frame(9, "p");
    }
    Client::Frame frame = client.frame();
    while (frame.opcode == 10) {
        frame = client.frame();
    }
    CHECK(close_code(frame.payload) == 1008);
}

TEST_CASE("a silent client is pinged and then closed", "[http][ws]") {
    Gateway gateway;
    Echo echo{gateway};
    Client silent{gateway.port()};
    (void)silent.upgrade("/ws/a");
    gateway.host().reactor().advance(21'000'000'000);
    CHECK(silent.frame().opcode == 9);
    gateway.host().reactor().advance(21'000'000'000);
    CHECK(silent.frame().opcode == 9);
    gateway.host().reactor().advance(21'000'000'000);
    const Client::Frame close = silent.frame();
    CHECK(close_code(close.payload) == 1008);
    // It does not answer the close either.
    gateway.host().reactor().advance(6'000'000'000);
    CHECK(silent.read_to_end().empty());
    echo.wait_closed(1);
}

TEST_CASE("unmounting closes the handler's WebSockets with 1001", "[http][ws]") {
    Gateway gateway;
    Echo echo{gateway};
    Client client{gateway.port()};
    (void)client.upgrade("/ws/a");
    gateway.routes()->unmount(gateway.routes().self, echo.handle);
    CHECK(echo.closed == 1);
    CHECK(close_code(client.frame().payload) == 1001);
    client.send_frame(1, "into the void");
    client.send_frame(8, "");
    CHECK(client.read_to_end().empty());
    CHECK(echo.closed == 1);
}

TEST_CASE("the handler closes with a code and a reason", "[http][ws]") {
    Gateway gateway;
    Echo echo{gateway};
    Client client{gateway.port()};
    (void)client.upgrade("/ws/a");
    const auto routes = gateway.routes();
    gateway.on_reactor([&] {
        (void)echo.send(echo.connection, "last words");
        CHECK(routes->ws_close(routes.self, echo.connection, 4000, str("enough")) == TENON_OK);
        CHECK(
            routes->ws_close(routes.self, echo.connection, 4000, str("enough")) == TENON_NOT_FOUND
        );
    });
    CHECK(client.frame().payload == "last words");
    const Client::Frame close = client.frame();
    CHECK(close_code(close.payload) == 4000);
    CHECK(close.payload.substr(2) == "enough");
    client.send_frame(8, std::string{"\x0F\xA0", 2});
    CHECK(client.read_to_end().empty());
}

TEST_CASE("stopping closes what is open and tells the handler", "[http][ws]") {
    Gateway gateway;
    Echo echo{gateway};
    Client client{gateway.port()};
    (void)client.upgrade("/ws/a");
    gateway.stop();
    CHECK(echo.closed == 1);
}
