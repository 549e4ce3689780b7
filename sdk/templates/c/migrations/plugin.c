/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include <tenon/abi/migrations.h>
#include <tenon/abi/storage.h>
#include <tenon/plugin.h>

#include <stdatomic.h>

typedef struct applied { char checksum[CHECKSUM_CHARS]; int64_t at_ms; } applied;

typedef struct migrator {
    tenon_plugin           base; /* first: the host's pointer is ours */
    const tenon_host*      host;
    const tenon_storage_1* storage;
    void*                  storage_self;
    const tenon_clock_1*   clock;
    void*                  clock_self;
    int64_t                timeout_ns;
    _Atomic uint32_t       version;
} migrator;

/* ---- transactions: each may be run twice by the storage ---------------------------------------- */
typedef struct transaction {
    migrator* self;
    applied   done[STEPS];
    uint32_t  count; /* of the steps that are recorded */
    uint32_t  index; /* the step to apply */
} transaction;

static tenon_status make_table(void* ctx, tenon_session* session, tenon_err* err) {
    const transaction* const work = (const transaction*)ctx;
    return work->self->storage->execute(
        session,
        tenon_text("CREATE TABLE IF NOT EXISTS @identifier@_schema (version INTEGER PRIMARY KEY, "
                   "name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)"),
        err);
}

static tenon_status keep_row(const tenon_storage_1* sql, tenon_statement* rows, applied* out) {
    tenon_value sum, at;
    if (sql->column(rows, 0, &sum) != TENON_OK || sql->column(rows, 1, &at) != TENON_OK ||
        sum.kind != TENON_VALUE_TEXT || at.kind != TENON_VALUE_INT64) {
        return TENON_CORRUPT;
    }
    (void)snprintf(out->checksum, sizeof out->checksum, "%.*s", (int)sum.b.n,
                   (const char*)sum.b.p);
    out->at_ms = at.i;
    return TENON_OK;
}

static tenon_status read_applied(void* ctx, tenon_session* session, tenon_err* err) {
    transaction* const           work = (transaction*)ctx;
    const tenon_storage_1* const sql = work->self->storage;
    tenon_statement*             rows;
    uint32_t                     row = 0;
    tenon_status                 status = sql->prepare(
        session,
        tenon_text("SELECT checksum, applied_at FROM @identifier@_schema ORDER BY version"), &rows,
        err);
    work->count = 0;
    while (status == TENON_OK && (status = sql->step(rows, &row, err)) == TENON_OK && row == 1) {
        if (work->count < STEPS) {
            status = keep_row(sql, rows, &work->done[work->count]);
        }
        ++work->count;
    }
    return status;
}

static tenon_status bind_text(const tenon_storage_1* sql, tenon_statement* to, uint32_t index,
                              const char* text, tenon_err* err) {
    tenon_value value = {TENON_VALUE_TEXT, 0, 0, 0, {text, 0}};
    value.b.n = strlen(text);
    return sql->bind(to, index, &value, err);
}

static tenon_status bind_int(const tenon_storage_1* sql, tenon_statement* to, uint32_t index,
                             int64_t number, tenon_err* err) {
    const tenon_value value = {TENON_VALUE_INT64, 0, number, 0, {NULL, 0}};
    return sql->bind(to, index, &value, err);
}

static tenon_status apply_step(void* ctx, tenon_session* session, tenon_err* err) {
    const transaction* const     work = (const transaction*)ctx;
    const tenon_storage_1* const sql = work->self->storage;
    const step* const            wanted = &k_steps[work->index];
    const int64_t now_ms = work->self->clock->now_real_ns(work->self->clock_self) / 1000000;
    char             sum[CHECKSUM_CHARS];
    tenon_statement* insert;
    uint32_t         row;
    tenon_status     status = sql->execute(session, tenon_text(wanted->sql), err);
    checksum(wanted->sql, sum);
    if (status != TENON_OK ||
        (status = sql->prepare(session,
                               tenon_text("INSERT INTO @identifier@_schema VALUES (?, ?, ?, ?)"),
                               &insert, err)) != TENON_OK ||
        (status = bind_int(sql, insert, 1, work->index + 1, err)) != TENON_OK ||
        (status = bind_text(sql, insert, 2, wanted->name, err)) != TENON_OK ||
        (status = bind_text(sql, insert, 3, sum, err)) != TENON_OK ||
        (status = bind_int(sql, insert, 4, now_ms, err)) != TENON_OK) {
        return status;
    }
    return sql->step(insert, &row, err);
}

