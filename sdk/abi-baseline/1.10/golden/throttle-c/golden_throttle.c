/* SPDX-License-Identifier: Apache-2.0 */
/* One limit ("golden"), one budget for all keys: burst 2, one a second. The budget is kept as the time at
 * which it will be full (ITU-T I.371, generic cell rate algorithm). */
#include "../golden.h"

#include <tenon/abi/throttle.h>

#include <stdatomic.h>

enum { k_burst = 2 };
static const int64_t k_interval_ns = 1000000000;

typedef struct throttle {
    tenon_plugin plugin;
    const tenon_host* host;
    _Atomic int64_t full_at_ns;
    _Atomic uint32_t aggressive;
} throttle;

static tenon_status find(void* self, tenon_str limit, uint32_t* id) {
    (void)self;
    if (!golden_same(limit, "golden")) {
        return TENON_NOT_FOUND;
    }
    *id = 0;
    return TENON_OK;
}

static int64_t cost_of(const tenon_throttle_claim* claims, uint32_t count) {
    int64_t cost = 0;
    for (uint32_t i = 0; i < count; ++i) {
        cost += claims[i].cost;
    }
    return cost;
}

static tenon_status take(void* self, const tenon_throttle_claim* claims, uint32_t count, int64_t now_ns,
                         int64_t* retry_after_ns) {
    throttle* t = self;
    const int64_t cost = cost_of(claims, count);
    if (count == 0 || count > TENON_THROTTLE_CLAIMS_MAX || cost == 0 || cost > k_burst) {
        return TENON_INVALID;
    }
    int64_t full = atomic_load(&t->full_at_ns), next = 0;
    do {
        next = (full > now_ns ? full : now_ns) + cost * k_interval_ns;
        if (next - now_ns > k_burst * k_interval_ns) {
            if (retry_after_ns != NULL) {
                *retry_after_ns = next - now_ns - k_burst * k_interval_ns;
            }
            return TENON_LIMITED;
        }
    } while (!atomic_compare_exchange_weak(&t->full_at_ns, &full, next));
    return TENON_OK;
}

static void refund(void* self, const tenon_throttle_claim* claims, uint32_t count, int64_t now_ns) {
    throttle* t = self;
    (void)now_ns;
    atomic_fetch_sub(&t->full_at_ns, cost_of(claims, count) * k_interval_ns);
}

static tenon_status state(void* self, uint32_t limit, tenon_str key, int64_t now_ns, tenon_throttle_state* out) {
    throttle* t = self;
    (void)key;
    if (limit != 0) {
        return TENON_NOT_FOUND;
    }
    const int64_t full = atomic_load(&t->full_at_ns);
    tenon_throttle_state mine = {.size = out->size, .burst = k_burst, .available = k_burst, .rate_per_second = 1};
    if (full > now_ns) {
        mine.full_after_ns = full - now_ns;
        mine.available = k_burst - (mine.full_after_ns + k_interval_ns - 1) / k_interval_ns;
    }
    memcpy(out, &mine, out->size < sizeof mine ? out->size : sizeof mine);
    return TENON_OK;
}

static tenon_status level(void* self, tenon_str limit, tenon_sink out, tenon_err* err) {
    throttle* t = self;
    if (!golden_same(limit, "golden")) {
        return golden_fail(err, TENON_NOT_FOUND, "there is the limit golden only");
    }
    return golden_put(out, atomic_load(&t->aggressive) ? "aggressive" : "conservative");
}

static tenon_status set_level(void* self, tenon_str limit, tenon_str name, tenon_err* err) {
    throttle* t = self;
    if (limit.n != 0 && !golden_same(limit, "golden")) {
        return golden_fail(err, TENON_NOT_FOUND, "there is the limit golden only");
    }
    if (!golden_same(name, "conservative") && !golden_same(name, "aggressive")) {
        return golden_fail(err, TENON_INVALID, "levels are conservative and aggressive");
    }
    atomic_store(&t->aggressive, golden_same(name, "aggressive"));
    return TENON_OK;
}

static tenon_status stats(void* self, tenon_sink out, tenon_err* err) {
    (void)self, (void)err;
    return golden_put(out, "{\"golden\":{\"burst\":2}}");
}

static const tenon_throttle_1 table = {sizeof table, 0, find, take, refund, NULL, state, level, set_level, stats};

GOLDEN_PLUGIN(throttle, "tenon.throttle/1", &table, golden_start, golden_stop)
