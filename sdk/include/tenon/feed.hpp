// SPDX-License-Identifier: Apache-2.0
// tenon.feed/1 in C++: a source of public market data. Derive from Feed, call
// provide<tenon::Feed>(this) in the constructor, and emit() events on reactor 0 while started.
//
// The facet keeps the listeners: each gets your snapshots first, on reactor 0 in a turn after it
// subscribed, and what you emit from then on. A source that can tell what was before overrides
// fetch and cancel_fetch, and says so to the constructor.
#pragma once

#include <tenon/abi/feed.h>
#include <tenon/history.hpp>
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

    // Older rows, or why there are none; called once.
    using Fetched =
        std::function<void(tenon_status status, const HistoryRows& rows, std::string_view reason)>;

    // [reactor 0] Asks the source; `done` is called in a later turn, by the query's deadline. The
    // handle is above 0. Throws what is wrong with the query.
    virtual std::uint64_t fetch(const tenon_history_query& query, Fetched done) {
        (void)query;
        (void)done;
        throw Error{TENON_UNSUPPORTED, "this feed does not know what was before"};
    }

    // [reactor 0] `done` is not called any more.
    virtual void cancel_fetch(std::uint64_t handle) noexcept { (void)handle; }

    [[nodiscard]] static const void* table(const Feed& feed) noexcept {
        static constexpr tenon_feed_1 k_live{
            sizeof(tenon_feed_1),
            0,
            &subscribe,
            &unsubscribe,
            &serves_instrument,
            nullptr,
            nullptr};
        static constexpr tenon_feed_1 k_with_history{
            sizeof(tenon_feed_1),
            0,
            &subscribe,
            &unsubscribe,
            &serves_instrument,
            &fetch_rows,
            &cancel_rows};
        return feed.has_history_ ? &k_with_history : &k_live;
    }

protected:
    using Callback = void (*)(void* ctx, const tenon_feed_event*);

    // has_history: fetch and cancel_fetch are overridden.
    explicit Feed(const tenon_host* host, bool has_history = false)
        : feed_host_{host}, has_history_{has_history} {}

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

    static tenon_status fetch_rows(
        void* self,
        const tenon_history_query* query,
        tenon_history_done done,
        std::uint64_t* handle,
        tenon_err* err
    ) noexcept {
        return guard(err, [&]() -> tenon_status {
            auto asked = sized<tenon_history_query>();
            copy_out(*query, &asked);
            const auto answer =
                [done, kind = asked.kind](
                    tenon_status status, const HistoryRows& rows, std::string_view reason
                ) {
                    if (status == TENON_OK) {
                        const tenon_history_rows raw = raw_rows(rows, kind);
                        done.fn(done.ctx, status, &raw, nullptr);
                    } else {
                        ErrorBuffer why;
                        (void)fail(&why, status, reason);
                        done.fn(done.ctx, status, nullptr, &why);
                    }
                };
            *handle = of(self).fetch(asked, answer);
            return TENON_PENDING;
        });
    }

    static void cancel_rows(void* self, std::uint64_t handle) noexcept {
        of(self).cancel_fetch(handle);
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
    bool has_history_;
    std::vector<Listener> listeners_;  // reactor 0's
    std::uint64_t next_handle_ = 1;
};

}  // namespace tenon