static tenon_status run(transaction* work, uint32_t intent, tenon_transaction_fn fn,
                        tenon_err* err) {
    migrator* const self = work->self;
    const int64_t   deadline_ns = self->clock->now_ns(self->clock_self) + self->timeout_ns;
    return self->storage->transact(self->storage_self, intent, deadline_ns, fn, work, err);
}

/* ---- the contract ------------------------------------------------------------------------------ */
static uint32_t version(void* ctx) {
    return atomic_load(&((migrator*)ctx)->version);
}

static tenon_status put_text(tenon_sink out, const char* text) {
    const tenon_bytes bytes = {text, strlen(text)};
    return out.put(out.ctx, bytes);
}

static tenon_status report(void* ctx, tenon_sink out, tenon_err* err) {
    transaction  work = {(migrator*)ctx, {{"", 0}}, 0, 0};
    char         text[512], sum[CHECKSUM_CHARS], at[24];
    tenon_status status = run(&work, TENON_INTENT_READ, read_applied, err);
    uint32_t     i;
    if (status != TENON_OK) {
        return status;
    }
    (void)snprintf(text, sizeof text, "{\"current\":%u,\"latest\":%u,\"migrations\":[",
                   (unsigned)work.count, (unsigned)STEPS);
    status = put_text(out, text);
    for (i = 0; i < STEPS && status == TENON_OK; ++i) {
        const int done = i < work.count;
        checksum(k_steps[i].sql, sum);
        (void)snprintf(at, sizeof at, "%lld", (long long)(done ? work.done[i].at_ms : 0));
        (void)snprintf(text, sizeof text,
                       "%s{\"version\":%u,\"name\":\"%s\",\"state\":\"%s\",\"checksum\":\"%s\","
                       "\"applied_at\":%s}",
                       i == 0 ? "" : ",", (unsigned)i + 1, k_steps[i].name,
                       done ? "applied" : "pending", sum, done ? at : "null");
        status = put_text(out, text);
    }
    return status == TENON_OK ? put_text(out, "]}") : status;
}

/* ---- the plugin -------------------------------------------------------------------------------- */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    (void)err;
    if (!dry_run) {
        ((migrator*)plugin)->timeout_ns = tenon_setting_int(json, "timeout_ms", 60000) * 1000000;
    }
    return TENON_OK;
}

static tenon_status compare(const transaction* work, tenon_err* err) {
    char     sum[CHECKSUM_CHARS];
    uint32_t i;
    if (work->count > STEPS) {
        return tenon_fail(err, TENON_CONFLICT, "the schema has version %u, this plugin knows %u",
                          (unsigned)work->count, (unsigned)STEPS);
    }
    for (i = 0; i < work->count; ++i) {
        checksum(k_steps[i].sql, sum);
        if (strcmp(sum, work->done[i].checksum) != 0) {
            return tenon_fail(err, TENON_CORRUPT,
                              "step %u (%s) was applied with another text than this plugin has",
                              (unsigned)i + 1, k_steps[i].name);
        }
    }
    return TENON_OK;
}

/* What requires this plugin starts afterwards. */
static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    migrator* const self = (migrator*)plugin;
    transaction     work = {self, {{"", 0}}, 0, 0};
    tenon_iface     storage, clock;
    tenon_status    status = tenon_find(self->host, "tenon.storage/1", &storage, err);
    if (status == TENON_OK) {
        status = tenon_host_service(self->host, "tenon.clock/1", &clock, err);
    }
    if (status != TENON_OK) {
        return status;
    }
    self->storage = (const tenon_storage_1*)storage.vt;
    self->storage_self = storage.self;
    self->clock = (const tenon_clock_1*)clock.vt;
    self->clock_self = clock.self;
    if ((status = run(&work, TENON_INTENT_WRITE, make_table, err)) != TENON_OK ||
        (status = run(&work, TENON_INTENT_READ, read_applied, err)) != TENON_OK ||
        (status = compare(&work, err)) != TENON_OK) {
        return status;
    }
    atomic_store(&self->version, work.count);
    for (work.index = work.count; work.index < STEPS; ++work.index) {
        status = run(&work, TENON_INTENT_WRITE, apply_step, err);
        if (status != TENON_OK) {
            return status;
        }
        atomic_store(&self->version, work.index + 1);
        tenon_log(self->host, TENON_LOG_INFO, "migrated", "name", k_steps[work.index].name);
    }
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    (void)plugin;
}

static void destroy(tenon_plugin* plugin) {
    free(plugin);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_migrations_1 table = {sizeof table, 0, version, report};
    return tenon_offer(id, "tenon.migrations/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    migrator* const self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
