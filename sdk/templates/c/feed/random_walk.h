/* SPDX-License-Identifier: Apache-2.0 */
/* A market of one instrument, made up: a step moves the middle by a tick, or not, and has one trade.
 * The book has one level a side, a tick from the middle. The same seed gives the same market. */
#ifndef RANDOM_WALK_H
#define RANDOM_WALK_H

#include <tenon/abi/feed.h>

#include <string.h>

typedef struct random_walk {
    uint32_t    instrument;
    int64_t     tick, quantity;
    int64_t     middle; /* in ticks */
    uint64_t    random; /* the seed at first */
    uint64_t    update_id, trade_id;
    tenon_level bids[2], asks[2];
} random_walk;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t walk_random(random_walk* walk) {
    uint64_t z = (walk->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline tenon_feed_event walk_event(const random_walk* walk, uint32_t kind, int64_t now_real_ns) {
    tenon_feed_event out;
    memset(&out, 0, sizeof out);
    out.size = sizeof out;
    out.kind = kind;
    out.instrument = walk->instrument;
    out.event_real_ns = now_real_ns;
    return out;
}

/* Puts the best levels at `count`, and all up to there into the event. */
static inline void walk_levels(random_walk* walk, tenon_feed_event* out, uint32_t count) {
    walk->bids[count].price = (walk->middle - 1) * walk->tick;
    walk->asks[count].price = (walk->middle + 1) * walk->tick;
    walk->bids[count].quantity = walk->asks[count].quantity = walk->quantity;
    out->bids = walk->bids;
    out->asks = walk->asks;
    out->bid_count = out->ask_count = count + 1;
}

static inline tenon_feed_event walk_snapshot(random_walk* walk, int64_t now_real_ns) {
    tenon_feed_event out = walk_event(walk, TENON_FEED_SNAPSHOT, now_real_ns);
    out.last_update_id = walk->update_id;
    walk_levels(walk, &out, 0);
    return out;
}

/* What changed in the book, then the trade. Valid until the next call. */
static inline void walk_step(random_walk* walk, int64_t now_real_ns, tenon_feed_event* book,
                             tenon_feed_event* trade) {
    const int64_t before = walk->middle;
    const int64_t next = before + (int64_t)(walk_random(walk) % 3) - 1;
    uint32_t      gone = 0;
    walk->middle = next < 2 ? 2 : next;
    *book = walk_event(walk, TENON_FEED_DIFF, now_real_ns);
    book->first_update_id = book->last_update_id = ++walk->update_id;
    if (walk->middle != before) { /* levels are absolute: the old one goes by quantity 0 */
        walk->bids[0].price = (before - 1) * walk->tick;
        walk->asks[0].price = (before + 1) * walk->tick;
        walk->bids[0].quantity = walk->asks[0].quantity = 0;
        gone = 1;
    }
    walk_levels(walk, book, gone);
    *trade = walk_event(walk, TENON_FEED_TRADE, now_real_ns);
    trade->trade_id = ++walk->trade_id;
    trade->buyer_is_maker = (uint32_t)(walk_random(walk) % 2);
    trade->price = trade->buyer_is_maker ? walk->bids[gone].price : walk->asks[gone].price;
    trade->quantity = walk->quantity;
}

#endif
