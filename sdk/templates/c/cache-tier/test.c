/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "lru_map.h"

static int put(lru_map* map, const char* key, const char* value, int64_t expires_ns) {
    return lru_put(map, key, strlen(key), value, strlen(value), expires_ns);
}

static lru_entry* get(lru_map* map, const char* key, int64_t now_ns) {
    return lru_get(map, key, strlen(key), now_ns);
}

int main(void) {
    lru_map map = {0};
    int     i;
    map.entries_max = 2;
    CHECK(put(&map, "a", "1", 10) == 0 && put(&map, "b", "2", 20) == 0);
    CHECK(get(&map, "a", 9) != NULL && get(&map, "a", 9)->bytes[1] == '1');

    CHECK(put(&map, "c", "3", 10) == 0); /* b was used least recently */
    CHECK(get(&map, "b", 0) == NULL && map.evicted == 1);
    CHECK(get(&map, "a", 10) == NULL && map.expired == 1); /* at its expiry */
    CHECK(map.entries == 1 && map.bytes == 2);
    CHECK(lru_erase(&map, "c", 1) && !lru_erase(&map, "c", 1));

    lru_shrink(&map, 1000);
    for (i = 0; i < 1000; ++i) { /* through several sizes of the table */
        char key[8];
        snprintf(key, sizeof key, "%s%d", i % 2 == 0 ? "x:" : "y:", i);
        CHECK(put(&map, key, "", 1) == 0);
    }
    CHECK(map.entries == 1000 && get(&map, "y:999", 0) != NULL);
    CHECK(lru_clear(&map, "x:", 2) == 500);
    CHECK(get(&map, "x:0", 0) == NULL && get(&map, "y:1", 0) != NULL);
    lru_shrink(&map, 0);
    CHECK(map.entries == 0 && map.bytes == 0);
    lru_free(&map);
    return failures();
}
