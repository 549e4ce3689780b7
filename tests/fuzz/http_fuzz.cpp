// SPDX-License-Identifier: Apache-2.0
// The HTTP gateway's readers and a whole connection without its socket.
//
// input := what u8 (0: requests, 1: WebSocket frames, 2: a connection), seed u32 (of how it is cut
// and what else happens), bytes of the client
// Asserted: memory is bounded, the result is the same however input is split, every request that
// was handed out can be answered.
#include "plugins/gateway/http/connection.hpp"
#include "plugins/gateway/http/request_reader.hpp"
#include "plugins/gateway/http/ws_deflate.hpp"
#include "plugins/gateway/http/ws_reader.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace tenon::http;
using tenon::fuzz::expect;

namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t limit) {
    return static_cast<std::size_t>(random() % limit);
}

constexpr std::array<std::string_view, 15> k_requests{
    "GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://h/a?q=1 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
    "chunked\r\n\r\nf;a=\"b\"\r\n123456789012345\r\n0\r\nT: "
    "u\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
    "Upgrade\r\nSec-WebSocket-Version: "
    "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HEAD /a HTTP/1.0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "DELETE /missing HTTP/1.1\r\nHost: x\r\nX-A: b\r\nx-c:   d  \r\n\r\n",
    std::string_view{"\x81\x85\x01\x02\x03\x04iiooj\x89\x80\x01\x02\x03\x04", 17},
    std::string_view{"\xC1\x87\0\0\0\0\xF2\x48\xCD\xC9\xC9\x07\x00", 13},
    std::string_view{"\x41\x83\0\0\0\0\xF2\x48\xCD\x80\x84\0\0\0\0\xC9\xC9\x07\x00", 19},
    std::string_view{"\x01\x81\0\0\0\0a\x80\xFE\x00\x7E\0\0\0\0", 15},
};

constexpr std::array<std::string_view, 10> k_words{
    "\r\n",
    "\r\n\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "0\r\n\r\n",
    "HTTP/1.1",
    "ffffffffffffffff\r\n",
    " ",
    ":",
    "Host: y\r\n"};

// What a reader makes of the input when it comes in pieces of at most `step`.
std::string read_requests(const std::string& text, std::size_t step) {
    RequestReader reader{{512, 64, 20}};
    std::string seen;
    std::vector<char> buffer;
    for (std::size_t at = 0; at < text.size(); at += step) {
        const std::string_view piece = std::string_view{text}.substr(at, step);
        buffer.insert(buffer.end(), piece.begin(), piece.end());
        while (!buffer.empty()) {
            // An allocation of exactly this size: reading past the end is caught by the sanitizer.
            std::vector<char> exact{buffer};
            std::size_t size = exact.size();
            const RequestReader::State state = reader.advance(exact.data(), size);
            exact.resize(size);
            buffer.swap(exact);
            if (state == RequestReader::State::failed) {
                return seen + "failed " + std::to_string(reader.fault().status);
            }
            if (state == RequestReader::State::need_more) {
                break;
            }
            const Span body = reader.body();
            seen.append(buffer.data() + reader.path().at, reader.path().size).append("|");
            seen.append(buffer.data() + body.at, body.size).append("\n");
            buffer.erase(
                buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(reader.consumed())
            );
            reader.reset();
        }
        expect(reader.header_done() || buffer.size() <= 512 + step + 64, "a header is bounded");
        // The framing of a chunked body is the caller's to bound, as the connection does.
        if (buffer.size() > 512 + 64 + step + 64) {
            return seen + "failed";
        }
    }
    return seen;
}

void fuzz_reader(Random& random, const std::string& text) {
    const std::string whole = read_requests(text, text.size() + 1);
    const std::string pieces = read_requests(text, 1 + below(random, 7));
    // Limits may be noticed earlier or later, so failures are compared as such.
    const auto good_part = [](const std::string& seen) {
        return seen.substr(0, seen.find("failed"));
    };
    const std::string a = good_part(whole);
    const std::string b = good_part(pieces);
    expect(a.starts_with(b) || b.starts_with(a), "splitting does not change what is read");
}

void fuzz_frames(Random& random, const std::string& text) {
    WsInflater inflater;
    WsReader reader{256, below(random, 2) == 0 ? &inflater : nullptr};
    for (std::size_t at = 0; at < text.size();) {
        std::vector<char> exact{text.begin() + static_cast<std::ptrdiff_t>(at), text.end()};
        const WsReader::Item item = reader.next(exact.data(), exact.size());
        expect(item.payload.size() <= 256, "a message keeps its limit");
        if (item.event == WsReader::Event::need_more || item.event == WsReader::Event::failed) {
            return;
        }
        expect(item.consumed != 0, "a frame takes bytes");
        at += item.consumed;
    }
}

