/* SPDX-License-Identifier: Apache-2.0 */
/* Fills limit orders at their limit. The whole state is two sums, so that a snapshot is 16 bytes.
 * It reads no clock, no market and no random source: a replay of the journal gives the same. */
#ifndef INSTANT_VENUE_H
#define INSTANT_VENUE_H

#include <tenon/abi/venue.h>

#include <string.h>

typedef struct instant_venue {
    uint64_t fills;
    uint64_t quantity; /* of all instruments, in their own units */
} instant_venue;

static inline void venue_report(tenon_venue_reports out, const tenon_venue_order* order, uint32_t kind,
                                uint32_t reject) {
    tenon_venue_report report;
    memset(&report, 0, sizeof report);
    report.size = sizeof report;
    report.kind = kind;
    report.reject = reject;
    report.order_id = order->order_id;
    report.instrument = order->instrument;
    if (kind == TENON_REPORT_TRADE) {
        report.price = order->price;
        report.quantity = order->quantity;
    }
    out.put(out.ctx, &report);
}

/* 1 when it was filled. */
static inline int venue_submit(instant_venue* venue, const tenon_venue_order* order, int listed,
                               tenon_venue_reports out) {
    const uint32_t reject = !listed                                  ? TENON_REJECT_UNKNOWN_INSTRUMENT
                            : order->type == TENON_ORDER_LIMIT       ? TENON_REJECT_NONE
                            : order->type == TENON_ORDER_LIMIT_MAKER ? TENON_REJECT_WOULD_MATCH
                            : order->type == TENON_ORDER_MARKET      ? TENON_REJECT_NO_LIQUIDITY
                                                                     : TENON_REJECT_UNSUPPORTED;
    if (reject != TENON_REJECT_NONE) {
        venue_report(out, order, TENON_REPORT_REJECTED, reject);
        return 0;
    }
    venue_report(out, order, TENON_REPORT_ACCEPTED, TENON_REJECT_NONE);
    venue_report(out, order, TENON_REPORT_TRADE, TENON_REJECT_NONE);
    ++venue->fills;
    venue->quantity += (uint64_t)order->quantity;
    return 1;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo), over the state. */
static inline uint64_t venue_hash(const instant_venue* venue) {
    const unsigned char* bytes = (const unsigned char*)venue;
    uint64_t             hash = 0xcbf29ce484222325u;
    size_t               i;
    for (i = 0; i < sizeof *venue; ++i) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

#endif
