// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/settings.hpp"

#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>

namespace tenon::http {
namespace {

template <class Number>
void read(const boost::json::object& object, std::string_view key, Number& out) {
    if (const boost::json::value* const value = object.if_contains(key)) {
        out = value->to_number<Number>();
    }
}

void read(const boost::json::object& object, std::string_view key, bool& out) {
    if (const boost::json::value* const value = object.if_contains(key)) {
        out = value->as_bool();
    }
}

void read(const boost::json::object& object, std::string_view key, Packs& out) {
    if (const boost::json::value* const value = object.if_contains(key)) {
        out = value->as_string() == "always" ? Packs::always : Packs::remote;
    }
}

}  // namespace

Settings parse_settings(std::string_view json) {
    const boost::json::value parsed = boost::json::parse(json);
    const boost::json::object& object = parsed.as_object();
    Settings settings;
    read(object, "header_max_bytes", settings.header_max_bytes);
    read(object, "body_max_bytes", settings.body_max_bytes);
    read(object, "connections_max", settings.connections_max);
    read(object, "pipeline_max", settings.pipeline_max);
    read(object, "header_timeout_ms", settings.header_timeout_ms);
    read(object, "body_timeout_ms", settings.body_timeout_ms);
    read(object, "idle_timeout_ms", settings.idle_timeout_ms);
    read(object, "ws_message_max_bytes", settings.ws_message_max_bytes);
    read(object, "ws_queue_max_bytes", settings.ws_queue_max_bytes);
    read(object, "ws_ping_interval_ms", settings.ws_ping_interval_ms);
    read(object, "ws_pong_timeout_ms", settings.ws_pong_timeout_ms);
    read(object, "ws_messages_per_second", settings.ws_messages_per_second);
    read(object, "ws_message_burst", settings.ws_message_burst);
    read(object, "gzip_min_bytes", settings.gzip_min_bytes);
    read(object, "gzip_kept_bytes", settings.gzip_kept_bytes);
    read(object, "gzip", settings.gzip);
    read(object, "answer_compression", settings.answer_compression);
    read(object, "etags", settings.etags);
    read(object, "message_compression", settings.message_compression);
    read(object, "ws_deflate", settings.ws_deflate);
    read(object, "ws_deflate_min_bytes", settings.ws_deflate_min_bytes);
    if (const boost::json::value* const path = object.if_contains("ws_request_path")) {
        settings.ws_request_path = std::string{std::string_view{path->as_string()}};
    }
    if (const boost::json::value* const origin = object.if_contains("cors_origin")) {
        settings.cors_origin = std::string{std::string_view{origin->as_string()}};
    }
    const std::pair<std::string_view, std::string*> texts[] = {
        {"address_limit", &settings.address_limit},
        {"concurrency_limit", &settings.concurrency_limit},
        {"concurrency_path", &settings.concurrency_path},
        {"tls_listen", &settings.tls_listen},
        {"unix_listen", &settings.unix_listen},
        {"tls_certificate", &settings.tls_certificate},
        {"tls_certificate_key", &settings.tls_certificate_key},
        {"tls_protocol_min", &settings.tls_protocol_min}};
    for (const auto& [name, text] : texts) {
        if (const boost::json::value* const given = object.if_contains(name)) {
            *text = std::string{std::string_view{given->as_string()}};
        }
    }
    if (const boost::json::value* const mode = object.if_contains("unix_mode")) {
        settings.unix_mode =
            static_cast<unsigned>(std::stoul(mode->as_string().c_str(), nullptr, 8));
    }
    if (const boost::json::value* const proxies = object.if_contains("trusted_proxies")) {
        for (const boost::json::value& proxy : proxies->as_array()) {
            try {
                settings.trusted_proxies.add(proxy.as_string());
            } catch (const Error& e) {
                throw Error{e.code(), std::string{"trusted_proxies: "} + e.what()};
            }
        }
    }
    if (settings.ws_pong_timeout_ms <= settings.ws_ping_interval_ms) {
        throw Error{
            TENON_INVALID,
            "ws_pong_timeout_ms (" + std::to_string(settings.ws_pong_timeout_ms) +
                ") must be longer than ws_ping_interval_ms (" +
                std::to_string(settings.ws_ping_interval_ms) + ")"};
    }
    const bool with_files =
        !settings.tls_certificate.empty() && !settings.tls_certificate_key.empty();
    if (settings.tls_listen.empty()
            ? !settings.tls_certificate.empty() || !settings.tls_certificate_key.empty()
            : !with_files) {
        throw Error{
            TENON_INVALID,
            "tls_listen, tls_certificate and tls_certificate_key belong together: all or none"};
    }
    const bool printable =
        std::all_of(settings.cors_origin.begin(), settings.cors_origin.end(), [](char c) {
            return c > ' ' && c < 0x7F;
        });
    if (!printable) {
        throw Error{TENON_INVALID, "cors_origin must be an origin or *"};
    }
    return settings;
}

}  // namespace tenon::http
