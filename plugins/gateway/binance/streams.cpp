// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/streams.hpp"

#include <algorithm>
#include <utility>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;
constexpr std::uint16_t k_going_away = 1'001;
constexpr std::uint16_t k_policy = 1'008;

template <class Each>
void each_name(std::string_view names, Each&& each) {
    while (!names.empty()) {
        const std::size_t end = std::min(names.find('/'), names.size());
        if (end > 0) {
            each(names.substr(0, end));
        }
        names.remove_prefix(end == names.size() ? end : end + 1);
    }
}

}  // namespace

Streams::Streams(const Services& services, AddressLimits& addresses, const StreamSettings& settings)
    : services_{services},
      addresses_{addresses},
      settings_{settings},
      topics_{services, settings.conflate_above_bytes} {}

Streams::~Streams() = default;

tenon_status Streams::open(
    std::uint64_t id,
    const tenon_http_request& request,
    bool combined,
    StreamConnection** connection
) {
    const std::int64_t now = services_.clock->now_real_ns(services_.clock.self);
    if (!addresses_.admit_connection(view(request.remote), now)) {
        return refuse(
            id, TENON_UNAVAILABLE, addresses_.connection_refusal(view(request.remote), now)
        );
    }
    Params params;
    Params path;
    std::string tail{"tail="};
    tail.append(view(request.tail));
    try {
        params.parse(view(request.query), {});
        path.parse(tail, {});
    } catch (const ApiError&) {
        return refuse(id, TENON_INVALID, "the query cannot be read");
    }
    auto made = std::make_unique<StreamConnection>();
    made->id = id;
    made->combined = combined;
    made->opened_ns = services_.clock->now_ns(services_.clock.self);
    const std::string_view unit = params.peek("timeUnit").value_or(std::string_view{});
    made->micro = unit == "MICROSECOND" || unit == "microsecond";
    subscribe_initial(*made, path.peek("tail").value_or(std::string_view{}));
    subscribe_initial(*made, params.peek("streams").value_or(std::string_view{}));
    if (made->topics.size() > settings_.streams_max) {
        topics_.drop(*made);
        return refuse(
            id,
            TENON_INVALID,
            "too many streams; a connection may listen to " + std::to_string(settings_.streams_max)
        );
    }
    *connection = made.get();
    connections_[id] = std::move(made);
    if (connections_.size() == 1 && on_first_) {
        on_first_();
    }
    return TENON_OK;
}

tenon_status Streams::refuse(std::uint64_t connection, tenon_status status, std::string_view why) {
    (void)services_.http->ws_close(services_.http.self, connection, k_policy, str(why));
    return status;
}

void Streams::subscribe_initial(StreamConnection& connection, std::string_view names) {
    each_name(names, [&](std::string_view name) {
        // A plus sign of "kline_1d@+08:00" that came as it is reads as a blank; no name has one.
        std::string clean{name};
        std::replace(clean.begin(), clean.end(), ' ', '+');
        const ParsedTopic topic = parse_topic(clean, services_.instruments);
        // One more than allowed is enough to know that it is too many.
        if (topic.error == TopicError::none && connection.topics.size() <= settings_.streams_max) {
            topics_.subscribe(connection, clean, topic.name);
        }
    });
}

void Streams::text(StreamConnection& connection, std::string_view message) {
    const ControlRequest request = parse_control(message);
    send(
        connection.id,
        request.error.empty() ? answer(connection, request)
                              : control_error(request.error_code, request.error, request.id)
    );
}

std::string Streams::answer(StreamConnection& connection, const ControlRequest& request) {
    switch (request.method) {
        case ControlMethod::subscribe:
            return subscribe(connection, request);
        case ControlMethod::unsubscribe:
            for (const std::string& name : request.streams) {
                topics_.unsubscribe(connection, name);
            }
            return control_result("null", request.id);
        case ControlMethod::list_subscriptions: {
            std::string list;
            JsonWriter json{list};
            json.raw("[");
            for (const Topic* const topic : connection.topics) {
                json.next().string(topic->text);
            }
            json.raw("]");
            return control_result(list, request.id);
        }
        case ControlMethod::set_property:
            connection.combined = request.combined;
            return control_result("null", request.id);
        case ControlMethod::get_property:
            return control_result(connection.combined ? "true" : "false", request.id);
    }
    return control_result("null", request.id);
}

std::string Streams::subscribe(StreamConnection& connection, const ControlRequest& request) {
    std::vector<std::pair<std::string_view, TopicName>> names;
    names.reserve(request.streams.size());
    for (const std::string& text : request.streams) {
        const ParsedTopic topic = parse_topic(text, services_.instruments);
        // What Binance has and this server does not is refused, and all else with it: a client must
        // not guess which streams it got.
        if (topic.error == TopicError::unsupported) {
            return control_error(
                2,
                "Invalid request: stream '" + text + "' is not supported by this server yet",
                request.id
            );
        }
        // A name that means nothing is accepted and stays silent, as at Binance: one mistake in a
        // list must not cost a client the others.
        if (topic.error == TopicError::none) {
            names.emplace_back(text, topic.name);
        }
    }
    if (connection.topics.size() + names.size() > settings_.streams_max) {
        return control_error(
            2,
            "Invalid request: too many streams; a connection may listen to " +
                std::to_string(settings_.streams_max),
            request.id
        );
    }
    for (const auto& [text, name] : names) {
        topics_.subscribe(connection, text, name);
    }
    return control_result("null", request.id);
}

void Streams::close(StreamConnection& connection) noexcept {
    topics_.drop(connection);
    connections_.erase(connection.id);
}

void Streams::tick(std::int64_t now_real_ns) {
    topics_.tick(now_real_ns);
    close_old();
}

// By the monotonic clock: a wall clock that is set ends no connection.
void Streams::close_old() {
    const std::int64_t now_ns = services_.clock->now_ns(services_.clock.self);
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
    for (const std::uint64_t id : old) {
        (void)services_.http->ws_close(
            services_.http.self, id, k_going_away, str("the connection is too old")
        );
    }
}

void Streams::announce_shutdown() {
    std::string text;
    JsonWriter json{text};
    json.raw("{")
        .field("e", "serverShutdown")
        .time_field("E", services_.clock->now_real_ns(services_.clock.self))
        .raw("}");
    std::vector<std::uint64_t> ids;
    ids.reserve(connections_.size());
    for (const auto& [id, connection] : connections_) {
        ids.push_back(id);
    }
    for (const std::uint64_t id : ids) {
        send(id, text);
    }
}

void Streams::send(std::uint64_t connection, std::string_view text) {
    tenon_ws_frame* const frame = services_.http->frame(services_.http.self, str(text));
    if (frame != nullptr) {
        (void)services_.http->ws_send(services_.http.self, connection, frame);
        services_.http->frame_release(services_.http.self, frame);
    }
}

}  // namespace tenon::binance
