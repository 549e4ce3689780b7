/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.venue/1 -- where orders are executed: our own book, a paper market, an exchange.
 *
 * The engine is deterministic and its journal is replayed, so a venue has two halves.
 *   - `submit`, `cancel`, `apply` are functions of the venue's own state and their arguments alone:
 *     they read no clock, no market data, no random source. They run live and again at replay.
 *   - `evidence` and whatever the venue does on its own read the outside. What they find becomes
 *     bytes in the journal: `evidence` travels with the order that asked for it; evidence that comes
 *     by itself (a trade that fills a resting order, a report from an exchange) goes to
 *     tenon_venue_input.command and comes back through `apply`.
 * All calls come from the engine's thread, one at a time. Reports are borrowed during the call.
 * Conservation: for a TRADE with maker or taker 0 the counterparty is the account
 * TENON_ACCOUNT_VENUES. */
#ifndef TENON_ABI_VENUE_H
#define TENON_ABI_VENUE_H

#include "base.h"
#include "trading.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_venue_order {
    uint32_t size, instrument;
    uint64_t order_id, account;
    uint8_t  side, type, time_in_force, reserved8;
    uint32_t reserved;
    int64_t  price, quantity, quote_quantity;
    /* What was set aside for the order, in units of the asset it pays with (quote for a buy, base
     * for a sell). Fills never take more: a market order stops before the fill that would. */
    int64_t  funds;
    /* Since 1.6. */
    int64_t  stop_price; /* conditional orders, else 0 */
    /* Since 1.8. */
    int64_t  display_quantity; /* icebergs, else 0 */
    uint32_t trailing_delta;   /* trailing stops, else 0 */
    uint32_t stp_mode;         /* TENON_STP_* */
    int64_t  reference_price;  /* by which the engine judged the order: where a trailing stop starts; 0: none */
} tenon_venue_order;

#define TENON_REPORT_ACCEPTED 1 /* rests or goes on; not sent for an order that is REJECTED */
#define TENON_REPORT_REJECTED 2 /* reject says why; nothing was done with the order */
#define TENON_REPORT_TRADE    3
#define TENON_REPORT_CANCELED 4 /* by cancel */
#define TENON_REPORT_EXPIRED  5 /* the rest will not be executed (IOC, FOK, market without book) */
/* Optional, right before a TRADE of the same order: what the venue itself charges for it, in place of
 * the instrument's fee. `reject` is the asset's id, `quantity` the amount in its units, 0 allowed.
 * The account pays as much of it as it has free; the venue (TENON_ACCOUNT_VENUES) gets it. */
#define TENON_REPORT_COMMISSION 6
/* Since 1.6. The condition of an order that waits has come true. TRIGGERED: the venue has forgotten the
 * order; when the call that made the report returns, the engine submits it again under the same id as
 * what it became, a limit or a market order, with the evidence of the command under way. WORKING: the
 * venue goes on with it by itself. */
#define TENON_REPORT_TRIGGERED 7
#define TENON_REPORT_WORKING   8
/* Since 1.8. order_id takes and maker_order_id rests, both of one account: at `price` they would trade
 * `quantity`, and the taker's stp_mode forbids it. The venue has done what the mode says; `reject` tells
 * of which nothing is left there: TENON_PREVENTED_TAKER | TENON_PREVENTED_MAKER. */
#define TENON_REPORT_PREVENTED 9
#define TENON_PREVENTED_TAKER  1u
#define TENON_PREVENTED_MAKER  2u

typedef struct tenon_venue_report {
    uint32_t size, kind;
    uint32_t reject, instrument;
    uint64_t order_id;         /* TRADE: the taker, 0 when the market took */
    uint64_t maker_order_id;   /* TRADE: 0 when the market made */
    int64_t  price, quantity;  /* TRADE */
} tenon_venue_report;

/* Order of reports of one call: ACCEPTED first, then trades as they happened, then what ends it. An
 * order whose whole quantity was traded ends by that. A conditional order (types 4 to 7) is ACCEPTED
 * and waits for its trigger, or REJECTED as UNSUPPORTED by a venue that has none. A market order by quote quantity ends with
 * EXPIRED when something is left of the quote quantity; the engine calls it filled when the rest buys
 * not one step. A trade that breaks the contract (more than is left, more than the funds) is dropped
 * by the engine, which then ends the order as expired. */
