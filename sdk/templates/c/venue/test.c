/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "instant_venue.h"

typedef struct seen { tenon_venue_report reports[2]; int count; } seen;

static void keep(void* ctx, const tenon_venue_report* report) {
    seen* const all = (seen*)ctx;
    if (all->count < 2) {
        all->reports[all->count] = *report;
    }
    ++all->count;
}

static seen submit(instant_venue* venue, uint8_t type, int listed) {
    tenon_venue_order   order;
    seen                all;
    tenon_venue_reports out = {&all, keep};
    memset(&order, 0, sizeof order);
    memset(&all, 0, sizeof all);
    order.order_id = 7;
    order.type = type;
    order.price = 100;
    order.quantity = 5;
    CHECK(venue_submit(venue, &order, listed, out) == (type == TENON_ORDER_LIMIT && listed));
    return all;
}

int main(void) {
    instant_venue venue = {0, 0};
    instant_venue fresh = {0, 0};
    const seen    limit = submit(&venue, TENON_ORDER_LIMIT, 1);
    CHECK(limit.count == 2 && limit.reports[0].kind == TENON_REPORT_ACCEPTED);
    CHECK(limit.reports[1].kind == TENON_REPORT_TRADE && limit.reports[1].order_id == 7);
    CHECK(limit.reports[1].price == 100 && limit.reports[1].quantity == 5);
    CHECK(submit(&venue, TENON_ORDER_MARKET, 1).reports[0].reject == TENON_REJECT_NO_LIQUIDITY);
    CHECK(submit(&venue, TENON_ORDER_LIMIT_MAKER, 1).reports[0].reject == TENON_REJECT_WOULD_MATCH);
    CHECK(submit(&venue, TENON_ORDER_STOP_LOSS, 1).reports[0].reject == TENON_REJECT_UNSUPPORTED);
    CHECK(submit(&venue, TENON_ORDER_LIMIT, 0).reports[0].reject ==
          TENON_REJECT_UNKNOWN_INSTRUMENT);
    CHECK(venue.fills == 1 && venue_hash(&venue) != venue_hash(&fresh));
    return failures();
}
