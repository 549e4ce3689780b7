// SPDX-License-Identifier: Apache-2.0
// One request of the WebSocket API (web-socket-api.md, "Request format"), read: {"id","method",
// "params"}. Knows no connection and no method.
#pragma once

#include "plugins/gateway/binance/errors.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::binance {

struct SocketMessage {
    std::string id = "null";  // as JSON
    std::string method;
    // By name; numbers as they were written, arrays as JSON without white space.
    std::vector<std::pair<std::string, std::string>> params;
    // When set, the request is answered with this and nothing else in here counts but the id.
    std::optional<ApiError> error;

    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
    // What a client signs: all parameters but the signature, "name=value" in order of their names,
    // joined by '&', not percent-encoded.
    [[nodiscard]] std::string payload() const;
    // The parameters percent-encoded, as REST gets them, without those that belong to the
    // connection (apiKey, returnRateLimits) and, with `open`, to signatures.
    [[nodiscard]] std::string form(bool open) const;
};

// Never throws for what a client sent.
[[nodiscard]] SocketMessage parse_socket_message(std::string_view text);

}  // namespace tenon::binance
