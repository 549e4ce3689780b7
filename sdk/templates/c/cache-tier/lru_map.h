/* SPDX-License-Identifier: Apache-2.0 */
/* Entries by key, for a time, the least recently used going first. Not thread-safe; time is passed
 * in, so that a test needs no clock. Zeroed memory with entries_max set is an empty map. */
#ifndef LRU_MAP_H
#define LRU_MAP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct lru_entry {
    struct lru_entry *newer, *older; /* by use */
    struct lru_entry *next;          /* of the same bucket */
    uint64_t          hash;
    int64_t           expires_ns;
    size_t            key_bytes, value_bytes;
    char              bytes[]; /* key, then value */
} lru_entry;

typedef struct lru_map {
    lru_entry **buckets;
    size_t      bucket_count; /* a power of two */
    lru_entry  *newest, *oldest;
    size_t      entries, entries_max, bytes;
    uint64_t    evicted, expired;
} lru_map;

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static inline uint64_t lru_hash(const void* key, size_t bytes) {
    const unsigned char* p = (const unsigned char*)key;
    uint64_t             hash = 0xcbf29ce484222325u;
    size_t               i;
    for (i = 0; i < bytes; ++i) {
        hash = (hash ^ p[i]) * 0x100000001b3u;
    }
    return hash;
}

static inline void lru_unlink(lru_map* map, lru_entry* entry) {
    *(entry->newer != NULL ? &entry->newer->older : &map->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &map->oldest) = entry->newer;
}

static inline void lru_link_newest(lru_map* map, lru_entry* entry) {
    entry->newer = NULL;
    entry->older = map->newest;
    *(map->newest != NULL ? &map->newest->newer : &map->oldest) = entry;
    map->newest = entry;
}

static inline lru_entry* lru_find(const lru_map* map, const void* key, size_t bytes) {
    const uint64_t hash = lru_hash(key, bytes);
    lru_entry*     at = map->entries == 0 ? NULL : map->buckets[hash & (map->bucket_count - 1)];
    while (at != NULL && (at->hash != hash || at->key_bytes != bytes ||
                          memcmp(at->bytes, key, bytes) != 0)) {
        at = at->next;
    }
    return at;
}

static inline void lru_drop(lru_map* map, lru_entry* entry) {
    lru_entry** at = &map->buckets[entry->hash & (map->bucket_count - 1)];
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    lru_unlink(map, entry);
    --map->entries;
    map->bytes -= entry->key_bytes + entry->value_bytes;
    free(entry);
}

/* Twice the buckets. On failure the map stays as it is, with longer chains; -1 when it has none. */
static inline int lru_grow(lru_map* map) {
    const size_t count = map->bucket_count == 0 ? 64 : map->bucket_count * 2;
    lru_entry**  buckets = calloc(count, sizeof *buckets);
    lru_entry*   at;
    if (buckets == NULL) {
        return map->bucket_count == 0 ? -1 : 0;
    }
    for (at = map->newest; at != NULL; at = at->older) {
        at->next = buckets[at->hash & (count - 1)];
        buckets[at->hash & (count - 1)] = at;
    }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
    return 0;
}

/* The entry, which becomes the newest; NULL at or after its expiry. Valid until the next call. */
static inline lru_entry* lru_get(lru_map* map, const void* key, size_t key_bytes, int64_t now_ns) {
    lru_entry* const found = lru_find(map, key, key_bytes);
    if (found != NULL && found->expires_ns <= now_ns) {
        ++map->expired;
        lru_drop(map, found);
        return NULL;
    }
    if (found != NULL) {
        lru_unlink(map, found);
        lru_link_newest(map, found);
    }
    return found;
}

/* 1 when it was there. */
static inline int lru_erase(lru_map* map, const void* key, size_t key_bytes) {
    lru_entry* const found = lru_find(map, key, key_bytes);
    if (found != NULL) {
        lru_drop(map, found);
    }
    return found != NULL;
}

static inline void lru_shrink(lru_map* map, size_t entries_max) {
    map->entries_max = entries_max;
    while (map->entries > entries_max) {
        ++map->evicted;
        lru_drop(map, map->oldest);
    }
}

/* 0, or -1 when memory is out: then there is no entry under the key. */
static inline int lru_put(lru_map* map, const void* key, size_t key_bytes, const void* value,
                          size_t value_bytes, int64_t expires_ns) {
    lru_entry* entry;
    lru_erase(map, key, key_bytes);
    if (map->entries >= map->bucket_count && lru_grow(map) != 0) {
        return -1;
    }
    entry = malloc(sizeof *entry + key_bytes + value_bytes);
    if (entry == NULL) {
        return -1;
    }
    entry->hash = lru_hash(key, key_bytes);
    entry->expires_ns = expires_ns;
    entry->key_bytes = key_bytes;
    entry->value_bytes = value_bytes;
    memcpy(entry->bytes, key, key_bytes);
    if (value_bytes != 0) {
        memcpy(entry->bytes + key_bytes, value, value_bytes);
    }
    entry->next = map->buckets[entry->hash & (map->bucket_count - 1)];
    map->buckets[entry->hash & (map->bucket_count - 1)] = entry;
    lru_link_newest(map, entry);
    ++map->entries;
    map->bytes += key_bytes + value_bytes;
    lru_shrink(map, map->entries_max);
    return 0;
}

/* Every entry whose key starts with the prefix; how many they were. */
static inline size_t lru_clear(lru_map* map, const void* prefix, size_t bytes) {
    const size_t before = map->entries;
    lru_entry*   at = map->newest;
    while (at != NULL) {
        lru_entry* const older = at->older;
        if (bytes == 0 || (at->key_bytes >= bytes && memcmp(at->bytes, prefix, bytes) == 0)) {
            lru_drop(map, at);
        }
        at = older;
    }
    return before - map->entries;
}

static inline void lru_free(lru_map* map) {
    lru_clear(map, "", 0);
    free(map->buckets);
    map->buckets = NULL;
    map->bucket_count = 0;
}

#endif
