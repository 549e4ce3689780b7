// SPDX-License-Identifier: Apache-2.0
// A feed of two instruments whose books move at every tick of a timer: the reference of the feed
// suite, and what it looks like when a rule is broken.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/feed.h>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace tenon::broken {
namespace {

constexpr std::int64_t k_tick_ns = 10'000'000;
constexpr std::int64_t k_middle = 10'000;

using Callback = void (*)(void* ctx, const tenon_feed_event*);

struct Listener {
    std::uint64_t handle;
    void* ctx;
    Callback fn;
    bool fresh;
    int left;  // events that still come after unsubscribe; -1: subscribed
};

struct Book {
    std::map<std::int64_t, std::int64_t> bids, asks;
    std::uint64_t update = 0, trade = 0;
};

class Feed : public Plugin {
public:
    explicit Feed(const tenon_host* raw) : Plugin{raw} { provide("tenon.feed/1", this, &k_table); }

    void configure(std::string_view, bool) override {}

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        call_on_reactor(exec_, 0, [this] {
            for (Book& book : books_) {
                for (std::int64_t i = 1; i <= 5; ++i) {
                    book.bids[k_middle - i] = i * 10;
                    book.asks[k_middle + i] = i * 10;
                }
            }
            arm();
        });
    }

    void stop() noexcept override {
        (void)guard(nullptr, [&] {
            call_on_reactor(exec_, 0, [this] {
                exec_->cancel_timer(exec_.self, timer_);
                listeners_.clear();
            });
        });
    }

private:
    static Feed& of(void* self) noexcept { return *static_cast<Feed*>(self); }

    void arm() {
        timer_ = exec_->timer(
            exec_.self,
            clock_->now_ns(clock_.self) + k_tick_ns,
            [](void* self) noexcept { (void)guard(nullptr, [&] { of(self).tick(); }); },
            this
        );
    }

    void tick() {
        arm();
        ++ticks_;
        for (Listener& listener : listeners_) {
            if (listener.fresh) {
                listener.fresh = false;
                for (std::uint32_t id = 0; id < books_.size() && !fault("feed.first"); ++id) {
                    send_snapshot(id, &listener);
                }
            }
        }
        for (std::uint32_t id = 0; id < books_.size(); ++id) {
            if (ticks_ % 50 == 0) {
                tenon_feed_event gap = made(TENON_FEED_GAP, id);
                send(gap, nullptr);
                books_[id].update += 7;
                send_snapshot(id, nullptr);
            }
            send_diff(id);
            send_trade(id);
            send_ticker(id);
        }
        std::erase_if(listeners_, [](const Listener& one) { return one.left == 0; });
    }

    [[nodiscard]] tenon_feed_event made(std::uint32_t kind, std::uint32_t instrument) const {
        tenon_feed_event event{};
        event.size = sizeof event;
        event.kind = kind;
        event.instrument = instrument;
        event.event_real_ns = 1'700'000'000'000'000'000 + ticks_ * k_tick_ns;
        if (fault("feed.times") && ticks_ % 20 == 0) {
            event.event_real_ns -= 1'000'000'000;
        }
        return event;
    }

    void send(const tenon_feed_event& event, const Listener* only) {
        for (Listener& listener : listeners_) {
            if ((only != nullptr && &listener != only) || listener.left == 0) {
                continue;
            }
            listener.left -= listener.left > 0 ? 1 : 0;
            listener.fn(listener.ctx, &event);
        }
    }

    void send_snapshot(std::uint32_t id, const Listener* only) {
        const Book& book = books_[id];
        std::vector<tenon_level> bids, asks;
        for (const auto& [price, quantity] : book.bids) {
            bids.push_back({price, quantity});
        }
        for (const auto& [price, quantity] : book.asks) {
            asks.push_back({price, quantity});
        }
        if (!fault("feed.levels")) {
            std::reverse(bids.begin(), bids.end());
        }
        tenon_feed_event event = made(TENON_FEED_SNAPSHOT, id);
        event.last_update_id = book.update;
        event.bids = bids.data();
        event.asks = asks.data();
        event.bid_count = static_cast<std::uint32_t>(bids.size());
        event.ask_count = static_cast<std::uint32_t>(asks.size());
        send(event, only);
    }

