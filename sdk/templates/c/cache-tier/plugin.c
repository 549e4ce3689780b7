/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "lru_map.h"

#include <tenon/abi/cache_tier.h>
#include <tenon/plugin.h>

#include <pthread.h>

typedef struct tier {
    tenon_plugin      base; /* first: the host's pointer is ours */
    const tenon_host* host;
    int64_t*          shown;
    pthread_mutex_t   mutex; /* guards what follows */
    lru_map           entries;
    size_t            value_bytes_max;
    int               open;
    uint64_t          hits, misses, puts, erased;
} tier;

/* ---- the contract: any thread, concurrently ---------------------------------------------------- */
/* Locks; 0 and unlocked when the tier is not started or draining. */
static int enter(tier* self, tenon_err* err) {
    pthread_mutex_lock(&self->mutex);
    if (!self->open) {
        pthread_mutex_unlock(&self->mutex);
        (void)tenon_fail(err, TENON_UNAVAILABLE, "the cache tier is not started or draining");
        return 0;
    }
    return 1;
}

static tenon_status leave(tier* self, tenon_status status) {
    pthread_mutex_unlock(&self->mutex);
    return status;
}

static tenon_status get(void* ctx, tenon_bytes key, int64_t now_ns, tenon_sink out,
                        int64_t* expires_ns, tenon_err* err) {
    tier* const      self = (tier*)ctx;
    const lru_entry* found;
    tenon_bytes      value;
    if (!enter(self, err)) {
        return TENON_UNAVAILABLE;
    }
    found = lru_get(&self->entries, key.p, key.n, now_ns);
    if (found == NULL) {
        ++self->misses;
        return leave(self, TENON_NOT_FOUND);
    }
    ++self->hits;
    if (expires_ns != NULL) {
        *expires_ns = found->expires_ns;
    }
    value.p = found->bytes + found->key_bytes;
    value.n = found->value_bytes;
    return leave(self, out.put(out.ctx, value));
}

static tenon_status put(void* ctx, tenon_bytes key, tenon_bytes value, int64_t now_ns,
                        int64_t ttl_ns, tenon_err* err) {
    tier* const self = (tier*)ctx;
    int64_t     expires_ns;
    int         failed;
    if (key.n == 0 || key.n > TENON_CACHE_KEY_MAX || ttl_ns <= 0) {
        return tenon_fail(err, TENON_INVALID,
                          "a key of 1 .. 1024 bytes and a positive ttl are wanted");
    }
    if (!enter(self, err)) {
        return TENON_UNAVAILABLE;
    }
    if (value.n > self->value_bytes_max) {
        return leave(self, tenon_fail(err, TENON_INVALID,
                                      "the value is longer than value_bytes_max"));
    }
    expires_ns = now_ns > 0 && ttl_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + ttl_ns;
    failed = lru_put(&self->entries, key.p, key.n, value.p, value.n, expires_ns);
    ++self->puts;
    tenon_gauge_set(self->shown, (int64_t)self->entries.entries);
    return leave(self, failed ? tenon_fail(err, TENON_UNAVAILABLE, "out of memory") : TENON_OK);
}

static tenon_status erase(void* ctx, tenon_bytes key, tenon_err* err) {
    tier* const self = (tier*)ctx;
    int         was_there;
    if (!enter(self, err)) {
        return TENON_UNAVAILABLE;
    }
    was_there = lru_erase(&self->entries, key.p, key.n);
    self->erased += was_there ? 1 : 0;
    return leave(self, was_there ? TENON_OK : TENON_NOT_FOUND);
}

static tenon_status clear(void* ctx, tenon_bytes prefix, tenon_err* err) {
    tier* const self = (tier*)ctx;
    if (!enter(self, err)) {
        return TENON_UNAVAILABLE;
    }
    self->erased += lru_clear(&self->entries, prefix.p, prefix.n);
    return leave(self, TENON_OK);
}

static tenon_status stats(void* ctx, tenon_cache_tier_stats* out) {
    tier* const            self = (tier*)ctx;
    tenon_cache_tier_stats now;
    memset(&now, 0, sizeof now);
    pthread_mutex_lock(&self->mutex);
    now.entries = self->entries.entries;
    now.bytes = self->entries.bytes;
    now.hits = self->hits;
    now.misses = self->misses;
    now.puts = self->puts;
    now.erased = self->erased;
    now.evicted = self->entries.evicted;
    now.expired = self->entries.expired;
    pthread_mutex_unlock(&self->mutex);
    return tenon_copy_out(&now, sizeof now, out);
}

/* ---- the plugin -------------------------------------------------------------------------------- */
/* Also called by `tenon reload`, for settings marked "x-reload": "live". */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    tier* const self = (tier*)plugin;
    (void)err;
    if (!dry_run) {
        pthread_mutex_lock(&self->mutex);
        lru_shrink(&self->entries, (size_t)tenon_setting_int(json, "entries_max", 10000));
        self->value_bytes_max = (size_t)tenon_setting_int(json, "value_bytes_max", 1048576);
        pthread_mutex_unlock(&self->mutex);
    }
    return TENON_OK;
}

static void set_open(tier* self, int open) {
    pthread_mutex_lock(&self->mutex);
    self->open = open;
    pthread_mutex_unlock(&self->mutex);
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    tier* const self = (tier*)plugin;
    (void)err;
    self->shown = tenon_gauge(self->host, "tenon_@identifier@_entries", "Entries that are kept");
    set_open(self, 1);
    return TENON_OK;
}

static tenon_status drain(tenon_plugin* plugin, int64_t deadline_ns, tenon_done done) {
    set_open((tier*)plugin, 0);
    return tenon_drain_nothing(plugin, deadline_ns, done);
}

static void stop(tenon_plugin* plugin) {
    tier* const self = (tier*)plugin;
    pthread_mutex_lock(&self->mutex);
    self->open = 0;
    lru_clear(&self->entries, "", 0);
    pthread_mutex_unlock(&self->mutex);
}

static void destroy(tenon_plugin* plugin) {
    tier* const self = (tier*)plugin;
    lru_free(&self->entries);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_cache_tier_1 table = {
        sizeof table, 0, get, put, erase, clear, stats, NULL, NULL, NULL, NULL, NULL};
    return tenon_offer(id, "tenon.cache_tier/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {sizeof table, 0,    configure, start,
                                          drain,        stop, destroy,   query};
    tier* const                  self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    pthread_mutex_init(&self->mutex, NULL);
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
