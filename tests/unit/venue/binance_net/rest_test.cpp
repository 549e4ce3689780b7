// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/rest.hpp"

#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <vector>

using namespace std::chrono_literals;
using namespace tenon::binance_venue;
using tenon::test::local_url;
using tenon::test::NetRig;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

constexpr std::int64_t k_time_ms = 1'900'000'000'000;
constexpr std::int64_t k_no_time = 9'000'000'000'000'000'000;

std::string answer(int status, std::string_view body, std::string_view headers = "") {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string{headers} +
           "\r\n" + std::string{body};
}

// An exchange that knows the time; the rest is what `on` says. "" ends the connection.
struct Exchange {
    std::function<std::string(const std::string& line, int count)> on;
    std::mutex mutex;
    std::vector<std::string> lines;  // what was asked but the time
    std::vector<std::string> heads;
    int times = 0;
    int nonsense = 0;  // so many first answers are no time

    WireServer server{[this](WireConnection& connection) {
        while (true) {
            const std::string head = connection.read_until("\r\n\r\n");
            if (head.empty()) {
                return;
            }
            const std::string out = reply(head);
            if (out.empty()) {
                return;
            }
            connection.send(out);
        }
    }};

    std::string reply(const std::string& head) {
        const std::string line = head.substr(0, head.find(" HTTP"));
        std::unique_lock lock{mutex};
        if (line == "GET /api/v3/time") {
            ++times;
            return answer(
                200,
                R"({"serverTime":)" + std::to_string(times <= nonsense ? k_no_time : k_time_ms) +
                    "}",
                "x-mbx-used-weight-1m: 1\r\n"
            );
        }
        lines.push_back(line);
        heads.push_back(head);
        const auto count = static_cast<int>(lines.size());
        lock.unlock();  // it may wait
        return on(line, count);
    }

    std::size_t asked() {
        const std::lock_guard lock{mutex};
        return lines.size();
    }

    int times_asked() {
        const std::lock_guard lock{mutex};
        return times;
    }
};

struct Rig : NetRig {
    Exchange exchange;
    RestOptions options;
    std::shared_ptr<const Signer> signer = std::make_shared<Signer>("the-key", "the-secret");
    std::unique_ptr<ExchangeRest> rest;

    explicit Rig(std::function<std::string(const std::string&, int)> on) {
        exchange.on = std::move(on);
        options.url = local_url(exchange.server.port());
    }

    void open() {
        rest = std::make_unique<ExchangeRest>(
            network,
            tenon::Host{host.raw()}.service<tenon_clock_1>("tenon.clock/1"),
            options,
            RequestWeights{R"({"GET /api/v3/time": 1, "GET /x": 2, "POST /x": 1})"},
            signer
        );
        rest->open();
        REQUIRE(until([&] { return rest->offset().samples() > 0; }));
    }

    RestReply ask(RestRequest request) {
        if (request.deadline_ns == 0) {
            request.deadline_ns = in(20s);
        }
        std::optional<RestReply> got;
        rest->send(std::move(request), [&](RestReply reply) { got = std::move(reply); });
        REQUIRE_FALSE(got);
        REQUIRE(until([&] { return got.has_value(); }));
        return *got;
    }
};

RestRequest request(std::string method, std::string path, std::string query = "") {
    RestRequest out;
    out.method = std::move(method);
    out.path = std::move(path);
    out.query = std::move(query);
    return out;
}

}  // namespace

