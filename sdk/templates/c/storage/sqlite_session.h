/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to SQLite as a session of the contract. Not thread-safe: it is leased to one caller
 * at a time. */
#ifndef SQLITE_SESSION_H
#define SQLITE_SESSION_H

#include <tenon/abi/storage.h>
#include <tenon/plugin.h>

#include <sqlite3.h>

struct tenon_statement {
    tenon_session*   session;
    sqlite3_stmt*    raw;
    tenon_statement* next;
    char             sql[];
};

struct tenon_session {
    sqlite3*         db;
    tenon_statement* statements; /* prepared, kept by their text */
    int              write;
    _Atomic uint64_t commits; /* read while somebody else has the lease */
};

static inline tenon_status sql_status(int code) {
    switch (code & 0xff) {
        case SQLITE_OK: return TENON_OK;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_FULL:
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_NOMEM: return TENON_UNAVAILABLE;
        case SQLITE_CONSTRAINT: return TENON_CONFLICT;
        case SQLITE_READONLY: return TENON_DENIED;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return TENON_CORRUPT;
        default: return TENON_INVALID;
    }
}

static inline tenon_status sql_fail(sqlite3* db, int code, tenon_err* err) {
    const tenon_status status =
        tenon_fail(err, sql_status(code), "%s", db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db));
    const int busy = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
    if (err != NULL && err->size >= offsetof(tenon_err, msg) && busy) {
        err->flags = TENON_ERR_RETRYABLE;
    }
    return status;
}

static inline tenon_status session_execute(tenon_session* session, tenon_str sql, tenon_err* err) {
    char* const text = malloc(sql.n + 1);
    int         code;
    if (text == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    if (sql.n != 0) {
        memcpy(text, sql.p, sql.n);
    }
    text[sql.n] = '\0';
    code = sqlite3_exec(session->db, text, NULL, NULL, NULL);
    free(text);
    return code == SQLITE_OK ? TENON_OK : sql_fail(session->db, code, err);
}

static inline tenon_status session_open(tenon_session* session, const char* file, int busy_timeout_ms,
                                        tenon_err* err) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(file, &session->db, flags, NULL);
    if (code != SQLITE_OK) {
        const tenon_status status = sql_fail(session->db, code, err);
        sqlite3_close_v2(session->db);
        session->db = NULL;
        return status;
    }
    sqlite3_busy_timeout(session->db, busy_timeout_ms);
    return session_execute(
        session,
        tenon_text("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"),
        err);
}

static inline void session_close(tenon_session* session) {
    while (session->statements != NULL) {
        tenon_statement* const first = session->statements;
        session->statements = first->next;
        sqlite3_finalize(first->raw);
        free(first);
    }
    sqlite3_close_v2(session->db);
    session->db = NULL;
}

/* What its transactions may do. */
static inline tenon_status session_intent(tenon_session* session, int write, tenon_err* err) {
    session->write = write;
    return session_execute(
        session, tenon_text(write ? "PRAGMA query_only = OFF" : "PRAGMA query_only = ON"), err);
}

static inline void statement_reset(tenon_statement* statement) {
    sqlite3_reset(statement->raw);
    sqlite3_clear_bindings(statement->raw);
}

static inline void session_reset(tenon_session* session) {
    tenon_statement* at;
    for (at = session->statements; at != NULL; at = at->next) {
        statement_reset(at);
    }
}

static inline tenon_status session_begin(tenon_session* session, tenon_err* err) {
    return session_execute(session, tenon_text(session->write ? "BEGIN IMMEDIATE" : "BEGIN"), err);
}

static inline tenon_status session_commit(tenon_session* session, tenon_err* err) {
    tenon_status status;
    session_reset(session);
    status = session_execute(session, tenon_text("COMMIT"), err);
    session->commits += status == TENON_OK ? 1 : 0;
    return status;
}

static inline tenon_status session_rollback(tenon_session* session, tenon_err* err) {
    session_reset(session);
    return sqlite3_get_autocommit(session->db) != 0
               ? TENON_OK
               : session_execute(session, tenon_text("ROLLBACK"), err);
}

static inline tenon_status session_prepare(tenon_session* session, tenon_str sql, tenon_statement** out,
                                           tenon_err* err) {
    tenon_statement* at = session->statements;
    const char*      tail = NULL;
    int              code;
    while (at != NULL && !tenon_text_is(sql, at->sql)) {
        at = at->next;
    }
    if (at == NULL) {
        at = calloc(1, sizeof *at + sql.n + 1);
        if (at == NULL) {
            return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
        }
        memcpy(at->sql, sql.p, sql.n);
        at->session = session;
        code = sqlite3_prepare_v2(session->db, at->sql, (int)sql.n, &at->raw, &tail);
        if (code != SQLITE_OK || at->raw == NULL || tail != at->sql + sql.n) {
            const tenon_status status =
                code != SQLITE_OK
                    ? sql_fail(session->db, code, err)
                    : tenon_fail(err, TENON_INVALID, "prepare takes exactly one statement");
            sqlite3_finalize(at->raw);
            free(at);
            return status;
        }
        at->next = session->statements;
        session->statements = at;
    }
    statement_reset(at);
    *out = at;
    return TENON_OK;
}

