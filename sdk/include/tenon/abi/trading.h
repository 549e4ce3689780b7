/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.trading/1 -- orders, balances and the ledger: the one writer of trading state.
 *
 * A command gets a sequence number and a time, is applied, and is answered when the journal's batch
 * with it is on disk. `done` callbacks run on the reactor that called, never inline. What a reply
 * points to is borrowed until the callback returns. Scales are those of tenon.instruments/1.
 * The engine never answers before the disk has the command, and never twice. */
#ifndef TENON_ABI_TRADING_H
#define TENON_ABI_TRADING_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_SIDE_BUY  0
#define TENON_SIDE_SELL 1

#define TENON_ORDER_LIMIT             1
#define TENON_ORDER_MARKET            2
#define TENON_ORDER_LIMIT_MAKER       3
/* Conditional ones wait for the market's last price: a stop-loss buy and a take-profit sell until it
 * is at stop_price or above, the other two until it is there or below. Then they go on as a market
 * order, or as a limit order at `price`. */
#define TENON_ORDER_STOP_LOSS         4
#define TENON_ORDER_STOP_LOSS_LIMIT   5
#define TENON_ORDER_TAKE_PROFIT       6
#define TENON_ORDER_TAKE_PROFIT_LIMIT 7

/* Self-trade prevention, since 1.8: what is done when an order would trade with another of its account.
 * The mode of the one that takes decides. A prevented match takes quantity from orders, not a trade. */
#define TENON_STP_NONE         0 /* they trade */
#define TENON_STP_EXPIRE_TAKER 1 /* all that is left of the one that takes expires */
#define TENON_STP_EXPIRE_MAKER 2 /* all that is left of the one that rests expires */
#define TENON_STP_EXPIRE_BOTH  3
#define TENON_STP_DECREMENT    4 /* both lose what they would have traded */
#define TENON_STP_TRANSFER     5 /* within one account the same as DECREMENT */

#define TENON_TIF_GTC 1
#define TENON_TIF_IOC 2
#define TENON_TIF_FOK 3

/* Life of an order. PENDING_NEW: accepted and journalled, the venue has not answered yet. */
#define TENON_STATUS_PENDING_NEW      1
#define TENON_STATUS_NEW              2
#define TENON_STATUS_PARTIALLY_FILLED 3
#define TENON_STATUS_FILLED           4 /* from here on closed */
#define TENON_STATUS_CANCELED         5
#define TENON_STATUS_EXPIRED          6
#define TENON_STATUS_REJECTED         7

#define TENON_CLIENT_ID_MAX 36
typedef struct tenon_client_id { uint8_t length; char text[39]; } tenon_client_id;

/* Outcome of a command. 0 is success; the rest says which rule refused it. Append only. */
#define TENON_REJECT_NONE                0
#define TENON_REJECT_UNKNOWN_INSTRUMENT  1
#define TENON_REJECT_MARKET_CLOSED       2
#define TENON_REJECT_PRICE_FILTER        3
#define TENON_REJECT_LOT_SIZE            4
#define TENON_REJECT_MARKET_LOT_SIZE     5
#define TENON_REJECT_NOTIONAL            6
#define TENON_REJECT_PERCENT_PRICE       7
#define TENON_REJECT_MAX_ORDERS          8
#define TENON_REJECT_BALANCE             9
#define TENON_REJECT_DUPLICATE_ID       10
#define TENON_REJECT_WOULD_MATCH        11 /* post-only, and it would have taken */
#define TENON_REJECT_UNKNOWN_ORDER      12
#define TENON_REJECT_OVERFLOW           13 /* price * quantity or a sum leaves 64 bits */
#define TENON_REJECT_UNKNOWN_ACCOUNT    14
#define TENON_REJECT_ACCOUNT_DISABLED   15
#define TENON_REJECT_INVALID            16 /* a field or combination of fields makes no sense */
#define TENON_REJECT_UNSUPPORTED        17 /* order type not supported by the engine or the venue */
#define TENON_REJECT_MAX_POSITION       18
#define TENON_REJECT_NO_LIQUIDITY       19 /* nothing to price a market order against */
#define TENON_REJECT_VENUE              20 /* the venue refused; its message is in the order event */
#define TENON_REJECT_UNKNOWN_ASSET      21
#define TENON_REJECT_DUPLICATE_ACCOUNT  22
#define TENON_REJECT_DUPLICATE_KEY      23
#define TENON_REJECT_UNKNOWN_KEY        24
#define TENON_REJECT_CAPACITY           25 /* a bound of the engine's memory is reached */
#define TENON_REJECT_NOT_SENT           26 /* it certainly never arrived at the venue */
#define TENON_REJECT_WOULD_TRIGGER      27 /* conditional, and the last price is there already */
#define TENON_REJECT_MAX_ALGO_ORDERS    28 /* too many open conditional orders */
#define TENON_REJECT_CANCEL_RESTRICTED  29 /* the order is not in the state that the cancel asks for */
#define TENON_REJECT_LIST_PRICES        30 /* order list: its prices are not on both sides of the market */
#define TENON_REJECT_UNKNOWN_LIST       31
#define TENON_REJECT_TRAILING_DELTA     32 /* outside of what the instrument allows */
#define TENON_REJECT_ICEBERG_PARTS      33 /* too many parts, or a part larger than the whole */
#define TENON_REJECT_AMEND_QUANTITY     34 /* not less than before, or nothing would be left */
#define TENON_REJECT_TIME_OVER          35 /* good till a date that is past */
/* Limits that the operator has set, since 1.9. */
#define TENON_REJECT_RISK_PRICE_BAND    36
#define TENON_REJECT_RISK_NOTIONAL      37
#define TENON_REJECT_RISK_POSITION      38
#define TENON_REJECT_RISK_EXPOSURE      39
#define TENON_REJECT_RISK_OPEN_ORDERS   40
#define TENON_REJECT_RISK_ORDER_RATE    41

