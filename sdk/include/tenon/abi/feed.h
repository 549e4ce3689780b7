/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.feed/1 -- a source of public market data: a recording, an exchange, our own book.
 *
 * Events of one instrument come in order. A depth diff follows the one before it
 * (first_update_id = previous last_update_id + 1); otherwise the feed sends GAP first and then a
 * snapshot. Levels are absolute quantities; 0 removes the level. Borrowed during the call.
 *
 * Slots from `fetch` on are optional: a source that keeps what was before has them. */
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

/* Older rows that are asked for, here of the source, at tenon.market_data/1 of whoever has them. */
#define TENON_HISTORY_TRADES     1u /* single trades, by id: the first `limit` from `from_id` on */
#define TENON_HISTORY_AGG_TRADES 2u /* aggregate trades, by id as above, or by time */
#define TENON_HISTORY_CANDLES    3u /* candles, by open time */
#define TENON_HISTORY_ROWS_MAX 1000u

typedef struct tenon_history_query {
    uint32_t size, kind;          /* TENON_HISTORY_* */
    uint32_t instrument, limit;   /* 1 to TENON_HISTORY_ROWS_MAX */
    uint64_t from_id;             /* trade id, or tenon_agg_trade.agg_id; 0: by time, or the newest */
    /* By time, both ends inclusive; 0 is open. With a start the first `limit` from there, else the
     * newest `limit` before the end. */
    int64_t  start_real_ns, end_real_ns;
    int64_t  offset_ns;           /* CANDLES: shifts the day boundary, as tenon.market_data/1 has it */
    uint32_t interval, reserved;  /* CANDLES: TENON_INTERVAL_* */
    int64_t  deadline_ns;         /* monotonic; the answer is there by then, whatever it is */
} tenon_history_query;

struct tenon_public_trade;
struct tenon_agg_trade;
struct tenon_candle;
struct tenon_md_origin;

/* `count` rows, ascending by id or time, in the one array that `kind` names; borrowed during the call.
 * Fewer than asked for: there are no more. */
typedef struct tenon_history_rows {
    uint32_t size, kind, count, reserved;
    const struct tenon_public_trade* trades;
    const struct tenon_agg_trade* agg_trades;
    const struct tenon_candle* candles;
    const struct tenon_md_origin* origin; /* NULL from a feed */
} tenon_history_rows;

/* TENON_OK with rows; otherwise rows is NULL and err says why. */
typedef struct tenon_history_done {
    void* ctx;
    void (*fn)(void* ctx, tenon_status status, const tenon_history_rows* rows, const tenon_err* err);
} tenon_history_done;

typedef struct tenon_feed_1 {
    uint32_t size, flags;
    /* [control] `fn` is called on reactor 0 from the next turn on, beginning with a snapshot of every
     * instrument that has a book. handle > 0. */
    tenon_status (*subscribe)(void* self, void* ctx,
                              void (*fn)(void* ctx, const tenon_feed_event*), uint64_t* handle);
    void (*unsubscribe)(void* self, uint64_t handle);                               /* [control] */
    /* [any] 1 when the feed serves the instrument. */
    uint32_t (*serves)(void* self, uint32_t instrument);

    /* Since 1.3; optional, as all below. */
    /* [reactor 0] Asks the source for rows of before, behind everything else that is asked of it and
     * within its limits. TENON_PENDING: `done` is called once, on reactor 0 in a later turn, by the
     * deadline, with TENON_OK, TENON_UNAVAILABLE (the source is away), TENON_LIMITED (no budget before
     * the deadline), TENON_TIMEOUT or TENON_CORRUPT (its answer cannot be read). TENON_UNSUPPORTED: not
     * this kind; TENON_NOT_FOUND: not served; TENON_INVALID: the query. handle > 0.
     * The agg_id of a row is the id of its last trade. Candles in progress are among the rows; one
     * without trades is flat; trade ids of candles may be 0: not told. */
    tenon_status (*fetch)(void* self, const tenon_history_query*, tenon_history_done,
                          uint64_t* handle, tenon_err*);
    /* [reactor 0] `done` is not called any more. An unknown handle does nothing. */
    void (*cancel_fetch)(void* self, uint64_t handle);
} tenon_feed_1;

#ifdef __cplusplus
}
#endif
#endif
