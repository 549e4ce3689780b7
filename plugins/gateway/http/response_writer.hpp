// SPDX-License-Identifier: Apache-2.0
// Writes HTTP/1.1 responses into a connection's output (RFC 9112). Knows no socket and no clock.
#pragma once

#include "plugins/gateway/http/representation.hpp"

#include <tenon/abi/http.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::http {

// The Date header's text, made anew once a second (RFC 9110, 5.6.7).
class DateCache {
public:
    // `now_real_ns` since the epoch. The text lives until the next call.
    [[nodiscard]] std::string_view at(std::int64_t now_real_ns);

private:
    std::int64_t second_ = -1;
    std::string text_;
};

// What the answer needs to know of its request and its connection.
struct ResponseContext {
    std::string_view date;
    std::string_view cors_origin;  // empty: no CORS headers
    bool head = false;             // the body is announced, not sent
    bool close = false;            // the connection ends with this answer
    bool say_keep_alive = false;   // the request was HTTP/1.0 and asked for it
};

[[nodiscard]] std::string_view reason_phrase(std::uint32_t status) noexcept;

// Appends the whole answer: status and body of `chosen`, the rest of `response`. Line breaks and
// NULs in header values become spaces, a status outside 200 .. 599 becomes 500.
void append_response(
    std::string& out,
    const tenon_http_response& response,
    const Representation& chosen,
    const ResponseContext& context
);

// {"error":{"code":…,"message":…}}; both are literals that need no escaping.
[[nodiscard]] std::string error_body(std::string_view code, std::string_view message);

}  // namespace tenon::http
