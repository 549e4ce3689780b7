/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sqlite_session.h"

#include <pthread.h>
#include <time.h>

enum { READER, WRITER, CONNECTIONS };

typedef struct connection { tenon_session session; int leased; } connection;

typedef struct storage {
    tenon_plugin         base; /* first: the host's pointer is ours */
    const tenon_host*    host;
    const tenon_clock_1* clock;
    void*                clock_self;
    char                 file[1025];
    int                  busy_timeout_ms;
    pthread_mutex_t      mutex; /* guards what follows */
    pthread_cond_t       freed;
    connection           connections[CONNECTIONS];
    int                  open;
    tenon_storage_stats  counts;
} storage;

static int64_t now_ns(const storage* self) {
    return self->clock->now_ns(self->clock_self);
}

/* ---- the contract: threads of the pool --------------------------------------------------------- */
static tenon_str dialect(void* ctx) {
    (void)ctx;
    return tenon_text("sqlite");
}

/* Under the lock. Deadlines are on the monotonic clock, which the condition waits by. */
static int wait_free(storage* self, const connection* wanted, int64_t deadline_ns) {
    struct timespec until;
    int             waited = 0;
    until.tv_sec = (time_t)(deadline_ns / 1000000000);
    until.tv_nsec = (long)(deadline_ns % 1000000000);
    ++self->counts.waiting;
    while (wanted->leased && self->open && waited == 0) {
        waited = deadline_ns == INT64_MAX
                     ? pthread_cond_wait(&self->freed, &self->mutex)
                     : pthread_cond_timedwait(&self->freed, &self->mutex, &until);
    }
    --self->counts.waiting;
    return !wanted->leased;
}

static tenon_status lease(void* ctx, uint32_t intent, int64_t deadline_ns, tenon_session** out,
                          tenon_err* err) {
    storage* const    self = (storage*)ctx;
    connection* const wanted = &self->connections[intent == TENON_INTENT_WRITE ? WRITER : READER];
    const int64_t     asked_ns = now_ns(self);
    tenon_status      status = TENON_OK;
    int64_t           waited_ns;
    if (intent != TENON_INTENT_READ && intent != TENON_INTENT_WRITE) {
        return tenon_fail(err, TENON_INVALID, "unknown intent");
    }
    pthread_mutex_lock(&self->mutex);
    if (!wait_free(self, wanted, deadline_ns) && self->open) {
        ++self->counts.lease_timeouts;
        status = tenon_fail(err, TENON_TIMEOUT, "no connection was free before the deadline");
    } else if (!self->open) {
        status = tenon_fail(err, TENON_UNAVAILABLE, "the storage is draining");
    } else {
        wanted->leased = 1;
        ++self->counts.leases;
        waited_ns = now_ns(self) - asked_ns;
        self->counts.wait_total_ns += waited_ns;
        self->counts.wait_max_ns =
            self->counts.wait_max_ns > waited_ns ? self->counts.wait_max_ns : waited_ns;
        *out = &wanted->session;
    }
    pthread_mutex_unlock(&self->mutex);
    return status;
}

static void release(void* ctx, tenon_session* session) {
    storage* const self = (storage*)ctx;
    int            i;
    (void)session_rollback(session, NULL);
    pthread_mutex_lock(&self->mutex);
    for (i = 0; i < CONNECTIONS; ++i) {
        if (session == &self->connections[i].session) {
            self->connections[i].leased = 0;
        }
    }
    pthread_cond_broadcast(&self->freed);
    pthread_mutex_unlock(&self->mutex);
}

static tenon_status transact(void* ctx, uint32_t intent, int64_t deadline_ns,
                             tenon_transaction_fn fn, void* fn_ctx, tenon_err* err) {
    tenon_session* session;
    tenon_status   status = lease(ctx, intent, deadline_ns, &session, err);
    if (status != TENON_OK) {
        return status;
    }
    status = session_begin(session, err);
    if (status == TENON_OK) {
        status = fn(fn_ctx, session, err);
    }
    if (status == TENON_OK) {
        status = session_commit(session, err);
    }
    release(ctx, session);
    return status;
}

