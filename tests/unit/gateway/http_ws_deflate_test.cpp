// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/ws_deflate.hpp"
#include "plugins/gateway/http/ws_frame.hpp"
#include "plugins/gateway/http/ws_reader.hpp"
#include "tests/unit/gateway/http_echo.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::test;
using http::WsDeflater;
using http::WsInflater;
using http::WsReader;
using Outcome = WsInflater::Outcome;

namespace {

constexpr std::string_view k_offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
constexpr std::string_view k_always = R"({"ws_deflate": "always", "ws_messages_per_second": 0})";

// A failure prints it; TENON_SEED repeats the run.
[[nodiscard]] unsigned make_seed() {
    const char* const given = std::getenv("TENON_SEED");
    return given == nullptr ? std::random_device{}()
                            : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

[[nodiscard]] http::DeflateOffer choose(std::vector<std::string_view> values) {
    std::vector<tenon_http_header> headers;
    for (const std::string_view value : values) {
        headers.push_back({str("sec-websocket-extensions"), str(value)});
    }
    tenon_http_request request{};
    request.headers = headers.data();
    request.header_count = static_cast<std::uint32_t>(headers.size());
    return http::choose_deflate(request);
}

[[nodiscard]] std::string unpacked(std::string_view packed, std::size_t most = 1'000'000) {
    WsInflater inflater;
    REQUIRE(inflater.unpack(packed, most) == Outcome::text);
    return std::string{inflater.text()};
}

[[nodiscard]] Outcome outcome_of(std::string_view packed, std::size_t most = 1'000'000) {
    WsInflater inflater;
    return inflater.unpack(packed, most);
}

// Levels of a book, of about that many bytes.
[[nodiscard]] std::string book(std::size_t bytes) {
    std::string text = R"({"lastUpdateId":160,"bids":[)";
    for (int i = 0; text.size() < bytes; ++i) {
        text += R"(["610)" + std::to_string(10 + i % 90) + R"(.50000000","0.)" +
                std::to_string(10000 + i * 7) + R"(000"],)";
    }
    text.back() = ']';
    return text + "}";
}

[[nodiscard]] std::string masked(unsigned first, std::string_view payload) {
    REQUIRE(payload.size() < 126);
    std::string frame;
    frame.push_back(static_cast<char>(first));
    frame.push_back(static_cast<char>(0x80U | payload.size()));
    return frame + std::string(4, '\0') + std::string{payload};
}

// The last thing that the reader makes of these bytes; its payload is in `text`.
WsReader::Item read_all(std::string bytes, WsInflater* inflater, std::string& text) {
    WsReader reader{1'000, inflater};
    WsReader::Item item;
    for (std::size_t at = 0; at < bytes.size(); at += item.consumed) {
        item = reader.next(bytes.data() + at, bytes.size() - at);
        if (item.event == WsReader::Event::failed || item.consumed == 0) {
            break;
        }
    }
    text = item.payload;
    return item;
}

}  // namespace

TEST_CASE("an offer of compression is taken if it can be served", "[http][ws][P4]") {
    CHECK(choose({"permessage-deflate"}).accepted);
    CHECK(choose({"permessage-deflate; client_max_window_bits"}).accepted);
    CHECK(
        choose({"permessage-deflate;client_max_window_bits=9;client_no_context_takeover"}).accepted
    );
    CHECK(choose({"x-other, permessage-deflate; server_no_context_takeover"}).accepted);
    CHECK(choose({"x-other", " permessage-deflate "}).accepted);
    // What Python's websockets offers.
    const auto named =
        choose({"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"});
    CHECK(named.accepted);
    CHECK(named.window_asked);
    CHECK(
        http::deflate_answer(named) ==
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover; server_max_window_bits=12\r\n"
    );
    CHECK(choose({"permessage-deflate; server_max_window_bits=\"15\""}).accepted);
    // A smaller window is not served, what is offered after it is.
    CHECK_FALSE(choose({"permessage-deflate; server_max_window_bits=10"}).accepted);
    const auto second =
        choose({"permessage-deflate; server_max_window_bits=8, permessage-deflate"});
    CHECK(second.accepted);
    CHECK_FALSE(second.window_asked);
    for (const std::string_view wrong :
         {"",
          "permessage-bzip2",
          "permessage-deflate; unknown",
          "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; server_max_window_bits",
          "permessage-deflate; server_max_window_bits=16",
          "permessage-deflate; server_max_window_bits=015",
          "permessage-deflate; client_max_window_bits=7",
          "permessage-deflate; client_max_window_bits=",
          "permessage-deflate; client_max_window_bits; client_max_window_bits",
          "permessage-deflate; ; server_no_context_takeover"}) {
        CAPTURE(wrong);
        CHECK_FALSE(choose({wrong}).accepted);
    }
}

