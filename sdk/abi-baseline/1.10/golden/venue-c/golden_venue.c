/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit order trades at its price with the market, a post-only one rests; the state is the count of
 * trades and the last resting order. */
#include "../golden.h"

#include <tenon/abi/trading.h>
#include <tenon/abi/venue.h>

typedef struct venue {
    tenon_plugin plugin;
    const tenon_host* host;
    tenon_iface input;
    uint64_t trades, resting, applied;
} venue;

static tenon_status attach(void* self, tenon_iface input, tenon_err* err) {
    (void)err;
    ((venue*)self)->input = input;
    return TENON_OK;
}

/* The outside speaks as soon as it may. */
static void live(void* self) {
    venue* v = self;
    const tenon_venue_input_1* input = v->input.vt;
    if (input != NULL) {
        input->command(v->input.self, (tenon_bytes){"live", 4});
    }
}

static tenon_status evidence(void* self, const tenon_venue_order* order, int64_t now_real_ns, tenon_sink out) {
    (void)self, (void)order, (void)now_real_ns;
    return golden_put(out, "seen");
}

static void report(tenon_venue_reports out, uint32_t kind, const tenon_venue_order* order, uint32_t reject) {
    const int trade = kind == TENON_REPORT_TRADE;
    const tenon_venue_report r = {.size = sizeof r, .kind = kind, .reject = reject, .order_id = order->order_id,
                                  .price = trade ? order->price : 0, .quantity = trade ? order->quantity : 0,
                                  .instrument = order->instrument};
    out.put(out.ctx, &r);
}

static void submit(void* self, const tenon_venue_order* order, tenon_bytes seen, int64_t now_real_ns,
                   tenon_venue_reports out) {
    venue* v = self;
    (void)now_real_ns;
    if (seen.n != 4 || (order->type != TENON_ORDER_LIMIT && order->type != TENON_ORDER_LIMIT_MAKER)) {
        report(out, TENON_REPORT_REJECTED, order, TENON_REJECT_UNSUPPORTED);
        return;
    }
    report(out, TENON_REPORT_ACCEPTED, order, 0);
    if (order->type == TENON_ORDER_LIMIT_MAKER) {
        v->resting = order->order_id;
        return;
    }
    ++v->trades;
    report(out, TENON_REPORT_TRADE, order, 0);
}

static void cancel(void* self, uint64_t order_id, uint32_t instrument, int64_t now_real_ns, tenon_venue_reports out) {
    venue* v = self;
    (void)now_real_ns;
    if (v->resting == order_id && order_id != 0) {
        const tenon_venue_report r = {.size = sizeof r, .kind = TENON_REPORT_CANCELED, .order_id = order_id,
                                      .instrument = instrument};
        v->resting = 0;
        out.put(out.ctx, &r);
    }
}

static tenon_status apply(void* self, tenon_bytes seen, int64_t now_real_ns, tenon_venue_reports out) {
    (void)now_real_ns, (void)out;
    if (seen.n != 4 || memcmp(seen.p, "live", 4) != 0) {
        return TENON_INVALID;
    }
    ++((venue*)self)->applied;
    return TENON_OK;
}

static tenon_status snapshot_write(void* self, tenon_sink out, tenon_err* err) {
    (void)err;
    return out.put(out.ctx, (tenon_bytes){&((venue*)self)->trades, 3 * sizeof(uint64_t)});
}

static tenon_status snapshot_read(void* self, tenon_bytes state, tenon_err* err) {
    if (state.n != 3 * sizeof(uint64_t)) {
        return golden_fail(err, TENON_CORRUPT, "a snapshot has 24 bytes");
    }
    memcpy(&((venue*)self)->trades, state.p, state.n);
    return TENON_OK;
}

static uint64_t hash(void* self) {
    const venue* v = self;
    return v->trades * 31 + v->resting * 17 + v->applied + 1;
}

static const tenon_venue_1 table = {sizeof table, 0, attach, live, evidence, submit, cancel, apply, NULL,
                                    snapshot_write, snapshot_read, hash, NULL, NULL, NULL};

GOLDEN_PLUGIN(venue, "tenon.venue/1", &table, golden_start, golden_stop)
