/* SPDX-License-Identifier: Apache-2.0 */
/* The foundation of Tenon's plugin ABI: types, status codes, the host, the plugin, the entry.
 *
 * Rules that every header of this folder keeps
 *   - C11, fixed-width types only; no enum, bool, bit field, long or C++ type crosses the seam.
 *   - Every table and every struct that may grow starts with `size` in bytes, set by whoever fills
 *     it; a reader tests TENON_HAS before it touches a later slot. Slots are only appended.
 *   - Each side frees what it allocated. Inputs are borrowed until the call returns, unless the
 *     call is documented to keep them. Variable output goes through a tenon_sink or a row callback.
 *   - No exception crosses: the C++ wrappers turn them into a status.
 *   - Time is int64 nanoseconds: `now_ns`/`deadline_ns` are monotonic unless the name ends in
 *     `_real_ns` (since the Unix epoch, UTC). Money is never floating point.
 *
 * Thread tags, written in brackets at each function
 *   [control]   one call at a time per plugin instance, from the host's control thread
 *   [any]       any thread, concurrently
 *   [io]        a thread of the blocking pool or the control thread; may block until its deadline
 *   [reactor]   the reactor thread that owns the object (reactor 0 unless said otherwise); must not
 *               block
 *   [nonblock]  like [any], and takes no lock, makes no system call and does not allocate
 *
 * Asynchronous calls: TENON_PENDING means that `done` fires exactly once, later, never before the
 * call returned; any other status means that it never fires.
 *
 * Versions, on three axes
 *   - The entry symbol (tenon_plugin_entry_v1): a new one only for a new world.
 *   - The interface id and its revision ("tenon.storage/1"): any change to an existing slot is a new
 *     revision, and the host serves the old one beside it for at least two minor releases.
 *   - `size`: tables and structs grow at their end. Slots appended after 1.0 are optional: NULL is
 *     legal. A removed slot stays in its place and answers TENON_UNSUPPORTED.
 * So an older plugin in a newer host and a newer plugin in an older host both load, unless the
 * manifest's `abi.min` or `requires` says otherwise.
 *
 * Arrays of structs that start with `size` are stepped through with TENON_AT, since the writer's
 * struct may be longer than the reader's. Structs without `size` never change.
 *
 * States, and what is legal in them
 *   created     host calls query, configure, destroy.            The plugin may call log, clock.
 *   configured  configure, start, destroy.           Also config, secret, environment, services (to
 *                                                    look up), metrics, admin.
 *   started     every interface, drain, stop; configure when the schema has live settings. Everything.
 *   draining    work in flight ends; new work is answered TENON_UNAVAILABLE.             Everything.
 *   stopped     start, destroy.                                                          Log, clock.
 *   quarantined destroy, after every caller is fenced off.                                  Nothing. */
#ifndef TENON_ABI_BASE_H
#define TENON_ABI_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_MAGIC 0x314e4e54u /* "TNN1", little endian */
#define TENON_ABI_MAJOR 1u
#define TENON_ABI_MINOR 10u

/* True when the table or struct behind `p` is long enough to hold slot `m` and the slot is set. */
#define TENON_HAS(p, T, m) \
    ((p)->size >= offsetof(T, m) + sizeof((p)->m) && (p)->m)

/* True when the struct behind `p` is long enough to hold member `m`, whatever its value. */
#define TENON_HOLDS(p, T, m) ((p)->size >= offsetof(T, m) + sizeof((p)->m))

/* Element `i` of an array of structs that start with `size`; `array` is not NULL. */
#define TENON_AT(T, array, i) \
    ((const T*)(const void*)((const char*)(const void*)(array) + (size_t)(i) * (array)->size))

typedef struct tenon_str   { const char* p; size_t n; } tenon_str;   /* UTF-8, borrowed, no NUL */
typedef struct tenon_bytes { const void* p; size_t n; } tenon_bytes;

