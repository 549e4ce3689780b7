// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/socket_api.hpp"

#include <algorithm>
#include <array>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;
constexpr std::uint32_t k_session_weight = 2;  // also of a connection
constexpr std::uint16_t k_going_away = 1'001;
constexpr std::uint16_t k_policy = 1'008;

struct SameAsRest {
    std::string_view name, method, path;
};

constexpr std::array k_same_as_rest{
    SameAsRest{"ping", "GET", "/api/v3/ping"},
    SameAsRest{"time", "GET", "/api/v3/time"},
    SameAsRest{"exchangeInfo", "GET", "/api/v3/exchangeInfo"},
    SameAsRest{"depth", "GET", "/api/v3/depth"},
    SameAsRest{"trades.recent", "GET", "/api/v3/trades"},
    SameAsRest{"trades.historical", "GET", "/api/v3/historicalTrades"},
    SameAsRest{"trades.aggregate", "GET", "/api/v3/aggTrades"},
    SameAsRest{"klines", "GET", "/api/v3/klines"},
    SameAsRest{"uiKlines", "GET", "/api/v3/uiKlines"},
    SameAsRest{"avgPrice", "GET", "/api/v3/avgPrice"},
    SameAsRest{"ticker", "GET", "/api/v3/ticker"},
    SameAsRest{"ticker.tradingDay", "GET", "/api/v3/ticker/tradingDay"},
    SameAsRest{"ticker.24hr", "GET", "/api/v3/ticker/24hr"},
    SameAsRest{"ticker.price", "GET", "/api/v3/ticker/price"},
    SameAsRest{"ticker.book", "GET", "/api/v3/ticker/bookTicker"},
    SameAsRest{"order.place", "POST", "/api/v3/order"},
    SameAsRest{"order.cancelReplace", "POST", "/api/v3/order/cancelReplace"},
    SameAsRest{"order.amend.keepPriority", "PUT", "/api/v3/order/amend/keepPriority"},
    SameAsRest{"order.amendments", "GET", "/api/v3/order/amendments"},
    SameAsRest{"myPreventedMatches", "GET", "/api/v3/myPreventedMatches"},
    SameAsRest{"orderList.place.oco", "POST", "/api/v3/orderList/oco"},
    SameAsRest{"orderList.place", "POST", "/api/v3/order/oco"},
    SameAsRest{"orderList.cancel", "DELETE", "/api/v3/orderList"},
    SameAsRest{"orderList.status", "GET", "/api/v3/orderList"},
    SameAsRest{"openOrderLists.status", "GET", "/api/v3/openOrderList"},
    SameAsRest{"allOrderLists", "GET", "/api/v3/allOrderList"},
    SameAsRest{"order.test", "POST", "/api/v3/order/test"},
    SameAsRest{"order.status", "GET", "/api/v3/order"},
    SameAsRest{"order.cancel", "DELETE", "/api/v3/order"},
    SameAsRest{"openOrders.status", "GET", "/api/v3/openOrders"},
    SameAsRest{"openOrders.cancelAll", "DELETE", "/api/v3/openOrders"},
    SameAsRest{"allOrders", "GET", "/api/v3/allOrders"},
    SameAsRest{"myTrades", "GET", "/api/v3/myTrades"},
    SameAsRest{"account.status", "GET", "/api/v3/account"},
    SameAsRest{"account.commission", "GET", "/api/v3/account/commission"},
    SameAsRest{"account.rateLimits.orders", "GET", "/api/v3/rateLimit/order"},
};

[[nodiscard]] bool flag(std::optional<std::string_view> value, bool otherwise) {
    if (!value) {
        return otherwise;
    }
    if (*value != "true" && *value != "false") {
        throw errors::illegal("returnRateLimits", "^(true|false)$");
    }
    return *value == "true";
}

// An endpoint of REST; nullptr when there is none.
[[nodiscard]] const Endpoint* find_endpoint(const SameAsRest& same) noexcept {
    for (const Endpoint& endpoint : Api::endpoints()) {
        if (endpoint.method == same.method && endpoint.path == same.path) {
            return &endpoint;
        }
    }
    return nullptr;
}

}  // namespace

