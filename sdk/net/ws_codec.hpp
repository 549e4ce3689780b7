// SPDX-License-Identifier: Apache-2.0
// A client's side of WebSocket (RFC 6455): the handshake's texts and the frames, without a socket.
// Extensions are not offered. Text is given as it came; who parses it sees whether it is UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::net {

enum class WsOpcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10
};

// A masked frame, whole. Control frames carry at most 125 bytes.
void append_ws_frame(
    std::string& out,
    WsOpcode opcode,
    std::string_view payload,
    std::uint32_t mask
);

// Reads what a server sends: joins fragments, checks what the protocol asks of a server.
class WsFrameReader {
public:
    enum class Event { need_more, text, binary, ping, pong, close, failed };

    struct Item {
        Event event = Event::need_more;
        std::string_view payload;  // valid until the next call; of failed: why
        std::uint16_t code = 0;    // of close; 1005: none was given
    };

    explicit WsFrameReader(std::size_t message_max) : message_max_{message_max} {}

    void feed(std::string_view bytes);
    [[nodiscard]] Item next();

private:
    struct Head {
        bool final = false;
        WsOpcode opcode = WsOpcode::text;
        std::size_t size = 0;
        std::uint64_t payload = 0;
    };

    [[nodiscard]] bool read_head(Head& head) const;
    [[nodiscard]] std::string_view breach(const Head& head) const;
    [[nodiscard]] Item control(const Head& head, std::string_view payload) const;

    std::size_t message_max_;
    std::string input_;
    std::size_t used_ = 0;
    std::string message_;
    bool in_message_ = false;
    WsOpcode kind_ = WsOpcode::text;
};

// 16 random bytes in base64, and what the server must answer to them.
[[nodiscard]] std::string random_ws_key();
[[nodiscard]] std::string ws_accept_of(std::string_view key);
[[nodiscard]] std::uint32_t random_ws_mask();

}  // namespace tenon::net
