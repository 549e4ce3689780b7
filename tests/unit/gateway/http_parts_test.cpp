// SPDX-License-Identifier: Apache-2.0
// The parts of the HTTP gateway without sockets.
#include "plugins/gateway/http/handshake.hpp"
#include "plugins/gateway/http/request_reader.hpp"
#include "plugins/gateway/http/response_writer.hpp"
#include "plugins/gateway/http/route_table.hpp"
#include "plugins/gateway/http/settings.hpp"
#include "plugins/gateway/http/timer_wheel.hpp"
#include "plugins/gateway/http/utf8.hpp"

#include <tenon/address_key.hpp>
#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace tenon::http;
using State = RequestReader::State;

namespace {

std::string_view part(const std::string& buffer, Span span) {
    return std::string_view{buffer}.substr(span.at, span.size);
}

// Feeds `text` in pieces of `step` bytes; the buffer is as it is after the last one.
State feed(RequestReader& reader, std::string& buffer, std::string_view text, std::size_t step) {
    State state = State::need_more;
    for (std::size_t i = 0; i < text.size() && state == State::need_more; i += step) {
        buffer.append(text.substr(i, step));
        // A buffer that moves: nothing may point into the old one.
        std::string moved{buffer};
        std::size_t size = moved.size();
        state = reader.advance(moved.data(), size);
        moved.resize(size);
        std::fill(buffer.begin(), buffer.end(), '#');
        buffer.swap(moved);
    }
    return state;
}

int fault_status(std::string_view text) {
    RequestReader reader{{1024, 100, 10}};
    std::string buffer;
    return feed(reader, buffer, text, text.size()) == State::failed
               ? static_cast<int>(reader.fault().status)
               : 0;
}

Route route(const char* method, const char* path) {
    Route made;
    made.method = method;
    made.path = path;
    made.fn = [](void*, const tenon_http_request*) {};
    return made;
}

}  // namespace

TEST_CASE("a request split at every byte reads like a whole one", "[http][parser]") {
    const std::string text =
        "POST /api/v3/order?a=1 HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: Secret\r\n"
        "Empty:\r\nContent-Length: 11\r\n\r\nhello world";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        RequestReader reader{{}};
        std::string buffer;
        REQUIRE(feed(reader, buffer, text, step) == State::complete);
        CHECK(reader.consumed() == text.size());
        CHECK(part(buffer, reader.method()) == "POST");
        CHECK(part(buffer, reader.path()) == "/api/v3/order");
        CHECK(part(buffer, reader.query()) == "a=1");
        CHECK(part(buffer, reader.body()) == "hello world");
        REQUIRE(reader.headers().size() == 4);
        CHECK(part(buffer, reader.headers()[1].name) == "x-mbx-apikey");
        CHECK(part(buffer, reader.headers()[1].value) == "Secret");
        CHECK(part(buffer, reader.headers()[2].value).empty());
        CHECK(reader.keep_alive());
    }
}

TEST_CASE("a chunked body is joined wherever it is split", "[http][parser]") {
    const std::string text =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n1;ext=1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: t\r\n\r\n";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        INFO(step);
        RequestReader reader{{}};
        std::string buffer;
        REQUIRE(feed(reader, buffer, text, step) == State::complete);
        CHECK(part(buffer, reader.body()) == "hello world");
        CHECK(reader.consumed() == buffer.size());
        CHECK(reader.headers().size() == 2);
    }
}

TEST_CASE("regression_an_empty_chunked_body_cut_before_its_last_byte", "[http][parser]") {
    const std::string text =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        INFO(step);
        RequestReader reader{{}};
        std::string buffer;
        REQUIRE(feed(reader, buffer, text, step) == State::complete);
        CHECK(reader.body().size == 0);
    }
}

TEST_CASE("a reader goes on with the next request", "[http][parser]") {
    RequestReader reader{{}};
    std::string text = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /2 HTTP/1.0\r\n\r\n";
    std::size_t size = text.size();
    REQUIRE(reader.advance(text.data(), size) == State::complete);
    text.erase(0, reader.consumed());
    reader.reset();
    size = text.size();
    REQUIRE(reader.advance(text.data(), size) == State::complete);
    CHECK(part(text, reader.path()) == "/2");
    CHECK(reader.http_1_0());
    CHECK_FALSE(reader.keep_alive());
}