    void send_diff(std::uint32_t id) {
        Book& book = books_[id];
        const tenon_level bid{k_middle - 1 - ticks_ % 9, ticks_ % 7 * 10};
        const tenon_level ask{k_middle + 1 + ticks_ % 8, ticks_ % 5 * 10};
        for (const auto& [side, level] : {std::pair{&book.bids, bid}, std::pair{&book.asks, ask}}) {
            if (level.quantity == 0) {
                side->erase(level.price);
            } else {
                (*side)[level.price] = level.quantity;
            }
        }
        tenon_feed_event event = made(TENON_FEED_DIFF, id);
        event.first_update_id = ++book.update;
        event.last_update_id = ++book.update;
        if (fault("feed.chain") && ticks_ % 20 == 0) {
            ++event.first_update_id;
        }
        event.bids = &bid;
        event.asks = &ask;
        event.bid_count = event.ask_count = 1;
        if (fault("feed.reactor") && ticks_ % 10 == 0) {
            // A copy goes out from the pool as well.
            run_blocking(exec_, [this, copy = made(TENON_FEED_GAP, id)] {
                for (const Listener& listener : listeners_) {
                    listener.fn(listener.ctx, &copy);
                }
            });
        }
        send(event, nullptr);
    }

    void send_trade(std::uint32_t id) {
        tenon_feed_event event = made(TENON_FEED_TRADE, id);
        event.trade_id = ++books_[id].trade;
        if (fault("feed.trades") && ticks_ % 20 == 0) {
            event.trade_id -= 3;
        }
        event.price = k_middle;
        event.quantity = 1 + ticks_ % 9;
        event.buyer_is_maker = static_cast<std::uint32_t>(ticks_ % 2);
        send(event, nullptr);
    }

    void send_ticker(std::uint32_t id) {
        const Book& book = books_[id];
        tenon_feed_event event = made(TENON_FEED_BOOK_TICKER, id);
        event.last_update_id = book.update;
        tenon_level bid{}, ask{};
        if (!book.bids.empty()) {
            bid = {book.bids.rbegin()->first, book.bids.rbegin()->second};
            event.bids = &bid;
            event.bid_count = 1;
        }
        if (!book.asks.empty()) {
            ask = {book.asks.begin()->first, book.asks.begin()->second};
            event.asks = &ask;
            event.ask_count = 1;
        }
        send(event, nullptr);
    }

    static tenon_status
    subscribe(void* self, void* ctx, Callback fn, std::uint64_t* handle) noexcept {
        return guard(nullptr, [&] {
            Feed& feed = of(self);
            call_on_reactor(feed.exec_, 0, [&] {
                *handle = ++feed.last_handle_;
                feed.listeners_.push_back({*handle, ctx, fn, true, -1});
            });
        });
    }

    static void unsubscribe(void* self, std::uint64_t handle) noexcept {
        (void)guard(nullptr, [&] {
            Feed& feed = of(self);
            call_on_reactor(feed.exec_, 0, [&] {
                auto& all = feed.listeners_;
                const auto found = std::find_if(all.begin(), all.end(), [&](const Listener& one) {
                    return one.handle == handle;
                });
                if (found == all.end()) {
                    if (fault("feed.unknown-handle") && !all.empty()) {
                        all.erase(all.begin());
                    }
                } else if (fault("feed.unsubscribe")) {
                    found->left = 3;
                } else {
                    all.erase(found);
                }
            });
        });
    }

    static std::uint32_t serves(void*, std::uint32_t instrument) noexcept {
        return fault("feed.serves") || instrument < 2 ? 1 : 0;
    }

    static constexpr tenon_feed_1
        k_table{sizeof(tenon_feed_1), 0, &subscribe, &unsubscribe, &serves, nullptr, nullptr};

    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    // Reactor 0's.
    std::vector<Listener> listeners_;
    std::array<Book, 2> books_;
    std::uint64_t last_handle_ = 0;
    std::uint64_t timer_ = 0;
    std::int64_t ticks_ = 0;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Feed)
