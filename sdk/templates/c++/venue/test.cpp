// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "instant_venue.hpp"

#include <vector>

namespace {

using Seen = std::vector<tenon_venue_report>;

Seen submit(InstantVenue& venue, std::uint8_t type, bool listed = true) {
    tenon_venue_order order{};
    order.order_id = 7;
    order.type = type;
    order.price = 100;
    order.quantity = 5;
    Seen seen;
    tenon::Venue::Reports out{{&seen, [](void* ctx, const tenon_venue_report* report) {
                                   static_cast<Seen*>(ctx)->push_back(*report);
                               }}};
    venue.submit(order, listed, out);
    return seen;
}

}  // namespace

int main() {
    InstantVenue venue;
    const Seen limit = submit(venue, TENON_ORDER_LIMIT);
    CHECK(limit.size() == 2);
    CHECK(limit[0].kind == TENON_REPORT_ACCEPTED && limit[0].order_id == 7);
    CHECK(limit[1].kind == TENON_REPORT_TRADE && limit[1].price == 100 && limit[1].quantity == 5);

    const Seen market = submit(venue, TENON_ORDER_MARKET);
    CHECK(market.size() == 1 && market[0].reject == TENON_REJECT_NO_LIQUIDITY);
    CHECK(submit(venue, TENON_ORDER_LIMIT_MAKER)[0].reject == TENON_REJECT_WOULD_MATCH);
    CHECK(submit(venue, TENON_ORDER_STOP_LOSS)[0].reject == TENON_REJECT_UNSUPPORTED);

    const Seen unlisted = submit(venue, TENON_ORDER_LIMIT, false);
    CHECK(unlisted.size() == 1 && unlisted[0].reject == TENON_REJECT_UNKNOWN_INSTRUMENT);

    InstantVenue other;
    CHECK(other.hash() != venue.hash());
    CHECK(!other.restore("short") && other.restore(venue.snapshot()));
    CHECK(other.hash() == venue.hash() && other.fills() == 1);
    return failures();
}