tenon_status SocketApi::open(
    std::uint64_t id,
    const tenon_http_request& request,
    SocketConnection** connection
) {
    const std::int64_t now = api_.now_real_ns();
    if (!api_.addresses().admit_connection(view(request.remote), now)) {
        const std::string why = api_.addresses().connection_refusal(view(request.remote), now);
        const auto& http = api_.services().http;
        (void)http->ws_close(http.self, id, k_policy, str(why));
        return TENON_UNAVAILABLE;
    }
    auto made = std::make_unique<SocketConnection>();
    made->id = id;
    made->remote = view(request.remote);
    made->opened_real_ns = now;
    made->opened_ns = api_.now_ns();
    ReplyTo to;
    to.remote = made->remote;
    try {
        Params params;
        params.parse(view(request.query), {});
        const std::string_view unit = params.peek("timeUnit").value_or(std::string_view{});
        made->micro = unit == "MICROSECOND" || unit == "microsecond";
        made->rate_limits = flag(params.peek("returnRateLimits"), true);
        api_.admit(to, k_session_weight, now, true);
    } catch (const ApiError& error) {
        return error.http_status() == 400 ? TENON_INVALID : TENON_UNAVAILABLE;
    }
    *connection = made.get();
    connections_[id] = std::move(made);
    return TENON_OK;
}

void SocketApi::close(SocketConnection& connection) noexcept {
    api_.user_streams().drop(connection.id);
    const std::uint64_t account = stopping_ ? 0 : connection.cancels_account;
    connections_.erase(connection.id);
    if (account != 0) {
        owed_cancels_.insert(account);
        cancel_owed();
    }
}

// An account stays in here until the engine takes its cancel.
void SocketApi::cancel_owed() {
    const auto& trading = api_.services().trading;
    const tenon_trading_done nobody_waits{
        nullptr, [](void*, tenon_status, const tenon_trading_reply*, const tenon_err*) {}};
    std::erase_if(owed_cancels_, [&](std::uint64_t account) {
        ErrorBuffer err;
        return trading->cancel_all(
                   trading.self, account, TENON_ANY_INSTRUMENT, nobody_waits, &err
               ) == TENON_PENDING;
    });
}

void SocketApi::text(SocketConnection& connection, std::string_view text) {
    const SocketMessage message = parse_socket_message(text);
    ReplyTo to;
    to.connection = connection.id;
    to.remote = connection.remote;
    to.id = message.id;
    to.micro = connection.micro;
    to.rate_limits = connection.rate_limits;
    api_.answer_errors(to, [&] { serve(connection, message, to); });
    if (api_.addresses().banned(
            to.remote, api_.now_real_ns()
        )) {  // what it sends costs nothing more
        const auto& http = api_.services().http;
        (void)http->ws_close(http.self, to.connection, k_policy, str("the address is banned"));
    }
}

void SocketApi::serve(SocketConnection& connection, const SocketMessage& message, ReplyTo& to) {
    const std::int64_t now = api_.now_real_ns();
    if (message.error) {
        api_.admit(to, 1, now, true);
        throw *message.error;
    }
    to.rate_limits = flag(message.find("returnRateLimits"), connection.rate_limits);
    if (const Handler handler = own_method(message.method); handler != nullptr) {
        api_.admit(to, k_session_weight, now, true);
        (this->*handler)(connection, message, to);
        return;
    }
    const auto* const same =
        std::find_if(k_same_as_rest.begin(), k_same_as_rest.end(), [&](const SameAsRest& row) {
            return row.name == message.method;
        });
    const Endpoint* const endpoint = same == k_same_as_rest.end() ? nullptr : find_endpoint(*same);
    if (endpoint == nullptr) {
        api_.admit(to, 1, now, true);
        throw errors::unsupported(message.method);
    }
    std::string payload;
    const std::string form = message.form(endpoint->security == Security::none);
    api_.handle(
        SocketCall{same->method, same->path, form, credential(connection, message, payload)}, to
    );
}

