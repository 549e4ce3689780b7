// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/instruments/catalogue.hpp"
#include "plugins/venue/internal/venue.hpp"
#include "tests/simulation/core_world.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <map>
#include <random>

using namespace tenon;
using internal::InternalVenue;

namespace {

constexpr std::uint32_t k_instrument = 0;

struct VenueWorld {
    VenueWorld()
        : catalogue{instruments::Catalogue::parse(test::world_instruments(), "test")},
          venue{{&catalogue, &instruments::Catalogue::k_table}, "internal"} {}

    tenon_venue_order limit(std::uint8_t side, std::int64_t price, std::int64_t quantity) {
        auto order = tenon::sized<tenon_venue_order>();
        order.order_id = ++last_id;
        order.instrument = k_instrument;
        order.side = side;
        order.type = TENON_ORDER_LIMIT;
        order.time_in_force = TENON_TIF_GTC;
        order.price = price;
        order.quantity = quantity;
        order.funds = INT64_MAX;
        return order;
    }

    // Kinds of the reports as a word: A, R, T, C, E.
    std::string submit(const tenon_venue_order& order) {
        reports.clear();
        venue.submit(order, 1000, sink());
        return kinds();
    }

    std::string cancel(std::uint64_t order_id) {
        reports.clear();
        venue.cancel(order_id, k_instrument, 1000, sink());
        return kinds();
    }

    tenon_venue_reports sink() {
        return {this, [](void* ctx, const tenon_venue_report* report) {
                    static_cast<VenueWorld*>(ctx)->reports.push_back(*report);
                }};
    }

    std::string kinds() const {
        std::string word;
        for (const tenon_venue_report& report : reports) {
            word += " ARTCE-twp"[report.kind];
        }
        return word;
    }

    instruments::Catalogue catalogue;
    InternalVenue venue;
    std::vector<tenon_venue_report> reports;
    std::uint64_t last_id = 0;
};

// A subscriber that keeps a book from the feed's events, and complains when they do not follow.
struct Follower {
    static void on_event(void* ctx, const tenon_feed_event* event) {
        auto& self = *static_cast<Follower*>(ctx);
        if (event->instrument != k_instrument) {
            return;
        }
        ++self.count[event->kind];
        if (event->kind == TENON_FEED_SNAPSHOT) {
            self.levels.clear();
        }
        if (event->kind == TENON_FEED_DIFF) {
            self.gapless = self.gapless && event->first_update_id == self.last_update_id + 1;
        }
        if (event->kind == TENON_FEED_TRADE) {
            self.gapless = self.gapless && event->trade_id == ++self.trades;
        }
        if (event->kind == TENON_FEED_SNAPSHOT || event->kind == TENON_FEED_DIFF) {
            self.last_update_id = event->last_update_id;
            for (std::uint32_t i = 0; i < event->bid_count; ++i) {
                self.set(TENON_SIDE_BUY, event->bids[i]);
            }
            for (std::uint32_t i = 0; i < event->ask_count; ++i) {
                self.set(TENON_SIDE_SELL, event->asks[i]);
            }
        }
    }

    void set(int side, const tenon_level& level) {
        if (level.quantity == 0) {
            levels.erase({side, level.price});
        } else {
            levels[{side, level.price}] = level.quantity;
        }
    }

    std::map<std::pair<int, std::int64_t>, std::int64_t> levels;
    std::map<std::uint32_t, int> count;
    std::uint64_t last_update_id = 0;
    std::uint64_t trades = 0;
    bool gapless = true;
};

}  // namespace

TEST_CASE("orders meet by price and then by time", "[internal][T4]") {
    VenueWorld w;
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 101, 5)) == "A");
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 100, 5)) == "A");
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 100, 5)) == "A");
    CHECK(w.submit(w.limit(TENON_SIDE_BUY, 101, 12)) == "ATTT");
    CHECK(w.reports[1].maker_order_id == 2);
    CHECK(w.reports[2].maker_order_id == 3);
    CHECK(w.reports[3].maker_order_id == 1);
    CHECK(w.reports[3].price == 101);
    CHECK(w.reports[3].quantity == 2);
    CHECK(w.venue.resting() == 1);
    CHECK(w.venue.book(k_instrument)->quantity_at(TENON_SIDE_SELL, 101) == 3);
}

