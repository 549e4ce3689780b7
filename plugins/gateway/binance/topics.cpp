// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/topics.hpp"

#include "plugins/gateway/binance/topics_publish.hpp"

#include <algorithm>

namespace tenon::binance {
namespace {

void take_out(std::vector<Topic*>& from, const Topic* topic) noexcept {
    from.erase(std::remove(from.begin(), from.end(), topic), from.end());
}

[[nodiscard]] bool is_timed(TopicKind kind) noexcept {
    return kind != TopicKind::trade && kind != TopicKind::agg_trade &&
           kind != TopicKind::book_ticker && kind != TopicKind::all_book_tickers;
}

}  // namespace

Topics::Topics(const Services& services, std::uint64_t slow_above_bytes)
    : services_{services}, slow_above_bytes_{slow_above_bytes} {}

Topics::~Topics() = default;

Market Topics::market(const Topic& topic) const {
    return market_of(services_.instruments, topic.name.instrument);
}

std::vector<Topic*>* Topics::ticked_of(const TopicName& name) noexcept {
    return !is_timed(name.kind) ? nullptr : name.speed == TopicSpeed::frame ? &frames_ : &timed_;
}

std::vector<Topic*>* Topics::listeners_of(const TopicName& name) {
    if (name.kind == TopicKind::all_book_tickers) {
        return &all_book_tickers_;
    }
    if (name.of_all_markets()) {
        return nullptr;
    }
    if (name.instrument >= listeners_.size()) {
        listeners_.resize(name.instrument + 1);
    }
    Listeners& at = listeners_[name.instrument];
    switch (name.kind) {
        case TopicKind::trade:
            return &at.trade;
        case TopicKind::agg_trade:
            return &at.agg_trade;
        case TopicKind::book_ticker:
            return &at.book_ticker;
        case TopicKind::depth:
            return &at.depth;
        default:
            return nullptr;
    }
}

void Topics::subscribe(StreamConnection& connection, std::string_view text, const TopicName& name) {
    auto found = topics_.find(text);
    if (found == topics_.end()) {
        auto topic = std::make_unique<Topic>();
        topic->text = text;
        topic->name = name;
        found = topics_.emplace(topic->text, std::move(topic)).first;
        if (auto* const listeners = listeners_of(name)) {
            listeners->push_back(found->second.get());
        }
        if (auto* const ticked = ticked_of(name)) {
            ticked->push_back(found->second.get());
        }
    }
    Topic& topic = *found->second;
    if (std::find(connection.topics.begin(), connection.topics.end(), &topic) !=
        connection.topics.end()) {
        return;
    }
    connection.topics.push_back(&topic);
    topic.subscribers.push_back(&connection);
    topic.fresh = true;
}

void Topics::unsubscribe(StreamConnection& connection, std::string_view text) {
    const auto found = topics_.find(text);
    if (found == topics_.end()) {
        return;
    }
    Topic& topic = *found->second;
    const auto at = std::find(connection.topics.begin(), connection.topics.end(), &topic);
    if (at != connection.topics.end()) {
        connection.topics.erase(at);
        connection.backlog.forget(topic);
        remove(topic, connection);
        forget_if_idle(topic);
    }
}

void Topics::drop(StreamConnection& connection) noexcept {
    forget_slow(connection);
    for (Topic* const topic : std::exchange(connection.topics, {})) {
        remove(*topic, connection);
        forget_if_idle(*topic);
    }
}

void Topics::remove(Topic& topic, StreamConnection& connection) noexcept {
    const auto at = std::find(topic.subscribers.begin(), topic.subscribers.end(), &connection);
    if (at == topic.subscribers.end()) {
        return;
    }
    if (delivering_ > 0) {
        *at = nullptr;
        left_during_delivery_ = true;
        return;
    }
    *at = topic.subscribers.back();
    topic.subscribers.pop_back();
}

void Topics::forget_if_idle(Topic& topic) noexcept {
    if (delivering_ > 0 || !topic.subscribers.empty()) {
        return;
    }
    if (auto* const listeners = listeners_of(topic.name)) {
        take_out(*listeners, &topic);
    }
    if (auto* const ticked = ticked_of(topic.name)) {
        take_out(*ticked, &topic);
    }
    topics_.erase(topics_.find(topic.text));
}

// Takes out who left while frames were being sent.
void Topics::sweep() noexcept {
    left_during_delivery_ = false;
    for (auto at = topics_.begin(); at != topics_.end();) {
        Topic& topic = *(at++)->second;
        auto& list = topic.subscribers;
        list.erase(std::remove(list.begin(), list.end(), nullptr), list.end());
        forget_if_idle(topic);
    }
}

void Topics::on_market(const tenon_md_event& event) {
    if (event.instrument >= listeners_.size() &&
        (event.kind != TENON_MD_BEST || all_book_tickers_.empty())) {
        return;
    }
    const std::int64_t now = services_.clock->now_real_ns(services_.clock.self);
    if (event.kind == TENON_MD_TRADE && event.trade != nullptr) {
        for (Topic* const topic : listeners_[event.instrument].trade) {
            publish(*topic, {}, [&](JsonWriter& json) {
                write_trade_event(json, market(*topic), *event.trade, now);
            });
        }
    } else if (event.kind == TENON_MD_AGG && event.agg != nullptr) {
        for (Topic* const topic : listeners_[event.instrument].agg_trade) {
            publish(*topic, {}, [&](JsonWriter& json) {
                write_agg_trade_event(json, market(*topic), *event.agg, now);
            });
        }
    } else if (event.kind == TENON_MD_BEST) {
        on_best(event);
    } else if (event.kind == TENON_MD_BOOK || event.kind == TENON_MD_GAP) {
        on_book(event.instrument, event.kind == TENON_MD_BOOK ? event.feed : nullptr);
    }
    if (left_during_delivery_) {
        sweep();
    }
}

void Topics::on_book(std::uint32_t instrument, const tenon_feed_event* feed) {
    for (Topic* const topic : listeners_[instrument].depth) {
        if (feed != nullptr && feed->kind == TENON_FEED_DIFF) {
            topic->diff.add(*feed);
        } else {
            topic->diff.reset();
            for (StreamConnection* const connection : slow_) {
                connection->backlog.forget(*topic);
            }
        }
    }
}

void Topics::on_best(const tenon_md_event& event) {
    const bool listened =
        event.instrument < listeners_.size() && !listeners_[event.instrument].book_ticker.empty();
    if (!listened && all_book_tickers_.empty()) {
        return;
    }
    const auto& data = services_.market_data;
    tenon_level bid{};
    tenon_level ask{};
    if (data->best(data.self, event.instrument, &bid, &ask) != TENON_OK) {
        return;
    }
    std::uint64_t update_id = 0;
    if (event.feed != nullptr) {
        update_id = event.feed->last_update_id;
    } else {
        tenon_book book{};
        book.size = sizeof book;
        (void)data->book(data.self, event.instrument, 1, &book);
        update_id = book.last_update_id;
    }
    const Market of = market_of(services_.instruments, event.instrument);
    const auto write = [&](JsonWriter& json) {
        write_book_ticker_event(json, of, update_id, bid, ask);
    };
    if (listened) {
        for (Topic* const topic : listeners_[event.instrument].book_ticker) {
            publish(*topic, {IfSlow::Way::keep}, write);
        }
    }
    for (Topic* const topic : all_book_tickers_) {
        publish(*topic, {IfSlow::Way::keep, event.instrument}, write);
    }
}

}  // namespace tenon::binance
