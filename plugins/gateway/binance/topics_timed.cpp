// SPDX-License-Identifier: Apache-2.0
// Topics: what is sent on the tick.
#include "plugins/gateway/binance/topics_publish.hpp"
#include "plugins/gateway/binance/window_ticker.hpp"

#include <tenon/structs.hpp>

#include <algorithm>
#include <utility>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_hour_ns = 3'600 * k_second_ns;

}  // namespace

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

void Topics::tick_frames() {
    for (std::size_t at = 0; at < frames_.size(); ++at) {
        send_partial_depth(*frames_[at]);
    }
    if (left_during_delivery_) {
        sweep();
    }
}

void Topics::tick_topic(Topic& topic, std::int64_t now_real_ns, bool second) {
    if (!second && topic.name.speed == TopicSpeed::second) {
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
        case TopicKind::window_ticker:
            send_window(topic, now_real_ns);
            break;
        case TopicKind::average_price:
            send_average(topic, now_real_ns);
            break;
        case TopicKind::all_tickers:
        case TopicKind::all_mini_tickers:
        case TopicKind::all_window_tickers:
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

// A window opens a minute later each minute, and then tells something else without any trade.
bool Topics::has_moved(Topic& topic, std::int64_t now_real_ns) noexcept {
    const std::int64_t open_ns =
        topic.name.hours == 0 ? topic.open_sent_ns
                              : rolling_window(topic.name.hours * k_hour_ns, now_real_ns).open_ns;
    return std::exchange(topic.open_sent_ns, open_ns) != open_ns;
}

bool Topics::read_ticker(
    const TopicName& name,
    std::uint32_t instrument,
    std::int64_t now_real_ns,
    tenon_ticker& out
) const {
    const auto& data = services_.market_data;
    if (name.hours != 0) {
        const Market of = market_of(services_.instruments, instrument);
        const Window window = rolling_window(name.hours * k_hour_ns, now_real_ns);
        return sum_window(data, of, window, now_real_ns, out) == TENON_OK;
    }
    out = sized<tenon_ticker>();
    const tenon_status status = data->ticker(data.self, instrument, &out);
    out.instrument = instrument;
    return status == TENON_OK;
}

void Topics::send_window(Topic& topic, std::int64_t now_real_ns) {
    const bool moved = has_moved(topic, now_real_ns);
    tenon_ticker ticker{};
    if ((!is_new(topic) && !moved) ||
        !read_ticker(topic.name, topic.name.instrument, now_real_ns, ticker)) {
        return;
    }
    publish(topic, {IfSlow::Way::keep}, [&](JsonWriter& json) {
        write_window_ticker_event(json, market(topic), ticker, topic.name.hours, now_real_ns);
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
    const bool moved = has_moved(topic, now_real_ns);
    for (std::uint32_t id = 0; id < count; ++id) {
        const std::uint64_t version = data->version(data.self, id);
        tenon_ticker ticker{};
        if ((topic.fresh || moved || version != topic.versions_sent[id]) &&
            read_ticker(topic.name, id, now_real_ns, ticker)) {
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
        if (topic.name.kind == TopicKind::all_window_tickers) {
            write_window_ticker_event(json, of, ticker, topic.name.hours, now_real_ns);
        } else if (topic.name.kind == TopicKind::all_tickers) {
            write_ticker_event(json, of, ticker, now_real_ns);
        } else {
            write_mini_ticker_event(json, of, ticker, now_real_ns);
        }
    }
    json.raw("]");
}

}  // namespace tenon::binance
