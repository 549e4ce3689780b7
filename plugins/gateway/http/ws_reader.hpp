// SPDX-License-Identifier: Apache-2.0
// Reads a client's WebSocket frames out of a buffer (RFC 6455, 5): unmasks in place, joins
// fragments, checks everything that the protocol asks of a client. Knows no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::http {

class WsInflater;

class WsReader {
public:
    enum class Event {
        need_more,
        fragment,  // part of a message; nothing to do
        text,
        ping,
        pong,
        close,
        failed,  // the connection is to be closed with `code`; nothing more may be read
    };

    struct Item {
        Event event = Event::need_more;
        std::string_view payload;  // valid until the next call; of close: the reason
        std::uint16_t code = 0;    // of close (1005: none was given) and failed
        std::size_t consumed = 0;  // bytes of the buffer
    };

    // `inflater`: permessage-deflate has been agreed on; null: it has not.
    explicit WsReader(std::size_t message_max_bytes, WsInflater* inflater = nullptr)
        : message_max_{message_max_bytes}, inflater_{inflater} {}

    // One frame from the start of [data, data + size), which is changed in place.
    [[nodiscard]] Item next(char* data, std::size_t size);

private:
    struct Head {
        std::uint8_t opcode = 0;
        bool final = false;
        bool compressed = false;
        std::size_t size = 0;  // of the head, mask included
        std::uint64_t payload = 0;
    };

    [[nodiscard]] static bool read_head(const char* data, std::size_t size, Head& head);
    [[nodiscard]] std::string_view
    check_head(const char* data, std::size_t size, std::uint16_t& code) const;
    [[nodiscard]] Item data_frame(const Head& head, std::string_view payload);
    [[nodiscard]] Item whole_message(std::string_view payload);
    [[nodiscard]] static Item control_frame(const Head& head, std::string_view payload);

    const std::size_t message_max_;
    WsInflater* const inflater_;
    bool in_message_ = false;
    std::size_t fragments_ = 0;  // of the message that is being read
    bool compressed_ = false;    // the message that is being read
    std::string message_;
};

}  // namespace tenon::http
