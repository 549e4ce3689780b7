// SPDX-License-Identifier: Apache-2.0
// How a message of a topic is written, framed and handed out: for the parts of Topics.
#pragma once

#include "plugins/gateway/binance/topics.hpp"

#include <utility>

namespace tenon::binance {

[[nodiscard]] inline std::size_t form_of(const StreamConnection& connection) noexcept {
    return (connection.combined ? 1U : 0U) + (connection.micro ? 2U : 0U);
}

template <class Write>
tenon_ws_frame* Topics::frame(const Topic& topic, std::size_t form, Write&& write) {
    buffer_.clear();
    JsonWriter json{buffer_, (form & 2U) != 0};
    if ((form & 1U) != 0) {
        json.raw("{").field("stream", topic.text).key("data");
        write(json);
        json.raw("}");
    } else {
        write(json);
    }
    return services_.http->frame(services_.http.self, str(buffer_));
}

template <class Write>
void Topics::publish(Topic& topic, IfSlow if_slow, Write&& write) {
    using Way = IfSlow::Way;
    Frames frames{services_.http};
    bool keep = false;
    ++delivering_;
    for (std::size_t at = 0; at < topic.subscribers.size(); ++at) {
        StreamConnection* const connection = topic.subscribers[at];
        if (connection == nullptr) {
            continue;
        }
        const bool waits = if_slow.way != Way::send && is_slow(*connection);
        counts_.conflated += waits ? 1 : 0;
        if (waits && if_slow.way == Way::skip) {
            continue;
        }
        const std::size_t form = form_of(*connection);
        if (frames[form] == nullptr) {
            frames[form] = frame(topic, form, write);
        }
        if (frames[form] == nullptr) {
            continue;
        }
        if (waits) {
            (void)connection->backlog.note(topic, if_slow.key, form);
            keep = true;
            continue;
        }
        // A connection that cannot take it is being closed: its close comes by itself.
        (void)services_.http->ws_send(services_.http.self, connection->id, frames[form]);
        ++counts_.frames;
    }
    --delivering_;
    if (keep) {
        topic.kept.insert_or_assign(if_slow.key, std::move(frames));
    }
}

template <class Write>
void Topics::send_one(
    const StreamConnection& connection,
    const Backlog::Missed& missed,
    Write&& write
) {
    Frames frames{services_.http};
    frames[missed.form] = frame(*missed.topic, missed.form, write);
    if (frames[missed.form] != nullptr) {
        (void)services_.http->ws_send(services_.http.self, connection.id, frames[missed.form]);
        ++counts_.frames;
    }
}

}  // namespace tenon::binance
