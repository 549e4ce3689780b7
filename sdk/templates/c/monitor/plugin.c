/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "disk.h"

#include <tenon/abi/probe.h>

#include <stdatomic.h>

typedef struct monitor {
    tenon_plugin      base; /* first: the host's pointer is ours */
    const tenon_host* host;
    int64_t*          shown;
    _Atomic int64_t   free_min_bytes;
    char              folder[4096];
} monitor;

/* The contract, on the blocking pool. */
static tenon_status check(void* ctx, uint32_t deep, int64_t deadline_ns, tenon_err* err) {
    monitor* const self = (monitor*)ctx;
    int64_t        bytes = 0;
    tenon_status   status = disk_free(self->folder, &bytes, err);
    (void)deep, (void)deadline_ns;
    if (status == TENON_OK) {
        tenon_gauge_set(self->shown, bytes);
        status = disk_expect(bytes, atomic_load(&self->free_min_bytes), err);
    }
    return status;
}

/* Also called by `tenon reload`, for settings marked "x-reload": "live". */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    monitor* const self = (monitor*)plugin;
    (void)err;
    if (!dry_run) {
        atomic_store(&self->free_min_bytes, tenon_setting_int(json, "free_min_mb", 256) << 20);
    }
    return TENON_OK;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    monitor* const self = (monitor*)plugin;
    tenon_iface    environment;
    tenon_str      folder;
    int64_t        bytes;
    tenon_status   status = tenon_host_service(self->host, "tenon.environment/1", &environment, err);
    if (status != TENON_OK) {
        return status;
    }
    status = ((const tenon_environment_1*)environment.vt)
                 ->get(environment.self, tenon_text("data_dir"), &folder);
    if (status != TENON_OK || folder.n >= sizeof self->folder) {
        return tenon_fail(err, TENON_UNAVAILABLE, "the host does not name its data folder");
    }
    memcpy(self->folder, folder.p, folder.n);
    self->folder[folder.n] = '\0';
    self->shown = tenon_gauge(self->host, "tenon_@identifier@_free_bytes",
                              "Room on the disk of the data folder");
    status = disk_free(self->folder, &bytes, err);
    if (status == TENON_OK) {
        tenon_gauge_set(self->shown, bytes);
    }
    return status;
}

static void stop(tenon_plugin* plugin) {
    (void)plugin;
}

static void destroy(tenon_plugin* plugin) {
    free(plugin);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_probe_1 table = {sizeof table, 0, check};
    return tenon_offer(id, "tenon.probe/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    monitor* const self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
