// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/socket_reply.hpp"

#include "plugins/gateway/binance/api.hpp"

namespace tenon::binance {
namespace {

void write_limit(
    JsonWriter& json,
    std::string_view kind_and_interval,
    std::uint32_t limit,
    std::uint32_t count
) {
    json.next().raw(kind_and_interval).field("limit", limit).field("count", count).raw("}");
}

}  // namespace

void write_socket_error(std::string& out, const ApiError& error, std::int64_t now_real_ns) {
    if (error.retry_after_s <= 0 || !error.data.empty()) {
        write_error(out, error);
        return;
    }
    JsonWriter json{out};
    json.raw("{").field("code", error.code()).field("msg", error.message());
    json.key("data")
        .raw("{")
        .time_field("serverTime", now_real_ns)
        .time_field("retryAfter", now_real_ns + error.retry_after_s * 1'000'000'000)
        .raw("}}");
}

void write_rate_limits(
    JsonWriter& json,
    const LimitSettings& limits,
    std::uint32_t used_weight,
    const std::optional<OrderLimits::Counts>& orders
) {
    json.key("rateLimits").raw("[");
    if (orders) {
        write_limit(
            json,
            R"({"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10)",
            limits.orders_per_10_seconds,
            orders->ten_seconds
        );
        write_limit(
            json,
            R"({"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1)",
            limits.orders_per_day,
            orders->day
        );
    }
    write_limit(
        json,
        R"({"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1)",
        limits.weight_per_minute,
        used_weight
    );
    json.raw("]");
}

void Api::socket_reply(
    const ReplyTo& to,
    std::uint32_t status,
    std::string_view name,
    std::string_view body
) {
    socket_text_.clear();
    JsonWriter json{socket_text_};
    json.raw("{").key("id").raw(to.id).field("status", status).key(name).raw(body);
    if (to.rate_limits) {
        const std::int64_t now = now_real_ns();
        std::optional<OrderLimits::Counts> orders;
        if (to.order_count_of != 0) {
            orders = orders_.counts(to.order_count_of, now);
        }
        write_rate_limits(json, limit_settings_, addresses_.used(to.remote, now), orders);
    }
    json.raw("}");
    user_streams_.send(to.connection, socket_text_);
}

}  // namespace tenon::binance