typedef struct tenon_order_request {
    uint32_t size;
    uint32_t instrument;
    uint64_t account;
    uint8_t  side, type, time_in_force, reserved8;
    uint32_t reserved;
    int64_t  price;          /* 0 for market orders */
    int64_t  quantity;       /* base; 0 when quote_quantity rules */
    int64_t  quote_quantity; /* market orders only: spend or receive that much; 0: none */
    tenon_client_id client_id; /* length 0: the engine makes one */
    /* Since 1.6; a shorter struct has none. */
    int64_t  stop_price;     /* conditional orders, else 0 */
    /* Since 1.8; a shorter struct has none. */
    int64_t  display_quantity; /* iceberg, a limit order that stays: what the book shows at a time; 0: all */
    /* Conditional orders, in basis points (1/10,000), else 0. The order follows the price from stop_price
     * on, or at once when that is 0, and is triggered when the price falls by that much from its highest
     * (sell) or rises by that much from its lowest (buy). */
    uint32_t trailing_delta;
    uint32_t stp_mode;         /* TENON_STP_* */
    int64_t  expires_real_ns;  /* good till date, a GTC order at a limit price: it expires then; 0: never */
} tenon_order_request;

#define TENON_CANCEL_ANY                   0
#define TENON_CANCEL_ONLY_NEW              1
#define TENON_CANCEL_ONLY_PARTIALLY_FILLED 2

typedef struct tenon_cancel_request {
    uint32_t size;
    uint32_t instrument;
    uint64_t account;
    uint64_t order_id;               /* 0: by client id */
    tenon_client_id client_id;       /* of the order; with order_id both must fit */
    tenon_client_id cancel_client_id; /* length 0: the engine makes one */
    /* Since 1.6; a shorter struct has none. */
    uint32_t restriction;            /* TENON_CANCEL_*: in which state the order has to be */
    uint32_t reserved;
} tenon_cancel_request;

/* Since 1.8. Less quantity for an open order that has a quantity; it keeps its place in the book. */
typedef struct tenon_amend_request {
    uint32_t size, instrument;       /* or TENON_ANY_INSTRUMENT */
    uint64_t account;
    uint64_t order_id;               /* 0: by client id */
    tenon_client_id client_id;       /* of the order; with order_id both must fit */
    int64_t  quantity;               /* in all, what was traded included; less than before */
    tenon_client_id new_client_id;   /* from now on; length 0: the engine makes one */
} tenon_amend_request;

/* Order lists, since 1.7: orders that depend on each other.
 * OCO, one cancels the other: two orders of one account, instrument, side and quantity, in any order.
 * One is STOP_LOSS or STOP_LOSS_LIMIT, the other LIMIT_MAKER, TAKE_PROFIT or TAKE_PROFIT_LIMIT; a
 * sell's stop lies below the last price and the other above, a buy's the other way round. Money is
 * locked once, for the dearer of the two. When one trades, is triggered or ends, the other ends in the
 * same command: CANCELED when a cancel was the reason, else EXPIRED. */