TEST_CASE("what is packed unpacks to the same", "[http][ws][P4]") {
    const unsigned seed = make_seed();
    CAPTURE(seed);
    std::mt19937 random{seed};
    WsDeflater deflater;
    WsInflater inflater;
    for (int round = 0; round < 300; ++round) {
        std::string text = book(1 + random() % 40'000);
        text.insert(random() % text.size(), std::string(random() % 200, 'z'));
        const std::string packed{deflater.pack(text)};
        REQUIRE(!packed.empty());
        REQUIRE(packed.size() < text.size() * 6 / 10 + 50);
        REQUIRE(inflater.unpack(packed, text.size()) == Outcome::text);
        REQUIRE(inflater.text() == text);
    }
    std::string noise(5'000, '\0');
    for (char& c : noise) {
        c = static_cast<char>(random());
    }
    CHECK(deflater.pack(noise).empty());  // not shorter
    CHECK(unpacked(deflater.pack(book(800))) == book(800));
}

TEST_CASE("the RFC's examples unpack", "[http][ws][P4]") {
    CHECK(unpacked({"\xF2\x48\xCD\xC9\xC9\x07\x00", 7}) == "Hello");
    // Not compressed; ended by the client; in two blocks.
    CHECK(unpacked({"\x00\x05\x00\xFA\xFFHello\x00", 11}) == "Hello");
    CHECK(unpacked({"\xF3\x48\xCD\xC9\xC9\x07\x00\x00", 8}) == "Hello");
    CHECK(unpacked({"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00", 13}) == "Hello");
    CHECK(unpacked({"\x00", 1}).empty());
}

TEST_CASE("a bomb and what is no deflate are refused", "[http][ws][T3]") {
    // 64 MiB of zeros in 64 KiB.
    WsDeflater deflater;
    std::string bomb{deflater.pack(std::string(std::size_t{64} << 20U, '0'))};
    REQUIRE(!bomb.empty());
    REQUIRE(bomb.size() < 400'000);
    WsInflater inflater;
    CHECK(inflater.unpack(bomb, 65'536) == Outcome::too_big);
    CHECK(inflater.text().size() <= 65'536);
    CHECK(inflater.unpack({"\xF2\x48\xCD\xC9\xC9\x07\x00", 7}, 5) == Outcome::text);
    CHECK(inflater.text() == "Hello");
    CHECK(inflater.unpack({"\xF2\x48\xCD\xC9\xC9\x07\x00", 7}, 4) == Outcome::too_big);
    CHECK(outcome_of("\xFF\xFF\xFF") == Outcome::broken);
    CHECK(outcome_of({"\xF2\x48\xCD", 3}) == Outcome::broken);  // cut off
    CHECK(outcome_of("") == Outcome::broken);
    const unsigned seed = make_seed();
    CAPTURE(seed);
    std::mt19937 random{seed};
    const std::string good{deflater.pack(book(3'000))};
    for (int round = 0; round < 3'000; ++round) {
        std::string bad = good.substr(0, 1 + random() % good.size());
        for (unsigned edits = random() % 4; edits != 0; --edits) {
            bad[random() % bad.size()] = static_cast<char>(random());
        }
        (void)inflater.unpack(bad, 10'000);
        REQUIRE(inflater.text().size() <= 10'000);
    }
}

TEST_CASE("compressed messages are read whole and in fragments", "[http][ws][P4]") {
    WsInflater inflater;
    std::string text;
    const std::string packed{"\xF2\x48\xCD\xC9\xC9\x07\x00", 7};
    CHECK(read_all(masked(0xC1, packed), &inflater, text).event == WsReader::Event::text);
    CHECK(text == "Hello");
    const std::string parts = masked(0x41, packed.substr(0, 3)) + masked(0x89, "ping") +
                              masked(0x00, packed.substr(3, 2)) + masked(0x80, packed.substr(5));
    CHECK(read_all(parts, &inflater, text).event == WsReader::Event::text);
    CHECK(text == "Hello");
    // A message after it that is not compressed.
    CHECK(read_all(parts + masked(0x81, "plain"), &inflater, text).event == WsReader::Event::text);
    CHECK(text == "plain");
    CHECK(read_all(masked(0xC1, "junk\xFF"), &inflater, text).code == 1007);
    CHECK(read_all(masked(0xC1, packed), nullptr, text).code == 1002);  // not agreed on
    CHECK(read_all(masked(0xC9, "ping"), &inflater, text).code == 1002);
    CHECK(read_all(masked(0x41, "") + masked(0xC0, packed), &inflater, text).code == 1002);
    CHECK(read_all(masked(0xA1, packed), &inflater, text).code == 1002);
    WsDeflater deflater;
    const std::string bomb{deflater.pack(std::string(5'000, 'a'))};
    CHECK(read_all(masked(0xC1, bomb), &inflater, text).code == 1009);
    const std::string bad_text{deflater.pack("\xFF\xFE and enough text behind it behind it")};
    CHECK(read_all(masked(0xC1, bad_text), &inflater, text).code == 1007);
}

TEST_CASE("a frame is compressed once, for all who take it", "[http][ws][P4]") {
    WsDeflater deflater;
    tenon_ws_frame* const frame = http::make_frame(http::Opcode::text, book(2'000));
    tenon_ws_frame& packed = http::packed_frame(*frame, deflater, 512);
    CHECK(&packed != frame);
    CHECK(packed.size * 2 < frame->size);
    CHECK(&http::packed_frame(*frame, deflater, 512) == &packed);
    {
        http::FrameQueue slow;
        slow.push(packed);
        http::release_frame(frame);  // the queue's bytes stay
        CHECK(slow.bytes() == packed.size);
    }
    tenon_ws_frame* const small = http::make_frame(http::Opcode::text, book(400));
    CHECK(&http::packed_frame(*small, deflater, 512) == small);
    http::release_frame(small);
}

TEST_CASE("clients that offer it get compressed frames, others do not", "[http][ws][P4]") {
    Gateway gateway{std::string{k_always}};
    Echo echo{gateway};
    Client packs{gateway.port()};
    const std::string answer = packs.upgrade("/ws/a", k_offer);
    CHECK(answer.find("Sec-WebSocket-Extensions: permessage-deflate; ") != std::string::npos);
    const auto first = echo.connection;
    Client plain{gateway.port()};
    CHECK(plain.upgrade("/ws/a").find("Extensions") == std::string::npos);
    const auto second = echo.connection;
    const auto routes = gateway.routes();
    gateway.on_reactor([&] {
        tenon_ws_frame* const frame = routes->frame(routes.self, str(book(2'000)));
        CHECK(routes->ws_send(routes.self, first, frame) == TENON_OK);
        CHECK(routes->ws_send(routes.self, second, frame) == TENON_OK);
        routes->frame_release(routes.self, frame);
    });
    const Client::Frame to_first = packs.frame();
    CHECK(to_first.compressed);
    CHECK(unpacked(to_first.payload) == book(2'000));
    const Client::Frame to_second = plain.frame();
    CHECK_FALSE(to_second.compressed);
    CHECK(to_second.payload == book(2'000));
    CHECK(gateway.host().metric("tenon_ws_compressed_total") == 1);
    packs.send_frame(0x41, std::string{"\xF2\x48\xCD\xC9\xC9\x07\x00", 7});
    CHECK(packs.frame().payload == "Hello");  // short: as it is
    WsDeflater deflater;
    packs.send_frame(0x41, deflater.pack(std::string(1'000'000, 'x')));
    CHECK(close_code(packs.frame().payload) == 1009);
    plain.send_frame(0x41, std::string{"\xF2\x48\xCD\xC9\xC9\x07\x00", 7});
    CHECK(close_code(plain.frame().payload) == 1002);
}

TEST_CASE("peers on this machine are not compressed for, unless told to", "[http][ws][P4]") {
    Gateway gateway{R"({"ws_deflate": "remote"})"};
    Echo echo{gateway};
    Client client{gateway.port()};
    CHECK(client.upgrade("/ws/a", k_offer).find("Extensions") == std::string::npos);
}
