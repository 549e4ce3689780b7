// SPDX-License-Identifier: Apache-2.0
// Public market data of the internal books, for subscribers of tenon.feed/1.
//
// Single-threaded; who calls it from elsewhere posts to the venue's thread first. Subscribers added
// while something is not durable yet get their snapshots with the next publish.
#pragma once

#include "plugins/venue/internal/book.hpp"

#include <tenon/abi/feed.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::internal {

class Feed {
public:
    using Callback = void (*)(void* ctx, const tenon_feed_event* event);

    // Handles are the caller's, > 0.
    void add(std::uint64_t handle, void* ctx, Callback fn) {
        subscribers_.push_back({handle, ctx, fn, true});
    }

    void remove(std::uint64_t handle);

    // Sends snapshots to new subscribers, and to the others what the books have noted; the notes
    // are forgotten. Everything in the books is durable.
    void publish(std::span<Book> books, std::int64_t now_real_ns);

    // All subscribers get snapshots with the next publish.
    void restart();

private:
    struct Subscriber {
        std::uint64_t handle = 0;
        void* ctx = nullptr;
        Callback fn = nullptr;
        bool fresh = true;
    };

    void send(const tenon_feed_event& event, bool to_fresh);
    void send_snapshot(const Book& book, std::int64_t now_real_ns, bool to_fresh);
    void send_trades(const Book& book);
    void send_diff(const Book& book, std::uint64_t sent_update_id, std::int64_t now_real_ns);
    void send_ticker(const Book& book, std::int64_t now_real_ns);

    std::vector<Subscriber> subscribers_;
    std::vector<std::uint64_t> sent_;  // last update id sent, by book
    std::vector<LevelChange> changes_;
    std::vector<tenon_level> bids_, asks_;
};

}  // namespace tenon::internal