TEST_CASE("an order that only makes is refused when it would take", "[internal][T4]") {
    VenueWorld w;
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 100, 5)) == "A");
    const std::uint64_t before = w.venue.hash();
    tenon_venue_order order = w.limit(TENON_SIDE_BUY, 100, 5);
    order.type = TENON_ORDER_LIMIT_MAKER;
    CHECK(w.submit(order) == "R");
    CHECK(w.reports[0].reject == TENON_REJECT_WOULD_MATCH);
    CHECK(w.venue.hash() == before);
    order.price = 99;
    CHECK(w.submit(order) == "A");
}

TEST_CASE("fill-or-kill looks first, immediate-or-cancel takes what is there", "[internal][T4]") {
    VenueWorld w;
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 100, 5)) == "A");
    tenon_venue_order order = w.limit(TENON_SIDE_BUY, 100, 6);
    order.time_in_force = TENON_TIF_FOK;
    CHECK(w.submit(order) == "AE");
    order = w.limit(TENON_SIDE_BUY, 100, 6);
    order.time_in_force = TENON_TIF_IOC;
    CHECK(w.submit(order) == "ATE");
    CHECK(w.venue.resting() == 0);
    order = w.limit(TENON_SIDE_BUY, 100, 6);
    order.type = TENON_ORDER_MARKET;
    order.price = 0;
    CHECK(w.submit(order) == "AE");
}

TEST_CASE("a cancel answers once and only for what rests", "[internal][T4]") {
    VenueWorld w;
    CHECK(w.submit(w.limit(TENON_SIDE_BUY, 100, 5)) == "A");
    CHECK(w.cancel(1) == "C");
    CHECK(w.cancel(1).empty());
    CHECK(w.cancel(77).empty());
    CHECK(w.venue.book(k_instrument)->level_count(TENON_SIDE_BUY) == 0);
}

TEST_CASE(
    "waiting orders are told when a trade reaches them, and are in the state",
    "[internal][T2]"
) {
    VenueWorld w;
    tenon_venue_order stop = w.limit(TENON_SIDE_SELL, 0, 5);
    stop.type = TENON_ORDER_STOP_LOSS;
    stop.stop_price = 95;
    CHECK(w.submit(stop) == "A");
    CHECK(w.submit(w.limit(TENON_SIDE_BUY, 96, 5)) == "A");
    const std::string bytes = w.venue.snapshot();
    VenueWorld other;
    other.venue.restore(bytes);
    CHECK(other.venue.hash() == w.venue.hash());
    CHECK(other.venue.book(k_instrument)->triggers().size() == 1);
    CHECK(w.submit(w.limit(TENON_SIDE_BUY, 95, 5)) == "A");
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 96, 5)) == "AT");
    CHECK(w.submit(w.limit(TENON_SIDE_SELL, 95, 5)) == "ATt");
    CHECK(w.reports[2].order_id == 1);
    CHECK(w.cancel(1).empty());
    CHECK(other.cancel(1) == "C");

    // Version 1 ended each book before its waiting orders, version 2 before its trailing stops.
    VenueWorld empty;
    std::string older = empty.venue.snapshot();
    const std::string newer = older;
    REQUIRE(older[4] == 3);
    constexpr std::size_t k_head = 12, k_book = 4 + 8 + 8 + 4 + 4;
    std::uint32_t books = 0;
    std::memcpy(&books, older.data() + 8, sizeof books);
    for (const std::size_t count : {std::size_t{4}, std::size_t{0}}) {
        older[4] = count == 0 ? 1 : 2;
        for (std::uint32_t i = 1; i <= books; ++i) {
            older.erase(k_head + i * (k_book + count), 4);
        }
        other.venue.restore(older);
        CHECK(other.venue.snapshot() == newer);
    }
}

TEST_CASE("whose an order is can be told after an older state", "[internal][T2]") {
    VenueWorld w;
    tenon_venue_order order = w.limit(TENON_SIDE_BUY, 100, 5);
    REQUIRE(w.submit(order) == "A");
    std::string older = w.venue.snapshot();
    // Version 2 had neither owner nor iceberg behind an order's quantity, nor trailing stops.
    constexpr std::size_t k_order_end = 12 + 4 + 8 + 8 + 4 + 8 + 8 + 8, k_extra = 4 + 8 + 8;
    older.erase(k_order_end, k_extra);
    older[4] = 2;
    constexpr std::size_t k_empty_book = 4 + 8 + 8 + 4 + 4 + 4;
    older.erase(k_order_end + 4 + 4, 4);
    older.erase(k_order_end + 4 + 4 + k_empty_book, 4);
    VenueWorld other;
    other.last_id = w.last_id;
    other.venue.restore(older);
    const tenon_venue_1& table = InternalVenue::k_table;
    table.owned(&other.venue, order.order_id, k_instrument, 17);
    table.owned(&other.venue, 4711, k_instrument, 17);
    order = other.limit(TENON_SIDE_SELL, 100, 5);
    order.stp_mode = TENON_STP_EXPIRE_TAKER;
    order.account = 16;
    CHECK(other.submit(order) == "AT");
    REQUIRE(other.submit(other.limit(TENON_SIDE_BUY, 100, 5)) == "A");
    table.owned(&other.venue, other.last_id, k_instrument, 16);
    order.order_id = ++other.last_id;
    CHECK(other.submit(order) == "Ap");
    CHECK(other.reports[1].reject == TENON_PREVENTED_TAKER);
}