TEST_CASE("a request is signed by the exchange's clock when it leaves", "[binance][T4]") {
    Rig rig{[](const std::string&, int) {
        return answer(
            200,
            "{}",
            "X-MBX-USED-WEIGHT-1M: 7\r\nX-MBX-ORDER-COUNT-10S: 3\r\nX-MBX-ORDER-COUNT-1D: 9\r\n"
        );
    }};
    rig.open();
    RestRequest order = request("POST", "/x", "symbol=A&side=BUY");
    order.sign = true;
    order.orders = 1;
    const RestReply reply = rig.ask(order);
    REQUIRE(reply.outcome == Outcome::answered);
    CHECK(reply.status == 200);
    CHECK(reply.used_weight == 7);
    CHECK(reply.orders_10s == 3);
    CHECK(reply.orders_1d == 9);
    CHECK(reply.window_ms == 5000);
    CHECK(std::abs(reply.signed_ms - k_time_ms) < 60'000);
    const std::string payload =
        "symbol=A&side=BUY&recvWindow=5000&timestamp=" + std::to_string(reply.signed_ms);
    const std::string line = rig.exchange.lines.at(0);
    CHECK(line == "POST /x?" + payload + "&signature=" + rig.signer->sign(payload));
    CHECK(rig.exchange.heads.at(0).find("X-MBX-APIKEY: the-key\r\n") != std::string::npos);
    rig.rest->close();
}

TEST_CASE("without a credential nothing is signed and nothing sent", "[binance][T4]") {
    Rig rig{[](const std::string&, int) { return answer(200, "{}"); }};
    rig.signer.reset();
    rig.open();
    CHECK_FALSE(rig.rest->can_sign());
    RestRequest order = request("POST", "/x");
    order.sign = true;
    const RestReply reply = rig.ask(order);
    CHECK(reply.outcome == Outcome::not_sent);
    CHECK(reply.reason == "no credential is set");
    CHECK(rig.exchange.asked() == 0);
}

TEST_CASE("an order whose answer is lost is unknown, and never sent twice", "[binance][T9]") {
    Rig rig{[](const std::string&, int) { return std::string{}; }};
    rig.open();
    RestRequest order = request("POST", "/x", "symbol=A");
    order.sign = true;
    const RestReply reply = rig.ask(order);
    CHECK(reply.outcome == Outcome::unknown);
    CHECK(reply.signed_ms != 0);
    CHECK(rig.exchange.asked() == 1);
}

TEST_CASE("a question whose answer is lost is asked again within its deadline", "[binance][T4]") {
    Rig rig{[](const std::string&, int count) {
        return count == 1 ? std::string{} : answer(200, "[]");
    }};
    rig.open();
    for (int i = 0; i < 30; ++i) {  // repetitions are a tenth of all requests at most
        rig.rest->send(request("GET", "/nothing"), [](const RestReply&) {});
    }
    const RestReply reply = rig.ask(request("GET", "/x"));
    CHECK(reply.outcome == Outcome::answered);
    CHECK(rig.exchange.asked() == 2);
}

TEST_CASE("after 429 nothing is sent before the exchange wants it", "[binance][H2]") {
    Rig rig{[](const std::string&, int count) {
        return count == 1 ? answer(429, R"({"code":-1003,"msg":"x"})", "Retry-After: 30\r\n")
                          : answer(200, "{}");
    }};
    rig.open();
    const RestReply limited = rig.ask(request("GET", "/x"));
    CHECK(limited.status == 429);
    CHECK(limited.retry_after_ns == 30'000'000'000);
    RestRequest soon = request("GET", "/x");
    soon.deadline_ns = rig.in(10s);
    const RestReply refused = rig.ask(soon);
    CHECK(refused.outcome == Outcome::not_sent);
    CHECK(refused.retry_after_ns > 0);
    CHECK(rig.exchange.asked() == 1);
    RestRequest patient = request("GET", "/x");
    patient.deadline_ns = rig.in(120s);
    std::optional<RestReply> got;
    rig.rest->send(patient, [&](RestReply reply) { got = std::move(reply); });
    rig.host.reactor().turn(0);
    rig.host.reactor().advance(std::chrono::nanoseconds{31s}.count());
    REQUIRE(rig.until([&] { return got.has_value(); }));
    CHECK(got->status == 200);
}

TEST_CASE("a refused timestamp makes the exchange's time be asked anew", "[binance][T4]") {
    Rig rig{[](const std::string&, int) {
        return answer(400, R"({"code":-1021,"msg":"Timestamp for this request is outside"})");
    }};
    rig.open();
    // The samples of the beginning first: they come every 200 ms.
    for (std::size_t samples = 2; samples <= 5; ++samples) {
        rig.host.reactor().advance(std::chrono::nanoseconds{300ms}.count());
        REQUIRE(rig.until([&] { return rig.rest->offset().samples() >= samples; }));
    }
    const int before = rig.exchange.times_asked();
    RestRequest order = request("POST", "/x");
    order.sign = true;
    CHECK(rig.ask(order).status == 400);
    REQUIRE(rig.until([&] { return rig.exchange.times_asked() > before; }));
}

TEST_CASE("deadlines hold while new limits wait to be in force", "[binance][H2]") {
    std::promise<void> released;
    const std::shared_future<void> until = released.get_future().share();
    std::atomic<bool> there{false};
    Rig rig{[&](const std::string& line, int) {
        if (line == "GET /x?slow") {
            there = true;
            (void)until.wait_for(60s);  // not for ever, when the test fails
        }
        return answer(200, "{}");
    }};
    rig.open();
    std::optional<RestReply> slow, quick;
    RestRequest first = request("GET", "/x", "slow");
    first.deadline_ns = rig.in(60s);
    rig.rest->send(first, [&](RestReply reply) { slow = std::move(reply); });
    REQUIRE(rig.until([&] { return there.load(); }));
    rig.rest->adopt_limits({{tenon::LimitUnit::weight, 3000, 60'000'000'000}});
    RestRequest second = request("DELETE", "/x");
    second.deadline_ns = rig.in(2s);
    rig.rest->send(second, [&](RestReply reply) { quick = std::move(reply); });
    rig.host.reactor().turn();
    rig.host.reactor().advance(std::chrono::nanoseconds{3s}.count());
    REQUIRE(rig.until([&] { return quick.has_value(); }));
    CHECK(quick->outcome == Outcome::not_sent);
    CHECK_FALSE(slow.has_value());
    released.set_value();
    REQUIRE(rig.until([&] { return slow.has_value(); }));
    CHECK(slow->status == 200);
    CHECK(rig.ask(request("GET", "/x")).status == 200);
}

TEST_CASE("new limits do not make a refusal forgotten", "[binance][H2]") {
    std::promise<void> released;
    const std::shared_future<void> until = released.get_future().share();
    std::atomic<bool> there{false};
    Rig rig{[&](const std::string& line, int) {
        if (line == "GET /x?refused") {
            there = true;
            (void)until.wait_for(60s);  // not for ever, when the test fails
            return answer(429, "{}", "Retry-After: 60\r\n");
        }
        return answer(200, "{}");
    }};
    rig.open();
    std::optional<RestReply> refused, next;
    RestRequest first = request("GET", "/x", "refused");
    first.deadline_ns = rig.in(20s);
    rig.rest->send(first, [&](RestReply reply) { refused = std::move(reply); });
    REQUIRE(rig.until([&] { return there.load(); }));
    rig.rest->adopt_limits({{tenon::LimitUnit::weight, 3000, 60'000'000'000}});
    released.set_value();
    REQUIRE(rig.until([&] { return refused.has_value(); }));
    RestRequest second = request("GET", "/x");
    second.deadline_ns = rig.in(20s);
    rig.rest->send(second, [&](RestReply reply) { next = std::move(reply); });
    for (int i = 0; i < 25; ++i) {
        rig.host.reactor().turn();
        rig.host.reactor().advance(std::chrono::nanoseconds{1s}.count());
    }
    REQUIRE(rig.until([&] { return next.has_value(); }));
    CHECK(next->outcome == Outcome::not_sent);
    CHECK(rig.exchange.asked() == 1);
    rig.host.reactor().advance(std::chrono::nanoseconds{60s}.count());
    rig.host.reactor().turn();
    CHECK(rig.ask(request("GET", "/x")).status == 200);
}

TEST_CASE("timestamps that are refused late do not undo a newer measure", "[binance][T4]") {
    std::promise<void> released;
    const std::shared_future<void> until = released.get_future().share();
    std::atomic<bool> there{false};
    Rig rig{[&](const std::string& line, int) {
        if (line.starts_with("GET /x?late")) {
            there = true;
            (void)until.wait_for(60s);  // not for ever, when the test fails
        }
        return answer(400, R"({"code":-1021,"msg":"Timestamp outside."})");
    }};
    rig.open();
    std::optional<RestReply> late;
    std::size_t samples_then = 0;
    RestRequest first = request("GET", "/x", "late=1");
    first.sign = true;
    first.deadline_ns = rig.in(20s);
    rig.rest->send(first, [&](RestReply reply) {
        samples_then = rig.rest->offset().samples();
        late = std::move(reply);
    });
    REQUIRE(rig.until([&] { return there.load(); }));
    RestRequest second = request("GET", "/x");
    second.sign = true;
    CHECK(rig.ask(second).status == 400);
    REQUIRE(rig.until([&] { return rig.rest->offset().samples() > 0; }));
    released.set_value();
    REQUIRE(rig.until([&] { return late.has_value(); }));
    CHECK(late->status == 400);
    CHECK(samples_then > 0);
}

TEST_CASE("a time that cannot be one is not taken", "[binance][T4]") {
    Rig rig{[](const std::string&, int) { return answer(200, "{}"); }};
    rig.exchange.nonsense = 1;
    rig.open();  // which waits for the first sample
    CHECK(rig.exchange.times_asked() >= 2);
    CHECK(std::abs(rig.rest->exchange_now_ms() - k_time_ms) < 60'000);
}

TEST_CASE("the exchange's own limits are kept to, also smaller ones", "[binance][H2]") {
    Rig rig{[](const std::string&, int) { return answer(200, "{}"); }};
    rig.options.share = 1000;
    rig.open();
    rig.rest->adopt_limits({{tenon::LimitUnit::weight, 80, 60'000'000'000}});
    std::size_t sent = 0, refused = 0;
    for (int i = 0; i < 60; ++i) {
        RestRequest wanted = request("GET", "/x");
        wanted.lane = Lane::order;
        wanted.deadline_ns = rig.in(1s);
        rig.rest->send(wanted, [&](const RestReply& reply) {
            ++(reply.outcome == Outcome::answered ? sent : refused);
        });
    }
    REQUIRE(rig.until([&] { return sent + refused == 60; }));
    CHECK(rig.exchange.asked() * 2 <= 80);
    CHECK(refused > 0);
    CHECK(sent > 0);
}

TEST_CASE("closing answers everybody", "[binance][T9]") {
    Rig rig{[](const std::string&, int) { return answer(200, "{}"); }};
    rig.open();
    int answered = 0;
    for (int i = 0; i < 5; ++i) {
        RestRequest wanted = request("GET", "/x");
        wanted.deadline_ns = rig.in(10s);
        rig.rest->send(wanted, [&](const RestReply&) { ++answered; });
    }
    rig.rest->close();
    CHECK(answered == 5);
    CHECK(rig.ask(request("GET", "/x")).outcome == Outcome::not_sent);
}
