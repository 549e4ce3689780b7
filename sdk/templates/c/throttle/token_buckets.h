/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets by key that fill with time: the generic cell rate algorithm (ITU-T I.371), which keeps one
 * number a key -- the time at which its budget is full again. Lock-free; time is passed in.
 *
 * Keys live in a table of fixed size, so that nothing allocates; the keys that come after it is full
 * share one budget, which is stricter than a budget of their own and never more. */
#ifndef TOKEN_BUCKETS_H
#define TOKEN_BUCKETS_H

#include <tenon/abi/throttle.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_NEVER (-1)

typedef struct rate {
    int64_t per_second; /* 1 .. 1,000,000; 0: no limit */
    int64_t burst;
} rate;

enum { SLOT_FREE, SLOT_NAMED, SLOT_READY };

typedef struct bucket {
    _Atomic uint32_t state; /* SLOT_* */
    uint32_t         length;
    char             key[TENON_THROTTLE_KEY_MAX];
    _Atomic int64_t  full_ns;
} bucket;

typedef struct buckets {
    bucket*          slots; /* keys_max, and the shared one */
    size_t           keys_max;
    _Atomic int64_t  now_ns;
    _Atomic uint64_t keys;
} buckets;

typedef struct part { bucket* slot; int64_t cost; int taken; } part;

static inline int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* The time that one token takes; rounded up, so that no span gives more than the rate. */
static inline int64_t rate_interval_ns(rate limit) {
    return limit.per_second == 0 ? 0 : (1000000000 + limit.per_second - 1) / limit.per_second;
}

/* 0, or -1 when memory is out. */
static inline int buckets_make(buckets* all, size_t keys_max) {
    size_t i;
    all->slots = calloc(keys_max + 1, sizeof *all->slots);
    all->keys_max = keys_max;
    atomic_store(&all->now_ns, INT64_MIN / 2);
    for (i = 0; all->slots != NULL && i <= keys_max; ++i) {
        atomic_store(&all->slots[i].full_ns, INT64_MIN / 2);
    }
    return all->slots == NULL ? -1 : 0;
}

/* Time that runs backwards counts as standing still. */
static inline int64_t buckets_advance(buckets* all, int64_t now_ns) {
    int64_t last = atomic_load(&all->now_ns);
    while (last < now_ns && !atomic_compare_exchange_weak(&all->now_ns, &last, now_ns)) {
    }
    return later(last, now_ns);
}

static inline void bucket_wait(bucket* slot) {
    while (atomic_load(&slot->state) != SLOT_READY) {
        /* another thread writes its key: some nanoseconds */
    }
}

/* The key's slot; the last one is shared by all that found no place. Without `add` NULL for a key
 * that was never seen. */
static inline bucket* buckets_find(buckets* all, tenon_str key, int add) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a (Fowler, Noll, Vo) */
    size_t   i;
    for (i = 0; i < key.n; ++i) {
        hash = (hash ^ (unsigned char)key.p[i]) * 0x100000001b3u;
    }
    for (i = 0; i < all->keys_max; ++i) {
        bucket* const slot = &all->slots[(hash + i) % all->keys_max];
        uint32_t      state = atomic_load(&slot->state);
        if (state == SLOT_FREE && !add) {
            return NULL;
        }
        if (state == SLOT_FREE && atomic_compare_exchange_strong(&slot->state, &state, SLOT_NAMED)) {
            slot->length = (uint32_t)key.n;
            if (key.n != 0) {
                memcpy(slot->key, key.p, key.n);
            }
            atomic_store(&slot->state, SLOT_READY);
            atomic_fetch_add(&all->keys, 1);
            return slot;
        }
        bucket_wait(slot);
        if (slot->length == key.n && (key.n == 0 || memcmp(slot->key, key.p, key.n) == 0)) {
            return slot;
        }
    }
    return &all->slots[all->keys_max];
}

