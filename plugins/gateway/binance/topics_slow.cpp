// SPDX-License-Identifier: Apache-2.0
// Topics: who reads too slowly, and what becomes of it.
#include "plugins/gateway/binance/topics_publish.hpp"

#include <algorithm>

namespace tenon::binance {

std::uint64_t Topics::queued(const StreamConnection& connection) const noexcept {
    return services_.http->ws_queued(services_.http.self, connection.id);
}

bool Topics::is_slow(StreamConnection& connection) {
    if (!connection.slow && queued(connection) > slow_above_bytes_) {
        slow_.push_back(&connection);
        connection.slow = true;
    }
    return connection.slow;
}

void Topics::forget_slow(StreamConnection& connection) noexcept {
    slow_.erase(std::remove(slow_.begin(), slow_.end(), &connection), slow_.end());
    connection.slow = false;
    connection.backlog = {};
}

bool Topics::can_catch_up() noexcept {
    const std::size_t looks = std::min(slow_.size(), k_looks_a_turn);
    for (std::size_t i = 0; i < looks; ++i) {
        look_at_ = look_at_ + 1 < slow_.size() ? look_at_ + 1 : 0;
        if (queued(*slow_[look_at_]) <= slow_above_bytes_ / 2) {
            return true;
        }
    }
    return false;
}

void Topics::catch_up(std::int64_t now_real_ns) {
    if (slow_.empty()) {
        return;
    }
    for (std::size_t at = 0; at < slow_.size();) {
        StreamConnection& connection = *slow_[at];
        while (!connection.backlog.empty() && queued(connection) <= slow_above_bytes_ / 2) {
            send_missed(connection, connection.backlog.front(), now_real_ns);
            connection.backlog.pop_front();
        }
        if (connection.backlog.empty() && queued(connection) <= slow_above_bytes_ / 2) {
            forget_slow(connection);
        } else {
            ++at;
        }
    }
    if (slow_.empty()) {
        for (const auto& [text, topic] : topics_) {
            topic->kept.clear();
        }
    }
}

void Topics::send_missed(
    StreamConnection& connection,
    Backlog::Missed& missed,
    std::int64_t now_real_ns
) {
    Topic& topic = *missed.topic;
    if (topic.name.kind == TopicKind::depth) {
        send_one(connection, missed, [&](JsonWriter& json) {
            write_depth_event(json, market(topic), missed.diff, now_real_ns);
        });
        return;
    }
    if (topic.name.of_all_markets() && topic.name.kind != TopicKind::all_book_tickers) {
        std::vector<tenon_ticker> tickers;
        for (const std::uint32_t id : missed.instruments) {
            tenon_ticker ticker{};
            if (read_ticker(topic.name, id, now_real_ns, ticker)) {
                tickers.push_back(ticker);
            }
        }
        send_one(connection, missed, [&](JsonWriter& json) {
            write_all(json, topic, tickers, now_real_ns);
        });
        return;
    }
    const auto kept = topic.kept.find(missed.key);
    if (kept != topic.kept.end() && kept->second[missed.form] != nullptr) {
        (void
        )services_.http->ws_send(services_.http.self, connection.id, kept->second[missed.form]);
        ++counts_.frames;
    }
}

}  // namespace tenon::binance
