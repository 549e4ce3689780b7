// SPDX-License-Identifier: Apache-2.0
#include "tools/load/fan_out.hpp"

#include "tests/unit/load/child_server.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>

using namespace tenon::load;
using tenon::test::ChildServer;

namespace {

std::string frame(const std::string& text) {
    return std::string{"\x81", 1} + static_cast<char>(text.size()) + text;
}

std::int64_t real_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch()
    )
        .count();
}

constexpr const char* k_accepted = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

FanOutOptions options_for(const ChildServer& server) {
    FanOutOptions options;
    options.address = address_of(server.address());
    options.target = "/ws/btcusdt@trade";
    options.subscribers = 3;
    options.duration_ns = 300'000'000;
    return options;
}

}  // namespace

TEST_CASE("the time of an event is read in both of its units", "[load][P1]") {
    CHECK(event_time_ns(R"({"e":"trade","E":1700000000123,"s":"X"})") == 1'700'000'000'123'000'000);
    CHECK(event_time_ns(R"({"E":1700000000123456})") == 1'700'000'000'123'456'000);
    CHECK(
        event_time_ns(R"({"stream":"a","data":{"E":1700000000123}})") == 1'700'000'000'123'000'000
    );
    CHECK(event_time_ns(R"({"e":"bookTicker"})") == 0);
    CHECK(event_time_ns(R"({"E":-5})") == 0);
    CHECK(event_time_ns(R"({"E":99999999999999999999})") == 0);
}

TEST_CASE("each subscriber's messages are counted from the event's time", "[load][P1]") {
    const std::string event = R"({"E":)" + std::to_string(real_ms() - 5'000) + "}";
    const ChildServer server{k_accepted, frame(event)};
    const Run run = fan_out(options_for(server), {});
    CHECK(run.all.errors == 0);
    REQUIRE(run.planned > 0);
    CHECK(run.all.latency.count() == run.planned);
    CHECK(run.all.latency.min_ns() >= 5'000'000'000);
    CHECK(run.operations[0].latency.count() == run.planned);
    // One event for the generator: all but the first to get it are behind that one.
    CHECK(run.operations[1].latency.count() == run.planned - 1);
}

TEST_CASE("a message without an event's time counts in the spread alone", "[load][P1]") {
    const ChildServer server{k_accepted, frame(R"({"u":1})")};
    const Run run = fan_out(options_for(server), {});
    REQUIRE(run.planned > 0);
    CHECK(run.all.latency.count() == 0);
    CHECK(run.operations[1].latency.count() == run.planned - 1);
}

TEST_CASE("a subscriber that the server drops is an error with its reason", "[load][P1]") {
    const ChildServer server{k_accepted, std::string{"\x88\x02\x03\xf0", 4}};
    const Run run = fan_out(options_for(server), {});
    CHECK(run.all.errors == 3);
    CHECK(run.trouble == "closed with code 1008");
}

TEST_CASE("a subscriber that is refused is told with the answer", "[load][P1]") {
    const ChildServer server{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    CHECK_THROWS_WITH(
        fan_out(options_for(server), {}), Catch::Contains("answered HTTP/1.1 404 Not Found")
    );
}
