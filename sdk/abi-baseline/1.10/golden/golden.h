/* SPDX-License-Identifier: Apache-2.0 */
/* What the golden plugins in C share: errors, texts, and the table of a plugin that needs little. */
#ifndef TENON_GOLDEN_H
#define TENON_GOLDEN_H

#include <tenon/abi/base.h>

#include <stdlib.h>
#include <string.h>

#define GOLDEN_UNUSED __attribute__((unused))

static GOLDEN_UNUSED tenon_str golden_str(const char* text) { return (tenon_str){text, strlen(text)}; }

static GOLDEN_UNUSED int golden_same(tenon_str s, const char* text) {
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static GOLDEN_UNUSED tenon_status golden_fail(tenon_err* err, tenon_status code, const char* message) {
    if (err != NULL && err->size >= offsetof(tenon_err, msg)) {
        const size_t room = err->size - offsetof(tenon_err, msg);
        size_t length = strlen(message);
        length = length < room ? length : room;
        err->code = code;
        err->flags = 0;
        err->len = (uint32_t)length;
        memcpy(err->msg, message, length);
    }
    return code;
}

static GOLDEN_UNUSED tenon_status golden_put(tenon_sink out, const char* text) {
    return out.put(out.ctx, (tenon_bytes){text, strlen(text)});
}

static GOLDEN_UNUSED tenon_status golden_configure(tenon_plugin* p, tenon_str json, uint32_t dry_run, tenon_err* err) {
    (void)p, (void)json, (void)dry_run, (void)err;
    return TENON_OK;
}
static GOLDEN_UNUSED tenon_status golden_start(tenon_plugin* p, tenon_err* err) {
    (void)p, (void)err;
    return TENON_OK;
}
static GOLDEN_UNUSED tenon_status golden_drain(tenon_plugin* p, int64_t deadline_ns, tenon_done done) {
    (void)p, (void)deadline_ns, (void)done;
    return TENON_OK;
}
static GOLDEN_UNUSED void golden_stop(tenon_plugin* p) { (void)p; }
static GOLDEN_UNUSED void golden_destroy(tenon_plugin* p) { free(p); }

/* The entry; `create` is the plugin's own. */
#define GOLDEN_ENTRY(create)                                                              \
    __attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1(void); \
    const tenon_entry* tenon_plugin_entry_v1(void) {                                      \
        static const tenon_entry entry = {                                                \
            TENON_MAGIC, sizeof(tenon_entry), TENON_ABI_MAJOR, TENON_ABI_MINOR, 0,        \
            {TENON_PLUGIN_ID, sizeof TENON_PLUGIN_ID - 1},                                \
            {TENON_PLUGIN_VERSION, sizeof TENON_PLUGIN_VERSION - 1},                      \
            {__VERSION__, sizeof __VERSION__ - 1}, create};                               \
        return &entry;                                                                    \
    }

/* `create` and `query` of a plugin of type T, whose first member is a tenon_plugin called `plugin` and
 * which gives one interface. */
#define GOLDEN_PLUGIN(T, ID, TABLE, START, STOP)                                             \
    static tenon_status query(tenon_plugin* p, tenon_str id, tenon_iface* out) {             \
        if (!golden_same(id, ID)) {                                                          \
            return TENON_UNSUPPORTED;                                                        \
        }                                                                                    \
        *out = (tenon_iface){p, TABLE};                                                      \
        return TENON_OK;                                                                     \
    }                                                                                        \
    static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) { \
        static const tenon_plugin_vt vt = {sizeof vt, 0, golden_configure, START,            \
                                           golden_drain, STOP, golden_destroy, query};       \
        T* mine = calloc(1, sizeof(T));                                                      \
        if (mine == NULL) {                                                                  \
            return golden_fail(err, TENON_UNAVAILABLE, "out of memory");                     \
        }                                                                                    \
        mine->plugin.vt = &vt;                                                               \
        mine->host = host;                                                                   \
        *out = &mine->plugin;                                                                \
        return TENON_OK;                                                                     \
    }                                                                                        \
    GOLDEN_ENTRY(create)

#endif
