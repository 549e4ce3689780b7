/* SPDX-License-Identifier: Apache-2.0 */
/* A cache tier of 64 entries; a key that finds no room is not kept. */
#include "../golden.h"

#include <tenon/abi/cache_tier.h>

#include <pthread.h>

enum { k_entries = 64, k_value_max = 256 };

typedef struct entry {
    size_t key_size, value_size;
    int64_t expires_ns;
    char key[TENON_CACHE_KEY_MAX], value[k_value_max];
} entry;

typedef struct tier {
    tenon_plugin plugin;
    const tenon_host* host;
    entry entries[k_entries];
    uint64_t hits, misses, puts, erased;
} tier;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static entry* find(tier* t, tenon_bytes key) {
    for (int i = 0; i < k_entries; ++i) {
        if (t->entries[i].key_size == key.n && memcmp(t->entries[i].key, key.p, key.n) == 0) {
            return &t->entries[i];
        }
    }
    return NULL;
}

static tenon_status get(void* self, tenon_bytes key, int64_t now_ns, tenon_sink out, int64_t* expires_ns,
                        tenon_err* err) {
    tier* t = self;
    (void)err;
    pthread_mutex_lock(&lock);
    entry* found = key.n == 0 ? NULL : find(t, key);
    tenon_status status = TENON_NOT_FOUND;
    if (found != NULL && found->expires_ns > now_ns) {
        ++t->hits;
        if (expires_ns != NULL) {
            *expires_ns = found->expires_ns;
        }
        status = out.put(out.ctx, (tenon_bytes){found->value, found->value_size});
    } else {
        ++t->misses;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static tenon_status put(void* self, tenon_bytes key, tenon_bytes value, int64_t now_ns, int64_t ttl_ns,
                        tenon_err* err) {
    tier* t = self;
    if (ttl_ns <= 0) {
        return golden_fail(err, TENON_INVALID, "a time to live is positive");
    }
    if (key.n == 0 || key.n > TENON_CACHE_KEY_MAX || value.n > k_value_max) {
        return golden_fail(err, TENON_INVALID, "the key or the value is too long");
    }
    pthread_mutex_lock(&lock);
    entry* place = find(t, key);
    place = place != NULL ? place : find(t, (tenon_bytes){"", 0});
    if (place != NULL) {
        memcpy(place->key, key.p, key.n);
        if (value.n != 0) {
            memcpy(place->value, value.p, value.n);
        }
        place->key_size = key.n;
        place->value_size = value.n;
        place->expires_ns = now_ns + ttl_ns;
    }
    ++t->puts;
    pthread_mutex_unlock(&lock);
    return TENON_OK;
}

static tenon_status erase(void* self, tenon_bytes key, tenon_err* err) {
    tier* t = self;
    (void)err;
    pthread_mutex_lock(&lock);
    entry* found = key.n == 0 ? NULL : find(t, key);
    if (found != NULL) {
        found->key_size = 0;
        ++t->erased;
    }
    pthread_mutex_unlock(&lock);
    return found != NULL ? TENON_OK : TENON_NOT_FOUND;
}

static tenon_status clear(void* self, tenon_bytes prefix, tenon_err* err) {
    tier* t = self;
    (void)err;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < k_entries; ++i) {
        entry* at = &t->entries[i];
        if (at->key_size >= prefix.n && (prefix.n == 0 || memcmp(at->key, prefix.p, prefix.n) == 0)) {
            at->key_size = 0;
        }
    }
    pthread_mutex_unlock(&lock);
    return TENON_OK;
}

static tenon_status stats(void* self, tenon_cache_tier_stats* out) {
    tier* t = self;
    tenon_cache_tier_stats mine = {0};
    pthread_mutex_lock(&lock);
    for (int i = 0; i < k_entries; ++i) {
        mine.entries += t->entries[i].key_size != 0;
    }
    mine.hits = t->hits;
    mine.misses = t->misses;
    mine.puts = t->puts;
    mine.erased = t->erased;
    pthread_mutex_unlock(&lock);
    mine.size = out->size;
    memcpy(out, &mine, out->size < sizeof mine ? out->size : sizeof mine);
    return TENON_OK;
}

static const tenon_cache_tier_1 table = {sizeof table, 0, get, put, erase, clear, stats, NULL, NULL, NULL, NULL, NULL};

GOLDEN_PLUGIN(tier, "tenon.cache_tier/1", &table, golden_start, golden_stop)
