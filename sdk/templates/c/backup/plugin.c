/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "backup_store.h"

#include <stdatomic.h>
#include <time.h>

typedef struct backup {
    tenon_plugin         base; /* first: the host's pointer is ours */
    const tenon_host*    host;
    const tenon_clock_1* clock;
    void*                clock_self;
    char                 source[1025], target[1025];
    _Atomic int64_t      keep;
    _Atomic int          open, canceled;
    backup_store         store;
} backup;

/* The caller's progress, which ends early when cancelled or too late. */
typedef struct watch { backup* self; tenon_backup_progress inner; int64_t deadline_ns; } watch;

static tenon_status watch_tell(void* ctx, tenon_str phase, uint64_t done, uint64_t total) {
    const watch* const mine = (const watch*)ctx;
    if (atomic_load(&mine->self->canceled)) {
        return TENON_UNAVAILABLE;
    }
    if (mine->deadline_ns != 0 &&
        mine->self->clock->now_ns(mine->self->clock_self) > mine->deadline_ns) {
        return TENON_TIMEOUT;
    }
    return mine->inner.fn == NULL ? TENON_OK : mine->inner.fn(mine->inner.ctx, phase, done, total);
}

static tenon_status begin(backup* self, tenon_err* err) {
    atomic_store(&self->canceled, 0);
    return atomic_load(&self->open) ? TENON_OK
                                    : tenon_fail(err, TENON_UNAVAILABLE, "the backup is draining");
}

/* ISO 8601 in UTC, to the millisecond. */
static void iso_time(int64_t real_ns, char out[32]) {
    const time_t seconds = (time_t)(real_ns / 1000000000);
    struct tm    parts;
    size_t       length;
    gmtime_r(&seconds, &parts);
    length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out + length, 32 - length, ".%03dZ", (int)(real_ns / 1000000 % 1000));
}

static tenon_status put_text(tenon_sink out, const char* text) {
    const tenon_bytes bytes = {text, strlen(text)};
    return out.put(out.ctx, bytes);
}

/* The label as JSON needs at most six bytes a byte. */
static void quote(const char* text, char out[800]) {
    size_t at = 0;
    for (; *text != '\0' && at + 7 < 800; ++text) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            out[at++] = '\\';
        }
        at += c < 0x20 ? (size_t)snprintf(out + at, 7, "\\u%04x", c) : 0;
        if (c >= 0x20) {
            out[at++] = (char)c;
        }
    }
    out[at] = '\0';
}

static tenon_status put_about(tenon_sink out, const char* before, const backup_about* about) {
    char started[32], finished[32], label[800], text[1400];
    iso_time(about->started_real_ns, started);
    iso_time(about->finished_real_ns, finished);
    quote(about->label, label);
    (void)snprintf(text, sizeof text,
                   "%s{\"id\":\"%s\",\"kind\":\"full\",\"label\":\"%s\",\"started_at\":\"%s\","
                   "\"finished_at\":\"%s\",\"bytes\":%llu,\"pieces\":%llu,\"from\":null,"
                   "\"to\":\"%s\",\"parent\":null,\"verified_at\":null}",
                   before, about->id, label, started, finished, (unsigned long long)about->bytes,
                   (unsigned long long)about->pieces, finished);
    return put_text(out, text);
}

/* ---- the contract: threads of the pool, one call at a time, but for cancel --------------------- */
static tenon_status create_backup(void* ctx, const tenon_backup_request* request,
                                  tenon_backup_progress progress, tenon_sink out, tenon_err* err) {
    backup* const               self = (backup*)ctx;
    watch                       watched = {self, progress, request->deadline_ns};
    const tenon_backup_progress told = {&watched, watch_tell};
    const time_t seconds = (time_t)(self->clock->now_real_ns(self->clock_self) / 1000000000);
    backup_about about;
    struct tm    parts;
    size_t       length;
    tenon_status status = begin(self, err);
    if (status != TENON_OK) {
        return status;
    }
    memset(&about, 0, sizeof about);
    if (request->label.n > 128 ||
        (request->label.n != 0 && memchr(request->label.p, '\n', request->label.n) != NULL)) {
        return tenon_fail(err, TENON_INVALID, "the label is one line of at most 128 bytes");
    }
    about.started_real_ns = self->clock->now_real_ns(self->clock_self);
    about.finished_real_ns = about.started_real_ns;
    gmtime_r(&seconds, &parts);
    length = strftime(about.id, sizeof about.id, "%Y%m%dT%H%M%S", &parts);
    (void)snprintf(about.id + length, sizeof about.id - length, ".%09lldZ",
                   (long long)(about.started_real_ns % 1000000000));
    if (request->label.n != 0) {
        memcpy(about.label, request->label.p, request->label.n);
    }
    status = store_create(&self->store, &about, told, err);
    return status == TENON_OK ? put_about(out, "", &about) : status;
}

static tenon_status list(void* ctx, tenon_sink out, tenon_err* err) {
    backup* const self = (backup*)ctx;
    backup_about* all = NULL;
    size_t        count = 0, i;
    tenon_status  status = begin(self, err);
    status = status == TENON_OK ? store_list(&self->store, &all, &count, err) : status;
    status = status == TENON_OK ? put_text(out, "[") : status;
    for (i = 0; status == TENON_OK && i < count; ++i) {
        status = put_about(out, i == 0 ? "" : ",", &all[i]);
    }
    free(all);
    return status == TENON_OK ? put_text(out, "]") : status;
}