typedef int32_t tenon_status;
#define TENON_OK            0
#define TENON_PENDING       1   /* done fires exactly once, later */
#define TENON_LIMITED       2   /* not now: a budget is used up; nothing was done */
#define TENON_NOT_FOUND   (-1)
#define TENON_INVALID     (-2)  /* the caller's mistake; the message says which */
#define TENON_UNSUPPORTED (-3)
#define TENON_UNAVAILABLE (-4)  /* transient: try again later */
#define TENON_TIMEOUT     (-5)  /* the deadline passed; nothing was done unless said otherwise */
#define TENON_CONFLICT    (-6)  /* a constraint, a duplicate, a lost race */
#define TENON_DENIED      (-7)  /* not permitted */
#define TENON_CORRUPT     (-8)  /* stored data fails its check */
#define TENON_INTERNAL    (-9)  /* also: any negative code that a reader does not know */
#define TENON_IN_DOUBT   (-10)  /* the outcome is unknown; never retry blindly */

/* Filled by the callee on failure, owned by the caller, who sets `size`. May be NULL.
 * The callee never writes past `size`; msg is UTF-8, `len` bytes, cut at the end if too long. */
#define TENON_ERR_RETRYABLE 1u
typedef struct tenon_err {
    uint32_t size;
    int32_t  code;
    uint32_t flags;
    uint32_t len;
    char     msg[496];
} tenon_err;

/* Receives variable-length output. It may be called several times, in order; a status other than
 * TENON_OK stops the producer, which returns it. May be called under the producer's lock: it never
 * calls back into the producer. */
typedef struct tenon_sink {
    void* ctx;
    tenon_status (*put)(void* ctx, tenon_bytes chunk);
} tenon_sink;

typedef struct tenon_done {
    void* ctx;
    void (*fn)(void* ctx, tenon_status status, const tenon_err* err);
} tenon_done;

/* An object with its table: what a look-up returns. The table starts with `uint32_t size, flags`. */
typedef struct tenon_iface { void* self; const void* vt; } tenon_iface;

/* The host as a plugin sees it. `query` gives a host service ("tenon.log/1"); services of other
 * plugins come from tenon.services/1. Valid until the plugin's destroy returned. */
typedef struct tenon_host {
    uint32_t size, flags;
    void*    self;
    /* [any] TENON_OK | TENON_UNSUPPORTED (out untouched) */
    tenon_status (*query)(void* self, tenon_str id, tenon_iface* out);
} tenon_host;

typedef struct tenon_plugin tenon_plugin;

/* State machine: created -> configured -> started -> draining -> stopped -> destroyed. */
typedef struct tenon_plugin_vt {
    uint32_t size, flags;
    /* [control] `json` is the instance's whole configuration, validated against the manifest's
     * schema, defaults filled in. With dry_run the plugin only checks and has no effect. */
    tenon_status (*configure)(tenon_plugin*, tenon_str json, uint32_t dry_run, tenon_err*);
    /* [control] in state configured or stopped. All required services are started. */
    tenon_status (*start)(tenon_plugin*, tenon_err*);
    /* [control] Finishes work in flight until the deadline and refuses new work with
     * TENON_UNAVAILABLE. TENON_OK: nothing is in flight. */
    tenon_status (*drain)(tenon_plugin*, int64_t deadline_ns, tenon_done);
    /* [control] Returns only when no thread runs this plugin's code and no callback is registered. */
    void (*stop)(tenon_plugin*);
    /* [control] Frees the instance. */
    void (*destroy)(tenon_plugin*);
    /* [any] An interface that the manifest provides. TENON_OK | TENON_UNSUPPORTED (out untouched).
     * The pair stays the same until destroy. */
    tenon_status (*query)(tenon_plugin*, tenon_str id, tenon_iface* out);
} tenon_plugin_vt;

struct tenon_plugin { const tenon_plugin_vt* vt; };

typedef struct tenon_entry {
    uint32_t  magic, size;
    uint16_t  abi_major, abi_minor;
    uint32_t  flags;
    tenon_str id, version; /* equal to the manifest's */
    tenon_str build;       /* compiler and its version */
    /* [control] The host outlives the plugin. Only log and clock may be called here. */
    tenon_status (*create)(const tenon_host*, tenon_plugin** out, tenon_err*);
} tenon_entry;

/* The one exported symbol: const tenon_entry* tenon_plugin_entry_v1(void); same pointer each time. */
#define TENON_ENTRY_SYMBOL "tenon_plugin_entry_v1"

#ifdef __cplusplus
}
#endif
#endif
