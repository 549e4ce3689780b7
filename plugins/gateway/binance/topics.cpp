// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/topics.hpp"

#include <algorithm>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;

[[nodiscard]] std::size_t form_of(const StreamConnection& connection) noexcept {
    return (connection.combined ? 1U : 0U) + (connection.micro ? 2U : 0U);
}

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
        if (is_timed(name.kind)) {
            timed_.push_back(found->second.get());
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
    take_out(timed_, &topic);
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

void Topics::tick(std::int64_t now_real_ns) {
    catch_up(now_real_ns);
    const std::int64_t second_now = now_real_ns / k_second_ns;
    const bool second = second_now != last_second_;
    last_second_ = second_now;
    for (std::size_t at = 0; at < timed_.size(); ++at) {
        tick_topic(*timed_[at], now_real_ns, second);
    }
    if (left_during_delivery_) {
        sweep();
    }
}

void Topics::tick_topic(Topic& topic, std::int64_t now_real_ns, bool second) {
    if (!second && !topic.name.fast) {
        return;
    }
    switch (topic.name.kind) {
        case TopicKind::depth:
            send_depth(topic, now_real_ns);
            break;
        case TopicKind::partial_depth:
            send_partial_depth(topic);
            break;
        case TopicKind::kline:
            if (topic.fresh || topic.name.interval == TENON_INTERVAL_1S ||
                now_real_ns / k_second_ns % 2 == 0) {
                send_kline(topic, now_real_ns);
            }
            break;
        case TopicKind::ticker:
        case TopicKind::mini_ticker:
            send_ticker(topic, now_real_ns);
            break;
        case TopicKind::average_price:
            send_average(topic, now_real_ns);
            break;
        case TopicKind::all_tickers:
        case TopicKind::all_mini_tickers:
            send_all(topic, now_real_ns);
            break;
        default:
            break;
    }
}

// Whether the data changed since it was sent, or somebody came who has seen none.
bool Topics::is_new(Topic& topic) const {
    const auto& data = services_.market_data;
    const std::uint64_t version = data->version(data.self, topic.name.instrument);
    const bool is = topic.fresh || version != topic.version_sent;
    topic.fresh = false;
    topic.version_sent = version;
    return is;
}

void Topics::send_depth(Topic& topic, std::int64_t now_real_ns) {
    if (topic.diff.empty()) {
        return;
    }
    publish(topic, {IfSlow::Way::skip}, [&](JsonWriter& json) {
        write_depth_event(json, market(topic), topic.diff, now_real_ns);
    });
    for (StreamConnection* const connection : topic.subscribers) {
        if (connection != nullptr && connection->slow &&
            !connection->backlog.gather(topic, form_of(*connection), topic.diff)) {
            ++counts_.depth_gaps;
        }
    }
    topic.diff.reset();
}

void Topics::send_partial_depth(Topic& topic) {
    const auto& data = services_.market_data;
    tenon_book book{};
    book.size = sizeof book;
    const auto levels = topic.name.levels;
    if (data->book(data.self, topic.name.instrument, levels, &book) != TENON_OK ||
        book.trusted == 0 || (!topic.fresh && book.last_update_id == topic.version_sent)) {
        return;
    }
    topic.fresh = false;
    topic.version_sent = book.last_update_id;
    publish(topic, {IfSlow::Way::keep}, [&](JsonWriter& json) {
        write_book(json, market(topic), book);
    });
}

void Topics::send_kline(Topic& topic, std::int64_t now_real_ns) {
    struct Rows {
        std::array<tenon_candle, 2> candles{};
        std::size_t count = 0;

        static tenon_status put(void* ctx, const tenon_candle* candle) noexcept {
            auto& rows = *static_cast<Rows*>(ctx);
            rows.candles[0] = rows.count == 0 ? *candle : rows.candles[1];
            rows.candles[1] = *candle;
            rows.count = std::min<std::size_t>(rows.count + 1, 2);
            return TENON_OK;
        }
    } rows;

    const auto& data = services_.market_data;
    const bool changed = is_new(topic);
    const tenon_status status = data->candles(
        data.self,
        topic.name.instrument,
        topic.name.interval,
        0,
        0,
        topic.name.offset_ns,
        2,
        &rows,
        &Rows::put
    );
    if (status != TENON_OK) {
        return;
    }
    const bool first = topic.open_sent_ns == Topic::k_never;
    for (std::size_t at = first || rows.count == 1 ? 1 : 0; at < 2 && rows.count > 0; ++at) {
        const tenon_candle& candle = rows.candles[at];
        const bool closed = candle.close_real_ns < now_real_ns;
        const bool again = candle.open_real_ns == topic.open_sent_ns;
        // The last word on a candle is said once, unless somebody came.
        if (candle.open_real_ns < topic.open_sent_ns ||
            (again && !changed && closed == topic.closed_sent) ||
            (again && topic.closed_sent && at == 0)) {
            continue;
        }
        topic.open_sent_ns = candle.open_real_ns;
        topic.closed_sent = closed;
        // Of a candle in progress the newest state is enough; that it has closed must be heard.
        for (StreamConnection* const connection : topic.subscribers) {
            if (closed && connection != nullptr) {
                connection->backlog.forget(topic);
            }
        }
        const IfSlow if_slow{closed ? IfSlow::Way::send : IfSlow::Way::keep};
        publish(topic, if_slow, [&](JsonWriter& json) {
            write_kline_event(json, market(topic), candle, closed, now_real_ns);
        });
    }
}

void Topics::send_ticker(Topic& topic, std::int64_t now_real_ns) {
    const auto& data = services_.market_data;
    tenon_ticker ticker{};
    ticker.size = sizeof ticker;
    if (!is_new(topic) || data->ticker(data.self, topic.name.instrument, &ticker) != TENON_OK) {
        return;
    }
    publish(topic, {IfSlow::Way::keep}, [&](JsonWriter& json) {
        if (topic.name.kind == TopicKind::ticker) {
            write_ticker_event(json, market(topic), ticker, now_real_ns);
        } else {
            write_mini_ticker_event(json, market(topic), ticker, now_real_ns);
        }
    });
}

void Topics::send_average(Topic& topic, std::int64_t now_real_ns) {
    constexpr std::uint32_t k_minutes = 5;
    const auto& data = services_.market_data;
    std::int64_t price = 0;
    std::int64_t close_ns = 0;
    if (!is_new(topic) ||
        data->average_price(data.self, topic.name.instrument, k_minutes, &price, &close_ns) !=
            TENON_OK) {
        return;
    }
    publish(topic, {IfSlow::Way::keep}, [&](JsonWriter& json) {
        write_average_price_event(json, market(topic), price, close_ns, now_real_ns);
    });
}

void Topics::send_all(Topic& topic, std::int64_t now_real_ns) {
    const auto& data = services_.market_data;
    const std::uint32_t count = services_.instruments->instrument_count(services_.instruments.self);
    topic.versions_sent.resize(count, 0);
    std::vector<tenon_ticker> changed;
    for (std::uint32_t id = 0; id < count; ++id) {
        const std::uint64_t version = data->version(data.self, id);
        tenon_ticker ticker{};
        ticker.size = sizeof ticker;
        if ((topic.fresh || version != topic.versions_sent[id]) &&
            data->ticker(data.self, id, &ticker) == TENON_OK) {
            ticker.instrument = id;
            changed.push_back(ticker);
        }
        topic.versions_sent[id] = version;
    }
    topic.fresh = false;
    if (changed.empty()) {
        return;
    }
    publish(topic, {IfSlow::Way::skip}, [&](JsonWriter& json) {
        write_all(json, topic, changed, now_real_ns);
    });
    for (StreamConnection* const connection : topic.subscribers) {
        if (connection != nullptr && connection->slow) {
            auto& missed = connection->backlog.note(topic, 0, form_of(*connection));
            for (const tenon_ticker& ticker : changed) {
                missed.instruments.insert(ticker.instrument);
            }
        }
    }
}

void Topics::write_all(
    JsonWriter& json,
    const Topic& topic,
    const std::vector<tenon_ticker>& tickers,
    std::int64_t now_real_ns
) const {
    json.raw("[");
    for (const tenon_ticker& ticker : tickers) {
        const Market of = market_of(services_.instruments, ticker.instrument);
        if (topic.name.kind == TopicKind::all_tickers) {
            write_ticker_event(json, of, ticker, now_real_ns);
        } else {
            write_mini_ticker_event(json, of, ticker, now_real_ns);
        }
    }
    json.raw("]");
}

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
    if (topic.name.kind == TopicKind::all_tickers ||
        topic.name.kind == TopicKind::all_mini_tickers) {
        const auto& data = services_.market_data;
        std::vector<tenon_ticker> tickers;
        for (const std::uint32_t id : missed.instruments) {
            tenon_ticker ticker{};
            ticker.size = sizeof ticker;
            if (data->ticker(data.self, id, &ticker) == TENON_OK) {
                ticker.instrument = id;
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