static tenon_status verify(void* ctx, tenon_str id, tenon_backup_progress progress, tenon_err* err) {
    backup* const               self = (backup*)ctx;
    watch                       watched = {self, progress, 0};
    const tenon_backup_progress told = {&watched, watch_tell};
    const tenon_status          status = begin(self, err);
    char                        name[65];
    (void)snprintf(name, sizeof name, "%.*s", (int)(id.n < 65 ? id.n : 64), id.p);
    return status == TENON_OK ? store_verify(&self->store, name, told, err) : status;
}

static tenon_status newest_until(backup* self, int64_t to_real_ns, char id[65], tenon_err* err) {
    backup_about* all = NULL;
    size_t        count = 0;
    tenon_status  status = store_list(&self->store, &all, &count, err);
    while (status == TENON_OK && count != 0 && to_real_ns != 0 &&
           all[count - 1].finished_real_ns > to_real_ns) {
        --count;
    }
    if (status == TENON_OK && count == 0) {
        status = tenon_fail(err, TENON_NOT_FOUND, "there is no backup that reaches this point");
    } else if (status == TENON_OK) {
        memcpy(id, all[count - 1].id, 65);
    }
    free(all);
    return status;
}

static tenon_status restore(void* ctx, const tenon_restore_request* request,
                            tenon_backup_progress progress, tenon_err* err) {
    backup* const               self = (backup*)ctx;
    watch                       watched = {self, progress, request->deadline_ns};
    const tenon_backup_progress told = {&watched, watch_tell};
    char                        id[65] = "", folder[PATH_BYTES];
    tenon_status                status = begin(self, err);
    if (status != TENON_OK) {
        return status;
    }
    if (request->to_sequence != 0) {
        return tenon_fail(err, TENON_UNSUPPORTED, "copies of files know no sequence of commands");
    }
    if (request->folder.n == 0 || request->folder.n >= sizeof folder || request->folder.p[0] != '/') {
        return tenon_fail(err, TENON_INVALID, "the folder is not an absolute path");
    }
    if (request->id.n == 0) {
        status = newest_until(self, request->to_real_ns, id, err);
    } else {
        (void)snprintf(id, sizeof id, "%.*s", (int)(request->id.n < 65 ? request->id.n : 64),
                       request->id.p);
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)request->folder.n, request->folder.p);
    return status == TENON_OK ? store_restore(&self->store, id, folder, told, err) : status;
}

static tenon_status prune(void* ctx, uint32_t dry_run, tenon_sink out, tenon_err* err) {
    backup* const self = (backup*)ctx;
    const size_t  keep = (size_t)atomic_load(&self->keep);
    backup_about* all = NULL;
    size_t        count = 0, i;
    char          text[80];
    tenon_status  status = begin(self, err);
    status = status == TENON_OK ? store_list(&self->store, &all, &count, err) : status;
    status = status == TENON_OK ? put_text(out, "[") : status;
    for (i = 0; status == TENON_OK && i + keep < count; ++i) {
        if (!dry_run && store_remove(&self->store, all[i].id) != 0) {
            status = store_refuse(all[i].id, err);
            break;
        }
        (void)snprintf(text, sizeof text, "%s\"%s\"", i == 0 ? "" : ",", all[i].id);
        status = put_text(out, text);
    }
    free(all);
    return status == TENON_OK ? put_text(out, "]") : status;
}

static void cancel(void* ctx) {
    atomic_store(&((backup*)ctx)->canceled, 1);
}

/* ---- the plugin -------------------------------------------------------------------------------- */
/* Also called by `tenon reload`, for settings marked "x-reload": "live". */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    backup* const self = (backup*)plugin;
    char          source[sizeof self->source], target[sizeof self->target];
    if (tenon_setting_text(json, "source", source, sizeof source) != TENON_OK ||
        tenon_setting_text(json, "target", target, sizeof target) != TENON_OK) {
        return tenon_fail(err, TENON_INVALID, "/source or /target is no path of at most 1024 bytes");
    }
    if (!dry_run) {
        if (!atomic_load(&self->open)) {
            memcpy(self->source, source, sizeof source);
            memcpy(self->target, target, sizeof target);
        }
        atomic_store(&self->keep, tenon_setting_int(json, "keep", 7));
    }
    return TENON_OK;
}

static int below(tenon_str data, const char* setting, char out[PATH_BYTES]) {
    const int length = setting[0] == '/'
                           ? snprintf(out, PATH_BYTES, "%s", setting)
                           : snprintf(out, PATH_BYTES, "%.*s/%s", (int)data.n, data.p, setting);
    return length > 0 && length < PATH_BYTES;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    backup* const self = (backup*)plugin;
    tenon_iface   environment, clock;
    tenon_str     data = {"", 0};
    tenon_status  status = tenon_host_service(self->host, "tenon.environment/1", &environment, err);
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
    if (!below(data, self->source, self->store.source) ||
        !below(data, self->target, self->store.target)) {
        return tenon_fail(err, TENON_INVALID, "/source or /target: the path is too long");
    }
    atomic_store(&self->open, 1);
    return TENON_OK;
}

static tenon_status drain(tenon_plugin* plugin, int64_t deadline_ns, tenon_done done) {
    atomic_store(&((backup*)plugin)->open, 0);
    cancel(plugin);
    return tenon_drain_nothing(plugin, deadline_ns, done);
}

static void stop(tenon_plugin* plugin) {
    atomic_store(&((backup*)plugin)->open, 0);
}

static void destroy(tenon_plugin* plugin) {
    free(plugin);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_backup_1 table = {sizeof table, 0,       create_backup, list,
                                         verify,       restore, prune,         cancel};
    return tenon_offer(id, "tenon.backup/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {sizeof table, 0,    configure, start,
                                          drain,        stop, destroy,   query};
    backup* const                self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