typedef struct tenon_venue_reports {
    void* ctx;
    void (*put)(void* ctx, const tenon_venue_report* report);
} tenon_venue_reports;

/* The engine's side of a venue. */
typedef struct tenon_venue_input_1 {
    uint32_t size, flags;
    /* [reactor, any of them] Journals `evidence`, then calls apply with it. TENON_OK |
     * TENON_UNAVAILABLE (queue full or journal degraded: keep it and try again). */
    tenon_status (*command)(void* self, tenon_bytes evidence);
} tenon_venue_input_1;

/* Flag, since 1.7. Orders of a list may be here: each cancel is done during its call, and the venue asks
 * for no money of its own, so that two orders may share what is locked for one. */
#define TENON_VENUE_LISTS 1u
/* Flags, since 1.8: what else a venue takes. Without them the engine refuses it as UNSUPPORTED. */
#define TENON_VENUE_STP      2u /* self-trade prevention; or its orders never meet */
#define TENON_VENUE_ICEBERG  4u
#define TENON_VENUE_TRAILING 8u
#define TENON_VENUE_AMEND   16u /* it has `amend` */
/* Flag, since 1.10, with TENON_VENUE_STP: of its modes only those that expire orders; DECREMENT and TRANSFER
 * are refused as UNSUPPORTED. */
#define TENON_VENUE_STP_EXPIRES 32u

typedef struct tenon_venue_1 {
    uint32_t size, flags;          /* TENON_VENUE_* */
    /* Called once before anything else, and with vt NULL before the engine stops. Between them the
     * venue may send commands; it does not while the engine replays (live() was not called yet). */
    tenon_status (*attach)(void* self, tenon_iface input /* tenon_venue_input_1 */, tenon_err*);
    /* Replay has ended: the venue may look at the outside from now on. May be NULL. */
    void (*live)(void* self);
    /* Optional (may be NULL). What the order meets outside, as bytes; empty is allowed. Live only,
     * before the order is journalled. */
    tenon_status (*evidence)(void* self, const tenon_venue_order*, int64_t now_real_ns, tenon_sink);
    /* Deterministic. An order is answered by reports during this call or during a later apply. */
    void (*submit)(void* self, const tenon_venue_order*, tenon_bytes evidence, int64_t now_real_ns,
                   tenon_venue_reports);
    /* Deterministic. CANCELED now or later; nothing when the venue does not know the order. */
    void (*cancel)(void* self, uint64_t order_id, uint32_t instrument, int64_t now_real_ns,
                   tenon_venue_reports);
    /* Deterministic. Evidence that came by itself. Optional when the venue never sends commands.
     * TENON_INVALID: not this venue's bytes; nothing changed. */
    tenon_status (*apply)(void* self, tenon_bytes evidence, int64_t now_real_ns, tenon_venue_reports);
    /* Optional. All commands up to here are on disk: what was held back (public trades and book
     * changes of an internal market) may leave. Live only. */
    void (*durable)(void* self);
    /* The deterministic state as bytes; read replaces it. `hash` is of the same state. */
    tenon_status (*snapshot_write)(void* self, tenon_sink, tenon_err*);
    tenon_status (*snapshot_read)(void* self, tenon_bytes, tenon_err*);
    uint64_t (*hash)(void* self);
    /* Optional (may be NULL). Deterministic. The price by which market orders and price bands are
     * judged, seen from this evidence: for a venue whose market moves without our trades. 0: the
     * venue has none; then, and without this function, the engine takes its last trade's price. */
    int64_t (*reference_price)(void* self, uint32_t instrument, tenon_bytes evidence);
    /* Since 1.8, with TENON_VENUE_AMEND. Deterministic. Of an order that rests or waits, `quantity` is left
     * to trade from now on, less than before; it keeps its place. TENON_NOT_FOUND: it is not here. */
    tenon_status (*amend)(void* self, uint64_t order_id, uint32_t instrument, int64_t quantity);
    /* Since 1.8, optional (may be NULL). After snapshot_read of what a server before 1.8 wrote: whose an
     * order is that may be here. */
    void (*owned)(void* self, uint64_t order_id, uint32_t instrument, uint64_t account);
} tenon_venue_1;

#ifdef __cplusplus
}
#endif
#endif
