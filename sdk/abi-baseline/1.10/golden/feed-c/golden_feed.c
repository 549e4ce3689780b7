/* SPDX-License-Identifier: Apache-2.0 */
/* A feed of instrument 0 for up to eight listeners: each gets a snapshot, then a trade. */
#include "../golden.h"

#include <tenon/abi/feed.h>
#include <tenon/abi/host.h>

enum { k_listeners = 8 };

typedef struct feed feed;
typedef struct listener {
    feed* owner;
    void* ctx;
    void (*fn)(void* ctx, const tenon_feed_event*);
} listener;

struct feed {
    tenon_plugin plugin;
    const tenon_host* host;
    tenon_iface exec;
    listener listeners[k_listeners]; /* reactor 0's */
};

static const tenon_exec_1* exec_of(const feed* f) { return f->exec.vt; }

static void open_listener(void* ctx) {
    const listener* l = ctx;
    const tenon_level bid = {9900, 5}, ask = {10100, 7};
    tenon_feed_event event = {.size = sizeof event, .kind = TENON_FEED_SNAPSHOT, .event_real_ns = 1, .last_update_id = 1,
                              .bids = &bid, .asks = &ask, .bid_count = 1, .ask_count = 1};
    if (l->fn == NULL) {
        return;
    }
    l->fn(l->ctx, &event);
    event = (tenon_feed_event){.size = sizeof event, .kind = TENON_FEED_TRADE, .event_real_ns = 2, .trade_id = 1,
                               .price = 10000, .quantity = 3, .buyer_is_maker = 1};
    l->fn(l->ctx, &event);
}

typedef struct change {
    feed* f;
    listener with;
    uint64_t handle;
} change;

static void add(void* ctx) {
    change* c = ctx;
    for (uint64_t i = 0; i < k_listeners; ++i) {
        listener* l = &c->f->listeners[i];
        if (l->fn == NULL) {
            *l = c->with;
            if (exec_of(c->f)->post(c->f->exec.self, 0, open_listener, l) != TENON_OK) {
                l->fn = NULL;
                return;
            }
            c->handle = i + 1;
            return;
        }
    }
}

static void take_away(void* ctx) {
    change* c = ctx;
    c->f->listeners[c->handle - 1].fn = NULL;
}

static tenon_status subscribe(void* self, void* ctx, void (*fn)(void* ctx, const tenon_feed_event*), uint64_t* handle) {
    feed* f = self;
    change c = {f, {f, ctx, fn}, 0};
    const tenon_status status = exec_of(f)->call(f->exec.self, 0, add, &c);
    *handle = c.handle;
    return status == TENON_OK && c.handle == 0 ? TENON_UNAVAILABLE : status;
}

static void unsubscribe(void* self, uint64_t handle) {
    feed* f = self;
    change c = {f, {0}, handle};
    if (handle > 0 && handle <= k_listeners) {
        exec_of(f)->call(f->exec.self, 0, take_away, &c);
    }
}

static uint32_t serves(void* self, uint32_t instrument) {
    (void)self;
    return instrument == 0;
}

static tenon_status start(tenon_plugin* p, tenon_err* err) {
    feed* f = (feed*)p;
    return f->host->query(f->host->self, golden_str("tenon.exec/1"), &f->exec) == TENON_OK
               ? TENON_OK : golden_fail(err, TENON_UNSUPPORTED, "the host has no tenon.exec/1");
}

static const tenon_feed_1 table = {sizeof table, 0, subscribe, unsubscribe, serves, 0, 0};

GOLDEN_PLUGIN(feed, "tenon.feed/1", &table, start, golden_stop)
