// SPDX-License-Identifier: Apache-2.0
// The server's side of the WebSocket opening handshake (RFC 6455, 4.2).
#pragma once

#include <tenon/abi/http.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::http {

// A header's value, or nothing (data() is null) when the request does not have it.
[[nodiscard]] std::string_view header_of(const tenon_http_request& request, std::string_view name);

// True when the request asks for a WebSocket, well formed or not.
[[nodiscard]] bool asks_for_websocket(const tenon_http_request& request);

// What is wrong with the request's handshake: the answer's status and a message; status 0 when it
// is right.
struct HandshakeFault {
    std::uint32_t status = 0;
    std::string_view message;
};

[[nodiscard]] HandshakeFault check_handshake(const tenon_http_request& request);

// Sec-WebSocket-Accept of a key.
[[nodiscard]] std::string accept_key(std::string_view key);

// The whole 101 answer. `extensions`: a header line with its line end, or nothing.
[[nodiscard]] std::string handshake_answer(std::string_view key, std::string_view extensions);

}  // namespace tenon::http