static tenon_status stats(void* ctx, tenon_storage_stats* out) {
    storage* const      self = (storage*)ctx;
    tenon_storage_stats now;
    int                 i;
    pthread_mutex_lock(&self->mutex);
    now = self->counts;
    now.limit = CONNECTIONS;
    for (i = 0; i < CONNECTIONS; ++i) {
        ++*(self->connections[i].leased ? &now.in_use : &now.idle);
        now.transactions += self->connections[i].session.commits;
    }
    pthread_mutex_unlock(&self->mutex);
    return tenon_copy_out(&now, sizeof now, out);
}

/* ---- the plugin -------------------------------------------------------------------------------- */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    storage* const self = (storage*)plugin;
    char           file[sizeof self->file];
    if (tenon_setting_text(json, "file", file, sizeof file) != TENON_OK) {
        return tenon_fail(err, TENON_INVALID, "/file is not a path of at most 1024 bytes");
    }
    if (!dry_run) {
        memcpy(self->file, file, sizeof file);
        self->busy_timeout_ms = (int)tenon_setting_int(json, "busy_timeout_ms", 1000);
    }
    return TENON_OK;
}

static void close_all(storage* self) {
    int i;
    for (i = 0; i < CONNECTIONS; ++i) {
        session_close(&self->connections[i].session);
    }
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    storage* const self = (storage*)plugin;
    tenon_iface    environment, clock;
    tenon_str      data = {"", 0};
    char           path[4096];
    int            length, i;
    tenon_status   status = tenon_host_service(self->host, "tenon.environment/1", &environment, err);
    if (status == TENON_OK) {
        status = tenon_host_service(self->host, "tenon.clock/1", &clock, err);
    }
    if (status != TENON_OK) {
        return status;
    }
    self->clock = (const tenon_clock_1*)clock.vt;
    self->clock_self = clock.self;
    (void)((const tenon_environment_1*)environment.vt)
        ->get(environment.self, tenon_text("data_dir"), &data);
    length = self->file[0] == '/'
                 ? snprintf(path, sizeof path, "%s", self->file)
                 : snprintf(path, sizeof path, "%.*s/%s", (int)data.n, data.p, self->file);
    if (length < 0 || (size_t)length >= sizeof path) {
        return tenon_fail(err, TENON_INVALID, "/file: the path is too long");
    }
    for (i = CONNECTIONS - 1; status == TENON_OK && i >= 0; --i) { /* the writer makes the file */
        tenon_session* const session = &self->connections[i].session;
        status = session_open(session, path, self->busy_timeout_ms, err);
        status = status == TENON_OK ? session_intent(session, i == WRITER, err) : status;
    }
    if (status != TENON_OK) {
        close_all(self);
        return status;
    }
    pthread_mutex_lock(&self->mutex);
    self->open = 1;
    pthread_mutex_unlock(&self->mutex);
    return TENON_OK;
}

static tenon_status drain(tenon_plugin* plugin, int64_t deadline_ns, tenon_done done) {
    storage* const self = (storage*)plugin;
    pthread_mutex_lock(&self->mutex);
    self->open = 0;
    pthread_cond_broadcast(&self->freed);
    pthread_mutex_unlock(&self->mutex);
    return tenon_drain_nothing(plugin, deadline_ns, done);
}

/* Those who have a lease are stopped before this plugin is. */
static void stop(tenon_plugin* plugin) {
    storage* const self = (storage*)plugin;
    pthread_mutex_lock(&self->mutex);
    self->open = 0;
    while (self->connections[READER].leased || self->connections[WRITER].leased) {
        pthread_cond_wait(&self->freed, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
    close_all(self);
}

static void destroy(tenon_plugin* plugin) {
    storage* const self = (storage*)plugin;
    pthread_cond_destroy(&self->freed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_storage_1 table = {
        .size = sizeof table,
        .dialect = dialect,
        .transact = transact,
        .lease = lease,
        .release = release,
        .begin = session_begin,
        .commit = session_commit,
        .rollback = session_rollback,
        .execute = session_execute,
        .prepare = session_prepare,
        .bind = statement_bind,
        .step = statement_step,
        .column_count = statement_columns,
        .column_name = statement_column_name,
        .column = statement_column,
        .changes = session_changes,
        .bulk_insert = session_bulk_insert,
        .explain = session_explain,
        .stats = stats,
    };
    return tenon_offer(id, "tenon.storage/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {sizeof table, 0,    configure, start,
                                          drain,        stop, destroy,   query};
    storage* const               self = calloc(1, sizeof *self);
    pthread_condattr_t           monotonic;
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
