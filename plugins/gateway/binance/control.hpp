// SPDX-License-Identifier: Apache-2.0
// Control messages of market streams (web-socket-streams.md, "Live Subscribing/Unsubscribing"):
// reading them and writing their answers. Knows no connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance {

enum class ControlMethod : std::uint8_t {
    subscribe,
    unsubscribe,
    list_subscriptions,
    set_property,
    get_property
};

struct ControlRequest {
    std::string id;  // as JSON; empty: none that could be read
    ControlMethod method = ControlMethod::subscribe;
    std::vector<std::string> streams;  // subscribe, unsubscribe
    bool combined = false;             // set_property
    // When not empty the request is answered with this error and nothing else in here counts.
    std::string error;
    int error_code = 0;
};

[[nodiscard]] ControlRequest parse_control(std::string_view text);

// {"result":…,"id":…}
[[nodiscard]] std::string control_result(std::string_view result, std::string_view id);
// {"error":{"code":…,"msg":…},"id":…}
[[nodiscard]] std::string control_error(int code, std::string_view message, std::string_view id);

}  // namespace tenon::binance
