// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/internal/feed.hpp"

#include <algorithm>

namespace tenon::internal {
namespace {

[[nodiscard]] tenon_feed_event
event_of(std::uint32_t kind, const Book& book, std::int64_t now_real_ns) noexcept {
    tenon_feed_event event{};
    event.size = sizeof event;
    event.kind = kind;
    event.instrument = book.rules().instrument;
    event.event_real_ns = now_real_ns;
    event.last_update_id = book.update_id();
    return event;
}

void set_levels(
    tenon_feed_event& event,
    const std::vector<tenon_level>& bids,
    const std::vector<tenon_level>& asks
) noexcept {
    event.bids = bids.data();
    event.asks = asks.data();
    event.bid_count = static_cast<std::uint32_t>(bids.size());
    event.ask_count = static_cast<std::uint32_t>(asks.size());
}

}  // namespace

void Feed::remove(std::uint64_t handle) {
    std::erase_if(subscribers_, [&](const Subscriber& s) { return s.handle == handle; });
}

void Feed::restart() {
    for (Subscriber& subscriber : subscribers_) {
        subscriber.fresh = true;
    }
}

void Feed::publish(std::span<Book> books, std::int64_t now_real_ns) {
    sent_.resize(books.size());
    bool any_fresh = false;
    for (const Subscriber& subscriber : subscribers_) {
        any_fresh = any_fresh || subscriber.fresh;
    }
    for (std::size_t i = 0; i < books.size(); ++i) {
        Book& book = books[i];
        if (book.notes_lost()) {
            send(event_of(TENON_FEED_GAP, book, now_real_ns), false);
            send_snapshot(book, now_real_ns, false);
        } else if (book.update_id() != sent_[i]) {
            send_trades(book);
            send_diff(book, sent_[i], now_real_ns);
            send_ticker(book, now_real_ns);
        }
        if (any_fresh) {
            send_snapshot(book, now_real_ns, true);
        }
        sent_[i] = book.update_id();
        book.forget_notes();
    }
    for (Subscriber& subscriber : subscribers_) {
        subscriber.fresh = false;
    }
}

void Feed::send(const tenon_feed_event& event, bool to_fresh) {
    for (const Subscriber& subscriber : subscribers_) {
        if (subscriber.fresh == to_fresh) {
            subscriber.fn(subscriber.ctx, &event);
        }
    }
}

void Feed::send_snapshot(const Book& book, std::int64_t now_real_ns, bool to_fresh) {
    bids_.clear();
    asks_.clear();
    book.for_each_level(TENON_SIDE_BUY, [&](tenon_level level) { bids_.push_back(level); });
    book.for_each_level(TENON_SIDE_SELL, [&](tenon_level level) { asks_.push_back(level); });
    tenon_feed_event event = event_of(TENON_FEED_SNAPSHOT, book, now_real_ns);
    set_levels(event, bids_, asks_);
    send(event, to_fresh);
}

void Feed::send_trades(const Book& book) {
    for (const PublicTrade& trade : book.noted_trades()) {
        tenon_feed_event event = event_of(TENON_FEED_TRADE, book, trade.time_real_ns);
        event.last_update_id = 0;
        event.trade_id = trade.trade_id;
        event.price = trade.price;
        event.quantity = trade.quantity;
        event.buyer_is_maker = trade.buyer_is_maker ? 1 : 0;
        send(event, false);
    }
}

void Feed::send_diff(const Book& book, std::uint64_t sent_update_id, std::int64_t now_real_ns) {
    changes_ = book.noted_levels();
    const auto order = [](const LevelChange& a, const LevelChange& b) {
        return a.side != b.side ? a.side < b.side : a.price < b.price;
    };
    std::sort(changes_.begin(), changes_.end(), order);
    bids_.clear();
    asks_.clear();
    const LevelChange* before = nullptr;
    for (const LevelChange& change : changes_) {
        if (before == nullptr || order(*before, change)) {
            (change.side == TENON_SIDE_BUY ? bids_ : asks_)
                .push_back({change.price, book.quantity_at(change.side, change.price)});
        }
        before = &change;
    }
    std::reverse(bids_.begin(), bids_.end());
    tenon_feed_event event = event_of(TENON_FEED_DIFF, book, now_real_ns);
    event.first_update_id = sent_update_id + 1;
    set_levels(event, bids_, asks_);
    send(event, false);
}

void Feed::send_ticker(const Book& book, std::int64_t now_real_ns) {
    bids_.clear();
    asks_.clear();
    for (const std::uint8_t side : k_sides) {
        if (const auto best = book.best(side)) {
            (side == TENON_SIDE_BUY ? bids_ : asks_).push_back(*best);
        }
    }
    tenon_feed_event event = event_of(TENON_FEED_BOOK_TICKER, book, now_real_ns);
    set_levels(event, bids_, asks_);
    send(event, false);
}

}  // namespace tenon::internal