static inline tenon_status statement_bind(tenon_statement* statement, uint32_t index,
                                          const tenon_value* value, tenon_err* err) {
    const char* const bytes = value->b.n == 0 ? "" : (const char*)value->b.p;
    sqlite3_stmt*     raw = statement->raw;
    int               code = SQLITE_MISUSE;
    switch (value->kind) {
        case TENON_VALUE_NULL: code = sqlite3_bind_null(raw, (int)index); break;
        case TENON_VALUE_INT64: code = sqlite3_bind_int64(raw, (int)index, value->i); break;
        case TENON_VALUE_REAL: code = sqlite3_bind_double(raw, (int)index, value->r); break;
        case TENON_VALUE_TEXT:
            code = sqlite3_bind_text64(raw, (int)index, bytes, value->b.n, SQLITE_TRANSIENT,
                                       SQLITE_UTF8);
            break;
        case TENON_VALUE_BLOB:
            code = sqlite3_bind_blob64(raw, (int)index, bytes, value->b.n, SQLITE_TRANSIENT);
            break;
        default: return tenon_fail(err, TENON_INVALID, "unknown kind of value");
    }
    return code == SQLITE_OK ? TENON_OK : sql_fail(statement->session->db, code, err);
}

static inline tenon_status statement_step(tenon_statement* statement, uint32_t* row, tenon_err* err) {
    const int code = sqlite3_step(statement->raw);
    *row = code == SQLITE_ROW ? 1 : 0;
    if (code == SQLITE_ROW) {
        return TENON_OK;
    }
    if (code != SQLITE_DONE) {
        const tenon_status status = sql_fail(statement->session->db, code, err);
        sqlite3_reset(statement->raw);
        return status;
    }
    sqlite3_reset(statement->raw);
    return TENON_OK;
}

static inline uint32_t statement_columns(tenon_statement* statement) {
    return (uint32_t)sqlite3_column_count(statement->raw);
}

static inline tenon_str statement_column_name(tenon_statement* statement, uint32_t index) {
    const char* const name = sqlite3_column_name(statement->raw, (int)index);
    return tenon_text(name == NULL ? "" : name);
}

static inline tenon_status statement_column(tenon_statement* statement, uint32_t index, tenon_value* out) {
    static const tenon_value none = {TENON_VALUE_NULL, 0, 0, 0, {NULL, 0}};
    const int                at = (int)index;
    sqlite3_stmt* const      raw = statement->raw;
    if (index >= statement_columns(statement)) {
        return TENON_INVALID;
    }
    *out = none;
    switch (sqlite3_column_type(raw, at)) {
        case SQLITE_INTEGER:
            out->kind = TENON_VALUE_INT64;
            out->i = sqlite3_column_int64(raw, at);
            break;
        case SQLITE_FLOAT:
            out->kind = TENON_VALUE_REAL;
            out->r = sqlite3_column_double(raw, at);
            break;
        case SQLITE_TEXT:
            out->kind = TENON_VALUE_TEXT;
            out->b.p = sqlite3_column_text(raw, at);
            out->b.n = (size_t)sqlite3_column_bytes(raw, at);
            break;
        case SQLITE_BLOB:
            out->kind = TENON_VALUE_BLOB;
            out->b.p = sqlite3_column_blob(raw, at);
            out->b.n = (size_t)sqlite3_column_bytes(raw, at);
            break;
        default: break;
    }
    return TENON_OK;
}

static inline uint64_t session_changes(tenon_session* session) {
    return (uint64_t)sqlite3_changes64(session->db);
}

/* INSERT INTO "table" ("a", "b") VALUES (?, ?); to be freed with sqlite3_free, NULL: no memory. */
static inline char* insert_text(sqlite3* db, tenon_str table, const tenon_str* columns, uint32_t count) {
    sqlite3_str* const text = sqlite3_str_new(db);
    uint32_t           i;
    sqlite3_str_appendf(text, "INSERT INTO \"%.*w\" (", (int)table.n, table.p);
    for (i = 0; i < count; ++i) {
        sqlite3_str_appendf(text, "%s\"%.*w\"", i == 0 ? "" : ", ", (int)columns[i].n, columns[i].p);
    }
    sqlite3_str_appendall(text, ") VALUES (");
    for (i = 0; i < count; ++i) {
        sqlite3_str_appendall(text, i == 0 ? "?" : ", ?");
    }
    sqlite3_str_appendall(text, ")");
    return sqlite3_str_finish(text);
}

static inline tenon_status session_bulk_insert(tenon_session* session, tenon_str table,
                                               const tenon_str* columns, uint32_t column_count,
                                               const tenon_value* values, uint64_t row_count,
                                               tenon_err* err) {
    char* const      text = insert_text(session->db, table, columns, column_count);
    tenon_statement* insert = NULL;
    tenon_status     status;
    uint64_t         row;
    uint32_t         i, has_row;
    if (text == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    status = session_prepare(session, tenon_text(text), &insert, err);
    sqlite3_free(text);
    for (row = 0; status == TENON_OK && row < row_count; ++row) {
        for (i = 0; status == TENON_OK && i < column_count; ++i) {
            status = statement_bind(insert, i + 1, &values[row * column_count + i], err);
        }
        status = status == TENON_OK ? statement_step(insert, &has_row, err) : status;
    }
    return status;
}

static inline tenon_status session_explain(tenon_session* session, tenon_str sql, tenon_sink out,
                                           tenon_err* err) {
    char* const      text = sqlite3_mprintf("EXPLAIN QUERY PLAN %.*s", (int)sql.n, sql.p);
    tenon_statement* plan = NULL;
    tenon_value      line;
    uint32_t         row = 0;
    tenon_status     status;
    if (text == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    status = session_prepare(session, tenon_text(text), &plan, err);
    sqlite3_free(text);
    while (status == TENON_OK && (status = statement_step(plan, &row, err)) == TENON_OK && row) {
        const tenon_bytes newline = {"\n", 1};
        status = statement_column(plan, 3, &line);
        status = status == TENON_OK ? out.put(out.ctx, line.b) : status;
        status = status == TENON_OK ? out.put(out.ctx, newline) : status;
    }
    return status;
}

#endif
