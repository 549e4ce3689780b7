// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/http_client.hpp"

#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <vector>

using namespace std::chrono_literals;
using tenon::net::HttpClient;
using tenon::net::HttpClientOptions;
using tenon::net::HttpOutcome;
using tenon::net::HttpReply;
using tenon::net::HttpRequest;
using tenon::test::local_url;
using tenon::test::NetRig;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

std::string answer(std::string_view body, std::string_view headers = "") {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string{headers} + "\r\n" + std::string{body};
}

HttpRequest request(NetRig& rig, std::string method, std::string target = "/x") {
    HttpRequest out;
    out.method = std::move(method);
    out.target = std::move(target);
    out.deadline_ns = rig.in(20s);
    return out;
}

HttpReply ask(NetRig& rig, HttpClient& client, HttpRequest wanted) {
    std::optional<HttpReply> got;
    client.send(std::move(wanted), [&](HttpReply reply) { got = std::move(reply); });
    REQUIRE_FALSE(got);  // never inside send
    REQUIRE(rig.until([&] { return got.has_value(); }));
    return *got;
}

HttpClientOptions options(const WireServer& server) {
    HttpClientOptions out;
    out.url = local_url(server.port());
    return out;
}

}  // namespace

TEST_CASE("requests share one connection that is kept", "[net][T4]") {
    std::vector<std::string> heads;
    WireServer server{[&](WireConnection& connection) {
        for (int i = 0; i < 3; ++i) {
            heads.push_back(connection.read_until("\r\n\r\n"));
            connection.send(answer("{\"n\":" + std::to_string(i) + "}", "X-MBX-Used: 7\r\n"));
        }
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    for (int i = 0; i < 3; ++i) {
        HttpRequest wanted = request(rig, "GET", "/p?a=b");
        wanted.headers.emplace_back("X-Key", "k");
        const HttpReply reply = ask(rig, client, wanted);
        REQUIRE(reply.outcome == HttpOutcome::answered);
        CHECK(reply.status == 200);
        CHECK(reply.body == "{\"n\":" + std::to_string(i) + "}");
        CHECK(reply.header("x-mbx-used") == "7");
        CHECK(reply.header("x-none").empty());
    }
    CHECK(server.connections() == 1);
    client.close();
    CHECK(heads[0].starts_with("GET /p?a=b HTTP/1.1\r\nHost: 127.0.0.1:"));
    CHECK(heads[0].find("\r\nX-Key: k\r\n") != std::string::npos);
}

TEST_CASE("an answer may come in pieces, chunked and after an interim one", "[net][T4]") {
    const std::string whole =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        for (const char c : whole) {
            connection.send({&c, 1});
        }
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    const HttpReply reply = ask(rig, client, request(rig, "GET"));
    REQUIRE(reply.outcome == HttpOutcome::answered);
    CHECK(reply.body == "hello world");
}

TEST_CASE("a POST whose answer is lost is unknown and not sent again", "[net][T9]") {
    std::atomic<int> posts{0};
    WireServer server{[&](WireConnection& connection) {
        if (!connection.read_until("\r\n\r\n").empty()) {
            ++posts;
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.cut();
    }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    const HttpReply reply = ask(rig, client, request(rig, "POST"));
    CHECK(reply.outcome == HttpOutcome::unknown);
    CHECK_FALSE(reply.reason.empty());
    CHECK(posts == 1);
    CHECK(client.counts().repeated == 0);
}

TEST_CASE("a GET whose answer is lost is asked again, and not for ever", "[net][T4]") {
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        if (connection.number() == 2) {
            connection.send(answer("ok"));
            (void)connection.wait_for_end();
        }
    }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    CHECK(ask(rig, client, request(rig, "GET")).body == "ok");
    WireServer deaf{[](WireConnection& connection) { (void)connection.read_until("\r\n\r\n"); }};
    HttpClient other{rig.network, options(deaf)};
    CHECK(ask(rig, other, request(rig, "GET")).outcome == HttpOutcome::unknown);
    CHECK(deaf.connections() == 3);
}

TEST_CASE("what cannot connect was certainly not sent", "[net][T9]") {
    int port = 0;
    {
        const WireServer gone{[](WireConnection&) {}};
        port = gone.port();
    }
    NetRig rig;
    HttpClientOptions settings;
    settings.url = local_url(port);
    HttpClient client{rig.network, settings};
    HttpRequest wanted = request(rig, "POST");
    wanted.deadline_ns = rig.in(300ms);
    const HttpReply reply = ask(rig, client, wanted);
    CHECK(reply.outcome == HttpOutcome::not_sent);
    CHECK(reply.reason.find("no connection in time") != std::string::npos);
    CHECK_FALSE(client.trouble().empty());
}

TEST_CASE("a request that could be read as two is not sent", "[net][T9]") {
    std::promise<std::string> first_head;
    WireServer server{[&](WireConnection& connection) {
        first_head.set_value(connection.read_until("\r\n\r\n"));
        connection.send(answer("fine"));
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    const auto refused = [&](HttpRequest wanted) {
        const HttpReply reply = ask(rig, client, std::move(wanted));
        CHECK(reply.outcome == HttpOutcome::not_sent);
        CHECK(reply.reason == "the request has a control character");
    };
    refused(request(rig, "GET", "/a HTTP/1.1\r\nX: y\r\n\r\nDELETE /b"));
    refused(request(rig, "GET", "/a b"));
    HttpRequest header = request(rig, "POST");
    header.headers.emplace_back("X-KEY", "secret\nX-Other: 1");
    refused(std::move(header));
    HttpRequest prepared = request(rig, "POST");
    prepared.prepare = [](HttpRequest& made) { made.target = std::string{"/x\0y", 4}; };
    refused(std::move(prepared));
    HttpRequest failing = request(rig, "POST");
    failing.prepare = [](HttpRequest&) { throw tenon::Error{TENON_INTERNAL, "no signature"}; };
    const HttpReply failed = ask(rig, client, std::move(failing));
    CHECK(failed.outcome == HttpOutcome::not_sent);
    CHECK(failed.reason == "the request cannot be made");

    CHECK(ask(rig, client, request(rig, "GET", "/good")).body == "fine");
    CHECK(first_head.get_future().get().starts_with("GET /good HTTP/1.1\r\n"));
    CHECK(server.connections() == 1);
}

TEST_CASE("a deadline ends a request that is under way as unknown", "[net][T9]") {
    WireServer server{[](WireConnection& connection) { (void)connection.wait_for_end(); }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    std::optional<HttpReply> got;
    client.send(request(rig, "POST"), [&](HttpReply reply) { got = std::move(reply); });
    REQUIRE(rig.until([&] { return client.counts().open == 1; }));
    rig.host.reactor().advance(std::chrono::nanoseconds{21s}.count());
    REQUIRE(rig.until([&] { return got.has_value(); }));
    CHECK(got->outcome == HttpOutcome::unknown);
    CHECK(got->reason == "no answer in time");
    CHECK(client.counts().open == 0);  // its connection is not used for another
}

TEST_CASE("urgent requests get a free connection first", "[net][H7]") {
    std::vector<std::string> order;
    WireServer server{[&](WireConnection& connection) {
        while (true) {
            const std::string head = connection.read_until("\r\n\r\n");
            if (head.empty()) {
                return;
            }
            order.push_back(head.substr(0, head.find(" HTTP")));
            connection.send(answer("1"));
        }
    }};
    NetRig rig;
    HttpClientOptions settings = options(server);
    settings.connections_max = 1;
    HttpClient client{rig.network, settings};
    int done = 0;
    const auto count = [&](const HttpReply&) { ++done; };
    for (const unsigned priority : {2U, 3U, 0U, 2U}) {
        HttpRequest wanted = request(rig, "GET", "/" + std::to_string(priority));
        wanted.priority = priority;
        client.send(std::move(wanted), count);
    }
    REQUIRE(rig.until([&] { return done == 4; }));
    client.close();
    CHECK(order == std::vector<std::string>{"GET /0", "GET /2", "GET /2", "GET /3"});
}

TEST_CASE(
    "an answer over the bound, without length or of garbage ends the connection",
    "[net][T4]"
) {
    const std::string what = GENERATE(
        std::string{"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"} + std::string(2000, 'x'),
        std::string{"HTTP/1.1 200 OK\r\n\r\nendless"},
        std::string{"SSH-2.0-what\r\n\r\n"}
    );
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        connection.send(what);
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    HttpClientOptions settings = options(server);
    settings.body_max = 1000;
    HttpClient client{rig.network, settings};
    const HttpReply reply = ask(rig, client, request(rig, "POST"));
    CHECK(reply.outcome == HttpOutcome::unknown);
    CHECK(reply.reason.starts_with("the answer cannot be read"));
}

TEST_CASE("an idle connection that the server closes costs no request", "[net][T4]") {
    std::promise<void> closed;
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        connection.send(answer("a"));
        if (connection.number() > 1) {
            (void)connection.wait_for_end();
        }
    }};
    NetRig rig;
    HttpClient client{rig.network, options(server)};
    CHECK(ask(rig, client, request(rig, "POST")).body == "a");
    REQUIRE(rig.until([&] { return client.counts().open == 0; }));
    CHECK(ask(rig, client, request(rig, "POST")).body == "a");
    CHECK(client.counts().lost == 0);
}

TEST_CASE("closing answers what waits and what is under way", "[net][T9]") {
    std::atomic<int> seen{0};
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        ++seen;
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    HttpClientOptions settings = options(server);
    settings.connections_max = 1;
    HttpClient client{rig.network, settings};
    std::vector<HttpOutcome> ends;
    const auto note = [&](const HttpReply& reply) { ends.push_back(reply.outcome); };
    client.send(request(rig, "POST"), note);
    client.send(request(rig, "POST"), note);
    REQUIRE(rig.until([&] { return seen == 1; }));
    client.close();
    CHECK(ends == std::vector<HttpOutcome>{HttpOutcome::unknown, HttpOutcome::not_sent});
    CHECK(ask(rig, client, request(rig, "GET")).outcome == HttpOutcome::not_sent);
}
