/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.storage/1 -- sessions on an SQL database.
 *
 * Everything here may block: [io], never on a reactor. A backend owns its connections and pool.
 * Statements use '?' for parameters, 1-based by position, on every dialect. Values: int64, double,
 * text, blob, null; money is int64 or text. Errors carry TENON_ERR_RETRYABLE when the same
 * transaction may be tried again (busy, serialisation, lost connection before COMMIT), and in
 * TENON_FAILURE(flags) what may be done about them. Slots from `transact_with` on are optional. */
#ifndef TENON_ABI_STORAGE_H
#define TENON_ABI_STORAGE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_session   tenon_session;   /* one leased connection */
typedef struct tenon_statement tenon_statement; /* a prepared statement of a session */

#define TENON_INTENT_READ  1 /* read-only; sees a stable snapshot within a transaction */
#define TENON_INTENT_WRITE 2

/* What may be done about a failure: TENON_FAILURE(err.flags). 0: not told. */
#define TENON_FAILURE_RETRY_NOW         1u /* the statement, at once */
#define TENON_FAILURE_RETRY_TRANSACTION 2u /* the whole transaction: busy, serialisation, deadlock */
#define TENON_FAILURE_OTHER_HOST        3u /* elsewhere: the host is down, or is not the primary */
#define TENON_FAILURE_CONSTRAINT        4u /* nothing: the data breaks a rule, named in the message */
#define TENON_FAILURE_TIMEOUT           5u /* later: a deadline passed, nothing has been written */
#define TENON_FAILURE_PERMANENT         6u /* nothing: the statement or the database is wrong */
#define TENON_FAILURE_IN_DOUBT          7u /* look: the commit's outcome is not known */
#define TENON_FAILURE_SHIFT             4u
#define TENON_FAILURE_MASK              0xF0u
#define TENON_FAILURE(flags) (((flags) & TENON_FAILURE_MASK) >> TENON_FAILURE_SHIFT)

#define TENON_VALUE_NULL  0
#define TENON_VALUE_INT64 1
#define TENON_VALUE_REAL  2
#define TENON_VALUE_TEXT  3
#define TENON_VALUE_BLOB  4
typedef struct tenon_value {
    uint32_t kind, reserved;
    int64_t  i;
    double   r;
    tenon_bytes b;          /* TEXT (UTF-8) and BLOB */
} tenon_value;

typedef struct tenon_storage_stats {
    uint32_t size;
    uint32_t limit, in_use, idle, waiting;
    uint64_t leases, lease_timeouts, errors, transactions, group_commits;
    int64_t  wait_total_ns, wait_max_ns;
    /* Since 1.1. */
    uint32_t hosts, hosts_up;                      /* servers known, and those that answer */
    uint32_t breakers_open, reserved;
    uint64_t connects, connect_failures, recycled; /* recycled: closed for age, use or idleness */
    uint64_t resets, leaks;                        /* returned with a transaction open; never returned */
    uint64_t statement_hits, statement_misses;     /* of the caches of prepared statements */
    uint64_t query_hits, query_misses;             /* of the query cache */
    uint64_t slow_queries, in_doubt;
    int64_t  hold_total_ns, hold_max_ns;           /* from lease to release */
} tenon_storage_stats;

/* What a transaction asks for. Zero is the default of each. */
#define TENON_DURABILITY_DEFAULT 0u /* as the backend is set up */
#define TENON_DURABILITY_LOCAL   1u /* may be lost with the machine's power: what can be had again */
#define TENON_DURABILITY_REPLICA 2u /* also on another machine, where there is one to ask */
typedef struct tenon_transaction_options {
    uint32_t  size;
    uint32_t  intent;           /* TENON_INTENT_* */
    int64_t   deadline_ns;      /* monotonic */
    int64_t   max_staleness_ns; /* READ: a replica's rows may be this old; 0: the newest rows */
    tenon_str after;            /* READ: sees what the write with this position wrote; "": none */
    tenon_str key;              /* WRITE: unique for this work; "": none. With it a commit whose
                                 * outcome got lost is looked up, and done once. At most 64 bytes. */
    uint32_t  durability;       /* WRITE: TENON_DURABILITY_* */
    uint32_t  reserved;
} tenon_transaction_options;

/* A statement that only reads, whose rows may come from the query cache. */
typedef struct tenon_query {
    uint32_t size, value_count;
    tenon_str sql;
    const tenon_value* values;
    int64_t deadline_ns;
    int64_t ttl_ms;             /* how old rows may be; 0: not cached; below 0: the backend's default */
} tenon_query;

/* A row; borrowed until it returns. Another status than TENON_OK ends the query with it. */
typedef tenon_status (*tenon_row_fn)(void* ctx, const tenon_value* columns, uint32_t count);

/* Work of one transaction: it begins before and commits after, when TENON_OK comes back; else it
 * rolls back. May run more than once (retry): no effect outside the session. */
typedef tenon_status (*tenon_transaction_fn)(void* ctx, tenon_session*, tenon_err*);

