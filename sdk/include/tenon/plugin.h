/* SPDX-License-Identifier: Apache-2.0 */
/* C11 side of the plugin ABI: what every plugin in C would write again -- texts, errors, host
 * services, log lines, settings, the entry. For C++ there is plugin.hpp.
 *
 * Header-only, keeps no state, allocates nothing and prints nothing. Every function may be called
 * on any thread, under the rules of the service that it calls. Link nothing but libc. */
#ifndef TENON_PLUGIN_H
#define TENON_PLUGIN_H

#include "abi/base.h"
#include "abi/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ------------------------------------------------------------------------------------ */
static inline tenon_str tenon_text(const char* text) {
    tenon_str out = {text, strlen(text)};
    return out;
}

static inline int tenon_text_is(tenon_str a, const char* b) {
    return a.n == strlen(b) && (a.n == 0 || memcmp(a.p, b, a.n) == 0);
}

/* ---- errors ----------------------------------------------------------------------------------- */
/* Bytes of the UTF-8 sequence at p, where n > 0 bytes are; 0 when there is none (RFC 3629). */
static inline size_t tenon_utf8_sequence(const char* text, size_t n) {
    const unsigned char* p = (const unsigned char*)text;
    const size_t         length = p[0] < 0x80                    ? 1
                                  : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                                  : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                                  : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                                                : 0;
    const unsigned char  low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char  high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    size_t               i;
    if (length < 2 || length > n) {
        return length == 1 ? 1 : 0;
    }
    for (i = 1; i < length; ++i) {
        if (p[i] < (i == 1 ? low : 0x80) || p[i] > (i == 1 ? high : 0xBF)) {
            return 0;
        }
    }
    return length;
}

/* Writes the message, cut to what the caller has room for, and returns `code`:
 *     return tenon_fail(err, TENON_INVALID, "capacity is %d", n);
 * What is not UTF-8 in it becomes '?'. Never put a secret in. */
__attribute__((format(printf, 3, 4))) static inline tenon_status
tenon_fail(tenon_err* err, tenon_status code, const char* format, ...) {
    char    text[2 * sizeof(((tenon_err*)0)->msg)];
    int     wanted;
    size_t  room, length, at = 0, out = 0;
    va_list arguments;
    if (err == NULL || err->size < offsetof(tenon_err, msg)) {
        return code;
    }
    va_start(arguments, format);
    wanted = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    length = wanted < 0 ? 0 : (size_t)wanted;
    length = length < sizeof text ? length : sizeof text - 1;
    room = err->size - offsetof(tenon_err, msg);
    room = room < sizeof err->msg ? room : sizeof err->msg;
    while (at < length) {
        const size_t bytes = tenon_utf8_sequence(text + at, length - at);
        const size_t used = bytes == 0 ? 1 : bytes;
        if (out + used > room) {
            break;
        }
        memcpy(err->msg + out, bytes == 0 ? "?" : text + at, used);
        out += used;
        at += used;
    }
    err->code = code;
    err->flags = 0;
    err->len = (uint32_t)out;
    return code;
}

/* ---- structs ---------------------------------------------------------------------------------- */
/* Gives a struct that starts with `size` to a caller whose own may be shorter: no byte beyond the
 * caller's size, which stays. TENON_OK | TENON_INVALID (no room for a size). */
static inline tenon_status tenon_copy_out(const void* value, size_t bytes, void* out) {
    uint32_t room;
    if (out == NULL) {
        return TENON_INVALID;
    }
    memcpy(&room, out, sizeof room);
    if (room < sizeof room) {
        return TENON_INVALID;
    }
    memcpy(out, value, bytes < room ? bytes : room);
    memcpy(out, &room, sizeof room);
    return TENON_OK;
}

/* ---- services --------------------------------------------------------------------------------- */
/* A service of the host. TENON_OK | TENON_UNSUPPORTED with a message. */
static inline tenon_status tenon_host_service(const tenon_host* host, const char* id,
                                              tenon_iface* out, tenon_err* err) {
    if (host->query(host->self, tenon_text(id), out) != TENON_OK) {
        return tenon_fail(err, TENON_UNSUPPORTED, "the host has no %s", id);
    }
    return TENON_OK;
}

/* The plugin bound to a requirement of the manifest. TENON_OK | TENON_NOT_FOUND (nothing is bound) |
 * TENON_DENIED (not in the manifest's requires); from state configured on. */
