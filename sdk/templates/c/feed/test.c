/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "random_walk.h"

/* Who applies the diffs to the snapshot: the one level that a side has. */
static int64_t apply(int64_t price, const tenon_level* levels, uint32_t count) {
    uint32_t i;
    for (i = 0; i < count; ++i) {
        if (levels[i].quantity == 0) {
            CHECK(levels[i].price == price); /* only what is there goes */
            price = 0;
        } else {
            CHECK(price == 0 || levels[i].price == price);
            price = levels[i].price;
        }
    }
    return price;
}

int main(void) {
    random_walk      walk = {.instrument = 3, .tick = 10, .quantity = 5, .middle = 2, .random = 42};
    random_walk      same = walk;
    tenon_feed_event book, trade, other_book, other_trade;
    tenon_feed_event first = walk_snapshot(&walk, 1);
    int64_t          bid = first.bids[0].price;
    int64_t          ask = first.asks[0].price;
    uint64_t         i;
    CHECK(first.kind == TENON_FEED_SNAPSHOT && first.instrument == 3 && first.bid_count == 1);
    for (i = 1; i <= 10000; ++i) {
        walk_step(&walk, 1, &book, &trade);
        walk_step(&same, 1, &other_book, &other_trade);
        CHECK(book.first_update_id == i && book.last_update_id == i && trade.trade_id == i);
        bid = apply(bid, book.bids, book.bid_count);
        ask = apply(ask, book.asks, book.ask_count);
        CHECK(bid > 0 && bid < ask);
        CHECK(trade.price == other_trade.price && trade.quantity == 5);
        CHECK(trade.price == (trade.buyer_is_maker ? bid : ask));
    }
    return failures();
}