// A request's own key counts before the session's.
Credential SocketApi::credential(
    const SocketConnection& connection,
    const SocketMessage& message,
    std::string& kept
) {
    Credential out;
    const auto key = message.find("apiKey");
    out.session = !key && !connection.api_key.empty();
    out.key = key.value_or(connection.api_key);
    out.remote = connection.remote;
    kept = message.payload();
    out.parts.parts[0] = {kept.data(), kept.size()};
    out.parts.count = 1;
    return out;
}

SocketApi::Handler SocketApi::own_method(std::string_view name) noexcept {
    static constexpr std::array k_own{
        Method{"session.logon", &SocketApi::logon},
        Method{"session.status", &SocketApi::status},
        Method{"session.logout", &SocketApi::logout},
        Method{"session.cancelOnDisconnect", &SocketApi::cancel_on_disconnect},
        Method{"session.subscriptions", &SocketApi::subscriptions},
        Method{"userDataStream.subscribe", &SocketApi::subscribe},
        Method{"userDataStream.subscribe.signature", &SocketApi::subscribe_signed},
        Method{"userDataStream.unsubscribe", &SocketApi::unsubscribe},
    };
    for (const Method& method : k_own) {
        if (method.name == name) {
            return method.handler;
        }
    }
    return nullptr;
}

tenon_identity
SocketApi::identify(SocketConnection& connection, const SocketMessage& message, bool session) {
    if (!session && !message.find("apiKey")) {
        throw errors::mandatory("apiKey");
    }
    std::string payload;
    const std::string form = message.form(session);
    params_.parse(form, {});
    const Credential who = credential(connection, message, payload);
    const tenon_identity identity =
        api_.authenticate(who, params_, session ? Security::user_stream : Security::user_data);
    params_.finish(session ? 0 : 3);
    return identity;
}

void SocketApi::write_session(const SocketConnection& connection, const ReplyTo& to) {
    JsonWriter json{api_.buffer(), to.micro};
    json.raw("{").key("apiKey");
    if (connection.api_key.empty()) {
        json.raw("null").key("authorizedSince").raw("null");
    } else {
        json.string(connection.api_key)
            .time_field("authorizedSince", connection.authorized_real_ns);
    }
    const bool follows = !api_.user_streams().numbers(connection.id).empty();
    json.time_field("connectedSince", connection.opened_real_ns)
        .field("returnRateLimits", connection.rate_limits)
        .time_field("serverTime", api_.now_real_ns())
        .field("userDataStream", follows)
        .raw("}");
    api_.reply(to, json.text());
}

void SocketApi::logon(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    const tenon_identity identity = identify(connection, message, false);
    if (identity.key_kind != TENON_KEY_ED25519) {
        throw ApiError{400, -4056, "HMAC_SHA256 API key is not supported."};
    }
    connection.api_key = message.find("apiKey").value_or(std::string_view{});
    connection.authorized_real_ns = api_.now_real_ns();
    write_session(connection, to);
}

void SocketApi::status(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    const std::string form = message.form(false);
    params_.parse(form, {});
    params_.finish(0);
    if (!connection.api_key.empty()) {
        auto identity = sized<tenon_identity>();
        const auto& auth = api_.services().auth;
        if (auth->identify(auth.self, str(connection.api_key), &identity) == TENON_NOT_FOUND) {
            connection.api_key.clear();  // revoked
        }
    }
    write_session(connection, to);
}

void SocketApi::logout(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    const std::string form = message.form(false);
    params_.parse(form, {});
    params_.finish(0);
    connection.api_key.clear();
    connection.authorized_real_ns = 0;
    (void)api_.user_streams().end_of(connection.id, [](const UserSubscription& one) {
        return one.session;
    });
    write_session(connection, to);
}

