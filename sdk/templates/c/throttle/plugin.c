/* SPDX-License-Identifier: Apache-2.0 */
#include "token_buckets.h"

#include <tenon/plugin.h>

/* The levels, as parts of the rate in the settings. */
static const struct level { const char* name; int64_t times, over; } k_levels[] = {
    {"custom", 1, 1},     {"conservative", 1, 2}, {"moderate", 1, 1},
    {"aggressive", 2, 1}, {"unlimited", 0, 1},
};
#define LEVELS (sizeof k_levels / sizeof k_levels[0])

typedef struct throttle {
    tenon_plugin     base; /* first: the host's pointer is ours */
    char             limit[65];
    rate             configured;
    _Atomic size_t   level;
    _Atomic int64_t  per_second, burst;
    _Atomic uint64_t taken, limited;
    buckets          all;
} throttle;

static rate rate_now(throttle* self) {
    rate now;
    now.per_second = atomic_load(&self->per_second);
    now.burst = atomic_load(&self->burst);
    return now;
}

static int64_t part_of(int64_t full, const struct level* level) {
    return later(full * level->times / level->over, 1);
}

static void change_to(throttle* self, size_t index) {
    const struct level* const level = &k_levels[index];
    const rate                before = rate_now(self);
    rate                      next = {0, INT32_MAX};
    if (level->times != 0) {
        next.per_second = part_of(self->configured.per_second, level);
        next.burst = part_of(self->configured.burst, level);
    }
    atomic_store(&self->per_second, next.per_second);
    atomic_store(&self->burst, next.burst);
    atomic_store(&self->level, index);
    buckets_rescale(&self->all, before, next);
}

/* ---- the contract ------------------------------------------------------------------------------ */
static tenon_status find(void* ctx, tenon_str limit, uint32_t* id) {
    if (!tenon_text_is(limit, ((const throttle*)ctx)->limit)) {
        return TENON_NOT_FOUND;
    }
    *id = 0;
    return TENON_OK;
}

static tenon_status take(void* ctx, const tenon_throttle_claim* claims, uint32_t count,
                         int64_t now_ns, int64_t* retry_after_ns) {
    throttle* const self = (throttle*)ctx;
    int64_t         wait_ns;
    uint32_t        i;
    if (count == 0 || count > TENON_THROTTLE_CLAIMS_MAX) {
        return TENON_INVALID;
    }
    for (i = 0; i < count; ++i) {
        if (claims[i].limit != 0 || claims[i].cost == 0 ||
            claims[i].key.n > TENON_THROTTLE_KEY_MAX) {
            return TENON_INVALID;
        }
    }
    wait_ns = buckets_take(&self->all, claims, count, rate_now(self), now_ns);
    if (wait_ns == BUCKETS_NEVER) {
        return TENON_INVALID;
    }
    atomic_fetch_add(wait_ns == 0 ? &self->taken : &self->limited, 1);
    if (wait_ns != 0 && retry_after_ns != NULL) {
        *retry_after_ns = wait_ns;
    }
    return wait_ns == 0 ? TENON_OK : TENON_LIMITED;
}

static void refund(void* ctx, const tenon_throttle_claim* claims, uint32_t count, int64_t now_ns) {
    throttle* const self = (throttle*)ctx;
    uint32_t        i;
    (void)now_ns;
    for (i = 0; i < count; ++i) {
        if (claims[i].limit == 0 && claims[i].key.n <= TENON_THROTTLE_KEY_MAX) {
            buckets_refund(&self->all, claims[i].key, claims[i].cost, rate_now(self));
        }
    }
}

static tenon_status state(void* ctx, uint32_t limit, tenon_str key, int64_t now_ns,
                          tenon_throttle_state* out) {
    throttle* const      self = (throttle*)ctx;
    const rate           now = rate_now(self);
    tenon_throttle_state answer;
    if (limit != 0 || key.n > TENON_THROTTLE_KEY_MAX) {
        return TENON_NOT_FOUND;
    }
    memset(&answer, 0, sizeof answer);
    answer.burst = now.burst;
    answer.rate_per_second = now.per_second;
    answer.available = buckets_available(&self->all, key, now, now_ns, &answer.full_after_ns);
    return tenon_copy_out(&answer, sizeof answer, out);
}