#define TENON_CONTINGENCY_OCO 1

#define TENON_LIST_EXECUTING 1
#define TENON_LIST_ALL_DONE  2 /* all its orders are closed */

#define TENON_LIST_ORDERS_MAX 2

typedef struct tenon_list_request {
    uint32_t size, contingency;          /* TENON_CONTINGENCY_* */
    tenon_client_id client_id;           /* of the list, unique among the account's open ones; length 0:
                                          * the engine makes one */
    uint32_t order_count, reserved;
    const tenon_order_request* orders;   /* TENON_AT */
} tenon_list_request;

typedef struct tenon_list_cancel {
    uint32_t size, instrument;           /* or TENON_ANY_INSTRUMENT */
    uint64_t account;
    uint64_t list_id;                    /* 0: by client id */
    tenon_client_id client_id;           /* of the list; with list_id both must fit */
    tenon_client_id cancel_client_id;    /* length 0: the engine makes one */
} tenon_list_cancel;

typedef struct tenon_list_order {
    uint64_t order_id;
    tenon_client_id client_id;
} tenon_list_order;

typedef struct tenon_order_list {
    uint32_t size, instrument;
    uint64_t list_id;                    /* the id of its first order */
    uint64_t account;
    uint32_t contingency, status;        /* TENON_LIST_* */
    uint32_t order_count, reserved;
    int64_t  created_real_ns, updated_real_ns;
    uint64_t update_sequence;            /* of the command that changed it last */
    tenon_client_id client_id;
    tenon_list_order orders[TENON_LIST_ORDERS_MAX]; /* order_count of them, ids ascending */
} tenon_order_list;

typedef struct tenon_order {
    uint32_t size, instrument;
    uint64_t order_id;
    uint64_t account;
    uint8_t  side, type, time_in_force, status;
    uint32_t reject;          /* TENON_REJECT_*, when REJECTED */
    int64_t  price, quantity, quote_quantity;
    int64_t  filled_quantity, filled_quote; /* filled_quote in units of the quote asset */
    int64_t  created_real_ns, updated_real_ns;
    uint64_t update_sequence; /* of the command that changed it last */
    tenon_client_id client_id;
    tenon_client_id cancel_client_id; /* of the cancel that closed it, else length 0 */
    /* Since 1.6. */
    int64_t  stop_price;      /* conditional orders, else 0 */
    int64_t  working_real_ns; /* since when it may trade; 0: a conditional one that waits */
    /* Since 1.7. */
    uint64_t list_id;         /* of the order list that it belongs to; 0: none */
    /* Since 1.8. What is left to trade: quantity - filled_quantity - prevented_quantity. An order that
     * EXPIRED by self-trade prevention has nothing left, and a prevented_quantity. */
    int64_t  display_quantity;   /* iceberg, else 0 */
    int64_t  prevented_quantity; /* taken by self-trade prevention */
    uint64_t prevented_match_id; /* the last one; 0: none */
    uint32_t trailing_delta;     /* trailing stops, else 0 */
    uint32_t stp_mode;           /* TENON_STP_* */
    int64_t  expires_real_ns;    /* good till date, else 0 */
} tenon_order;

/* Since 1.8. Two orders of one account that would have traded. */
typedef struct tenon_prevented_match {
    uint32_t size, instrument;
    uint64_t match_id;           /* per instrument, from 1, no gaps */
    uint64_t taker_order_id, maker_order_id;
    uint64_t account;
    uint32_t stp_mode, reserved; /* of the taker */
    int64_t  price;
    int64_t  taker_quantity, maker_quantity; /* taken from the order by this match; 0: nothing */
    int64_t  time_real_ns;
    uint64_t sequence;           /* of the command that caused it */
} tenon_prevented_match;

/* Since 1.8. An order whose quantity was made less. */
typedef struct tenon_amendment {
    uint32_t size, instrument;
    uint64_t order_id, account;
    tenon_client_id old_client_id, client_id;
    int64_t  old_quantity, quantity;
    int64_t  time_real_ns;
    uint64_t sequence;           /* of the command */
} tenon_amendment;

typedef struct tenon_trade {
    uint32_t size, instrument;
    uint64_t trade_id;       /* per instrument, from 1, no gaps */
    uint64_t order_id;
    uint64_t account;
    uint8_t  side, is_maker, reserved8[2];
    uint32_t fee_asset;
    int64_t  price, quantity;
    int64_t  quote_amount;   /* price * quantity, in units of the quote asset */
    int64_t  fee;            /* in units of fee_asset, >= 0 */
    int64_t  time_real_ns;
    uint64_t sequence;       /* of the command that caused it */
} tenon_trade;

