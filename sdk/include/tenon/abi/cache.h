/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.cache/1 -- named caches over a stack of tiers.
 *
 * A name ("balance", "order_book") has its time to live, negative time to live and stale window in
 * the provider's settings; a name that is not there has the default ones. A loader in flight for a key
 * runs once, whoever asks meanwhile waits for it. A load that began before an invalidation of its key
 * or of one of its tags is answered to those who wait, and not kept.
 *
 * Keys are 1 .. 1024 bytes. Tags are "kind:value" ("user:7", "symbol:BTCUSDT"), at most 16 an entry.
 * Times on the host's monotonic clock. Borrowed during the call unless said otherwise. */
#ifndef TENON_ABI_CACHE_H
#define TENON_ABI_CACHE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_CACHE_TAGS_MAX 16u

/* How long and under which tags a value is kept. Zeroed but for size: the cache's settings. */
typedef struct tenon_cache_keep {
    uint32_t size, tag_count;
    int64_t  ttl_ns;         /* 0: of the cache; < 0: do not keep */
    const tenon_str* tags;
} tenon_cache_keep;

/* Where an answer came from. */
#define TENON_CACHE_LOADED 0u /* the loader ran for this request */
#define TENON_CACHE_HIT    1u
#define TENON_CACHE_JOINED 2u /* another request's loader was waited for */
#define TENON_CACHE_STALE  3u /* past its time to live, within the stale window; a refresh runs */
typedef struct tenon_cache_answer {
    uint32_t size, source;   /* TENON_CACHE_* */
    uint32_t tier, reserved; /* HIT: index of the tier, from 0 */
    int64_t  expires_ns;     /* 0: not kept */
} tenon_cache_answer;

/* Makes the value: puts it into `value` and fills `keep` (size is set; its tags are read after the
 * loader has returned: keep them in what `ctx` points to, or static). TENON_NOT_FOUND is kept as a
 * negative entry. Any other failure is given to all who wait and not kept. [io] `ctx` must stay valid
 * until the request is answered; a refresh in the background (stale window) uses only loaders given
 * with `refresh`. */
typedef tenon_status (*tenon_cache_loader)(void* ctx, int64_t deadline_ns, tenon_sink value,
                                           tenon_cache_keep* keep, tenon_err*);

typedef struct tenon_cache_request {
    uint32_t size, cache;    /* id from open */
    tenon_bytes key;
    int64_t  deadline_ns;    /* of the whole request; waiting for another's loader ends there too */
    void*    ctx;
    tenon_cache_loader load;
} tenon_cache_request;

/* value: empty unless status is TENON_OK; borrowed during the call. */
typedef struct tenon_cache_done {
    void* ctx;
    void (*fn)(void* ctx, tenon_status, tenon_bytes value, const tenon_cache_answer*,
               const tenon_err*);
} tenon_cache_done;

typedef struct tenon_cache_1 {
    uint32_t size, flags;
    /* [any] The id of a named cache; the same each time. Names: [a-z0-9_]{1,32}.
     * TENON_OK | TENON_INVALID | TENON_UNAVAILABLE (too many names). */
    tenon_status (*open)(void* self, tenon_str name, uint32_t* cache, tenon_err*);
    /* [any] Asks the tiers that do not block. TENON_OK | TENON_NOT_FOUND (also: a negative entry,
     * then answer->source is HIT; else answer->source is LOADED). answer may be NULL. */
    tenon_status (*get)(void* self, uint32_t cache, tenon_bytes key, tenon_sink out,
                        tenon_cache_answer* answer, tenon_err*);
    /* [io] Asks every tier, then loads on the calling thread, or waits for who does already.
     * TENON_OK | TENON_NOT_FOUND (negative) | TENON_TIMEOUT (the deadline passed while waiting) | what
     * the loader returned. answer may be NULL. */
    tenon_status (*fetch)(void* self, const tenon_cache_request*, tenon_sink out,
                          tenon_cache_answer* answer, tenon_err*);
    /* [reactor, any of them] The same; tiers that block and the loader run on the blocking pool, done
     * on the calling reactor. TENON_PENDING | TENON_UNAVAILABLE (pool's queue full) | TENON_INVALID.
     * The key is copied. */
    tenon_status (*fetch_async)(void* self, const tenon_cache_request*, tenon_cache_done, tenon_err*);
    /* [control] Gives the cache a loader of its own: entries in their stale window are served and
     * refreshed with it in the background, once at a time for a key; the key comes in `key`. load NULL
     * takes it back; after that call returned it does not run again. */
    tenon_status (*refresh)(void* self, uint32_t cache, void* ctx,
                            tenon_status (*load)(void* ctx, tenon_bytes key, int64_t deadline_ns,
                                                 tenon_sink value, tenon_cache_keep*, tenon_err*),
                            tenon_err*);
    /* [any] Keeps a value that the caller has. Tiers that block get it later. keep may be NULL. */
    tenon_status (*put)(void* self, uint32_t cache, tenon_bytes key, tenon_bytes value,
                        const tenon_cache_keep* keep, tenon_err*);
    /* [any] When it returns no tier that does not block has the entry; the others lose it at once
     * after. */
    tenon_status (*erase)(void* self, uint32_t cache, tenon_bytes key, tenon_err*);
    /* [any] Every entry of every cache that carries the tag. */
    tenon_status (*invalidate_tag)(void* self, tenon_str tag, tenon_err*);
    /* [any] Something happened ("order_placed", "position_closed", "credentials_changed") to what the
     * tag names: the caches that the settings list for the event lose the entries with that tag. */
    tenon_status (*event)(void* self, tenon_str event, tenon_str tag, tenon_err*);
    /* [any] JSON: {"balance":{"hit_rate":0.78,"size":234,"hits":N,"misses":N,"evictions":N,…},…}. */
    tenon_status (*stats)(void* self, tenon_sink out, tenon_err*);
} tenon_cache_1;

#ifdef __cplusplus
}
#endif
#endif
