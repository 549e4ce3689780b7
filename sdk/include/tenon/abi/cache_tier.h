/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.cache_tier/1 -- one tier of a cache: bytes by key, for a time.
 *
 * The stack of tiers (tenon.cache/1) asks them in the order of the deployment. A tier may forget any
 * entry at any time. It never gives an entry at or after its expiry, never bytes that were not put
 * under that key, and after `put` or `erase` returned never what was there before. It knows no names,
 * tags or loading: those are the stack's.
 *
 * Keys are 1 .. 1024 bytes, any bytes. Values are 0 bytes and more; a tier states its own upper bound
 * by refusing with TENON_INVALID. Time is passed in and may be simulated; a tier whose store counts
 * time itself (Redis) uses that clock and says so. `now_ns` earlier than in an earlier call is legal.
 *
 * Threads: every function is [any], state started. With TENON_CACHE_TIER_BLOCKING in `flags` the data
 * functions are [io] instead. While draining they answer TENON_UNAVAILABLE. */
#ifndef TENON_ABI_CACHE_TIER_H
#define TENON_ABI_CACHE_TIER_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_CACHE_TIER_BLOCKING 1u /* may wait for a network or a disk */
#define TENON_CACHE_TIER_SHARED   2u /* other servers read and write the same entries */

#define TENON_CACHE_KEY_MAX 1024u

typedef struct tenon_cache_tier_stats {
    uint32_t size, reserved;
    uint64_t entries, bytes, bytes_max;  /* now; bytes_max 0: not bounded by bytes */
    uint64_t hits, misses, puts, erased; /* since start */
    uint64_t evicted;                    /* dropped to make room */
    uint64_t expired;                    /* dropped because their time was over */
} tenon_cache_tier_stats;

/* What a shared tier tells whoever watches it. */
#define TENON_CACHE_TIER_KEY     1u /* `subject` is a key: another server put or erased it */
#define TENON_CACHE_TIER_TAG     2u /* `subject` is what another server announced */
#define TENON_CACHE_TIER_SUSPECT 3u /* from now on changes may be missed, and may have been since `since_ns` */
#define TENON_CACHE_TIER_TRUSTED 4u /* changes are heard again; those since `since_ns` may be lost for good */

typedef struct tenon_cache_tier_event {
    uint32_t    size, kind; /* TENON_CACHE_TIER_* */
    tenon_bytes subject;    /* empty with KEY: any key */
    int64_t     since_ns;   /* SUSPECT and TRUSTED: the last time at which nothing was missing */
} tenon_cache_tier_event;

typedef struct tenon_cache_tier_1 {
    uint32_t size, flags;                /* flags: TENON_CACHE_TIER_* */
    /* Puts the value into `out`, in one chunk or several, and the entry's expiry into *expires_ns
     * (NULL is allowed). The sink may be called under the tier's lock; it does not call back.
     * TENON_OK | TENON_NOT_FOUND (nothing was put) | TENON_UNAVAILABLE | what the sink returned. */
    tenon_status (*get)(void* self, tenon_bytes key, int64_t now_ns, tenon_sink out,
                        int64_t* expires_ns, tenon_err*);
    /* Replaces what is there. ttl_ns > 0; the entry is gone at now_ns + ttl_ns.
     * TENON_OK (also when the tier chose not to keep it) | TENON_INVALID (key or value too long,
     * ttl_ns not positive; what was there stays) | TENON_UNAVAILABLE. */
    tenon_status (*put)(void* self, tenon_bytes key, tenon_bytes value, int64_t now_ns,
                        int64_t ttl_ns, tenon_err*);
    /* TENON_OK | TENON_NOT_FOUND | TENON_UNAVAILABLE. */
    tenon_status (*erase)(void* self, tenon_bytes key, tenon_err*);
    /* Forgets every entry whose key starts with `prefix`; an empty prefix: all. */
    tenon_status (*clear)(void* self, tenon_bytes prefix, tenon_err*);
    /* [any] Never blocks. */
    tenon_status (*stats)(void* self, tenon_cache_tier_stats* out);
    /* Optional, for shared tiers. [control] `fn` is called on any thread when another server changed
     * or erased an entry (an empty key: any entry may have changed). fn NULL ends it; after that
     * call returned fn does not run again. */
    tenon_status (*on_invalidate)(void* self, void* ctx, void (*fn)(void* ctx, tenon_bytes key),
                                  tenon_err*);
    /* The slots from here on are optional, for shared tiers, and there together. */
    /* [control] As on_invalidate, which it stands in for, with all that there is to know. `fn` runs
     * on any thread, one call at a time, and does not block. A tier that does not hear changes when
     * it is watched says SUSPECT before watch returned. What this server did itself may be told,
     * too, when it was not a put. fn NULL ends it; after that call returned fn does not run again. */
    tenon_status (*watch)(void* self, void* ctx,
                          void (*fn)(void* ctx, const tenon_cache_tier_event*), tenon_err*);
    /* [io] Tells every other server's watcher `subject` (1 .. 1024 bytes). TENON_OK: each of them is
     * told it, or SUSPECT | TENON_INVALID | TENON_UNAVAILABLE: perhaps nobody was told. */
    tenon_status (*announce)(void* self, tenon_bytes subject, tenon_err*);
    /* [io] The state that a key is in, to put with: taken before a value is read from where it comes
     * from, given to put_if afterwards. TENON_OK | TENON_UNAVAILABLE. */
    tenon_status (*token)(void* self, tenon_bytes key, uint64_t* token, tenon_err*);
    /* [io] As put, unless the key was put by `put`, or erased or cleared, by any server after the
     * token was taken. TENON_CONFLICT: it was, or the tier cannot tell; nothing was put. */
    tenon_status (*put_if)(void* self, tenon_bytes key, tenon_bytes value, int64_t now_ns,
                           int64_t ttl_ns, uint64_t token, tenon_err*);
} tenon_cache_tier_1;

#ifdef __cplusplus
}
#endif
#endif