typedef struct tenon_balance {
    uint32_t size, asset;
    uint64_t account;
    int64_t  free, locked;   /* units of the asset */
} tenon_balance;

#define TENON_ACCOUNT_EXTERNAL 1u /* where deposits come from: its balances may be negative */
#define TENON_ACCOUNT_FEES     2u
#define TENON_ACCOUNT_VENUES   3u /* counterparty of fills against a market; may be negative */
#define TENON_ACCOUNT_FIRST    16u /* first id of a user's account */

typedef struct tenon_account {
    uint32_t  size, enabled;
    uint64_t  id;
    tenon_str name;          /* unique, [a-z0-9._-]{1,32} */
    int64_t   created_real_ns, updated_real_ns;
} tenon_account;

#define TENON_PERMISSION_READ  1u
#define TENON_PERMISSION_TRADE 2u
#define TENON_KEY_HMAC_SHA256 1u
#define TENON_KEY_ED25519     2u

/* An API key. `material` is the sealed secret (HMAC) or the public key (Ed25519, 32 bytes). */
typedef struct tenon_api_key {
    uint32_t    size, revoked;
    tenon_str   key;         /* what clients send; 64 characters [A-Za-z0-9] */
    uint64_t    account;
    uint32_t    kind, permissions;
    tenon_bytes material;    /* at most 256 bytes */
    tenon_str   label;
    int64_t     created_real_ns;
    /* Since 1.10. Addresses and networks (CIDR) that it may be used from, separated by commas, at most 1024
     * bytes; empty: any. key_add does not look at it. */
    tenon_str   addresses;
} tenon_api_key;

typedef struct tenon_trading_reply {
    uint32_t size;
    uint32_t reject;              /* TENON_REJECT_*; not NONE: nothing changed */
    uint64_t sequence;            /* of the command */
    int64_t  time_real_ns;        /* of the command */
    /* TENON_AT; the order after the command; cancel_all: all of them, as they were those that their
     * venue ends later */
    const tenon_order* orders;
    uint32_t order_count;
    uint32_t trade_count;
    const tenon_trade* trades;    /* TENON_AT; fills of the order in this command */
    uint64_t account;             /* account_open: the new id */
    /* Since 1.7. The list that was submitted, and its orders are all of the orders above; the lists that
     * a cancel ended, likewise. */
    const tenon_order_list* lists; /* TENON_AT */
    uint32_t list_count, reserved;
    /* Since 1.8. */
    const tenon_prevented_match* prevented; /* TENON_AT; of this command, of any of its orders */
    uint32_t prevented_count, reserved2;
    const tenon_amendment* amendment;       /* amend, else NULL */
} tenon_trading_reply;

/* status: TENON_OK with a reply (look at reject), or a failure without one: TENON_UNAVAILABLE
 * (queue full, disk full, journal degraded; err says which): the command was not and will not be
 * applied. TENON_IN_DOUBT: the disk failed during the write; ask after the restart. */
typedef struct tenon_trading_done {
    void* ctx;
    void (*fn)(void* ctx, tenon_status status, const tenon_trading_reply* reply, const tenon_err* err);
} tenon_trading_done;

#define TENON_EVENT_ORDER   1 /* an order changed; trade is set when by a fill */
#define TENON_EVENT_BALANCE 2 /* a balance changed by a ledger entry or an order */
#define TENON_EVENT_LEDGER  3 /* a transfer between accounts */
#define TENON_EVENT_ACCOUNT 4
#define TENON_EVENT_KEY     5
#define TENON_EVENT_INSTRUMENT 6 /* trading status changed */
#define TENON_EVENT_LIST    7 /* since 1.7: an order list came to be or is done */

typedef struct tenon_ledger_entry {
    uint32_t  size, asset;
    uint64_t  from, to;
    int64_t   amount;        /* > 0 */
    tenon_str reference;     /* at most 64 bytes; not empty: idempotent by it */
} tenon_ledger_entry;

