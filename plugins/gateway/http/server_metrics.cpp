// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/server.hpp"

namespace tenon::http {

void Server::make_metrics() {
    if (!services_.metrics) {
        return;
    }
    const tenon::Metrics make{services_.metrics};
    Metrics& metrics = shared_.metrics;
    static constexpr std::string_view k_classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    for (std::size_t i = 0; i < metrics.requests.size(); ++i) {
        metrics.requests[i] = make.counter(
            "tenon_http_requests_total", "Requests answered", {{"status", k_classes[i]}}
        );
    }
    metrics.limited =
        make.counter("tenon_http_limited_total", "Requests refused because of address_limit");
    metrics.overloaded = make.counter(
        "tenon_http_overloaded_total", "Requests refused because of concurrency_limit"
    );
    metrics.connections_refused = make.counter(
        "tenon_http_connections_refused_total", "Connections refused because of connections_max"
    );
    metrics.tls_handshakes =
        make.counter("tenon_http_tls_handshakes_total", "TLS handshakes that came to their end");
    metrics.tls_failures = make.counter(
        "tenon_http_tls_failures_total", "TLS handshakes that failed, or took too long"
    );
    metrics.tls_expires = make.gauge(
        "tenon_http_tls_certificate_expires_seconds",
        "When the certificate ends, in seconds since 1970; 0: no TLS"
    );
    metrics.ws_frames = make.counter("tenon_ws_frames_total", "WebSocket messages queued");
    metrics.ws_compressed =
        make.counter("tenon_ws_compressed_total", "WebSocket messages queued in compressed form");
    metrics.ws_slow_closed = make.counter(
        "tenon_ws_slow_closed_total", "WebSockets closed because the client read too slowly"
    );
    metrics.ws_rate_closed = make.counter(
        "tenon_ws_rate_closed_total", "WebSockets closed for too many messages per second"
    );
    metrics.connections = make.gauge("tenon_http_connections", "Open connections");
    metrics.ws_connections = make.gauge("tenon_ws_connections", "Open WebSockets");
    metrics.duration = make.histogram(
        "tenon_http_request_duration_seconds", "From reading a request to its answer"
    );
}

}  // namespace tenon::http
