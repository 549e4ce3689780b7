/* SPDX-License-Identifier: Apache-2.0 */
#include "random_walk.h"

#include <tenon/abi/instruments.h>
#include <tenon/plugin.h>

#define LISTENERS_MAX 16

typedef struct listener {
    uint64_t handle; /* 0: free */
    int      opened; /* it has had its snapshot */
    void*    ctx;
    void (*fn)(void* ctx, const tenon_feed_event*);
} listener;

typedef struct walk_feed {
    tenon_plugin         base; /* first: the host's pointer is ours */
    const tenon_host*    host;
    const tenon_exec_1*  exec;
    void*                exec_self;
    const tenon_clock_1* clock;
    void*                clock_self;
    char                 symbol[65];
    int64_t              interval_ns, start_ticks;
    uint64_t             seed;
    uint64_t*            events;
    /* reactor 0's from here on */
    random_walk walk;
    uint64_t    timer, next_handle;
    listener    listeners[LISTENERS_MAX];
} walk_feed;

static int64_t now_real_ns(const walk_feed* self) {
    return self->clock->now_real_ns(self->clock_self);
}

/* ---- reactor 0 --------------------------------------------------------------------------------- */
static void emit(walk_feed* self, const tenon_feed_event* event) {
    int i;
    for (i = 0; i < LISTENERS_MAX; ++i) {
        if (self->listeners[i].handle != 0 && self->listeners[i].opened) {
            self->listeners[i].fn(self->listeners[i].ctx, event);
        }
    }
    tenon_count(self->events, 1);
}

static void tick(void* ctx);

static void arm(walk_feed* self) {
    const int64_t now_ns = self->exec->turn_now_ns(self->exec_self);
    self->timer = self->exec->timer(self->exec_self, now_ns + self->interval_ns, tick, self);
}

static void tick(void* ctx) {
    walk_feed* const self = (walk_feed*)ctx;
    tenon_feed_event book, trade;
    walk_step(&self->walk, now_real_ns(self), &book, &trade);
    emit(self, &book);
    emit(self, &trade);
    arm(self);
}

static void begin(void* ctx) {
    walk_feed* const self = (walk_feed*)ctx;
    self->walk.middle = self->start_ticks;
    self->walk.random = self->seed;
    self->walk.update_id = 1;
    self->walk.trade_id = 0;
    arm(self);
}

static void end(void* ctx) {
    walk_feed* const self = (walk_feed*)ctx;
    self->exec->cancel_timer(self->exec_self, self->timer);
    memset(self->listeners, 0, sizeof self->listeners);
}

/* In a turn after the subscription: the snapshots, one for each listener that waits for it. */
static void open_listeners(void* ctx) {
    walk_feed* const self = (walk_feed*)ctx;
    int              i;
    for (i = 0; i < LISTENERS_MAX; ++i) {
        listener* const one = &self->listeners[i];
        if (one->handle != 0 && !one->opened) {
            const tenon_feed_event snapshot = walk_snapshot(&self->walk, now_real_ns(self));
            one->opened = 1;
            one->fn(one->ctx, &snapshot);
        }
    }
}

typedef struct change { walk_feed* self; listener wanted; tenon_status status; } change;

static void add_listener(void* ctx) {
    change* const    wish = (change*)ctx;
    walk_feed* const self = wish->self;
    int              i;
    wish->status = TENON_UNAVAILABLE;
    for (i = 0; i < LISTENERS_MAX; ++i) {
        if (self->listeners[i].handle == 0) {
            wish->status = self->exec->post(self->exec_self, 0, open_listeners, self);
            if (wish->status == TENON_OK) {
                wish->wanted.handle = ++self->next_handle;
                self->listeners[i] = wish->wanted;
            }
            return;
        }
    }
}

static void remove_listener(void* ctx) {
    change* const wish = (change*)ctx;
    int           i;
    for (i = 0; i < LISTENERS_MAX; ++i) {
        if (wish->self->listeners[i].handle == wish->wanted.handle) {
            memset(&wish->self->listeners[i], 0, sizeof wish->self->listeners[i]);
        }
    }
}

