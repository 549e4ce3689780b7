/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.instruments/1 -- the assets and instruments of this server, with scales and filters.
 *
 * A price of an instrument is an int64 count of 10^-price_scale quote units, a quantity a count of
 * 10^-quantity_scale base units, an amount of an asset a count of 10^-scale units of it. Always
 * price_scale + quantity_scale <= scale of the quote asset and quantity_scale <= scale of the base
 * asset, so that price * quantity is exact as an amount. Ids are dense from 0, stable while the
 * server runs and over restarts; entries are only appended.
 * Trading status lives in the engine (tenon.trading/1), which may differ from the listed one. */
#ifndef TENON_ABI_INSTRUMENTS_H
#define TENON_ABI_INSTRUMENTS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_asset {
    uint32_t size, id;
    tenon_str name;      /* "BTC" */
    int32_t  scale;      /* decimals of an amount, 0 .. 8 */
    uint32_t reserved;
} tenon_asset;

#define TENON_INSTRUMENT_TRADING 1
#define TENON_INSTRUMENT_HALT    2
#define TENON_INSTRUMENT_BREAK   3 /* delisted */

/* Filters: in units of the instrument's scales; notional in units of the quote asset's scale;
 * 0 disables a bound. Multipliers and fees in millionths. */
typedef struct tenon_instrument {
    uint32_t  size, id;
    tenon_str symbol;                  /* "BTCUSDT" */
    tenon_str venue;                   /* instance name of the venue that executes it */
    uint32_t  base, quote;             /* asset ids */
    int32_t   price_scale, quantity_scale;
    uint32_t  status, reserved;
    int64_t   price_min, price_max, price_tick;
    int64_t   quantity_min, quantity_max, quantity_step;
    int64_t   market_quantity_min, market_quantity_max, market_quantity_step;
    int64_t   notional_min, notional_max;
    uint32_t  notional_min_to_market, notional_max_to_market;
    uint32_t  orders_max, algo_orders_max;
    /* PERCENT_PRICE_BY_SIDE against the last trade's price */
    uint32_t  bid_multiplier_up_ppm, bid_multiplier_down_ppm;
    uint32_t  ask_multiplier_up_ppm, ask_multiplier_down_ppm;
    uint32_t  maker_fee_ppm, taker_fee_ppm;
    int64_t   position_max;            /* MAX_POSITION, base quantity; 0: none */
} tenon_instrument;

typedef struct tenon_instruments_1 {
    uint32_t size, flags;
    uint32_t (*asset_count)(void* self);                                               /* [any] */
    uint32_t (*instrument_count)(void* self);                                          /* [any] */
    /* [any] Borrowed until stop of the provider; NULL when id is out of range. */
    const tenon_asset* (*asset)(void* self, uint32_t id);
    const tenon_instrument* (*instrument)(void* self, uint32_t id);
    /* [any] TENON_OK | TENON_NOT_FOUND. Case-sensitive. */
    tenon_status (*find_asset)(void* self, tenon_str name, uint32_t* id);
    tenon_status (*find_instrument)(void* self, tenon_str symbol, uint32_t* id);
} tenon_instruments_1;

#ifdef __cplusplus
}
#endif
#endif
