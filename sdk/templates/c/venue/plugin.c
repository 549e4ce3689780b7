/* SPDX-License-Identifier: Apache-2.0 */
#include "instant_venue.h"

#include <tenon/abi/instruments.h>
#include <tenon/plugin.h>

typedef struct venue {
    tenon_plugin      base; /* first: the host's pointer is ours */
    const tenon_host* host;
    tenon_iface       instruments;
    uint64_t*         fills;
    instant_venue     state;
} venue;

/* ---- the contract: all calls come from the engine's thread, one at a time ---------------------- */
/* An engine that attaches brings the state with it: its snapshot and its journal. */
static tenon_status attach(void* ctx, tenon_iface input, tenon_err* err) {
    venue* const self = (venue*)ctx;
    (void)err;
    if (input.vt != NULL) {
        memset(&self->state, 0, sizeof self->state);
    }
    return TENON_OK;
}

static void submit(void* ctx, const tenon_venue_order* order, tenon_bytes evidence,
                   int64_t now_real_ns, tenon_venue_reports out) {
    venue* const                     self = (venue*)ctx;
    const tenon_instruments_1* const list = (const tenon_instruments_1*)self->instruments.vt;
    const int listed = order->instrument < list->instrument_count(self->instruments.self);
    (void)evidence, (void)now_real_ns;
    tenon_count(self->fills, (uint64_t)venue_submit(&self->state, order, listed, out));
}

/* Nothing rests here, so no order is known. */
static void cancel(void* ctx, uint64_t order_id, uint32_t instrument, int64_t now_real_ns,
                   tenon_venue_reports out) {
    (void)ctx, (void)order_id, (void)instrument, (void)now_real_ns, (void)out;
}

static tenon_status snapshot_write(void* ctx, tenon_sink out, tenon_err* err) {
    const venue* const self = (const venue*)ctx;
    const tenon_bytes  bytes = {&self->state, sizeof self->state};
    (void)err;
    return out.put(out.ctx, bytes);
}

static tenon_status snapshot_read(void* ctx, tenon_bytes bytes, tenon_err* err) {
    venue* const self = (venue*)ctx;
    if (bytes.n != sizeof self->state) {
        return tenon_fail(err, TENON_CORRUPT, "not a snapshot of this venue");
    }
    memcpy(&self->state, bytes.p, sizeof self->state);
    return TENON_OK;
}

static uint64_t hash(void* ctx) {
    return venue_hash(&((const venue*)ctx)->state);
}

/* ---- the plugin -------------------------------------------------------------------------------- */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    (void)plugin, (void)json, (void)dry_run, (void)err;
    return TENON_OK;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    venue* const self = (venue*)plugin;
    self->fills = tenon_counter(self->host, "tenon_@identifier@_fills_total", "Orders filled");
    return tenon_find(self->host, "tenon.instruments/1", &self->instruments, err);
}

static void stop(tenon_plugin* plugin) {
    (void)plugin;
}

static void destroy(tenon_plugin* plugin) {
    free(plugin);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static const tenon_venue_1 table = {
        .size = sizeof table,
        .attach = attach,
        .submit = submit,
        .cancel = cancel,
        .snapshot_write = snapshot_write,
        .snapshot_read = snapshot_read,
        .hash = hash,
    };
    return tenon_offer(id, "tenon.venue/1", plugin, &table, out);
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    venue* const self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