TEST_CASE("targets are paths, URLs or the star of OPTIONS", "[http][parser]") {
    const auto path_of = [](const std::string& line) {
        RequestReader reader{{}};
        std::string buffer;
        const State state = feed(reader, buffer, line + " HTTP/1.1\r\nHost: x\r\n\r\n", 4096);
        return state == State::complete ? std::string{part(buffer, reader.path())} + "|" +
                                              std::string{part(buffer, reader.query())}
                                        : "fault";
    };
    CHECK(path_of("GET /a?b?c") == "/a|b?c");
    CHECK(path_of("GET http://h:1/a?b") == "/a|b");
    CHECK(path_of("GET HTTPS://h") == "|");
    CHECK(path_of("GET http://h?q") == "|q");
    CHECK(path_of("OPTIONS *") == "*|");
    CHECK(path_of("GET *") == "fault");
    CHECK(path_of("CONNECT h:1") == "fault");
}

TEST_CASE("requests that could be read in two ways are refused", "[http][parser][smuggling]") {
    const std::string head = "POST / HTTP/1.1\r\nHost: x\r\n";
    CHECK(fault_status(head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(fault_status(head + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n") == 400);
    CHECK(fault_status(head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n") == 400);
    CHECK(fault_status(head + "Content-Length: -1\r\n\r\n") == 400);
    CHECK(fault_status(head + "Content-Length: +1\r\n\r\n") == 400);
    CHECK(fault_status(head + "Transfer-Encoding: xchunked\r\n\r\n") == 501);
    CHECK(fault_status(head + "Transfer-Encoding: gzip, chunked\r\n\r\n") == 501);
    CHECK(fault_status(head + "X: a\r\n b\r\n\r\n") == 400);
    CHECK(fault_status(head + "Host: y\r\n\r\n") == 400);
    CHECK(fault_status(head + "X : a\r\n\r\n") == 400);
    CHECK(fault_status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(fault_status(head + "Expect: miracles\r\n\r\n") == 417);
    CHECK(fault_status(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n") == 400);
    CHECK(fault_status(head + "Transfer-Encoding: chunked\r\n\r\n65\r\n") == 413);
}

TEST_CASE("limits hold when a request comes byte by byte", "[http][parser]") {
    RequestReader header_reader{{200, 100, 10}};
    std::string buffer;
    const std::string long_header =
        "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(300, 'a') + "\r\n";
    CHECK(feed(header_reader, buffer, long_header, 1) == State::failed);
    CHECK(header_reader.fault().status == 431);

    RequestReader many{{4096, 100, 10}};
    std::string lines = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < 20; ++i) {
        lines += "A: b\r\n";
    }
    buffer.clear();
    CHECK(feed(many, buffer, lines + "\r\n", 1) == State::failed);
    CHECK(many.fault().status == 431);

    RequestReader chunks{{200, 100, 10}};
    std::string text = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 101; ++i) {
        text += "1\r\nx\r\n";
    }
    buffer.clear();
    CHECK(feed(chunks, buffer, text, 1) == State::failed);
    CHECK(chunks.fault().status == 413);
    CHECK(buffer.size() < 300);
}

TEST_CASE("the longest path wins, an exact one before a prefix", "[http][routes]") {
    RouteTable table;
    const auto exact = table.add(route("GET", "/api/v3/time"));
    const auto any = table.add(route("*", "/api/<tail>"));
    const auto deep = table.add(route("POST", "/api/v3/<tail>"));
    CHECK(table.add(route("*", "/api/<tail>")) == 0);
    CHECK(table.find("GET", "/api/v3/time").route->handle == exact);
    CHECK(table.find("HEAD", "/api/v3/time").route->handle == exact);
    CHECK(table.find("POST", "/api/v3/x").route->handle == deep);
    CHECK(table.find("POST", "/api/v3/x").tail == "x");
    CHECK(table.find("GET", "/api/v3/x").route->handle == any);
    CHECK(table.find("GET", "/api/v3/x").tail == "v3/x");
    CHECK(table.find("GET", "/api").route == nullptr);
    CHECK_FALSE(table.find("GET", "/other").path_known);
    CHECK(table.remove(any));
    CHECK_FALSE(table.remove(any));
    CHECK(table.find("GET", "/api/v3/x").route == nullptr);
    CHECK(table.find("GET", "/api/v3/x").path_known);
    CHECK(table.allowed("/api/v3/x") == "POST");
    CHECK(table.remove(exact));
    CHECK(table.remove(deep));
}

TEST_CASE("a header value cannot start a header of its own", "[http][response]") {
    std::string out;
    const tenon_http_header header{tenon::str("X"), tenon::str("a\r\nSet-Cookie: b")};
    tenon_http_response response{};
    response.size = sizeof response;
    response.status = 200;
    response.headers = &header;
    response.header_count = 1;
    append_response(out, response, {200, {}, {}}, {"D", "", false, false, false});
    CHECK(out == "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\nX: a  Set-Cookie: b\r\n\r\n");
}

TEST_CASE("the date follows the clock", "[http][response]") {
    DateCache date;
    CHECK(date.at(784'111'777'000'000'000) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(date.at(784'111'777'999'999'999) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(date.at(784'111'778'000'000'000) == "Sun, 06 Nov 1994 08:49:38 GMT");
}

TEST_CASE("the wheel gives back every entry, not before its time", "[http][timer]") {
    TimerWheel wheel{0};
    const std::int64_t tick = TimerWheel::k_tick_ns;
    std::vector<std::uint64_t> due;
    const auto note = [&](std::uint64_t id) { due.push_back(id); };
    CHECK(wheel.add(1, tick) == tick);
    CHECK(wheel.add(2, tick + 1) == 2 * tick);
    CHECK(wheel.add(3, 0) == tick);
    wheel.advance(tick - 1, note);
    CHECK(due.empty());
    wheel.advance(tick, note);
    CHECK(due == std::vector<std::uint64_t>{1, 3});
    wheel.advance(2 * tick, note);
    CHECK(due.back() == 2);
    CHECK(wheel.add(4, 1'000'000 * tick) < 1'000 * tick);
    wheel.advance(900'000 * tick, note);
    CHECK(due.back() == 4);
}

TEST_CASE("only well-formed UTF-8 passes", "[http][utf8]") {
    CHECK(is_utf8("plain ascii text, longer than a word"));
    CHECK(is_utf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
    for (const std::string_view bad :
         {"\x80",
          "\xC0\x80",
          "\xC3",
          "\xE0\x80\x80",
          "\xED\xA0\x80",
          "\xF0\x80\x80\x80",
          "\xF4\x90\x80\x80",
          "\xF5\x80\x80\x80",
          "\xE2\x82",
          "ab\xFFgh"}) {
        CHECK_FALSE(is_utf8(bad));
    }
}

TEST_CASE("the handshake's key is answered as in the standard's example", "[http][ws]") {
    CHECK(accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("settings that contradict each other are named", "[http][K3]") {
    CHECK_THROWS_WITH(
        parse_settings(R"({"ws_ping_interval_ms": 5000, "ws_pong_timeout_ms": 5000})"),
        Catch::Contains("ws_pong_timeout_ms (5000)")
    );
    CHECK_THROWS_AS(parse_settings(R"({"cors_origin": "a b"})"), tenon::Error);
    CHECK(parse_settings(R"({"pipeline_max": 7})").pipeline_max == 7);
}

TEST_CASE("an address is limited by itself, one of IPv6 by its network", "[http][H2]") {
    const auto key = [](std::string_view address) {
        return std::string{tenon::AddressKey{address}.view()};
    };
    CHECK(key("192.0.2.1") == "192.0.2.1");
    CHECK(key("::ffff:192.0.2.1") == "192.0.2.1");
    CHECK(key("2001:db8:1:2:3:4:5:6") == "2001:0db8:0001:0002::/64");
    CHECK(key("2001:DB8:1:2::9") == key("2001:db8:1:2:ffff::1"));
    CHECK(key("2001:db8:1:3::9") != key("2001:db8:1:2::9"));
    CHECK(key("2001:db8::1") == "2001:0db8:0000:0000::/64");
    CHECK(key("1:2:3:4:5:6:7::") == "0001:0002:0003:0004::/64");
    CHECK(key("::1:2:3:4:5:6:7") == "0000:0001:0002:0003::/64");
    CHECK(key("::1") == "0000:0000:0000:0000::/64");
    CHECK(key("fe80::1%eth0") == "fe80:0000:0000:0000::/64");
    for (const char* const none :
         {"", "x:y", "1:2:3", "1:2:3:4:5:6:7:8:9", "1::2:3:4:5:6:7:8:9", "12345::", ":1", "unix"}) {
        CHECK(key(none) == none);
    }
}