typedef struct tenon_execution_event {
    uint32_t size, kind;     /* TENON_EVENT_* */
    uint64_t sequence;       /* of the command */
    uint32_t index;          /* within the command, from 0: (sequence, index) is unique, ascending */
    uint32_t instrument;     /* INSTRUMENT: the id */
    int64_t  time_real_ns;
    const tenon_order*   order;
    const tenon_trade*   trade;
    const tenon_balance* balance;
    const tenon_ledger_entry* ledger;
    const tenon_account* account;
    const tenon_api_key* key;
    uint32_t status, reserved; /* INSTRUMENT: TENON_INSTRUMENT_* */
    /* Since 1.7. */
    const tenon_order_list* list;
    /* Since 1.8. ORDER: what changed the order, when it was that. The maker of a prevented match has it in
     * a row of its own, behind the taker's; whose quantity it left alone has no row. */
    const tenon_prevented_match* prevented;
    const tenon_amendment* amendment;
} tenon_execution_event;

#define TENON_ORDERS_OPEN 1u
#define TENON_ORDERS_ALL  2u
#define TENON_ANY_INSTRUMENT 0xffffffffu

typedef struct tenon_order_query {
    uint32_t size, which;          /* TENON_ORDERS_* */
    uint64_t account;
    uint32_t instrument;           /* or TENON_ANY_INSTRUMENT (open orders only) */
    uint32_t limit;                /* 1 .. 1000; ignored for open orders */
    uint64_t from_order_id;        /* 0: none; else this one and later */
    int64_t  start_real_ns, end_real_ns; /* 0: open end; both inclusive, by created time */
} tenon_order_query;

typedef struct tenon_trade_query {
    uint32_t size, instrument;
    uint64_t account;
    uint64_t order_id;             /* 0: any */
    uint64_t from_trade_id;        /* 0: none; else this one and later */
    int64_t  start_real_ns, end_real_ns;
    uint32_t limit, reserved;      /* 1 .. 1000 */
} tenon_trade_query;
/* Order of rows: by id ascending. With neither a from id nor a start, the newest `limit` rows. */

/* Since 1.8. Prevented matches by match id, amendments by the sequence of their command, both ascending. */
typedef struct tenon_prevented_query {
    uint32_t size, instrument;
    uint64_t account;
    uint64_t match_id;             /* this one alone; 0: any */
    uint64_t order_id;             /* that took or rested; 0: any */
    uint64_t from_match_id;        /* 0: none; else this one and later */
    uint32_t limit, reserved;      /* 1 .. 1000 */
} tenon_prevented_query;

typedef struct tenon_amendment_query {
    uint32_t size, instrument;
    uint64_t account;
    uint64_t order_id;
    uint64_t from_sequence;        /* 0: none; else this one and later */
    uint32_t limit, reserved;      /* 1 .. 1000 */
} tenon_amendment_query;

/* Since 1.7. */
typedef struct tenon_list_query {
    uint32_t size, which;          /* TENON_ORDERS_* */
    uint64_t account;
    uint64_t list_id;              /* this one alone; 0: any */
    tenon_client_id client_id;     /* the newest one with this id; length 0: any */
    uint64_t from_list_id;         /* 0: none; else this one and later */
    int64_t  start_real_ns, end_real_ns; /* 0: open end; both inclusive, by created time */
    uint32_t limit, reserved;      /* 1 .. 1000; ignored for open lists */
} tenon_list_query;

typedef struct tenon_trading_status {
    uint32_t size;
    uint32_t accepting;            /* 0: orders are refused, reason says why */
    uint64_t sequence;             /* last applied command */
    uint64_t durable_sequence;
    uint64_t projected_sequence;   /* last one in SQL */
    uint64_t state_hash;           /* of the applied state; 0: not computed here, it costs a walk */
    uint64_t open_orders, accounts;
    tenon_str reason;              /* borrowed until the next turn */
} tenon_trading_status;

