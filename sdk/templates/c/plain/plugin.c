/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "folder_size.h"

#include <tenon/plugin.h>

#include <errno.h>
#include <pthread.h>

#define PATH_BYTES 4096

typedef struct folder_job {
    tenon_plugin        base; /* first: the host's pointer is ours */
    const tenon_host*   host;
    const tenon_exec_1* exec;
    void*               exec_self;
    int64_t             interval_ns;
    int64_t *           files, *bytes;
    uint64_t            timer; /* reactor 0's */
    pthread_mutex_t     mutex; /* what follows */
    pthread_cond_t      idle;
    int                 running;
    char                folder[1025];
} folder_job;

static folder_job* of(tenon_plugin* plugin) {
    return (folder_job*)plugin;
}

/* Also called by `tenon reload`, for settings marked "x-reload": "live". */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    folder_job* const self = of(plugin);
    char              folder[sizeof self->folder];
    const int64_t     interval_ms = tenon_setting_int(json, "interval_ms", 10000);
    if (tenon_setting_text(json, "folder", folder, sizeof folder) != TENON_OK) {
        return tenon_fail(err, TENON_INVALID, "/folder is not a path of at most 1024 bytes");
    }
    if (interval_ms < 10 || interval_ms > 86400000) {
        return tenon_fail(err, TENON_INVALID, "/interval_ms is not from 10 to 86400000");
    }
    if (!dry_run) {
        pthread_mutex_lock(&self->mutex);
        memcpy(self->folder, folder, sizeof folder);
        pthread_mutex_unlock(&self->mutex);
        self->interval_ns = interval_ms * 1000000;
    }
    return TENON_OK;
}

static int data_path(folder_job* self, char* out) {
    tenon_iface environment;
    tenon_str   data;
    int         length;
    if (tenon_host_service(self->host, "tenon.environment/1", &environment, NULL) != TENON_OK ||
        ((const tenon_environment_1*)environment.vt)
                ->get(environment.self, tenon_text("data_dir"), &data) != TENON_OK) {
        return -1;
    }
    pthread_mutex_lock(&self->mutex);
    length = self->folder[0] == '/'
                 ? snprintf(out, PATH_BYTES, "%s", self->folder)
                 : snprintf(out, PATH_BYTES, "%.*s/%s", (int)data.n, data.p, self->folder);
    pthread_mutex_unlock(&self->mutex);
    return length > 0 && length < PATH_BYTES ? 0 : -1;
}

/* On the blocking pool, never twice at a time. */
static void measure(void* ctx) {
    folder_job* const self = (folder_job*)ctx;
    char              path[PATH_BYTES] = "";
    folder_size       size;
    if (data_path(self, path) == 0 && measure_folder(path, &size) == 0) {
        tenon_gauge_set(self->files, size.files);
        tenon_gauge_set(self->bytes, size.bytes);
        tenon_health(self->host, "folder", TENON_HEALTHY, "");
    } else {
        tenon_log(self->host, TENON_LOG_WARN, "folder_not_read", "folder", path);
        tenon_health(self->host, "folder", TENON_DEGRADED, "the folder cannot be read");
    }
    pthread_mutex_lock(&self->mutex);
    self->running = 0;
    pthread_cond_broadcast(&self->idle); /* under the lock: stop may free this right after */
    pthread_mutex_unlock(&self->mutex);
}

/* On reactor 0: sets the next tick, and hands the work to the pool unless it still runs. */
static void tick(void* ctx) {
    folder_job* const self = (folder_job*)ctx;
    int               begin;
    const int64_t     now_ns = self->exec->turn_now_ns(self->exec_self);
    self->timer = self->exec->timer(self->exec_self, now_ns + self->interval_ns, tick, self);
    pthread_mutex_lock(&self->mutex);
    begin = !self->running;
    self->running = 1;
    pthread_mutex_unlock(&self->mutex);
    if (begin && self->exec->run_blocking(self->exec_self, measure, self) != TENON_OK) {
        pthread_mutex_lock(&self->mutex);
        self->running = 0; /* the pool is full: the next tick tries again */
        pthread_mutex_unlock(&self->mutex);
    }
}

static void cancel(void* ctx) {
    folder_job* const self = (folder_job*)ctx;
    self->exec->cancel_timer(self->exec_self, self->timer);
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    folder_job* const self = of(plugin);
    tenon_iface       exec;
    if (tenon_host_service(self->host, "tenon.exec/1", &exec, err) != TENON_OK) {
        return TENON_UNSUPPORTED;
    }
    self->exec = (const tenon_exec_1*)exec.vt;
    self->exec_self = exec.self;
    self->files = tenon_gauge(self->host, "tenon_@identifier@_files", "Files in the folder");
    self->bytes = tenon_gauge(self->host, "tenon_@identifier@_bytes", "Bytes in the folder");
    if (self->exec->call(self->exec_self, 0, tick, self) != TENON_OK) {
        return tenon_fail(err, TENON_UNAVAILABLE, "the reactor has stopped");
    }
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    folder_job* const self = of(plugin);
    (void)self->exec->call(self->exec_self, 0, cancel, self);
    pthread_mutex_lock(&self->mutex);
    while (self->running) {
        pthread_cond_wait(&self->idle, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
}

static void destroy(tenon_plugin* plugin) {
    folder_job* const self = of(plugin);
    pthread_cond_destroy(&self->idle);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    (void)plugin, (void)id, (void)out;
    return TENON_UNSUPPORTED;
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    folder_job* const self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->idle, NULL);
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
