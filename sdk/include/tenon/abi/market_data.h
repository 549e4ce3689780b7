/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.market_data/1 -- books, trades, tickers and candles of every instrument, from the feeds.
 *
 * [reactor 0] unless said otherwise: it lives on the thread that receives the feeds, and answers from
 * memory; what memory does not have `history` finds in the database or at the exchange. Where an
 * answer comes from and how old it is says `origin`. Prices in the instrument's scales, volumes in
 * quantity scale, quote volumes in the quote asset's scale. Slots from `origin` on are optional. */
#ifndef TENON_ABI_MARKET_DATA_H
#define TENON_ABI_MARKET_DATA_H

#include "base.h"
#include "feed.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_book {
    uint32_t size, instrument;
    uint64_t last_update_id;
    int64_t  updated_real_ns;
    const tenon_level *bids, *asks; /* best first; borrowed until the next turn */
    uint32_t bid_count, ask_count;
    uint32_t trusted, reserved;     /* 0 after a gap, until the resync */
} tenon_book;

typedef struct tenon_public_trade {
    uint32_t size, instrument;
    uint64_t trade_id;
    int64_t  price, quantity, quote_amount, time_real_ns;
    uint32_t buyer_is_maker, reserved;
} tenon_public_trade;

/* Trades of one taker order: same price, side and millisecond, consecutive. agg_id is last_trade_id:
 * the same at every server and after every restart; ids rise and are not consecutive. */
typedef struct tenon_agg_trade {
    uint32_t size, instrument;
    uint64_t agg_id, first_trade_id, last_trade_id;
    int64_t  price, quantity, time_real_ns;
    uint32_t buyer_is_maker, reserved;
} tenon_agg_trade;

typedef struct tenon_candle {
    uint32_t size, instrument;
    int64_t  open_real_ns, close_real_ns; /* [open, close], close is the last nanosecond */
    int64_t  open, high, low, close;
    int64_t  volume, quote_volume, taker_buy_volume, taker_buy_quote_volume;
    uint64_t trade_count, first_trade_id, last_trade_id; /* ids 0 when no trade */
    uint32_t interval, reserved;
} tenon_candle;

/* Intervals of candles, in the order of their length. */
#define TENON_INTERVAL_1S  0
#define TENON_INTERVAL_1M  1
#define TENON_INTERVAL_3M  2
#define TENON_INTERVAL_5M  3
#define TENON_INTERVAL_15M 4
#define TENON_INTERVAL_30M 5
#define TENON_INTERVAL_1H  6
#define TENON_INTERVAL_2H  7
#define TENON_INTERVAL_4H  8
#define TENON_INTERVAL_6H  9
#define TENON_INTERVAL_8H  10
#define TENON_INTERVAL_12H 11
#define TENON_INTERVAL_1D  12
#define TENON_INTERVAL_3D  13
#define TENON_INTERVAL_1W  14 /* from Monday 00:00 UTC */
#define TENON_INTERVAL_1MO 15 /* calendar month */
#define TENON_INTERVAL_COUNT 16

/* Rolling 24 hours. */
typedef struct tenon_ticker {
    uint32_t size, instrument;
    int64_t  updated_real_ns, open_real_ns, close_real_ns;
    int64_t  open, high, low, last, last_quantity, previous_close;
    int64_t  price_change;       /* last - open */
    int64_t  price_change_ppm;   /* (last - open) / open, in millionths */
    int64_t  weighted_average;   /* quote_volume / volume, in price units, rounded half up */
    int64_t  volume, quote_volume;
    int64_t  bid, bid_quantity, ask, ask_quantity; /* 0 when the side is empty */
    uint64_t first_trade_id, last_trade_id, trade_count;
} tenon_ticker;

/* Where rows or a state come from. Of rows from several places the last of these that has a part. */
#define TENON_MD_SOURCE_NONE    0u /* nothing is known */
#define TENON_MD_SOURCE_FEED    1u /* memory, which the feed keeps up to date */
#define TENON_MD_SOURCE_STORAGE 2u /* kept in the database since it was asked for or seen */
#define TENON_MD_SOURCE_API     3u /* asked of the exchange for this answer */

/* What `origin` is asked about. */
#define TENON_MD_KIND_BOOK       1u
#define TENON_MD_KIND_BEST       2u
#define TENON_MD_KIND_TRADES     3u
#define TENON_MD_KIND_AGG_TRADES 4u
#define TENON_MD_KIND_CANDLES    5u
#define TENON_MD_KIND_TICKER     6u

