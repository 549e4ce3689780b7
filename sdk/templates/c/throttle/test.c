/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "token_buckets.h"

#define SECOND 1000000000

static const rate k_limit = {10, 5};

static tenon_throttle_claim claim(const char* key, uint32_t cost) {
    tenon_throttle_claim out = {0, cost, {key, strlen(key)}};
    return out;
}

static int64_t take(buckets* all, const char* key, uint32_t cost, int64_t now_ns) {
    const tenon_throttle_claim one = claim(key, cost);
    return buckets_take(all, &one, 1, k_limit, now_ns);
}

static int64_t available(buckets* all, const char* key) {
    int64_t full_after_ns;
    return buckets_available(all, claim(key, 1).key, k_limit, 0, &full_after_ns);
}

int main(void) {
    buckets              all, pair, steady;
    tenon_throttle_claim twice[3];
    int64_t              now, given = 0;
    memset(&all, 0, sizeof all);
    memset(&pair, 0, sizeof pair);
    memset(&steady, 0, sizeof steady);
    CHECK(buckets_make(&all, 2) == 0 && buckets_make(&pair, 8) == 0);
    CHECK(buckets_make(&steady, 1) == 0);

    CHECK(take(&all, "a", 5, 0) == 0);           /* the whole burst */
    CHECK(take(&all, "a", 1, 0) == SECOND / 10); /* one token's time */
    CHECK(take(&all, "b", 5, 0) == 0);           /* another key, another budget */
    CHECK(take(&all, "a", 6, 0) == BUCKETS_NEVER);
    CHECK(take(&all, "a", 1, SECOND / 10) == 0);
    CHECK(take(&all, "a", 1, 0) == SECOND / 5); /* time does not run backwards */
    CHECK(take(&all, "c", 5, SECOND / 10) == 0); /* no place left: the shared budget */
    CHECK(take(&all, "d", 1, SECOND / 10) != 0);
    CHECK(atomic_load(&all.keys) == 2);

    /* All or nothing, the same key twice counts twice. */
    twice[0] = twice[2] = claim("x", 3);
    twice[1] = claim("y", 3);
    CHECK(buckets_take(&pair, twice, 3, k_limit, 0) == BUCKETS_NEVER);
    CHECK(buckets_take(&pair, twice, 2, k_limit, 0) == 0);
    twice[0] = claim("z", 5);
    twice[1] = claim("x", 3);
    CHECK(buckets_take(&pair, twice, 2, k_limit, 0) == SECOND / 10);
    CHECK(available(&pair, "z") == 5 && available(&pair, "x") == 2);
    buckets_refund(&pair, twice[1].key, 100, k_limit);
    CHECK(available(&pair, "x") == 5 && available(&pair, "never seen") == 5);

    /* Never more than the burst and the rate, whatever the pace of the calls. */
    for (now = 0; now <= 10LL * SECOND; now += 7000001) {
        given += take(&steady, "k", 1, now) == 0 ? 1 : 0;
    }
    CHECK(given <= 105 && given >= 103);
    free(all.slots);
    free(pair.slots);
    free(steady.slots);
    return failures();
}
