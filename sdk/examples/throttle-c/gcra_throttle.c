/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.throttle/1 by the generic cell rate algorithm, as virtual scheduling (ITU-T I.371, annex A):
 * a key keeps the time at which its budget will be full again. Taking `cost` moves it on by cost
 * intervals, and is refused when it would then be more than a burst of intervals ahead of now. */
#include <tenon/abi/throttle.h>
#include <tenon/plugin.h>

#include <stdatomic.h>

enum { k_slots = 4096, k_levels = 5, k_custom = 4 };

static const char* const k_level_names[k_levels] = {
    "conservative", "moderate", "aggressive", "unlimited", "custom"};
static const uint32_t k_rates[k_levels] = {5, 20, 50, 1000, 0};

/* A key's budget. `state` goes from free over being written to used, and never back. */
enum { k_free, k_writing, k_used };

typedef struct slot {
    _Atomic uint32_t state;
    uint32_t length;
    char key[TENON_THROTTLE_KEY_MAX];
    _Atomic int64_t full_at_ns;
} slot;

typedef struct throttle {
    tenon_plugin plugin; /* first: the host's pointer is this object */
    const tenon_host* host;
    _Atomic uint64_t custom; /* rate << 32 | burst, so that both are read together */
    _Atomic uint32_t level;
    _Atomic int64_t now_ns; /* the latest that was passed in */
    _Atomic uint64_t taken, limited, keys;
    slot slots[k_slots + 1]; /* the last one is shared by the keys that found no room */
} throttle;

typedef struct rule {
    int64_t rate, burst, interval_ns;
} rule;

static rule rule_of(const throttle* t, uint32_t level) {
    const uint64_t custom = atomic_load(&t->custom);
    rule r = {k_rates[level], 2 * (int64_t)k_rates[level], 0};
    if (level == k_custom) {
        r.rate = (int64_t)(custom >> 32);
        r.burst = (int64_t)(custom & UINT32_MAX);
    }
    r.interval_ns = (1000000000 + r.rate - 1) / r.rate; /* rounded up: never more than the rate */
    return r;
}

static int64_t at_least(int64_t value, int64_t low) { return value > low ? value : low; }

/* Time never goes back. */
static int64_t advance(throttle* t, int64_t now_ns) {
    int64_t last = atomic_load(&t->now_ns);
    while (last < now_ns && !atomic_compare_exchange_weak(&t->now_ns, &last, now_ns)) {
    }
    return at_least(last, now_ns);
}

/* The slot of a key, made when asked for; NULL when there is none. Hash: FNV-1a (Fowler, Noll, Vo). */
static slot* slot_of(throttle* t, tenon_str key, int make) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < key.n; ++i) {
        hash = (hash ^ (unsigned char)key.p[i]) * 1099511628211u;
    }
    for (uint32_t step = 0; step < k_slots; ++step) {
        slot* s = &t->slots[(hash + step) % k_slots];
        uint32_t state = atomic_load(&s->state);
        if (state == k_free) {
            if (!make) {
                return NULL;
            }
            if (atomic_compare_exchange_strong(&s->state, &state, k_writing)) {
                s->length = (uint32_t)key.n;
                if (key.n != 0) {
                    memcpy(s->key, key.p, key.n);
                }
                atomic_store(&s->full_at_ns, INT64_MIN);
                atomic_fetch_add(&t->keys, 1);
                atomic_store(&s->state, k_used);
                return s;
            }
        }
        while (state == k_writing) { /* a new key is being copied, a few nanoseconds */
            state = atomic_load(&s->state);
        }
        if (s->length == key.n && (key.n == 0 || memcmp(s->key, key.p, key.n) == 0)) {
            return s;
        }
    }
    return &t->slots[k_slots];
}

static tenon_status find(void* self, tenon_str limit, uint32_t* id) {
    (void)self;
    if (!tenon_text_is(limit, "default")) {
        return TENON_NOT_FOUND;
    }
    *id = 0;
    return TENON_OK;
}

/* Claims on one key are one need. */
typedef struct need {
    slot* at;
    int64_t cost;
} need;

static uint32_t needs_of(
    throttle* t, const tenon_throttle_claim* claims, uint32_t count, int make, need* needs) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t j = 0;
        slot* at = slot_of(t, claims[i].key, make);
        while (j < used && needs[j].at != at) {
            ++j;
        }
        if (j == used) {
            needs[used++] = (need){at, 0};
        }
        needs[j].cost += claims[i].cost;
    }
    return used;
}

static int valid(const tenon_throttle_claim* claims, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        if (claims[i].limit != 0 || claims[i].cost == 0 || claims[i].key.n > TENON_THROTTLE_KEY_MAX) {
            return 0;
        }
    }
    return count != 0 && count <= TENON_THROTTLE_CLAIMS_MAX;
}