static inline tenon_status tenon_find(const tenon_host* host, const char* id, tenon_iface* out,
                                      tenon_err* err) {
    tenon_iface  services;
    tenon_status status = tenon_host_service(host, "tenon.services/1", &services, err);
    if (status != TENON_OK) {
        return status;
    }
    status = ((const tenon_services_1*)services.vt)->find(services.self, tenon_text(id), out);
    return status == TENON_OK ? TENON_OK : tenon_fail(err, status, "nothing is bound to %s", id);
}

/* ---- log -------------------------------------------------------------------------------------- */
/* One event; `event` is constant text and what varies is the value of one field. NULL: no field. */
static inline void tenon_log(const tenon_host* host, int32_t level, const char* event,
                             const char* key, const char* value) {
    tenon_iface iface;
    if (host->query(host->self, tenon_text("tenon.log/1"), &iface) == TENON_OK) {
        const tenon_log_1* log = (const tenon_log_1*)iface.vt;
        tenon_log_field    field = {{"", 0}, {"", 0}, TENON_FIELD_TEXT, 0};
        if (key != NULL && value != NULL) {
            field.key = tenon_text(key);
            field.value = tenon_text(value);
        }
        log->write(iface.self, level, tenon_text(event), &field, key != NULL ? 1u : 0u);
    }
}

/* ---- metrics ---------------------------------------------------------------------------------- */
/* Series without labels; a cell is NULL when the host refused it, and then does nothing. */
static inline uint64_t* tenon_counter(const tenon_host* host, const char* name, const char* help) {
    tenon_iface iface;
    if (host->query(host->self, tenon_text("tenon.metrics/1"), &iface) != TENON_OK) {
        return NULL;
    }
    return ((const tenon_metrics_1*)iface.vt)
        ->counter(iface.self, tenon_text(name), tenon_text(help), NULL, 0);
}

static inline int64_t* tenon_gauge(const tenon_host* host, const char* name, const char* help) {
    tenon_iface iface;
    if (host->query(host->self, tenon_text("tenon.metrics/1"), &iface) != TENON_OK) {
        return NULL;
    }
    return ((const tenon_metrics_1*)iface.vt)
        ->gauge(iface.self, tenon_text(name), tenon_text(help), NULL, 0);
}

static inline void tenon_count(uint64_t* counter, uint64_t amount) {
    if (counter != NULL) {
        __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
    }
}

static inline void tenon_gauge_set(int64_t* gauge, int64_t value) {
    if (gauge != NULL) {
        __atomic_store_n(gauge, value, __ATOMIC_RELAXED);
    }
}

/* ---- health ----------------------------------------------------------------------------------- */
/* TENON_HEALTHY, TENON_DEGRADED or TENON_CRITICAL of one component, with its reason. */
static inline void tenon_health(const tenon_host* host, const char* component, int32_t state,
                                const char* reason) {
    tenon_iface iface;
    if (host->query(host->self, tenon_text("tenon.health/1"), &iface) == TENON_OK) {
        ((const tenon_health_1*)iface.vt)
            ->set(iface.self, tenon_text(component), state, tenon_text(reason));
    }
}

/* ---- settings --------------------------------------------------------------------------------- */
/* Settings of the top level of what `configure` gets: the host has validated it and filled the
 * defaults in, so this looks a value up and checks no JSON. */

/* The end of the JSON value at `p`: strings, and nested values by their brackets. */
static inline const char* tenon_json_skip(const char* p, const char* end) {
    int depth = 0;
    int quoted = 0;
    for (; p < end; ++p) {
        if (quoted) {
            if (*p == '\\') {
                ++p;
            } else if (*p == '"') {
                quoted = 0;
            }
        } else if (*p == '"') {
            quoted = 1;
        } else if (*p == '{' || *p == '[') {
            ++depth;
        } else if (*p == '}' || *p == ']') {
            if (depth-- == 0) {
                break;
            }
        } else if (depth == 0 && (*p == ',' || *p == ':')) {
            break;
        }
    }
    return p < end ? p : end;
}

