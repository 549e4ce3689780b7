// SPDX-License-Identifier: Apache-2.0
// What all connections of the server share. Touched on the reactor only.
#pragma once

#include "plugins/gateway/http/representation.hpp"
#include "plugins/gateway/http/response_writer.hpp"
#include "plugins/gateway/http/route_table.hpp"
#include "plugins/gateway/http/settings.hpp"
#include "plugins/gateway/http/ws_deflate.hpp"

#include <tenon/abi/throttle.h>
#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace tenon::http {

// Empty in a test without metrics.
struct Metrics {
    std::array<Counter, 5> requests;  // by class of status: 1xx .. 5xx
    Counter connections_refused, limited, overloaded;
    Counter tls_handshakes, tls_failures;
    Gauge tls_expires;
    Counter ws_frames, ws_compressed, ws_slow_closed, ws_rate_closed;
    Gauge connections, ws_connections;
    Histogram duration;
};

struct Shared {
    Settings settings;
    Service<tenon_health_1> health;      // empty in a test without it
    Service<tenon_throttle_1> throttle;  // empty: neither of the limits
    Service<tenon_clock_1> clock;        // set with the second one
    std::optional<std::uint32_t> address_limit, concurrency_limit;
    RouteTable routes;
    Metrics metrics;
    DateCache date;
    Negotiator negotiator;
    WsDeflater deflater;
    WsInflater inflater;
    std::int64_t now_ns = 0;             // of this turn
    std::int64_t now_real_ns = 0;        // of this turn
    bool draining = false;               // every answer closes its connection
    std::vector<std::int64_t> answered;  // received_ns of what this turn answered

    // All plugins have started: what is not mounted does not exist.
    [[nodiscard]] bool ready() const { return !health || health->ready(health.self) != 0; }
};

}  // namespace tenon::http