// Answers some requests at once, some later, some never.
struct Handlers {
    Random* random;
    Connection* connection = nullptr;
    std::vector<std::uint64_t> waiting;

    static void request(void* ctx, const tenon_http_request* request) {
        auto& self = *static_cast<Handlers*>(ctx);
        if (below(*self.random, 2) == 0) {
            self.answer(request->handle);
        } else {
            self.waiting.push_back(request->handle);
        }
    }

    void answer(std::uint64_t handle) {
        tenon_http_response response{};
        response.size = sizeof response;
        response.status = 200;
        response.body = tenon::str("answer");
        (void)connection->respond(handle, response);
    }

    static tenon_status open(void*, std::uint64_t, const tenon_http_request*, void**) {
        return TENON_OK;
    }

    static void text(void* ctx, std::uint64_t, void*, tenon_str message) {
        auto& self = *static_cast<Handlers*>(ctx);
        tenon_ws_frame* const frame = make_frame(Opcode::text, tenon::view(message));
        (void)self.connection->websocket()->send(*frame);
        release_frame(frame);
    }

    static void close(void*, std::uint64_t, void*) {}
};

void read_into(Connection& connection, std::string_view text, Random& random) {
    while (!text.empty()) {
        const std::span<char> room = connection.room();
        const std::size_t size = std::min({room.size(), text.size(), 1 + below(random, 200)});
        if (size == 0) {
            return;
        }
        std::memcpy(room.data(), text.data(), size);
        connection.received(size);
        text.remove_prefix(size);
    }
}

void fuzz_connection(Random& random, std::string_view text) {
    Shared shared;
    shared.settings.header_max_bytes = 1024;
    shared.settings.body_max_bytes = 256;
    shared.settings.pipeline_max = 3;
    shared.settings.ws_message_max_bytes = 256;
    shared.settings.ws_queue_max_bytes = 4096;
    Handlers handlers{&random, nullptr, {}};
    Route route;
    route.method = "*";
    route.path = "/a";
    route.ctx = &handlers;
    route.fn = &Handlers::request;
    (void)shared.routes.add(route);
    Route ws;
    ws.path = "/ws";
    ws.ctx = &handlers;
    ws.ws = {sizeof(tenon_ws_handler), 0, &Handlers::open, &Handlers::text, &Handlers::close};
    const std::uint64_t ws_handle = shared.routes.add(ws);
    Connection connection{shared, std::uint64_t{1} << 24U, "fuzz"};
    handlers.connection = &connection;
    for (std::size_t step = 0; step < 8 && !connection.finished(); ++step) {
        shared.now_ns += static_cast<std::int64_t>(below(random, 5)) * 1'000'000'000;
        const std::string_view piece = text.substr(0, 1 + below(random, text.size() + 1));
        text.remove_prefix(piece.size());
        read_into(connection, piece, random);
        if (!handlers.waiting.empty() && below(random, 2) == 0) {
            handlers.answer(handlers.waiting.back());
            handlers.waiting.pop_back();
        }
        if (connection.stalled()) {
            connection.resume();
        }
        if (connection.has_output() && below(random, 3) != 0) {
            std::array<iovec, 4> parts{};
            const std::size_t count = connection.gather(parts.data(), parts.size());
            connection.written(count == 0 ? 0 : 1 + below(random, parts[0].iov_len));
        }
        if (connection.deadline_ns() <= shared.now_ns) {
            connection.due();
        }
        if (below(random, 20) == 0) {
            connection.unmount(ws_handle);
        }
        shared.answered.clear();
    }
    if (below(random, 2) == 0) {
        connection.lost();
    }
    for (const std::uint64_t handle : handlers.waiting) {
        handlers.answer(handle);
    }
    expect(!connection.borrowed(), "every request that was handed out can be answered");
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    const std::string all[] = {std::string(5, '\0'), "\1" + std::string(4, '\0'), "\2seed"};
    for (const std::string& front : all) {
        std::string joined = front;
        for (const std::string_view request : k_requests) {
            made.seeds.push_back(front + std::string{request});
            joined += request;
        }
        made.seeds.push_back(joined);
    }
    made.words.assign(k_words.begin(), k_words.end());
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tenon::fuzz::Choices choices{tenon::fuzz::text_of(data, size)};
    const std::size_t what = choices.below(3);
    Random random{choices.number<std::uint32_t>()};
    const std::string text{choices.rest()};
    if (what == 0) {
        fuzz_reader(random, text);
    } else if (what == 1) {
        fuzz_frames(random, text);
    } else {
        fuzz_connection(random, text);
    }
    return 0;
}