/* How long until `cost` can be taken; 0: it was taken. */
static int64_t take_one(need n, rule r, int64_t now_ns) {
    int64_t full_at = atomic_load(&n.at->full_at_ns);
    for (;;) {
        const int64_t next = at_least(full_at, now_ns) + n.cost * r.interval_ns;
        const int64_t wait = next - now_ns - r.burst * r.interval_ns;
        if (wait > 0) {
            return wait;
        }
        if (atomic_compare_exchange_weak(&n.at->full_at_ns, &full_at, next)) {
            return 0;
        }
    }
}

static tenon_status take(void* self, const tenon_throttle_claim* claims, uint32_t count,
                         int64_t now_ns, int64_t* retry_after_ns) {
    throttle* t = self;
    const rule r = rule_of(t, atomic_load(&t->level));
    need needs[TENON_THROTTLE_CLAIMS_MAX];
    if (!valid(claims, count)) {
        return TENON_INVALID;
    }
    const uint32_t used = needs_of(t, claims, count, 1, needs);
    for (uint32_t i = 0; i < used; ++i) {
        if (needs[i].cost > r.burst) {
            return TENON_INVALID;
        }
    }
    const int64_t asked_ns = now_ns;
    now_ns = advance(t, now_ns);
    int64_t wait = 0;
    uint32_t done = 0;
    while (done < used && (wait = take_one(needs[done], r, now_ns)) == 0) {
        ++done;
    }
    if (wait == 0) {
        atomic_fetch_add(&t->taken, 1);
        return TENON_OK;
    }
    for (uint32_t i = 0; i < done; ++i) {
        atomic_fetch_sub(&needs[i].at->full_at_ns, needs[i].cost * r.interval_ns);
    }
    for (uint32_t i = done + 1; i < used; ++i) { /* all of them together, not the first alone */
        const int64_t full_at = at_least(atomic_load(&needs[i].at->full_at_ns), now_ns);
        wait = at_least(wait, full_at - now_ns + (needs[i].cost - r.burst) * r.interval_ns);
    }
    atomic_fetch_add(&t->limited, 1);
    if (retry_after_ns != NULL) {
        *retry_after_ns = wait + (now_ns - asked_ns); /* from the caller's now on */
    }
    return TENON_LIMITED;
}

static void refund(void* self, const tenon_throttle_claim* claims, uint32_t count, int64_t now_ns) {
    throttle* t = self;
    const rule r = rule_of(t, atomic_load(&t->level));
    need needs[TENON_THROTTLE_CLAIMS_MAX];
    (void)advance(t, now_ns);
    if (!valid(claims, count)) {
        return;
    }
    const uint32_t used = needs_of(t, claims, count, 0, needs);
    for (uint32_t i = 0; i < used; ++i) {
        /* A time before now means a full budget and no more. */
        if (needs[i].at != NULL && atomic_load(&needs[i].at->full_at_ns) != INT64_MIN) {
            atomic_fetch_sub(&needs[i].at->full_at_ns, needs[i].cost * r.interval_ns);
        }
    }
}

static tenon_status state(void* self, uint32_t limit, tenon_str key, int64_t now_ns,
                          tenon_throttle_state* out) {
    throttle* t = self;
    const rule r = rule_of(t, atomic_load(&t->level));
    if (limit != 0 || key.n > TENON_THROTTLE_KEY_MAX) {
        return TENON_NOT_FOUND;
    }
    now_ns = advance(t, now_ns);
    slot* s = slot_of(t, key, 0);
    const int64_t full_at = s == NULL ? now_ns : at_least(atomic_load(&s->full_at_ns), now_ns);
    const int64_t behind = (full_at - now_ns + r.interval_ns - 1) / r.interval_ns;
    tenon_throttle_state made = {out->size,      0, r.burst, at_least(r.burst - behind, 0),
                                 full_at - now_ns, r.rate, 0};
    memcpy(out, &made, out->size < sizeof made ? out->size : sizeof made);
    return TENON_OK;
}

/* What was taken stays taken, counted in requests: 3 of 10 become 3 of 40. */
static void change_level(throttle* t, uint32_t level, uint64_t custom) {
    const rule before = rule_of(t, atomic_load(&t->level));
    atomic_store(&t->custom, custom);
    atomic_store(&t->level, level);
    const rule after = rule_of(t, level);
    const int64_t now_ns = atomic_load(&t->now_ns);
    for (uint32_t i = 0; i <= k_slots && before.interval_ns != after.interval_ns; ++i) {
        if (i < k_slots && atomic_load(&t->slots[i].state) != k_used) {
            continue;
        }
        int64_t full_at = atomic_load(&t->slots[i].full_at_ns);
        while (full_at > now_ns) {
            const int64_t ahead = full_at - now_ns;
            const int64_t next = now_ns + ahead / before.interval_ns * after.interval_ns +
                                 ahead % before.interval_ns * after.interval_ns / before.interval_ns;
            if (atomic_compare_exchange_weak(&t->slots[i].full_at_ns, &full_at, next)) {
                break;
            }
        }
    }
}