/* ---- the contract ------------------------------------------------------------------------------ */
static tenon_status subscribe(void* ctx, void* listener_ctx,
                              void (*fn)(void* ctx, const tenon_feed_event*), uint64_t* handle) {
    walk_feed* const self = (walk_feed*)ctx;
    change           wish = {self, {0, 0, listener_ctx, fn}, TENON_UNAVAILABLE};
    if (self->exec->call(self->exec_self, 0, add_listener, &wish) != TENON_OK) {
        return TENON_UNAVAILABLE;
    }
    if (wish.status == TENON_OK) {
        *handle = wish.wanted.handle;
    }
    return wish.status;
}

static void unsubscribe(void* ctx, uint64_t handle) {
    walk_feed* const self = (walk_feed*)ctx;
    change           wish = {self, {handle, 0, NULL, NULL}, TENON_OK};
    if (handle != 0) {
        (void)self->exec->call(self->exec_self, 0, remove_listener, &wish);
    }
}

static uint32_t serves(void* ctx, uint32_t instrument) {
    return ((const walk_feed*)ctx)->walk.instrument == instrument ? 1 : 0;
}

/* ---- the plugin -------------------------------------------------------------------------------- */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    walk_feed* const self = (walk_feed*)plugin;
    char             symbol[sizeof self->symbol];
    const int64_t    interval_ms = tenon_setting_int(json, "interval_ms", 100);
    if (tenon_setting_text(json, "symbol", symbol, sizeof symbol) != TENON_OK) {
        return tenon_fail(err, TENON_INVALID, "/symbol is not a text of at most 64 bytes");
    }
    if (interval_ms < 1 || interval_ms > 60000) {
        return tenon_fail(err, TENON_INVALID, "/interval_ms is not from 1 to 60000");
    }
    if (!dry_run) {
        memcpy(self->symbol, symbol, sizeof symbol);
        self->interval_ns = interval_ms * 1000000;
        self->start_ticks = tenon_setting_int(json, "start_ticks", 10000);
        self->seed = (uint64_t)tenon_setting_int(json, "seed", 1);
    }
    return TENON_OK;
}

static int64_t at_least_one(int64_t value) {
    return value > 1 ? value : 1;
}

static tenon_status find_instrument(walk_feed* self, tenon_err* err) {
    tenon_iface                list;
    const tenon_instruments_1* table;
    const tenon_instrument*    found;
    uint32_t                   id = 0;
    const tenon_status status = tenon_find(self->host, "tenon.instruments/1", &list, err);
    if (status != TENON_OK) {
        return status;
    }
    table = (const tenon_instruments_1*)list.vt;
    if (self->symbol[0] != '\0' &&
        table->find_instrument(list.self, tenon_text(self->symbol), &id) != TENON_OK) {
        return tenon_fail(err, TENON_NOT_FOUND, "/symbol: no instrument %s", self->symbol);
    }
    found = table->instrument(list.self, id);
    if (found == NULL) {
        return tenon_fail(err, TENON_NOT_FOUND, "no instrument is listed");
    }
    self->walk.instrument = id;
    self->walk.tick = at_least_one(found->price_tick);
    self->walk.quantity = at_least_one(
        found->quantity_min > found->quantity_step ? found->quantity_min : found->quantity_step);
    return TENON_OK;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    walk_feed* const self = (walk_feed*)plugin;
    tenon_iface      exec, clock;
    tenon_status     status = tenon_host_service(self->host, "tenon.exec/1", &exec, err);
    if (status == TENON_OK) {
        status = tenon_host_service(self->host, "tenon.clock/1", &clock, err);
    }
    if (status == TENON_OK) {
        status = find_instrument(self, err);
    }
    if (status != TENON_OK) {
        return status;
    }
    self->exec = (const tenon_exec_1*)exec.vt;
    self->exec_self = exec.self;
    self->clock = (const tenon_clock_1*)clock.vt;
    self->clock_self = clock.self;
    self->events = tenon_counter(self->host, "tenon_@identifier@_events_total", "Events sent");
    if (self->exec->call(self->exec_self, 0, begin, self) != TENON_OK) {
        return tenon_fail(err, TENON_UNAVAILABLE, "the reactor has stopped");
    }
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    walk_feed* const self = (walk_feed*)plugin;
    (void)self->exec->call(self->exec_self, 0, end, self);
}

static void destroy(tenon_plugin* plugin) {
    free(plugin);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_feed_1 table = {
        .size = sizeof table, .subscribe = subscribe, .unsubscribe = unsubscribe, .serves = serves};
    return tenon_offer(id, "tenon.feed/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    walk_feed* const self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
