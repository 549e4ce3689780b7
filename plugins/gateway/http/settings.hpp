// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tenon/address_networks.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::http {

// Whose answers or messages are compressed: nobody's, those of peers on other machines,
// everybody's.
enum class Packs : std::uint8_t { remote, always };  // for whom

// The plugin's settings; the defaults are those of plugin.json.
struct Settings {
    std::size_t header_max_bytes = 16 * 1024;
    std::size_t body_max_bytes = 1024 * 1024;
    std::size_t connections_max = 10'000;
    std::size_t pipeline_max = 64;
    std::int64_t header_timeout_ms = 10'000;
    std::int64_t body_timeout_ms = 30'000;
    std::int64_t idle_timeout_ms = 75'000;
    std::size_t ws_message_max_bytes = 64 * 1024;
    std::size_t ws_queue_max_bytes = 4 * 1024 * 1024;
    std::int64_t ws_ping_interval_ms = 20'000;
    std::int64_t ws_pong_timeout_ms = 60'000;
    std::int64_t ws_messages_per_second = 5;
    std::int64_t ws_message_burst = 10;
    // Of a WebSocket whose messages are requests, which its handler limits: its text messages are
    // not counted by these two, its pings are.
    std::string ws_request_path = "/ws-api/v3";
    bool etags = true;
    bool message_compression = true;  // of what is agreed on, for the time being
    bool answer_compression = true;
    Packs gzip = Packs::remote;
    std::size_t gzip_min_bytes = 1400;
    std::size_t gzip_kept_bytes = 8 * 1024 * 1024;
    Packs ws_deflate = Packs::remote;
    std::size_t ws_deflate_min_bytes = 512;
    std::string cors_origin;
    // A second address, with TLS; empty: none. Then both files are named.
    std::string tls_listen, tls_certificate, tls_certificate_key;
    std::string tls_protocol_min = "1.2";
    std::string unix_listen;  // a Unix socket, from the data folder on; empty: none
    unsigned unix_mode = 0660;
    std::string address_limit, concurrency_limit;  // of the throttle; empty: none
    std::string concurrency_path = "/api/";        // of requests that the second one is for
    AddressNetworks trusted_proxies;               // whose X-Forwarded-For is believed
};

// From the configuration, which the host has checked against the schema. Throws Error when two
// settings contradict each other.
[[nodiscard]] Settings parse_settings(std::string_view json);

}  // namespace tenon::http
