/* SPDX-License-Identifier: Apache-2.0 */
/* The misbehaving plugin in C, without any help: one key, "c", and the modes of odd.cpp. */
#include <tenon/abi/cache_tier.h>
#include <tenon/abi/host.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct odd {
    tenon_plugin plugin;
    const tenon_host* host;
    char mode[128];
} odd;

static tenon_status say(tenon_err* err, tenon_status code, const char* message) {
    if (err != NULL && err->size >= sizeof *err) {
        err->code = code;
        err->flags = 0;
        err->len = (uint32_t)strlen(message);
        memcpy(err->msg, message, err->len);
    }
    return code;
}

static tenon_status get(void* self, tenon_bytes key, int64_t now_ns, tenon_sink out,
                        int64_t* expires_ns, tenon_err* err) {
    (void)self;
    (void)now_ns;
    if (key.n == 5 && memcmp(key.p, "throw", 5) == 0) {
        return say(err, TENON_INTERNAL, "refused by C of " TOOL);
    }
    if (key.n != 1 || memcmp(key.p, "c", 1) != 0) {
        return TENON_NOT_FOUND;
    }
    if (expires_ns != NULL) {
        *expires_ns = 0;
    }
    return out.put(out.ctx, (tenon_bytes){"C of " TOOL, sizeof "C of " TOOL - 1});
}

static tenon_status put(void* self, tenon_bytes key, tenon_bytes value, int64_t now_ns,
                        int64_t ttl_ns, tenon_err* err) {
    (void)self, (void)key, (void)value, (void)now_ns, (void)ttl_ns, (void)err;
    return TENON_OK;
}

static tenon_status erase(void* self, tenon_bytes key, tenon_err* err) {
    (void)self, (void)key, (void)err;
    return TENON_NOT_FOUND;
}

static tenon_status clear(void* self, tenon_bytes prefix, tenon_err* err) {
    (void)self, (void)prefix, (void)err;
    return TENON_OK;
}

static tenon_status stats(void* self, tenon_cache_tier_stats* out) {
    (void)self, (void)out;
    return TENON_OK;
}

static const tenon_cache_tier_1 k_tier = {sizeof k_tier, 0, get, put, erase, clear, stats, NULL, NULL, NULL, NULL, NULL};

static tenon_status configure(tenon_plugin* p, tenon_str json, uint32_t dry_run, tenon_err* err) {
    odd* o = (odd*)p;
    const size_t n = json.n < sizeof o->mode - 1 ? json.n : sizeof o->mode - 1;
    (void)dry_run;
    memcpy(o->mode, json.p, n);
    o->mode[n] = 0;
    return strstr(o->mode, "fail_configure") ? say(err, TENON_INVALID, "refused by " TOOL) : TENON_OK;
}

static void log_rubbish(odd* o) {
    static const char k_bytes[] = "\xff\xfe\0 a=b\nplugin=kernel event=forged\x1b[2J\xc3";
    const tenon_str rubbish = {k_bytes, sizeof k_bytes};
    const tenon_log_field field = {rubbish, rubbish, 77, 0};
    tenon_iface log;
    if (o->host->query(o->host->self, (tenon_str){"tenon.log/1", 11}, &log) == TENON_OK) {
        const tenon_log_1* table = log.vt;
        table->write(log.self, -7, rubbish, &field, 1);
        table->write(log.self, TENON_LOG_ERROR, rubbish, &field, 1);
        table->write(log.self, TENON_LOG_INFO, (tenon_str){"rubbish_ended", 13}, NULL, 0);
    }
}

static tenon_status start(tenon_plugin* p, tenon_err* err) {
    odd* o = (odd*)p;
    if (strstr(o->mode, "fail_start")) {
        return say(err, TENON_CORRUPT, "start failed in " TOOL);
    }
    while (strstr(o->mode, "hang_start")) {
        (void)pause();
    }
    if (strstr(o->mode, "leak")) {
        volatile char* lost = malloc((size_t)8 << 20);
        for (size_t at = 0; lost != NULL && at < (size_t)8 << 20; at += 4096) {
            lost[at] = 1;
        }
    }
    if (strstr(o->mode, "rubbish")) {
        log_rubbish(o);
    }
    return TENON_OK;
}

static tenon_status drain(tenon_plugin* p, int64_t deadline_ns, tenon_done done) {
    (void)p, (void)deadline_ns, (void)done;
    return TENON_OK;
}

static void stop(tenon_plugin* p) { (void)p; }

static void destroy(tenon_plugin* p) { free(p); }

static tenon_status query(tenon_plugin* p, tenon_str id, tenon_iface* out) {
    if (id.n != 18 || memcmp(id.p, "tenon.cache_tier/1", 18) != 0) {
        return TENON_UNSUPPORTED;
    }
    *out = (tenon_iface){p, &k_tier};
    return TENON_OK;
}

static const tenon_plugin_vt k_plugin = {sizeof k_plugin, 0,    configure, start,
                                         drain,           stop, destroy,   query};

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    odd* o = calloc(1, sizeof *o);
    if (o == NULL) {
        return say(err, TENON_UNAVAILABLE, "out of memory");
    }
    o->plugin.vt = &k_plugin;
    o->host = host;
    *out = &o->plugin;
    return TENON_OK;
}

__attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1(void) {
    static const tenon_entry k_entry = {
        TENON_MAGIC, sizeof k_entry, TENON_ABI_MAJOR, TENON_ABI_MINOR, 0,
        {TENON_PLUGIN_ID, sizeof TENON_PLUGIN_ID - 1},
        {TENON_PLUGIN_VERSION, sizeof TENON_PLUGIN_VERSION - 1},
        {__VERSION__, sizeof __VERSION__ - 1}, create};
    return &k_entry;
}