/* The value of a setting as JSON text; {NULL, 0} when it is not there. */
static inline tenon_str tenon_setting(tenon_str json, const char* name) {
    const char* const end = json.p + json.n;
    const char*       p = json.p;
    const size_t      length = strlen(name);
    tenon_str         none = {NULL, 0};
    while (p < end && *p != '{') {
        ++p;
    }
    while (p < end) {
        const char* key = p + 1;
        const char* key_end = tenon_json_skip(key, end);
        const char* value = key_end < end ? key_end + 1 : end;
        const char* value_end = tenon_json_skip(value, end);
        while (key < key_end && *key != '"') {
            ++key;
        }
        while (value < value_end && (*value == ' ' || *value == '\n' || *value == '\t')) {
            ++value;
        }
        if ((size_t)(key_end - key) >= length + 2 && memcmp(key + 1, name, length) == 0 &&
            key[length + 1] == '"') {
            tenon_str found = {value, (size_t)(value_end - value)};
            return found;
        }
        if (value_end >= end || *value_end != ',') {
            break;
        }
        p = value_end;
    }
    return none;
}

/* A whole number, `absent` when there is none. */
static inline int64_t tenon_setting_int(tenon_str json, const char* name, int64_t absent) {
    const tenon_str value = tenon_setting(json, name);
    char            digits[24];
    char*           end;
    long long       number;
    if (value.n == 0 || value.n >= sizeof digits) {
        return absent;
    }
    memcpy(digits, value.p, value.n);
    digits[value.n] = '\0';
    number = strtoll(digits, &end, 10);
    return end == digits || end[strspn(end, " \n\r\t")] != '\0' ? absent : number;
}

/* true or false, `absent` when it is not there. */
static inline int tenon_setting_bool(tenon_str json, const char* name, int absent) {
    const tenon_str value = tenon_setting(json, name);
    return value.n == 0 ? absent : value.p[0] == 't';
}

/* A text into `out`, with its end marked. TENON_OK | TENON_NOT_FOUND | TENON_INVALID: longer than
 * the room, or it has an escape other than \" \\ \/. */
static inline tenon_status tenon_setting_text(tenon_str json, const char* name, char* out,
                                              size_t room) {
    const tenon_str value = tenon_setting(json, name);
    size_t          length = 0;
    size_t          at;
    if (value.n < 2 || value.p[0] != '"') {
        return TENON_NOT_FOUND;
    }
    for (at = 1; at < value.n && value.p[at] != '"'; ++at) {
        if (value.p[at] == '\\') {
            ++at;
            if (at >= value.n || strchr("\"\\/", value.p[at]) == NULL) {
                return TENON_INVALID;
            }
        }
        if (length + 1 >= room) {
            return TENON_INVALID;
        }
        out[length++] = value.p[at];
    }
    out[length] = '\0';
    return TENON_OK;
}

/* ---- slots of tenon_plugin_vt ----------------------------------------------------------------- */
/* For `query`: gives `self` with `table` when `id` is the offered interface. */
static inline tenon_status tenon_offer(tenon_str id, const char* offered, void* self,
                                       const void* table, tenon_iface* out) {
    if (!tenon_text_is(id, offered)) {
        return TENON_UNSUPPORTED;
    }
    out->self = self;
    out->vt = table;
    return TENON_OK;
}

/* `drain` of a plugin that has nothing in flight. */
static inline tenon_status tenon_drain_nothing(tenon_plugin* plugin, int64_t deadline_ns,
                                               tenon_done done) {
    (void)plugin;
    (void)deadline_ns;
    (void)done;
    return TENON_OK;
}

/* ---- the entry -------------------------------------------------------------------------------- */
/* The plugin's entry, once a plugin. TENON_PLUGIN_ID and TENON_PLUGIN_VERSION come from plugin.json
 * by tenon_add_plugin. `create_fn` is tenon_entry.create. */
#define TENON_EXPORT_C_PLUGIN(create_fn)                                                         \
    __attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1(void);       \
    const tenon_entry* tenon_plugin_entry_v1(void) {                                             \
        static const tenon_entry entry = {                                                       \
            TENON_MAGIC, sizeof(tenon_entry), TENON_ABI_MAJOR, TENON_ABI_MINOR, 0,               \
            {TENON_PLUGIN_ID, sizeof(TENON_PLUGIN_ID) - 1},                                      \
            {TENON_PLUGIN_VERSION, sizeof(TENON_PLUGIN_VERSION) - 1},                            \
            {__VERSION__, sizeof(__VERSION__) - 1}, create_fn};                                  \
        return &entry;                                                                           \
    }

#endif
