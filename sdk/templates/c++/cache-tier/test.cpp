// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "lru_map.hpp"

int main() {
    LruMap map{2};
    map.put("a", "1", 0, 10);
    map.put("b", "2", 0, 20);
    CHECK(map.get("a", 9) != nullptr && map.get("a", 9)->value == "1");
    CHECK(map.get("a", 9)->expires_ns == 10);

    map.put("c", "3", 0, 10);  // b was used least recently
    CHECK(map.get("b", 0) == nullptr);
    CHECK(map.evicted() == 1);

    CHECK(map.get("a", 10) == nullptr);  // at its expiry
    CHECK(map.expired() == 1);
    CHECK(map.size() == 1 && map.bytes() == 2);

    map.put("c", "33", 5, INT64_MAX);  // no overflow
    CHECK(map.get("c", INT64_MAX - 1) != nullptr);
    CHECK(map.erase("c") && !map.erase("c"));

    map.put("x:1", "", 0, 1);
    map.put("y:1", "", 0, 1);
    map.clear("x:");
    CHECK(map.get("x:1", 0) == nullptr && map.get("y:1", 0) != nullptr);
    map.set_entries_max(0);
    CHECK(map.size() == 0 && map.bytes() == 0);
    return failures();
}