/* 0 when taken, else the time to wait. */
static inline int64_t bucket_take(bucket* slot, int64_t cost, rate limit, int64_t now_ns) {
    const int64_t each = rate_interval_ns(limit);
    const int64_t latest = now_ns + limit.burst * each;
    int64_t       full = atomic_load(&slot->full_ns);
    int64_t       next = later(full, now_ns) + cost * each;
    while (next <= latest) {
        if (atomic_compare_exchange_weak(&slot->full_ns, &full, next)) {
            return 0;
        }
        next = later(full, now_ns) + cost * each;
    }
    return next - latest;
}

/* Claims on one key count together. How many parts they are. */
static inline size_t buckets_merge(buckets* all, const tenon_throttle_claim* claims, uint32_t count,
                                   part* parts) {
    size_t   merged = 0;
    uint32_t i;
    for (i = 0; i < count; ++i) {
        bucket* const slot = buckets_find(all, claims[i].key, 1);
        size_t        at = 0;
        while (at < merged && parts[at].slot != slot) {
            ++at;
        }
        if (at == merged) {
            parts[merged].slot = slot;
            parts[merged].cost = parts[merged].taken = 0;
            ++merged;
        }
        parts[at].cost += claims[i].cost;
    }
    return merged;
}

/* All of the claims (at most eight, keys not too long), or none. 0: taken; BUCKETS_NEVER: a cost above
 * the burst; else the time from now at which they would be taken if nobody else takes any. */
static inline int64_t buckets_take(buckets* all, const tenon_throttle_claim* claims, uint32_t count,
                                   rate limit, int64_t asked_ns) {
    part          parts[TENON_THROTTLE_CLAIMS_MAX];
    const size_t  merged = buckets_merge(all, claims, count, parts);
    const int64_t now_ns = buckets_advance(all, asked_ns);
    int64_t       wait_ns = 0;
    size_t        i;
    for (i = 0; i < merged; ++i) {
        if (limit.per_second != 0 && parts[i].cost > limit.burst) {
            return BUCKETS_NEVER;
        }
    }
    for (i = 0; i < merged; ++i) {
        const int64_t short_by = bucket_take(parts[i].slot, parts[i].cost, limit, now_ns);
        parts[i].taken = short_by == 0;
        wait_ns = later(wait_ns, short_by);
    }
    for (i = 0; wait_ns != 0 && i < merged; ++i) {
        if (parts[i].taken) {
            atomic_fetch_sub(&parts[i].slot->full_ns, parts[i].cost * rate_interval_ns(limit));
        }
    }
    /* Seen from the caller's time, which may be behind. */
    return wait_ns == 0 ? 0 : wait_ns + (now_ns - asked_ns);
}

/* A time before now is a full budget, so this never gives more than the burst. */
static inline void buckets_refund(buckets* all, tenon_str key, int64_t cost, rate limit) {
    bucket* const slot = buckets_find(all, key, 0);
    if (slot != NULL) {
        atomic_fetch_sub(&slot->full_ns, cost * rate_interval_ns(limit));
    }
}

/* What may be taken now, and the time until the budget is full. */
static inline int64_t buckets_available(buckets* all, tenon_str key, rate limit, int64_t now_ns,
                                        int64_t* full_after_ns) {
    const bucket* const slot = buckets_find(all, key, 0);
    const int64_t       each = later(rate_interval_ns(limit), 1);
    now_ns = buckets_advance(all, now_ns);
    *full_after_ns = slot == NULL ? 0 : later(atomic_load(&slot->full_ns) - now_ns, 0);
    return later(limit.burst - (*full_after_ns + each - 1) / each, 0);
}

/* What was taken stays taken under the new rate. */
static inline void buckets_rescale(buckets* all, rate from, rate to) {
    const int64_t now_ns = atomic_load(&all->now_ns);
    const double  factor =
        (double)rate_interval_ns(to) / (double)later(rate_interval_ns(from), 1);
    size_t i;
    for (i = 0; i <= all->keys_max; ++i) {
        const int64_t owed = atomic_load(&all->slots[i].full_ns) - now_ns;
        if (owed > 0) {
            atomic_store(&all->slots[i].full_ns, now_ns + (int64_t)((double)owed * factor));
        }
    }
}

#endif
