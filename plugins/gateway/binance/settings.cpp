// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/settings.hpp"

#include <boost/json.hpp>

namespace tenon::binance {

Settings read_settings(std::string_view json) {
    const boost::json::value document = boost::json::parse({json.data(), json.size()});
    const auto& object = document.as_object();
    const auto read = [&](const char* name, std::uint32_t& into) {
        if (const auto* const value = object.if_contains(name)) {
            into = value->to_number<std::uint32_t>();
        }
    };
    Settings out;
    read("weight_per_minute", out.limits.weight_per_minute);
    read("requests_per_5_minutes", out.limits.requests_per_5_minutes);
    read("orders_per_10_seconds", out.limits.orders_per_10_seconds);
    read("orders_per_day", out.limits.orders_per_day);
    read("connections_per_5_minutes", out.limits.connections_per_5_minutes);
    read("refusals_before_ban", out.limits.refusals_before_ban);
    read("addresses_max", out.limits.addresses_max);
    read("order_wait_ms", out.limits.order_wait_ms);
    read("streams_max", out.streams.streams_max);
    read("connection_hours_max", out.streams.connection_hours_max);
    read("conflate_above_bytes", out.streams.conflate_above_bytes);
    read("stale_book_ms", out.stale_book_ms);
    read("shutdown_notice_ms", out.shutdown_notice_ms);
    read("cdn_seconds", out.cdn_seconds);
    const auto flag = [&](const char* name) {
        const auto* const value = object.if_contains(name);
        return value == nullptr || value->as_bool();
    };
    out.hot_answers = flag("hot_answers");
    if (!flag("conflation")) {
        out.streams.conflate_above_bytes = UINT32_MAX;  // the server closes who is so slow
    }
    if (const auto* const limit = object.if_contains("key_limit")) {
        out.key_limit = limit->as_string().c_str();
    }
    if (const auto* const file = object.if_contains("weights_file")) {
        out.weights_file = file->as_string().c_str();
    }
    return out;
}

}  // namespace tenon::binance