typedef struct tenon_md_origin {
    uint32_t size, source;   /* TENON_MD_SOURCE_* */
    uint32_t trusted;        /* 0: stale. The feed is silent or away, or the book lost its place */
    uint32_t reserved;
    int64_t  newest_real_ns; /* the newest datum: the book's change, the last trade; 0: there is none */
    int64_t  age_ns;         /* how long ago that was by our clock, never below 0; -1: there is none */
    int64_t  silent_ns;      /* since the feed sent anything of the instrument; -1: it has not yet */
} tenon_md_origin;

#define TENON_MD_BOOK   1u /* a diff or snapshot was applied: `feed` is it */
#define TENON_MD_TRADE  2u /* `trade` */
#define TENON_MD_BEST   4u /* best bid or ask changed; `feed` is the book ticker or NULL */
#define TENON_MD_GAP    8u
#define TENON_MD_AGG   16u /* an aggregate trade is complete: `agg` */

typedef struct tenon_md_event {
    uint32_t size, kind, instrument, reserved;
    const tenon_feed_event*   feed;
    const tenon_public_trade* trade;
    const tenon_agg_trade*    agg;
} tenon_md_event;

typedef struct tenon_market_data_1 {
    uint32_t size, flags;
    /* At most `depth` levels a side (0: all). TENON_NOT_FOUND: no feed has sent one yet. */
    tenon_status (*book)(void* self, uint32_t instrument, uint32_t depth, tenon_book* out);
    tenon_status (*best)(void* self, uint32_t instrument, tenon_level* bid, tenon_level* ask);
    /* Ascending by id. from_id 0: the newest `limit`. Rows are borrowed during the call. */
    tenon_status (*trades)(void* self, uint32_t instrument, uint64_t from_id, uint32_t limit,
                           void* ctx, tenon_status (*row)(void* ctx, const tenon_public_trade*));
    /* Also by time: 0 is an open end; both ends inclusive. */
    tenon_status (*agg_trades)(void* self, uint32_t instrument, uint64_t from_id,
                               int64_t start_real_ns, int64_t end_real_ns, uint32_t limit, void* ctx,
                               tenon_status (*row)(void* ctx, const tenon_agg_trade*));
    /* Ascending; open times in [start, end]; with no start the newest `limit`. The candle in progress
     * is the last. `offset_ns` shifts the day boundary (time zone), candles of 1h and more. */
    tenon_status (*candles)(void* self, uint32_t instrument, uint32_t interval,
                            int64_t start_real_ns, int64_t end_real_ns, int64_t offset_ns,
                            uint32_t limit, void* ctx,
                            tenon_status (*row)(void* ctx, const tenon_candle*));
    tenon_status (*ticker)(void* self, uint32_t instrument, tenon_ticker* out);
    /* Mean of trade prices over `minutes`, weighted by quantity, in price units; close time. */
    tenon_status (*average_price)(void* self, uint32_t instrument, uint32_t minutes, int64_t* price,
                                  int64_t* close_real_ns);
    /* Changes whenever anything of the instrument does: for rendered answers that are kept. */
    uint64_t (*version)(void* self, uint32_t instrument);
    /* [control] `kinds` is a mask of TENON_MD_*. handle > 0. */
    tenon_status (*subscribe)(void* self, uint32_t kinds, void* ctx,
                              void (*fn)(void* ctx, const tenon_md_event*), uint64_t* handle);
    void (*unsubscribe)(void* self, uint64_t handle);                               /* [control] */

    /* Since 1.3; optional, as all below. */
    /* Of what the slots above answer now, by TENON_MD_KIND_*. TENON_NOT_FOUND: no such instrument has
     * a feed, or nothing of the kind has come yet. */
    tenon_status (*origin)(void* self, uint32_t instrument, uint32_t kind, tenon_md_origin* out);
    /* Rows that memory may not have: from the database, else from the exchange, whose rows are kept.
     * TENON_OK: memory has all there is, ask the slots above; `done` never fires. TENON_PENDING: `done`
     * fires once on reactor 0, in a later turn, by the deadline; its rows go on with memory's where
     * they meet. Its status may be TENON_UNAVAILABLE (the rows are not kept and the exchange does not
     * answer; err tells both), TENON_LIMITED, TENON_TIMEOUT, TENON_CORRUPT. TENON_LIMITED at once: too
     * many such reads are under way. handle > 0. Equal queries under way are asked once. */
    tenon_status (*history)(void* self, const tenon_history_query*, tenon_history_done,
                            uint64_t* handle, tenon_err*);
    /* `done` is not called any more. An unknown handle does nothing. */
    void (*cancel_history)(void* self, uint64_t handle);
} tenon_market_data_1;

#ifdef __cplusplus
}
#endif
#endif