TEST_CASE("the state goes through its bytes, and cut bytes are refused", "[internal][T5]") {
    VenueWorld w;
    for (std::int64_t price = 90; price < 100; ++price) {
        (void)w.submit(w.limit(TENON_SIDE_BUY, price, 5));
        (void)w.submit(w.limit(TENON_SIDE_SELL, price + 20, 7));
    }
    (void)w.submit(w.limit(TENON_SIDE_SELL, 99, 3));
    const std::string bytes = w.venue.snapshot();
    VenueWorld other;
    other.venue.restore(bytes);
    CHECK(other.venue.hash() == w.venue.hash());
    CHECK(other.venue.snapshot() == bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_THROWS_AS(other.venue.restore(std::string_view{bytes}.substr(0, size)), Error);
    }
    CHECK_THROWS_WITH(other.venue.restore(bytes + "x"), Catch::Contains("left over"));
}

TEST_CASE(
    "the public sees nothing before it is durable, and then all of it in order",
    "[internal][T4][T6]"
) {
    constexpr unsigned k_seed = 11;
    std::mt19937 random{k_seed};
    VenueWorld w;
    (void)w.submit(w.limit(TENON_SIDE_BUY, 90, 5));
    Follower early;
    w.venue.subscribe(1, &early, &Follower::on_event);
    CHECK(early.count.empty());  // before live
    w.venue.live();
    CHECK(early.count[TENON_FEED_SNAPSHOT] == 1);
    (void)w.submit(w.limit(TENON_SIDE_BUY, 91, 5));
    CHECK(early.count[TENON_FEED_DIFF] == 0);
    Follower late;
    w.venue.subscribe(2, &late, &Follower::on_event);
    CHECK(late.count.empty());
    w.venue.durable();
    CHECK(early.count[TENON_FEED_DIFF] == 1);
    CHECK(late.count[TENON_FEED_SNAPSHOT] == 1);
    CHECK(late.count[TENON_FEED_DIFF] == 0);

    for (int i = 0; i < 5000; ++i) {
        const auto side = static_cast<std::uint8_t>(random() % 2);
        if (random() % 3 == 0) {
            (void)w.cancel(1 + random() % w.last_id);
        } else {
            (void)w.submit(w.limit(
                side, 80 + static_cast<int>(random() % 20), 1 + static_cast<int>(random() % 9)
            ));
        }
        if (random() % 7 == 0) {
            w.venue.durable();
        }
    }
    w.venue.durable();
    CHECK(early.gapless);
    CHECK(late.gapless);
    CHECK(early.trades == w.venue.trade_count());
    std::map<std::pair<int, std::int64_t>, std::int64_t> real;
    for (const std::uint8_t side : internal::k_sides) {
        w.venue.book(k_instrument)->for_each_level(side, [&](tenon_level level) {
            real[{side, level.price}] = level.quantity;
        });
    }
    CHECK(early.levels == real);
    CHECK(late.levels == real);
    w.venue.unsubscribe(2);
    const int before = late.count[TENON_FEED_DIFF];
    (void)w.submit(w.limit(TENON_SIDE_BUY, 70, 5));
    w.venue.durable();
    CHECK(late.count[TENON_FEED_DIFF] == before);
}

TEST_CASE("more changes than are kept end in a gap and a snapshot", "[internal][T6]") {
    VenueWorld w;
    Follower follower;
    w.venue.live();
    w.venue.subscribe(1, &follower, &Follower::on_event);
    for (std::size_t i = 0; i <= internal::Book::k_noted_max; ++i) {
        (void)w.submit(w.limit(TENON_SIDE_BUY, 100, 1));
    }
    w.venue.durable();
    CHECK(follower.count[TENON_FEED_GAP] == 1);
    CHECK(follower.count[TENON_FEED_SNAPSHOT] == 2);
    CHECK(follower.count[TENON_FEED_DIFF] == 0);
    CHECK(follower.levels.size() == 1);
}