static tenon_status put_text(tenon_sink out, const char* text) {
    const tenon_bytes bytes = {text, strlen(text)};
    return out.put(out.ctx, bytes);
}

static tenon_status level(void* ctx, tenon_str limit, tenon_sink out, tenon_err* err) {
    throttle* const self = (throttle*)ctx;
    if (!tenon_text_is(limit, self->limit)) {
        return tenon_fail(err, TENON_NOT_FOUND, "there is no such limit");
    }
    return put_text(out, k_levels[atomic_load(&self->level)].name);
}

static tenon_status set_level(void* ctx, tenon_str limit, tenon_str name, tenon_err* err) {
    throttle* const self = (throttle*)ctx;
    size_t          i;
    if (limit.n != 0 && !tenon_text_is(limit, self->limit)) {
        return tenon_fail(err, TENON_NOT_FOUND, "there is no such limit");
    }
    for (i = 0; i < LEVELS; ++i) {
        if (tenon_text_is(name, k_levels[i].name)) {
            change_to(self, i);
            return TENON_OK;
        }
    }
    return tenon_fail(err, TENON_INVALID, "there is no level %.*s", (int)name.n, name.p);
}

static tenon_status stats(void* ctx, tenon_sink out, tenon_err* err) {
    throttle* const self = (throttle*)ctx;
    const rate      now = rate_now(self);
    char            text[512];
    (void)err;
    (void)snprintf(text, sizeof text,
                   "{\"%s\":{\"level\":\"%s\",\"rate_per_second\":%lld,\"burst\":%lld,"
                   "\"keys\":%llu,\"taken\":%llu,\"limited\":%llu}}",
                   self->limit, k_levels[atomic_load(&self->level)].name,
                   (long long)now.per_second, (long long)now.burst,
                   (unsigned long long)atomic_load(&self->all.keys),
                   (unsigned long long)atomic_load(&self->taken),
                   (unsigned long long)atomic_load(&self->limited));
    return put_text(out, text);
}

/* ---- the plugin -------------------------------------------------------------------------------- */
/* The name becomes a key of JSON as it is. */
static int is_plain(const char* text) {
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
           strlen(text);
}

/* Also called by `tenon reload`, for settings marked "x-reload": "live". */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    throttle* const self = (throttle*)plugin;
    char            limit[sizeof self->limit];
    if (tenon_setting_text(json, "limit", limit, sizeof limit) != TENON_OK || !is_plain(limit)) {
        return tenon_fail(err, TENON_INVALID, "/limit: expected a-z, A-Z, 0-9, _, . and -");
    }
    if (dry_run) {
        return TENON_OK;
    }
    if (self->all.slots == NULL) {
        const int64_t keys_max = later(tenon_setting_int(json, "keys_max", 4096), 1);
        if (buckets_make(&self->all, (size_t)keys_max) != 0) {
            return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
        }
        memcpy(self->limit, limit, sizeof limit);
    }
    self->configured.per_second = tenon_setting_int(json, "rate_per_second", 10);
    self->configured.burst = tenon_setting_int(json, "burst", 20);
    change_to(self, atomic_load(&self->level));
    return TENON_OK;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    (void)plugin, (void)err;
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    (void)plugin;
}

static void destroy(tenon_plugin* plugin) {
    free(((throttle*)plugin)->all.slots);
    free(plugin);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_throttle_1 table = {sizeof table, 0,     find,      take, refund, NULL,
                                           state,        level, set_level, stats};
    return tenon_offer(id, "tenon.throttle/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    throttle* const self = calloc(1, sizeof *self);
    (void)host;
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
