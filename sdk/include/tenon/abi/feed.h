/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.feed/1 -- a source of public market data: a recording, an exchange, our own book.
 *
 * Events of one instrument come in order. A depth diff follows the one before it
 * (first_update_id = previous last_update_id + 1); otherwise the feed sends GAP first and then a
 * snapshot. Levels are absolute quantities; 0 removes the level. Borrowed during the call. */
#ifndef TENON_ABI_FEED_H
#define TENON_ABI_FEED_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_level { int64_t price, quantity; } tenon_level;

#define TENON_FEED_SNAPSHOT    1 /* bids and asks are the whole book; bids descend, asks ascend */
#define TENON_FEED_DIFF        2
#define TENON_FEED_TRADE       3
#define TENON_FEED_BOOK_TICKER 4 /* best bid and ask: one level each, 0 or 1 of them */
#define TENON_FEED_GAP         5 /* the book is not to be trusted until the next snapshot */

typedef struct tenon_feed_event {
    uint32_t size, kind, instrument, reserved;
    int64_t  event_real_ns;        /* when the source says that it happened */
    uint64_t first_update_id, last_update_id; /* DIFF; SNAPSHOT and BOOK_TICKER: last only */
    const tenon_level *bids, *asks;
    uint32_t bid_count, ask_count;
    uint64_t trade_id;             /* TRADE */
    int64_t  price, quantity;
    uint32_t buyer_is_maker, reserved2;
} tenon_feed_event;

typedef struct tenon_feed_1 {
    uint32_t size, flags;
    /* [control] `fn` is called on reactor 0 from the next turn on, beginning with a snapshot of every
     * instrument that has a book. handle > 0. */
    tenon_status (*subscribe)(void* self, void* ctx,
                              void (*fn)(void* ctx, const tenon_feed_event*), uint64_t* handle);
    void (*unsubscribe)(void* self, uint64_t handle);                               /* [control] */
    /* [any] 1 when the feed serves the instrument. */
    uint32_t (*serves)(void* self, uint32_t instrument);
} tenon_feed_1;

#ifdef __cplusplus
}
#endif
#endif