typedef struct tenon_trading_1 {
    uint32_t size, flags;
    /* [reactor, any of them] Every one: TENON_PENDING | TENON_INVALID (malformed struct) |
     * TENON_UNAVAILABLE (see err). Nothing is kept of the request after return. */
    tenon_status (*submit)(void* self, const tenon_order_request*, tenon_trading_done, tenon_err*);
    tenon_status (*cancel)(void* self, const tenon_cancel_request*, tenon_trading_done, tenon_err*);
    tenon_status (*cancel_all)(void* self, uint64_t account, uint32_t instrument,
                               tenon_trading_done, tenon_err*);
    /* The ledger and its owners; same rules. An entry may not take a user's free balance below 0. */
    tenon_status (*transfer)(void* self, const tenon_ledger_entry*, tenon_trading_done, tenon_err*);
    tenon_status (*account_open)(void* self, tenon_str name, tenon_trading_done, tenon_err*);
    tenon_status (*key_add)(void* self, const tenon_api_key*, tenon_trading_done, tenon_err*);
    tenon_status (*key_revoke)(void* self, tenon_str key, tenon_trading_done, tenon_err*);
    tenon_status (*instrument_status)(void* self, uint32_t instrument, uint32_t status,
                                      tenon_trading_done, tenon_err*);

    /* [reactor, any of them] Queries see everything that was acknowledged before the call. Rows are
     * borrowed during `row`, which may return a failure to stop. TENON_OK: all rows were given before
     * the return; TENON_PENDING: rows come later on the caller's reactor, then done fires (storage or
     * another reactor had to be asked). order: TENON_NOT_FOUND when there is none, also by done. */
    tenon_status (*order)(void* self, uint64_t account, uint32_t instrument, uint64_t order_id,
                          const tenon_client_id* client_id, /* when order_id is 0 */
                          void* ctx, tenon_status (*row)(void* ctx, const tenon_order*), tenon_done,
                          tenon_err*);
    tenon_status (*orders)(void* self, const tenon_order_query*, void* ctx,
                           tenon_status (*row)(void* ctx, const tenon_order*), tenon_done, tenon_err*);
    tenon_status (*trades)(void* self, const tenon_trade_query*, void* ctx,
                           tenon_status (*row)(void* ctx, const tenon_trade*), tenon_done, tenon_err*);
    /* Balances of an account that are or were not zero. TENON_NOT_FOUND: no such account. */
    tenon_status (*balances)(void* self, uint64_t account, void* ctx,
                             tenon_status (*row)(void* ctx, const tenon_balance*), tenon_done,
                             tenon_err*);
    /* [any] Accounts and keys as of now, for tools and tenon.auth. */
    tenon_status (*accounts)(void* self, void* ctx,
                             tenon_status (*row)(void* ctx, const tenon_account*), tenon_err*);
    tenon_status (*keys)(void* self, void* ctx,
                         tenon_status (*row)(void* ctx, const tenon_api_key*), tenon_err*);
    /* [any] TENON_INSTRUMENT_* as the engine has it now. */
    uint32_t (*status_of)(void* self, uint32_t instrument);
    /* [any] */
    tenon_status (*status)(void* self, tenon_trading_status* out);

    /* [control] Events of durable commands, in order, on the engine's reactor; borrowed during the
     * call; step through them with TENON_AT. After unsubscribe returned it does not run again. handle > 0. */
    tenon_status (*subscribe)(void* self, void* ctx,
                              void (*fn)(void* ctx, const tenon_execution_event* events,
                                         uint32_t count),
                              uint64_t* handle);
    void (*unsubscribe)(void* self, uint64_t handle);
    /* Since 1.7. As submit and cancel, for all orders of a list at once: one refusal refuses all. A
     * venue without TENON_VENUE_LISTS refuses as UNSUPPORTED. */
    tenon_status (*submit_list)(void* self, const tenon_list_request*, tenon_trading_done, tenon_err*);
    tenon_status (*cancel_list)(void* self, const tenon_list_cancel*, tenon_trading_done, tenon_err*);
    /* Since 1.7. As orders. */
    tenon_status (*lists)(void* self, const tenon_list_query*, void* ctx,
                          tenon_status (*row)(void* ctx, const tenon_order_list*), tenon_done,
                          tenon_err*);
    /* Since 1.8. As submit. A venue without TENON_VENUE_AMEND, and an order of a list, refuse as
     * UNSUPPORTED. */
    tenon_status (*amend)(void* self, const tenon_amend_request*, tenon_trading_done, tenon_err*);
    /* Since 1.8. As orders. */
    tenon_status (*prevented)(void* self, const tenon_prevented_query*, void* ctx,
                              tenon_status (*row)(void* ctx, const tenon_prevented_match*),
                              tenon_done, tenon_err*);
    tenon_status (*amendments)(void* self, const tenon_amendment_query*, void* ctx,
                               tenon_status (*row)(void* ctx, const tenon_amendment*), tenon_done,
                               tenon_err*);
    /* Since 1.8. [any] TENON_VENUE_* of the venue that executes an instrument; 0 when there is none. */
    uint32_t (*venue_takes)(void* self, uint32_t instrument);
    /* Since 1.10. As key_revoke. Where a key that is in force may be used from: tenon_api_key.addresses. */
    tenon_status (*key_addresses)(void* self, tenon_str key, tenon_str addresses, tenon_trading_done,
                                  tenon_err*);
} tenon_trading_1;

#ifdef __cplusplus
}
#endif
#endif
