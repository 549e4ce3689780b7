// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/http_fixture.hpp"

#include <tenon/throttle.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace tenon;
using namespace tenon::test;

namespace {

const std::string k_get = "GET /a HTTP/1.1\r\nHost: test\r\n\r\n";

std::string post(const std::string& body) {
    return "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

void mount_echo(Gateway& gateway) {
    gateway.mount("POST", "/echo", [&gateway](const tenon_http_request& request) {
        gateway.respond(request.handle, view(request.body));
    });
}

}  // namespace

TEST_CASE("a mounted path answers and its connection is kept", "[http][T6]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    Client client{gateway.port()};
    for (int i = 0; i < 3; ++i) {
        client.send(k_get);
        const std::string response = client.response();
        CHECK(response.starts_with("HTTP/1.1 200 OK\r\nDate: "));
        CHECK(response.find("Content-Type: text/plain\r\n") != std::string::npos);
        CHECK(body_of(response) == "hello");
    }
    CHECK(gateway.host().metric("tenon_http_requests_total", "status=\"2xx\"") == 3);
    CHECK(gateway.host().metric("tenon_http_connections") == 1);
}

TEST_CASE("the request reaches the handler in its parts", "[http][T6]") {
    Gateway gateway;
    std::string seen;
    gateway.mount("*", "/api/<tail>", [&](const tenon_http_request& request) {
        seen.append(view(request.method)).append(" ").append(view(request.path)).append(" ");
        seen.append(view(request.query)).append(" ").append(view(request.tail)).append(" ");
        seen.append(view(request.remote));
        for (std::uint32_t i = 0; i < request.header_count; ++i) {
            seen.append(" ").append(view(request.headers[i].name)).append("=");
            seen.append(view(request.headers[i].value));
        }
        gateway.respond(request.handle, "");
    });
    Client client{gateway.port()};
    client.send(
        "DELETE http://host/api/x/y?q=1&r=%20 HTTP/1.1\r\nHost: test\r\nX-MBX-APIKEY: Key\r\n\r\n"
    );
    CHECK(status_of(client.response()) == 200);
    CHECK(seen == "DELETE /api/x/y q=1&r=%20 x/y 127.0.0.1 host=test x-mbx-apikey=Key");
}

TEST_CASE("what is not mounted is refused in JSON", "[http][T6]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    Client client{gateway.port()};
    client.send("GET /b HTTP/1.1\r\nHost: test\r\n\r\nPOST /a HTTP/1.1\r\nHost: test\r\n\r\n");
    const std::string missing = client.response();
    CHECK(status_of(missing) == 404);
    CHECK(
        body_of(missing) ==
        R"({"error":{"code":"not_found","message":"nothing is mounted at this path"}})"
    );
    const std::string method = client.response();
    CHECK(status_of(method) == 405);
    CHECK(method.find("Allow: GET, HEAD\r\n") != std::string::npos);
    gateway.host().set_ready(false);
    client.send("GET /b HTTP/1.1\r\nHost: test\r\n\r\n");
    CHECK(status_of(client.response()) == 503);
}

TEST_CASE("pipelined requests are answered in order though answers come out of order", "[http]") {
    Gateway gateway;
    std::vector<std::uint64_t> waiting;
    gateway.mount("GET", "/later/<tail>", [&](const tenon_http_request& request) {
        waiting.push_back(request.handle);
        if (waiting.size() == 3) {
            for (auto i = waiting.rbegin(); i != waiting.rend(); ++i) {
                gateway.respond(*i, std::to_string(&*i - waiting.data()));
            }
        }
    });
    Client client{gateway.port()};
    std::string all;
    for (const char* path : {"/later/0", "/later/1", "/later/2"}) {
        all += "GET " + std::string{path} + " HTTP/1.1\r\nHost: test\r\n\r\n";
    }
    client.send(all);
    CHECK(body_of(client.response()) == "0");
    CHECK(body_of(client.response()) == "1");
    CHECK(body_of(client.response()) == "2");
}

TEST_CASE("more pipelined requests than the bound are all answered", "[http]") {
    Gateway gateway{R"({"pipeline_max": 4})"};
    mount_echo(gateway);
    std::string all;
    for (int i = 0; i < 50; ++i) {
        all += post(std::to_string(i));
    }
    Client client{gateway.port()};
    client.send(all);
    for (int i = 0; i < 50; ++i) {
        CHECK(body_of(client.response()) == std::to_string(i));
    }
}

TEST_CASE("an answer may come in a later turn with the request still readable", "[http]") {
    Gateway gateway{R"({"pipeline_max": 2})"};
    std::vector<tenon_http_request> waiting;
    gateway.mount("POST", "/echo", [&](const tenon_http_request& request) {
        waiting.push_back(request);
    });
    Client client{gateway.port()};
    client.send(post("first") + post("second") + post("third"));
    std::size_t answered = 0;
    while (answered < 3) {
        gateway.on_reactor([&] {
            CHECK(waiting.size() <= 2);
            for (const tenon_http_request& request : std::exchange(waiting, {})) {
                gateway.respond(request.handle, view(request.body));
                ++answered;
            }
        });
    }
    CHECK(body_of(client.response()) == "first");
    CHECK(body_of(client.response()) == "second");
    CHECK(body_of(client.response()) == "third");
}

TEST_CASE("a request may be answered after its client has gone", "[http]") {
    Gateway gateway;
    std::vector<tenon_http_request> waiting;
    gateway.mount("POST", "/echo", [&](const tenon_http_request& request) {
        waiting.push_back(request);
    });
    {
        Client client{gateway.port()};
        client.send(post("body"));
        bool here = false;
        while (!here) {
            gateway.on_reactor([&] { here = !waiting.empty(); });
        }
    }
    gateway.on_reactor([&] {
        CHECK(view(waiting[0].body) == "body");
        const tenon_http_request& request = waiting[0];
        tenon_http_response response{};
        response.size = sizeof response;
        response.status = 200;
        const auto routes = gateway.routes();
        CHECK(routes->respond(routes.self, request.handle, &response) == TENON_OK);
        CHECK(routes->respond(routes.self, request.handle, &response) == TENON_NOT_FOUND);
    });
}

TEST_CASE("HEAD has no body, HTTP/1.0 closes unless asked to stay", "[http]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    {
        Client client{gateway.port()};
        client.send("HEAD /a HTTP/1.1\r\nHost: test\r\n\r\n" + k_get);
        CHECK(client.response(true).find("Content-Length: 5\r\n") != std::string::npos);
        CHECK(body_of(client.response()) == "hello");
    }
    {
        Client client{gateway.port()};
        client.send("GET /a HTTP/1.0\r\n\r\n");
        CHECK(client.read_to_end().find("Connection: close\r\n") != std::string::npos);
    }
    Client client{gateway.port()};
    client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(client.response().find("Connection: keep-alive\r\n") != std::string::npos);
    client.send("GET /a HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    CHECK(body_of(client.read_to_end()) == "hello");
}

TEST_CASE("a client that expects it is told to continue", "[http]") {
    Gateway gateway;
    mount_echo(gateway);
    Client client{gateway.port()};
    client.send(
        "POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    );
    CHECK(client.response() == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    CHECK(body_of(client.response()) == "body");
}

TEST_CASE("malformed and oversized requests get an error in JSON and a close", "[http]") {
    Gateway gateway{R"({"header_max_bytes": 1024, "body_max_bytes": 100})"};
    mount_echo(gateway);

    struct Case {
        std::string request;
        int status;
    };

    const std::string pad(2000, 'x');
    const Case cases[] = {
        {"GARBAGE\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: " + pad + "\r\n\r\n", 431},
        {"GET /" + pad + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
        {post(std::string(101, 'b')), 413},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
    };
    for (const Case& c : cases) {
        INFO(c.request);
        Client client{gateway.port()};
        client.send(c.request);
        client.stop_sending();
        const std::string response = client.read_to_end();
        CHECK(status_of(response) == c.status);
        CHECK(body_of(response).starts_with(R"({"error":{"code":")"));
        CHECK(response.find("Connection: close\r\n") != std::string::npos);
    }
}

TEST_CASE("a slow client gets a large answer whole", "[http]") {
    Gateway gateway;
    const std::string large(3'000'000, 'z');
    gateway.mount_text("/a", large);
    Client client{gateway.port()};
    client.set_receive_buffer(65536);
    client.send(k_get + k_get);
    CHECK(body_of(client.response()) == large);
    CHECK(body_of(client.response()) == large);
}

TEST_CASE("idle connections are closed, unfinished requests answered with 408", "[http]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    Client idle{gateway.port()};
    Client slow{gateway.port()};
    idle.send(k_get);
    CHECK(body_of(idle.response()) == "hello");
    slow.send("GET /a HT");
    while (gateway.host().metric("tenon_http_connections") != 2) {}
    gateway.on_reactor([] {});
    gateway.host().reactor().advance(11'000'000'000);
    CHECK(status_of(slow.response()) == 408);
    gateway.host().reactor().advance(70'000'000'000);
    CHECK(idle.read_to_end().empty());
}

TEST_CASE("connections over the limit are refused with 503", "[http]") {
    Gateway gateway{R"({"connections_max": 1})"};
    gateway.mount_text("/a", "hello");
    Client first{gateway.port()};
    first.send(k_get);
    CHECK(body_of(first.response()) == "hello");
    Client second{gateway.port()};
    CHECK(status_of(second.response()) == 503);
    CHECK(gateway.host().metric("tenon_http_connections_refused_total") == 1);
}

TEST_CASE("a handler that goes leaves no request unanswered", "[http]") {
    Gateway gateway;
    std::size_t seen = 0;
    const std::uint64_t handle =
        gateway.mount("GET", "/a", [&](const tenon_http_request&) { ++seen; });
    Client client{gateway.port()};
    client.send(k_get + k_get);
    std::size_t now = 0;
    while (now < 2) {
        gateway.on_reactor([&] { now = seen; });
    }
    gateway.routes()->unmount(gateway.routes().self, handle);
    CHECK(status_of(client.response()) == 503);
    CHECK(status_of(client.response()) == 503);
    client.send(k_get);
    CHECK(status_of(client.response()) == 404);
}

TEST_CASE("draining closes idle connections and refuses new ones", "[http]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    Client client{gateway.port()};
    client.send(k_get);
    CHECK(body_of(client.response()) == "hello");
    gateway.drain(5'000'000'000);
    CHECK(client.read_to_end().empty());
    CHECK_THROWS(Client{gateway.port()});
    CHECK_FALSE(std::filesystem::exists(gateway.data_dir() + "/listen"));
}

TEST_CASE("an answer that comes after the stop finds no connection", "[http]") {
    Gateway gateway;
    std::promise<std::uint64_t> asked;
    gateway.mount("GET", "/late", [&](const tenon_http_request& request) {
        asked.set_value(request.handle);
    });
    Client client{gateway.port()};
    client.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    const std::uint64_t handle = asked.get_future().get();
    gateway.stop();
    gateway.on_reactor([&] {
        tenon_http_response response{};
        response.size = sizeof response;
        response.status = 200;
        const auto routes = gateway.routes();
        CHECK(routes->respond(routes.self, handle, &response) == TENON_NOT_FOUND);
        CHECK(routes->ws_close(routes.self, handle, 1000, {}) == TENON_NOT_FOUND);
        CHECK(routes->ws_queued(routes.self, handle) == 0);
    });
}

TEST_CASE("the same path and method cannot be mounted twice", "[http]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    CHECK_THROWS_AS(gateway.mount_text("/a", "again"), Error);
    CHECK_THROWS_AS(gateway.mount_text("a", "no slash"), Error);
}

TEST_CASE("without an address nothing is listened on", "[http]") {
    Gateway gateway{"{}", ""};
    CHECK(gateway.port() == 0);
}

TEST_CASE("an address that is taken is named in the error", "[http]") {
    Gateway gateway;
    const std::string address = "127.0.0.1:" + std::to_string(gateway.port());
    CHECK_THROWS_WITH(
        (Gateway{"{}", address}),
        Catch::Contains(address) && Catch::Contains("Address already in use")
    );
    CHECK_THROWS_WITH((Gateway{"{}", "nonsense"}), Catch::Contains("expected ADDR:PORT"));
}

TEST_CASE("it listens on IPv6", "[http]") {
    Gateway gateway{"{}", "[::1]:0"};
    CHECK(gateway.port() != 0);
}

TEST_CASE("pages of the configured origin may read answers", "[http]") {
    Gateway gateway{R"({"cors_origin": "https://a.example"})"};
    gateway.mount_text("/a", "hello");
    Client client{gateway.port()};
    client.send(
        "OPTIONS /a HTTP/1.1\r\nHost: t\r\nOrigin: https://a.example\r\n"
        "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-mbx-apikey\r\n\r\n"
    );
    const std::string preflight = client.response();
    CHECK(status_of(preflight) == 204);
    CHECK(preflight.find("Access-Control-Allow-Headers: x-mbx-apikey\r\n") != std::string::npos);
    client.send(k_get);
    CHECK(
        client.response().find("Access-Control-Allow-Origin: https://a.example\r\n") !=
        std::string::npos
    );
}

namespace {

// Lets so many requests through.
class FewThrottle final : public tenon::Throttle {
public:
    explicit FewThrottle(int left) : left_{left} {}

    std::optional<std::uint32_t> find(std::string_view limit) const override {
        return limit == "inbound" ? std::optional<std::uint32_t>{7} : std::nullopt;
    }

    tenon_status take(Claims claims, std::int64_t, std::int64_t& retry_after_ns) noexcept override {
        right_ = right_ && claims.size() == 1 && claims[0].limit == 7 && claims[0].cost == 1 &&
                 tenon::view(claims[0].key) == "127.0.0.1";
        retry_after_ns = 2'500'000'000;
        return left_.fetch_sub(1) > 0 ? TENON_OK : TENON_LIMITED;
    }

    void refund(Claims, std::int64_t) noexcept override {}

    bool state(std::uint32_t, std::string_view, std::int64_t, tenon_throttle_state&) noexcept
        override {
        return false;
    }

    std::string level(std::string_view) const override { return "custom"; }

    void set_level(std::string_view, std::string_view) override {}

    std::string stats() const override { return "{}"; }

    void allow(int more) { left_ = more; }

    [[nodiscard]] bool right() const { return right_; }

private:
    std::atomic<int> left_;
    std::atomic<bool> right_{true};
};

}  // namespace

TEST_CASE("an address over its limit is told when to come again, on every path", "[http][H2]") {
    FewThrottle throttle{2};
    const tenon_iface iface{
        static_cast<tenon::Throttle*>(&throttle), tenon::Throttle::table(throttle)};
    Gateway gateway{R"({"address_limit": "inbound"})", "127.0.0.1:0", &iface};
    gateway.mount_text("/api/status", "fine");
    gateway.mount_text("/readyz", "ready");
    Client client{gateway.port()};
    const auto get = [&](std::string_view path) {
        client.send("GET " + std::string{path} + " HTTP/1.1\r\nHost: x\r\n\r\n");
        return client.response();
    };
    CHECK(status_of(get("/api/status")) == 200);
    CHECK(status_of(get("/nothing")) == 404);
    const std::string refused = get("/api/status");
    CHECK(status_of(refused) == 429);
    CHECK(refused.find("Retry-After: 3\r\n") != std::string::npos);
    CHECK(body_of(refused).find("too_many_requests") != std::string::npos);
    CHECK(status_of(client.upgrade("/ws")) == 429);
    CHECK(gateway.host().metric("tenon_http_limited_total") == 2);
    CHECK(status_of(get("/readyz")) == 200);  // who watches the server is told the truth
    throttle.allow(1);
    CHECK(status_of(get("/api/status")) == 200);
    CHECK(throttle.right());
}

TEST_CASE("a limit by address that nobody has is refused at the start", "[http][H2]") {
    CHECK_THROWS_WITH(
        Gateway{R"({"address_limit": "inbound"})"}, Catch::Contains("no throttle for inbound")
    );
    FewThrottle throttle{1};
    const tenon_iface iface{
        static_cast<tenon::Throttle*>(&throttle), tenon::Throttle::table(throttle)};
    CHECK_THROWS_WITH(
        (Gateway{R"({"address_limit": "other"})", "127.0.0.1:0", &iface}),
        Catch::Contains("the throttle has no limit other")
    );
}

namespace {

// Lets `places` requests of each key be under way, and remembers how they ended.
class FewPlaces final : public tenon::Throttle {
public:
    explicit FewPlaces(int places) : places_{places} {}

    std::optional<std::uint32_t> find(std::string_view limit) const override {
        return limit == "work" ? std::optional<std::uint32_t>{4} : std::nullopt;
    }

    tenon_status take(Claims claims, std::int64_t, std::int64_t&) noexcept override {
        const std::lock_guard lock{mutex_};
        int& used = used_[std::string{tenon::view(claims[0].key)}];
        return used < places_ ? (++used, TENON_OK) : TENON_LIMITED;
    }

    void refund(Claims, std::int64_t) noexcept override {}

    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t
    ) noexcept override {
        const std::lock_guard lock{mutex_};
        --used_[std::string{key}];
        ended_ += std::to_string(limit) + " " + std::string{key} + " " +
                  std::to_string(feedback.outcome) + (feedback.latency_ns < 0 ? " early;" : ";");
    }

    bool state(std::uint32_t, std::string_view, std::int64_t, tenon_throttle_state&) noexcept
        override {
        return false;
    }

    std::string level(std::string_view) const override { return "custom"; }

    void set_level(std::string_view, std::string_view) override {}

    std::string stats() const override { return "{}"; }

    std::string ended() {
        const std::lock_guard lock{mutex_};
        return std::exchange(ended_, {});
    }

    int used(const std::string& key) {
        const std::lock_guard lock{mutex_};
        return used_[key];
    }

private:
    std::mutex mutex_;
    int places_;
    std::map<std::string, int> used_;
    std::string ended_;
};

}  // namespace

TEST_CASE("a handler that has enough to do is given no more", "[http][H5]") {
    FewPlaces places{2};
    const tenon_iface iface{static_cast<tenon::Throttle*>(&places), tenon::Throttle::table(places)};
    Gateway gateway{
        R"({"concurrency_limit": "work", "concurrency_path": "/api/"})", "127.0.0.1:0", &iface};
    std::vector<std::uint64_t> waiting;
    const auto wait = [&](const tenon_http_request& request) { waiting.push_back(request.handle); };
    gateway.mount("GET", "/api/slow/<tail>", wait);
    gateway.mount("DELETE", "/api/slow/<tail>", wait);
    gateway.mount("GET", "/free", wait);
    gateway.mount_text("/api/quick", "fine");
    const auto reached = [&](std::size_t count) {
        std::size_t size = 0;
        for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
             size < count && std::chrono::steady_clock::now() < end;) {
            gateway.on_reactor([&] { size = waiting.size(); });
        }
        return size == count;
    };
    const std::string end_of_head = " HTTP/1.1\r\nHost: x\r\n\r\n";
    std::vector<std::unique_ptr<Client>> clients;
    for (const char* const what :
         {"GET /api/slow/1", "GET /api/slow/2", "DELETE /api/slow/1", "GET /free"}) {
        clients.push_back(std::make_unique<Client>(gateway.port()));
        clients.back()->send(what + end_of_head);
        REQUIRE(reached(clients.size()));
    }
    Client client{gateway.port()};
    client.send("GET /api/slow/3" + end_of_head);
    const std::string refused = client.response();
    CHECK(status_of(refused) == 503);
    CHECK(refused.find("Retry-After: 1\r\n") != std::string::npos);
    CHECK(body_of(refused).find("\"overloaded\"") != std::string::npos);
    CHECK(places.used("GET /api/slow/<tail>") == 2);
    client.send("GET /api/quick" + end_of_head);
    CHECK(status_of(client.response()) == 200);
    CHECK(places.ended() == "4 GET /api/quick 0;");
    gateway.on_reactor([&] {
        gateway.respond(waiting[0], "one");
        gateway.respond(waiting[1], "two", 500);
        gateway.respond(waiting[2], "gone");
        gateway.respond(waiting[3], "free");
    });
    CHECK(status_of(clients[1]->response()) == 500);
    for (const std::size_t i : {0U, 2U, 3U}) {
        CHECK(status_of(clients[i]->response()) == 200);
    }
    CHECK(places.ended() == "4 GET /api/slow/<tail> 0;4 GET /api/slow/<tail> 1;");
    CHECK(gateway.host().metric("tenon_http_overloaded_total") == 1);
}

TEST_CASE("a client that goes gives its place back when its handler answers", "[http][H5]") {
    FewPlaces places{1};
    const tenon_iface iface{static_cast<tenon::Throttle*>(&places), tenon::Throttle::table(places)};
    Gateway gateway{
        R"({"concurrency_limit": "work", "concurrency_path": "/"})", "127.0.0.1:0", &iface};
    std::promise<std::uint64_t> asked;
    gateway.mount("GET", "/slow", [&](const tenon_http_request& request) {
        asked.set_value(request.handle);
    });
    std::optional<Client> client{gateway.port()};
    client->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::uint64_t handle = asked.get_future().get();
    client.reset();
    CHECK(places.used("GET /slow") == 1);
    gateway.on_reactor([&] { gateway.respond(handle, "late"); });
    CHECK(places.used("GET /slow") == 0);
}

TEST_CASE("a throttle that hears of no answers limits no concurrency", "[http][H5]") {
    FewPlaces places{1};
    tenon_throttle_1 deaf = *static_cast<const tenon_throttle_1*>(tenon::Throttle::table(places));
    deaf.observe = nullptr;
    const tenon_iface iface{static_cast<tenon::Throttle*>(&places), &deaf};
    CHECK_THROWS_WITH(
        (Gateway{R"({"concurrency_limit": "work"})", "127.0.0.1:0", &iface}),
        Catch::Contains("no place would ever come back")
    );
}