void SocketApi::cancel_on_disconnect(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    if (connection.api_key.empty() && !message.find("apiKey")) {
        throw errors::mandatory("apiKey");
    }
    std::string payload;
    const std::string form = message.form(false);
    params_.parse(form, {});
    const Credential who = credential(connection, message, payload);
    const tenon_identity identity = api_.authenticate(who, params_, Security::trade);
    const auto enabled = params_.boolean("enabled");
    if (!enabled) {
        throw errors::mandatory("enabled");
    }
    params_.finish(4);
    connection.cancels_account = *enabled ? identity.account : 0;
    JsonWriter json{api_.buffer()};
    json.raw("{").field("cancelOnDisconnect", *enabled).raw("}");
    api_.reply(to, json.text());
}

void SocketApi::subscriptions(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    const std::string form = message.form(false);
    params_.parse(form, {});
    params_.finish(0);
    JsonWriter json{api_.buffer()};
    json.raw("[");
    for (const std::uint32_t number : api_.user_streams().numbers(connection.id)) {
        json.next().raw("{").field("subscriptionId", number).raw("}");
    }
    json.raw("]");
    api_.reply(to, json.text());
}

void SocketApi::subscribe(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    if (connection.api_key.empty()) {
        throw ApiError{401, -1002, "You are not authorized to execute this request."};
    }
    if (message.find("apiKey") || message.find("signature")) {
        throw errors::too_many(0, message.params.size());
    }
    const tenon_identity identity = identify(connection, message, true);
    follow(connection, identity.account, connection.api_key, true, to);
}

void SocketApi::subscribe_signed(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    const tenon_identity identity = identify(connection, message, false);
    follow(
        connection, identity.account, message.find("apiKey").value_or(std::string_view{}), false, to
    );
}

void SocketApi::follow(
    SocketConnection& connection,
    std::uint64_t account,
    std::string_view key,
    bool session,
    const ReplyTo& to
) {
    UserSubscription subscription;
    subscription.connection = connection.id;
    subscription.account = account;
    subscription.micro = connection.micro;
    subscription.session = session;
    subscription.number = connection.next_subscription;
    subscription.api_key = key;
    api_.user_streams().subscribe(std::move(subscription));
    JsonWriter json{api_.buffer()};
    json.raw("{").field("subscriptionId", connection.next_subscription).raw("}");
    ++connection.next_subscription;
    api_.reply(to, json.text());
}

void SocketApi::unsubscribe(
    SocketConnection& connection,
    const SocketMessage& message,
    const ReplyTo& to
) {
    const std::string form = message.form(true);
    params_.parse(form, {});
    const auto number = params_.integer("subscriptionId");
    params_.finish(1);
    const std::size_t ended = api_.user_streams().end_of(
        connection.id, [&](const UserSubscription& one) { return !number || one.number == *number; }
    );
    if (number && ended == 0) {
        throw ApiError{-2036, "User Data Stream subscription not active."};
    }
    api_.reply(to, "{}");
}

void SocketApi::tick(std::int64_t now_ns) {
    cancel_owed();
    if (now_ns - last_age_check_ns_ < k_minute_ns) {
        return;
    }
    last_age_check_ns_ = now_ns;
    const std::int64_t oldest =
        now_ns - std::int64_t{settings_.connection_hours_max} * 60 * k_minute_ns;
    std::vector<std::uint64_t> old;
    for (const auto& [id, connection] : connections_) {
        if (connection->opened_ns < oldest) {
            old.push_back(id);
        }
    }
    const auto& http = api_.services().http;
    for (const std::uint64_t id : old) {
        (void)http->ws_close(http.self, id, k_going_away, str("the connection is too old"));
    }
}

void SocketApi::announce_shutdown() {
    stopping_ = true;
    std::vector<std::pair<std::uint64_t, bool>> to;
    for (const auto& [id, connection] : connections_) {
        to.emplace_back(id, connection->micro);
    }
    for (const auto& [id, micro] : to) {
        std::string text;
        JsonWriter json{text, micro};
        json.raw("{").key("event");
        write_bare_event(json, "serverShutdown", api_.now_real_ns());
        json.raw("}");
        api_.user_streams().send(id, text);
    }
}

}  // namespace tenon::binance
