// SPDX-License-Identifier: Apache-2.0
// tenon.feed/1 in C++: a source of public market data. Derive from Feed, call
// provide<tenon::Feed>(this) in the constructor, and emit() events on reactor 0 while started.
//
// The facet keeps the listeners: each gets your snapshots first, on reactor 0 in a turn after it
// subscribed, and what you emit from then on.
#pragma once

#include <tenon/abi/feed.h>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace tenon {

class Feed {
public:
    static constexpr std::string_view k_id = "tenon.feed/1";
    using Send = std::function<void(const tenon_feed_event&)>;

    // [any] True when the feed serves the instrument.
    [[nodiscard]] virtual bool serves(std::uint32_t instrument) const noexcept = 0;
    // [reactor 0] Sends a SNAPSHOT of every instrument that has a book now.
    virtual void snapshots(const Send& send) = 0;

    [[nodiscard]] static const void* table(const Feed&) noexcept {
        static constexpr tenon_feed_1 k_table{
            sizeof(tenon_feed_1), 0, &subscribe, &unsubscribe, &serves_instrument};
        return &k_table;
    }

protected:
    using Callback = void (*)(void* ctx, const tenon_feed_event*);

    explicit Feed(const tenon_host* host) : feed_host_{host} {}

    ~Feed() = default;

    // [reactor 0] To every listener that has had its snapshots. `event.size` is set here.
    void emit(tenon_feed_event event) noexcept {
        event.size = sizeof event;
        for (std::size_t i = 0; i < listeners_.size(); ++i) {
            if (listeners_[i].opened) {
                listeners_[i].fn(listeners_[i].ctx, &event);
            }
        }
    }

    // [control] Call it in stop: after it returns nobody is called.
    void drop_listeners() {
        call_on_reactor(exec(), 0, [this] { listeners_.clear(); });
    }

private:
    struct Listener {
        std::uint64_t handle;
        void* ctx;
        Callback fn;
        bool opened;
    };

    static Feed& of(void* self) noexcept { return *static_cast<Feed*>(self); }

    [[nodiscard]] Service<tenon_exec_1> exec() const {
        return feed_host_.service<tenon_exec_1>("tenon.exec/1");
    }

    static tenon_status
    subscribe(void* self, void* ctx, Callback fn, std::uint64_t* handle) noexcept {
        return guard(nullptr, [&] {
            Feed& feed = of(self);
            call_on_reactor(feed.exec(), 0, [&] {
                const std::uint64_t given = feed.next_handle_++;
                feed.listeners_.push_back({given, ctx, fn, false});
                try {
                    post(feed.exec(), 0, [&feed, given] { feed.open(given); });
                } catch (...) {
                    feed.listeners_.pop_back();
                    throw;
                }
                *handle = given;
            });
        });
    }

    static void unsubscribe(void* self, std::uint64_t handle) noexcept {
        (void)guard(nullptr, [&] {
            Feed& feed = of(self);
            call_on_reactor(feed.exec(), 0, [&] {
                std::erase_if(feed.listeners_, [&](const Listener& have) {
                    return have.handle == handle;
                });
            });
        });
    }

    static std::uint32_t serves_instrument(void* self, std::uint32_t instrument) noexcept {
        return of(self).serves(instrument) ? 1 : 0;
    }

    void open(std::uint64_t handle) {
        for (Listener& listener : listeners_) {
            if (listener.handle == handle) {
                listener.opened = true;
                const Listener mine = listener;
                snapshots([&mine](const tenon_feed_event& event) {
                    tenon_feed_event copy = event;
                    copy.size = sizeof copy;
                    mine.fn(mine.ctx, &copy);
                });
                return;
            }
        }
    }

    Host feed_host_;
    std::vector<Listener> listeners_;  // reactor 0's
    std::uint64_t next_handle_ = 1;
};

}  // namespace tenon
