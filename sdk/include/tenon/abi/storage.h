/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.storage/1 -- sessions on an SQL database.
 *
 * Everything here may block: [io], never on a reactor. A backend owns its connections and pool.
 * Statements use '?' for parameters, 1-based by position, on every dialect. Values: int64, double,
 * text, blob, null; money is int64 or text. Errors carry TENON_ERR_RETRYABLE when the same
 * transaction may be tried again (busy, serialisation, lost connection before COMMIT). */
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
} tenon_storage_stats;

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
} tenon_storage_1;

#ifdef __cplusplus
}
#endif
#endif