typedef struct tenon_storage_1 {
    uint32_t size, flags;
    tenon_str (*dialect)(void* self);             /* [any] "sqlite" or "postgres" */
    /* [io] Runs `fn` in a transaction and returns when it is durable (WRITE) or over (READ). Writes
     * may run on the backend's own writer thread, several callers' transactions sharing one sync; a
     * failing one does not touch the others. TENON_TIMEOUT: not begun before the deadline.
     * TENON_IN_DOUBT: the connection was lost during COMMIT. */
    tenon_status (*transact)(void* self, uint32_t intent, int64_t deadline_ns, tenon_transaction_fn fn,
                             void* ctx, tenon_err*);
    /* [io] A connection for longer work (migrations, maintenance): begin, commit and rollback by the
     * caller. A WRITE lease excludes all other writers on SQLite. */
    tenon_status (*lease)(void* self, uint32_t intent, int64_t deadline_ns, tenon_session** out,
                          tenon_err*);
    void (*release)(void* self, tenon_session*);  /* rolls back what is open */
    tenon_status (*begin)(tenon_session*, tenon_err*);
    tenon_status (*commit)(tenon_session*, tenon_err*);
    tenon_status (*rollback)(tenon_session*, tenon_err*);
    /* One or more statements without parameters and without rows: DDL, scripts. */
    tenon_status (*execute)(tenon_session*, tenon_str sql, tenon_err*);
    /* Kept by text in the session's cache; reset by the next prepare of the same text and at the end
     * of the transaction. */
    tenon_status (*prepare)(tenon_session*, tenon_str sql, tenon_statement** out, tenon_err*);
    tenon_status (*bind)(tenon_statement*, uint32_t index, const tenon_value*, tenon_err*);
    /* *row = 1: a row is there. After the last row, or for statements without rows, *row = 0 and the
     * statement is reset; bindings stay. */
    tenon_status (*step)(tenon_statement*, uint32_t* row, tenon_err*);
    uint32_t (*column_count)(tenon_statement*);
    tenon_str (*column_name)(tenon_statement*, uint32_t index);          /* 0-based */
    /* Borrowed until the next step. */
    tenon_status (*column)(tenon_statement*, uint32_t index, tenon_value* out);
    uint64_t (*changes)(tenon_session*);          /* rows changed by the last statement */
    /* Many rows at once by the fastest way of the backend; `values` is row-major. */
    tenon_status (*bulk_insert)(tenon_session*, tenon_str table, const tenon_str* columns,
                                uint32_t column_count, const tenon_value* values, uint64_t row_count,
                                tenon_err*);
    /* The plan of a statement, as the backend prints it. */
    tenon_status (*explain)(tenon_session*, tenon_str sql, tenon_sink, tenon_err*);
    tenon_status (*stats)(void* self, tenon_storage_stats* out);  /* [any] */

    /* Since 1.1; optional, as all below. */
    /* [io] As transact. `position` (put may be NULL) receives what `after` of a later READ takes: the
     * place of this write in the database's log. */
    tenon_status (*transact_with)(void* self, const tenon_transaction_options*, tenon_transaction_fn fn,
                                  void* ctx, tenon_sink position, tenon_err*);
    /* [io] All rows of a statement, at least as new as every write that was acknowledged before. */
    tenon_status (*query)(void* self, const tenon_query*, tenon_row_fn row, void* ctx, tenon_err*);
    /* How the statement would run, in one shape for all dialects, as JSON:
     * {"dialect":"sqlite","hash":"16 hex digits of what does not depend on values or statistics",
     *  "nodes":[{"depth":0,"operation":"scan|search|sort|join|aggregate|limit|insert|update|delete|other",
     *            "table":"orders","index":"orders_open","covering":false,"condition":"account=?",
     *            "rows":12.0,"cost":3.5,"detail":"the backend's own words"}]}
     * in the order of the backend; what is not known is null. The statement does not run. */
    tenon_status (*plan)(tenon_session*, tenon_str sql, const tenon_value* values, uint32_t value_count,
                         tenon_sink, tenon_err*);
    /* [any] What was run, by statement, costliest first, as JSON:
     * {"since_real_ns":N,"dropped":N,"statements":[{"fingerprint":"16 hex digits","sql":"…","calls":N,
     *  "rows":N,"errors":N,"slow":N,"total_ns":N,"max_ns":N,"p50_ns":N,"p95_ns":N,"p99_ns":N,
     *  "writes":false,"tables":["orders"],"last_real_ns":N}]}. SQL comes with '?', never with values. */
    tenon_status (*statements)(void* self, tenon_sink, tenon_err*);
    /* [io] A copy of the database for trials, as a storage of its own: another file or database,
     * gone with drop_clone and when the provider stops. `rows` 0: the schema and the statistics only. */
    tenon_status (*clone)(void* self, uint32_t rows, int64_t deadline_ns, tenon_iface* out, tenon_err*);
    void (*drop_clone)(void* self, tenon_iface clone);
} tenon_storage_1;

#ifdef __cplusplus
}
#endif
#endif
