// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/market_link.hpp"

#include "sdk/net/ws_codec.hpp"
#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <future>
#include <memory>
#include <vector>

using namespace std::chrono_literals;
using tenon::binance_venue::MarketLink;
using tenon::binance_venue::MarketLinkOptions;
using tenon::test::local_url;
using tenon::test::NetRig;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

struct Heard final : MarketLink::Events {
    int ups = 0, breaks = 0;
    std::vector<std::string> texts;

    void link_up() override { ++ups; }

    void link_message(std::string_view text) override { texts.emplace_back(text); }

    void link_broken(const std::string&) override { ++breaks; }

    [[nodiscard]] bool has(const std::string& text) const {
        return std::find(texts.begin(), texts.end(), text) != texts.end();
    }
};

void shake_hands(WireConnection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    const std::size_t at = head.find("Sec-WebSocket-Key: ") + 19;
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        tenon::net::ws_accept_of(head.substr(at, head.find("\r\n", at) - at)) + "\r\n\r\n"
    );
}

void say(WireConnection& connection, const std::string& text) {
    connection.send("\x81" + std::string(1, static_cast<char>(text.size())) + text);
}

MarketLinkOptions options(const WireServer& server) {
    MarketLinkOptions out;
    out.url = local_url(server.port());
    out.age_max_ns = std::chrono::nanoseconds{1h}.count();
    return out;
}

}  // namespace

TEST_CASE("a broken stream is told and comes back", "[binance][T4]") {
    WireServer server{[](WireConnection& connection) {
        shake_hands(connection);
        say(connection, "m" + std::to_string(connection.number()));
        if (connection.number() > 2) {
            (void)connection.wait_for_end();
        }
    }};
    NetRig rig;
    Heard heard;
    MarketLink link{rig.network, options(server), heard};
    link.open();
    for (int breaks = 1; breaks <= 2; ++breaks) {
        REQUIRE(rig.until([&] { return heard.breaks == breaks; }));
        rig.host.reactor().advance(std::chrono::nanoseconds{31s}.count());  // the longest wait
    }
    REQUIRE(rig.until([&] { return heard.has("m3"); }));
    CHECK(heard.ups == 3);
    CHECK(heard.breaks == 2);
    CHECK(heard.texts == std::vector<std::string>{"m1", "m2", "m3"});
    CHECK(link.connects() == 3);
}

TEST_CASE("a stream is replaced before it is too old, and nothing is missing", "[binance][T4]") {
    std::promise<void> second_open;
    std::promise<bool> first_ended;
    WireServer server{[&](WireConnection& connection) {
        shake_hands(connection);
        if (connection.number() == 1) {
            say(connection, "1");
            second_open.get_future().wait();
            say(connection, "2");
            first_ended.set_value(connection.wait_for_end());
            return;
        }
        say(connection, "2");
        say(connection, "3");
        second_open.set_value();
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    Heard heard;
    MarketLink link{rig.network, options(server), heard};
    link.open();
    REQUIRE(rig.until([&] { return heard.has("1"); }));
    rig.host.reactor().advance(std::chrono::nanoseconds{61min}.count());
    REQUIRE(rig.until([&] { return heard.has("2"); }));
    CHECK(heard.texts == std::vector<std::string>{"1", "2"});  // the new one's words are held
    rig.host.reactor().advance(std::chrono::nanoseconds{3s}.count());
    REQUIRE(rig.until([&] { return heard.has("3"); }));
    CHECK(heard.texts == std::vector<std::string>{"1", "2", "2", "3"});
    CHECK(heard.breaks == 0);
    CHECK(heard.ups == 1);
    auto ended = first_ended.get_future();
    REQUIRE(rig.until([&] { return ended.wait_for(0s) == std::future_status::ready; }));
}

TEST_CASE("when the old connection goes early the new one takes over at once", "[binance][T4]") {
    std::promise<void> second_spoke;
    WireServer server{[&](WireConnection& connection) {
        shake_hands(connection);
        if (connection.number() == 1) {
            say(connection, "1");
            second_spoke.get_future().wait();
            return;
        }
        say(connection, "2");
        second_spoke.set_value();
        (void)connection.wait_for_end();
    }};
    NetRig rig;
    Heard heard;
    MarketLink link{rig.network, options(server), heard};
    link.open();
    REQUIRE(rig.until([&] { return heard.has("1"); }));
    link.replace();
    REQUIRE(rig.until([&] { return heard.has("2"); }));
    CHECK(heard.breaks <= 1);  // 1: the close was read before the new one's answer
    CHECK(heard.texts == std::vector<std::string>{"1", "2"});
}
