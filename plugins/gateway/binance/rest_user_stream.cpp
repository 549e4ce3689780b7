// SPDX-License-Identifier: Apache-2.0
// Listen keys, for clients from before the WebSocket API had user data streams.
#include "plugins/gateway/binance/rest_trading.hpp"

#include <algorithm>

namespace tenon::binance::rest {
namespace {

[[nodiscard]] ApiError no_such_key() {
    return {-1125, "This listenKey does not exist."};
}

}  // namespace

void listen_key_create(Api& api, Call& call) {
    call.finish();
    const std::string name =
        api.user_streams().listen_keys().create(call.account, call.credential.key, api.now_ns());
    api.waiting();
    JsonWriter json{api.buffer()};
    json.raw("{").field("listenKey", name).raw("}");
    api.reply(call.to, json.text());
}

void listen_key_prolong(Api& api, Call& call) {
    const std::string_view name = call.params.mandatory("listenKey");
    call.finish();
    if (!api.user_streams().listen_keys().prolong(name, call.account, api.now_ns())) {
        throw no_such_key();
    }
    api.reply(call.to, "{}");
}

void listen_key_remove(Api& api, Call& call) {
    const std::string name{call.params.mandatory("listenKey")};
    call.finish();
    UserStreams& streams = api.user_streams();
    if (!streams.listen_keys().remove(name, call.account)) {
        throw no_such_key();
    }
    (void)streams.end_at(call.account, [&](const UserSubscription& one) {
        return one.listen_key == name;
    });
    api.reply(call.to, "{}");
}

}  // namespace tenon::binance::rest

namespace tenon::binance {

void follow_listen_keys(
    Api& api,
    std::uint64_t connection,
    const tenon_http_request& request,
    bool combined
) {
    UserStreams& streams = api.user_streams();
    if (streams.listen_keys().size() == 0) {
        return;
    }
    Params params;
    params.parse(view(request.query), {});
    const std::string_view unit = params.peek("timeUnit").value_or(std::string_view{});
    for (std::string_view names :
         {view(request.tail), params.peek("streams").value_or(std::string_view{})}) {
        while (!names.empty()) {
            const std::size_t end = std::min(names.find('/'), names.size());
            const std::string_view name = names.substr(0, end);
            names.remove_prefix(std::min(end + 1, names.size()));
            const ListenKeys::Owner* const owner = streams.listen_keys().find(name, api.now_ns());
            if (owner == nullptr) {
                continue;
            }
            UserSubscription one;
            one.connection = connection;
            one.account = owner->account;
            one.form = combined ? UserSubscription::Form::named : UserSubscription::Form::bare;
            one.micro = unit == "MICROSECOND" || unit == "microsecond";
            one.api_key = owner->key;
            one.listen_key = name;
            try {
                streams.subscribe(std::move(one));
            } catch (const ApiError&) {
                // Another key of the same account: its events come already.
            }
        }
    }
}

}  // namespace tenon::binance