static tenon_status level(void* self, tenon_str limit, tenon_sink out, tenon_err* err) {
    throttle* t = self;
    if (limit.n != 0 && !tenon_text_is(limit, "default")) {
        return tenon_fail(err, TENON_NOT_FOUND, "the only limit is \"default\"");
    }
    const char* name = k_level_names[atomic_load(&t->level)];
    return out.put(out.ctx, (tenon_bytes){name, strlen(name)});
}

/* The number of a level; k_levels when it is none. */
static uint32_t level_number(tenon_str name) {
    uint32_t number = 0;
    while (number < k_levels && !tenon_text_is(name, k_level_names[number])) {
        ++number;
    }
    return number;
}

static tenon_status set_level(void* self, tenon_str limit, tenon_str name, tenon_err* err) {
    throttle* t = self;
    if (limit.n != 0 && !tenon_text_is(limit, "default")) {
        return tenon_fail(err, TENON_NOT_FOUND, "the only limit is \"default\"");
    }
    const uint32_t chosen = level_number(name);
    if (chosen == k_levels) {
        return tenon_fail(err, TENON_INVALID,
                          "not a level: conservative, moderate, aggressive, unlimited, custom");
    }
    change_level(t, chosen, atomic_load(&t->custom));
    return TENON_OK;
}

static tenon_status stats(void* self, tenon_sink out, tenon_err* err) {
    throttle* t = self;
    const uint32_t now = atomic_load(&t->level);
    const rule r = rule_of(t, now);
    char text[320];
    const int length = snprintf(
        text, sizeof text,
        "{\"default\":{\"level\":\"%s\",\"rate_per_second\":%lld,\"burst\":%lld,\"keys\":%llu,"
        "\"taken\":%llu,\"limited\":%llu}}",
        k_level_names[now], (long long)r.rate, (long long)r.burst,
        (unsigned long long)atomic_load(&t->keys), (unsigned long long)atomic_load(&t->taken),
        (unsigned long long)atomic_load(&t->limited));
    (void)err;
    return out.put(out.ctx, (tenon_bytes){text, (size_t)length});
}

static const tenon_throttle_1 k_throttle = {sizeof(tenon_throttle_1), 0,     find,  take, refund, NULL,
                                            state,                    level, set_level, stats};

static tenon_status configure(tenon_plugin* p, tenon_str json, uint32_t dry_run, tenon_err* err) {
    throttle* t = (throttle*)p;
    const int64_t rate = tenon_setting_int(json, "rate_per_second", 5);
    const int64_t burst = tenon_setting_int(json, "burst", 10);
    char name[16] = "conservative";
    (void)tenon_setting_text(json, "level", name, sizeof name);
    const uint32_t chosen = level_number(tenon_text(name));
    if (chosen == k_levels || rate < 1 || rate > 1000000 || burst < 1 || burst > 1000000) {
        return tenon_fail(err, TENON_INVALID, "a setting is outside of the manifest's schema");
    }
    if (dry_run == 0) {
        change_level(t, chosen, (uint64_t)rate << 32 | (uint64_t)burst);
    }
    return TENON_OK;
}

static tenon_status start(tenon_plugin* p, tenon_err* err) {
    throttle* t = (throttle*)p;
    (void)err;
    tenon_log(t->host, TENON_LOG_INFO, "throttle_ready", "level_name",
              k_level_names[atomic_load(&t->level)]);
    return TENON_OK;
}

static void stop(tenon_plugin* p) { (void)p; }

static void destroy(tenon_plugin* p) { free(p); }

static tenon_status query(tenon_plugin* p, tenon_str id, tenon_iface* out) {
    return tenon_offer(id, "tenon.throttle/1", p, &k_throttle, out);
}

static const tenon_plugin_vt k_plugin = {
    sizeof(tenon_plugin_vt), 0, configure, start, tenon_drain_nothing, stop, destroy, query};

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    throttle* t = calloc(1, sizeof *t);
    if (t == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    t->plugin.vt = &k_plugin;
    t->host = host;
    atomic_store(&t->custom, UINT64_C(5) << 32 | 10);
    atomic_store(&t->now_ns, INT64_MIN);
    atomic_store(&t->slots[k_slots].full_at_ns, INT64_MIN);
    *out = &t->plugin;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
