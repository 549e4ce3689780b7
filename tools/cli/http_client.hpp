// SPDX-License-Identifier: Apache-2.0
// Just enough HTTP/1.1 to check one's own server: one request a connection, answers with a length
// or to the end of the connection. No TLS, no redirects, no chunks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

struct HttpAnswer {
    int status = 0;
    std::string body;
};

// `address` is "ADDR:PORT". Throws std::runtime_error when no answer comes within ten seconds.
[[nodiscard]] HttpAnswer http_request(
    const std::string& address,
    std::string_view method,
    const std::string& target,
    const std::vector<std::string>& headers = {}
);

// HMAC-SHA256 in hex, as signed requests carry it.
[[nodiscard]] std::string hmac_sha256_hex(std::string_view secret, std::string_view text);

}  // namespace tenon::cli
