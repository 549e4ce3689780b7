// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/paper/paper.hpp"

#include "tests/unit/venue/paper_fixture.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::paper;
using namespace tenon::test;

using Lines = std::vector<std::string>;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;

// Asks 101 x 5, 102 x 10, 103 x 20; bids 100 x 4, 99 x 8. `levels` of the side that a taker meets.
Look look_for(std::uint8_t side, std::int64_t displayed = 0) {
    Look look;
    look.trusted = true;
    look.reference = 100;
    look.book_id = 7;
    look.bid = {100, 4};
    look.ask = {101, 5};
    look.displayed = displayed;
    if (side == k_buy) {
        look.levels = {{101, 5}, {102, 10}, {103, 20}};
    } else {
        look.levels = {{100, 4}, {99, 8}};
    }
    return look;
}

struct Fixture {
    PaperVenue venue{&paper_rules};
    Reports reports;

    Lines submit(const tenon_venue_order& order, const Evidence& evidence) {
        venue.submit(order, encode(evidence), reports.out());
        return reports.take();
    }

    Lines news(std::vector<Item> items) {
        REQUIRE(venue.apply(encode(MarketNews{0, std::move(items)}), reports.out()));
        return reports.take();
    }

    Lines cancel(std::uint64_t id) {
        venue.cancel(id, reports.out());
        return reports.take();
    }
};

[[nodiscard]] unsigned seed() {
    const char* const given = std::getenv("TENON_TEST_SEED");
    return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : 424'242U;
}

}  // namespace

TEST_CASE("evidence is read back as written and refused when damaged", "[paper][T5]") {
    const std::vector<Evidence> all{
        look_for(k_buy, 3),
        Wait{5, 6},
        Arrival{9, look_for(k_sell)},
        MarketNews{1, {{ItemKind::trade, k_buy, 100, 1}, {ItemKind::level, k_sell, 101, 0}}}};
    for (const Evidence& evidence : all) {
        const std::string bytes = encode(evidence);
        const auto read = decode(bytes);
        REQUIRE(read.has_value());
        REQUIRE(encode(*read) == bytes);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            REQUIRE_FALSE(decode(bytes.substr(0, length)).has_value());
        }
        REQUIRE_FALSE(decode(bytes + "x").has_value());
    }
    REQUIRE(encode(Wait{1, 2}) == std::string("\1\2\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 18));
}

TEST_CASE("a market order walks the levels it meets", "[paper][T4][T2]") {
    Fixture f;
    REQUIRE(
        f.submit(market_order(1, k_buy, 12), look_for(k_buy)) ==
        Lines{"accepted 1", "trade 1/0 5@101", "trade 1/0 7@102"}
    );
    REQUIRE(
        f.submit(market_order(2, k_sell, 20), look_for(k_sell)) ==
        Lines{"accepted 2", "trade 2/0 4@100", "trade 2/0 8@99", "expired 2"}
    );
}

TEST_CASE("a market order by quote quantity stops where the money ends", "[paper][T4][T2]") {
    Fixture f;
    // One unit of quantity at price 1 is 10 units of the quote asset: 5@101 cost 5050.
    REQUIRE(
        f.submit(market_order(1, k_buy, 0, 5'050 + 3 * 1'020 + 7), look_for(k_buy)) ==
        Lines{"accepted 1", "trade 1/0 5@101", "trade 1/0 3@102", "expired 1"}
    );
    Fixture exact;
    REQUIRE(
        exact.submit(market_order(1, k_buy, 0, 5'050), look_for(k_buy)) ==
        Lines{"accepted 1", "trade 1/0 5@101"}
    );
    Fixture poor;
    tenon_venue_order order = market_order(1, k_buy, 100);
    order.funds = 5'050 + 1'020;
    REQUIRE(
        poor.submit(order, look_for(k_buy)) ==
        Lines{"accepted 1", "trade 1/0 5@101", "trade 1/0 1@102", "expired 1"}
    );
    Fixture seller;
    order = market_order(1, k_sell, 0, 100'000);
    order.funds = 6 * 1'000;  // base for six
    REQUIRE(
        seller.submit(order, look_for(k_sell)) ==
        Lines{"accepted 1", "trade 1/0 4@100", "trade 1/0 2@99", "expired 1"}
    );
}

TEST_CASE("limits, IOC, FOK and post-only keep their word", "[paper][T2]") {
    Fixture f;
    REQUIRE(
        f.submit(limit_order(1, k_buy, 102, 20, TENON_TIF_IOC), look_for(k_buy)) ==
        Lines{"accepted 1", "trade 1/0 5@101", "trade 1/0 10@102", "expired 1"}
    );
    Fixture fok;
    REQUIRE(
        fok.submit(limit_order(1, k_buy, 102, 16, TENON_TIF_FOK), look_for(k_buy)) ==
        Lines{"accepted 1", "expired 1"}
    );
    REQUIRE(
        fok.submit(limit_order(2, k_buy, 102, 15, TENON_TIF_FOK), look_for(k_buy)) ==
        Lines{"accepted 2", "trade 2/0 5@101", "trade 2/0 10@102"}
    );
    Fixture gtc;
    REQUIRE(
        gtc.submit(limit_order(1, k_buy, 101, 8), look_for(k_buy)) ==
        Lines{"accepted 1", "trade 1/0 5@101"}
    );
    REQUIRE(gtc.venue.resting_count() == 1);
    tenon_venue_order maker = limit_order(2, k_buy, 101, 1);
    maker.type = TENON_ORDER_LIMIT_MAKER;
    REQUIRE(
        gtc.submit(maker, look_for(k_buy)) ==
        Lines{"rejected 2 " + std::to_string(TENON_REJECT_WOULD_MATCH)}
    );
    maker.price = 100;
    REQUIRE(gtc.submit(maker, look_for(k_buy)) == Lines{"accepted 2"});
}

TEST_CASE("without a market nothing is executed", "[paper][T4]") {
    Fixture f;
    const std::string refused = " " + std::to_string(TENON_REJECT_NO_LIQUIDITY);
    REQUIRE(f.submit(market_order(1, k_buy, 1), Look{}) == Lines{"rejected 1" + refused});
    f.venue.submit(market_order(2, k_buy, 1), {}, f.reports.out());
    REQUIRE(f.reports.take() == Lines{"rejected 2" + refused});
    Look empty = look_for(k_buy);
    empty.levels.clear();
    REQUIRE(f.submit(market_order(3, k_buy, 1), empty) == Lines{"accepted 3", "expired 3"});
    tenon_venue_order odd = limit_order(4, k_buy, 100, 1);
    odd.type = 8;
    REQUIRE(
        f.submit(odd, look_for(k_buy)) ==
        Lines{"rejected 4 " + std::to_string(TENON_REJECT_UNSUPPORTED)}
    );
}

TEST_CASE(
    "a conditional order waits, is triggered once, and comes back as what it became",
    "[paper][T2]"
) {
    Fixture f;
    REQUIRE(f.submit(stop_loss(1, k_sell, 6), look_for(k_sell)) == Lines{"accepted 1"});
    REQUIRE(f.news({{ItemKind::trade, k_buy, 97, 50}}).empty());  // it does not rest
    const Look later = look_for(k_sell);
    const std::string trigger = encode(Triggered{1, later});
    REQUIRE(f.venue.apply(trigger, f.reports.out()));
    REQUIRE(f.reports.take() == Lines{"triggered 1"});
    tenon_venue_order working = market_order(1, k_sell, 6);
    f.venue.submit(working, trigger, f.reports.out());
    REQUIRE(f.reports.take() == Lines{"accepted 1", "trade 1/0 4@100", "trade 1/0 2@99"});
    REQUIRE(f.venue.apply(trigger, f.reports.out()));
    REQUIRE(f.reports.take().empty());

    REQUIRE(f.submit(stop_loss(2, k_buy, 1), look_for(k_buy)) == Lines{"accepted 2"});
    REQUIRE(f.cancel(2) == Lines{"canceled 2"});
    REQUIRE(f.venue.triggers(0)->size() == 0);
}

TEST_CASE("a conditional order that arrives too late is refused", "[paper][T2]") {
    Fixture f;
    REQUIRE(f.submit(stop_loss(1, k_sell, 6), Wait{50, 100}).empty());
    Look fallen = look_for(k_sell);
    fallen.reference = 98;
    REQUIRE(f.venue.apply(encode(Arrival{1, fallen}), f.reports.out()));
    REQUIRE(f.reports.take() == Lines{"rejected 1 " + std::to_string(TENON_REJECT_WOULD_TRIGGER)});
}

TEST_CASE("conditional orders are part of the state, which older ones lack", "[paper][T2][T5]") {
    Fixture f;
    REQUIRE(f.submit(limit_order(1, k_buy, 99, 5), look_for(k_buy)) == Lines{"accepted 1"});
    const std::string plain = f.venue.snapshot();
    REQUIRE(f.submit(stop_loss(2, k_sell, 6), look_for(k_sell)) == Lines{"accepted 2"});
    REQUIRE(f.submit(stop_loss(3, k_sell, 6), Wait{50, 100}).empty());
    Fixture same;
    REQUIRE(same.venue.restore(f.venue.snapshot()));
    REQUIRE(same.venue.hash() == f.venue.hash());
    REQUIRE(same.venue.conditional(2)->stop_price == 98);
    REQUIRE(same.venue.waiting().at(3).order.stop_price == 98);
    // Version 2 ended before the count of trailing stops, version 1 before that of conditional
    // orders.
    std::string older = plain;
    REQUIRE(older.substr(0, 4) == "TPV3");
    for (const char version : {'2', '1'}) {
        older.resize(older.size() - 4);
        older[3] = version;
        REQUIRE(same.venue.restore(older));
        REQUIRE(same.venue.snapshot() == plain);
    }
}

TEST_CASE("two takers do not meet the same quantity until the book changes", "[paper][T4]") {
    Fixture f;
    (void)f.submit(market_order(1, k_buy, 3), look_for(k_buy));
    REQUIRE(
        f.submit(market_order(2, k_buy, 4), look_for(k_buy)) ==
        Lines{"accepted 2", "trade 2/0 2@101", "trade 2/0 2@102"}
    );
    Look later = look_for(k_buy);
    later.book_id = 8;
    REQUIRE(f.submit(market_order(3, k_buy, 4), later) == Lines{"accepted 3", "trade 3/0 4@101"});
}

TEST_CASE("trades at the price eat the queue first, then fill in parts", "[paper][T4]") {
    Fixture f;
    REQUIRE(f.submit(limit_order(1, k_buy, 100, 5), look_for(k_buy, 4)) == Lines{"accepted 1"});
    REQUIRE(f.news({{ItemKind::trade, k_buy, 100, 3}}).empty());
    REQUIRE(f.news({{ItemKind::trade, k_buy, 100, 3}}) == Lines{"trade 0/1 2@100"});
    REQUIRE(f.news({{ItemKind::trade, k_sell, 100, 9}}).empty());  // the other side was hit
    REQUIRE(f.news({{ItemKind::trade, k_buy, 101, 9}}).empty());   // above our price
    REQUIRE(f.news({{ItemKind::trade, k_buy, 100, 9}}) == Lines{"trade 0/1 3@100"});
    REQUIRE(f.venue.resting_count() == 0);
}

TEST_CASE("the queue ahead shrinks to what is displayed, and never grows", "[paper][T4]") {
    Fixture f;
    (void)f.submit(limit_order(1, k_sell, 101, 5), look_for(k_sell, 10));
    REQUIRE(f.news({{ItemKind::level, k_sell, 101, 2}}).empty());
    REQUIRE(f.news({{ItemKind::level, k_sell, 101, 50}}).empty());
    REQUIRE(f.news({{ItemKind::trade, k_sell, 101, 3}}) == Lines{"trade 0/1 1@101"});
}

TEST_CASE("trades through the price and crossing offers fill at the own price", "[paper][T4]") {
    Fixture f;
    (void)f.submit(limit_order(1, k_buy, 100, 5), look_for(k_buy, 1'000));
    REQUIRE(f.news({{ItemKind::trade, k_buy, 99, 2}}) == Lines{"trade 0/1 2@100"});
    REQUIRE(f.news({{ItemKind::cross, k_buy, 100, 2}}) == Lines{"trade 0/1 2@100"});
    REQUIRE(f.news({{ItemKind::cross, k_buy, 98, 7}}) == Lines{"trade 0/1 1@100"});
}

TEST_CASE("paper orders share a trade by price, then time", "[paper][T4]") {
    Fixture f;
    (void)f.submit(limit_order(1, k_buy, 99, 2), look_for(k_buy, 0));
    (void)f.submit(limit_order(2, k_buy, 100, 2), look_for(k_buy, 1));
    (void)f.submit(limit_order(3, k_buy, 100, 2), look_for(k_buy, 1));
    REQUIRE(
        f.news({{ItemKind::trade, k_buy, 100, 4}}) == Lines{"trade 0/2 2@100", "trade 0/3 1@100"}
    );
    REQUIRE(
        f.news({{ItemKind::trade, k_buy, 99, 2}}) == Lines{"trade 0/3 1@100", "trade 0/1 1@99"}
    );
}

TEST_CASE("a canceled order is gone, an unknown one is nothing", "[paper][T2]") {
    Fixture f;
    (void)f.submit(limit_order(1, k_buy, 100, 5), look_for(k_buy));
    REQUIRE(f.cancel(1) == Lines{"canceled 1"});
    REQUIRE(f.cancel(1).empty());
    REQUIRE(f.news({{ItemKind::trade, k_buy, 99, 50}}).empty());
}

TEST_CASE("an order under way meets the market when it arrives", "[paper][T4]") {
    Fixture f;
    REQUIRE(f.submit(market_order(1, k_buy, 6), Wait{500, 100}).empty());
    REQUIRE(f.submit(limit_order(2, k_buy, 100, 6), Wait{500, 100}).empty());
    REQUIRE(f.venue.waiting().size() == 2);
    REQUIRE(f.cancel(2) == Lines{"canceled 2"});
    REQUIRE(f.venue.apply(encode(Arrival{1, look_for(k_buy)}), f.reports.out()));
    REQUIRE(f.reports.take() == Lines{"accepted 1", "trade 1/0 5@101", "trade 1/0 1@102"});
    // Too late, or twice: nothing.
    REQUIRE(f.venue.apply(encode(Arrival{1, look_for(k_buy)}), f.reports.out()));
    REQUIRE(f.venue.apply(encode(Arrival{2, look_for(k_buy)}), f.reports.out()));
    REQUIRE(f.reports.take().empty());
}

TEST_CASE("bytes that are not the venue's change nothing", "[paper][T5]") {
    Fixture f;
    (void)f.submit(limit_order(1, k_buy, 100, 5), look_for(k_buy));
    const auto before = f.venue.hash();
    REQUIRE_FALSE(f.venue.apply("nonsense", f.reports.out()));
    REQUIRE_FALSE(f.venue.apply(encode(look_for(k_buy)), f.reports.out()));
    REQUIRE_FALSE(f.venue.restore("TPV1"));
    const std::string whole = f.venue.snapshot();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        REQUIRE_FALSE(f.venue.restore(whole.substr(0, length)));
    }
    REQUIRE(f.venue.hash() == before);
}

namespace {

// One random command for both venues; both must report the same.
class RandomCommands {
public:
    explicit RandomCommands(unsigned from) : random_{from} {}

    void step(PaperVenue& venue, Reports& reports) {
        const std::uint32_t kind = next(10);
        if (kind < 5) {
            const std::uint8_t side = next(2) == 0 ? k_buy : k_sell;
            auto order = limit_order(
                ++last_id_, side, 97 + next(8), 1 + next(10), static_cast<std::uint8_t>(1 + next(3))
            );
            if (next(4) == 0) {
                order = market_order(last_id_, side, 1 + next(30), next(3) == 0 ? 5'000 : 0);
            } else if (next(4) == 0) {
                order.type = TENON_ORDER_LIMIT_MAKER;
            }
            Look look = look_for(side, next(10));
            look.book_id = next(3);
            Evidence evidence = look;
            if (next(5) == 0) {
                evidence = Wait{next(100), 100};
            }
            venue.submit(order, encode(evidence), reports.out());
        } else if (kind == 5) {
            venue.cancel(1 + next(static_cast<std::uint32_t>(last_id_) + 1), reports.out());
        } else if (kind == 6) {
            const std::uint64_t id = 1 + next(static_cast<std::uint32_t>(last_id_) + 1);
            (void)venue.apply(encode(Arrival{id, look_for(k_buy, next(5))}), reports.out());
        } else {
            const Item item{
                static_cast<ItemKind>(1 + next(3)),
                next(2) == 0 ? k_buy : k_sell,
                97 + next(8),
                next(6)};
            (void)venue.apply(encode(MarketNews{0, {item}}), reports.out());
        }
    }

private:
    std::uint32_t next(std::uint32_t below) {
        return static_cast<std::uint32_t>(random_() % below);
    }

    std::mt19937 random_;
    std::uint64_t last_id_ = 0;
};

}  // namespace

TEST_CASE("commands after a snapshot give the same reports and hash", "[paper][T5][T10]") {
    INFO("TENON_TEST_SEED=" << seed());
    std::mt19937 random{seed()};
    for (int run = 0; run < 50; ++run) {
        RandomCommands commands{static_cast<unsigned>(random())};
        PaperVenue venue{&paper_rules};
        Reports reports;
        for (auto steps = 1 + random() % 200; steps > 0; --steps) {
            commands.step(venue, reports);
        }
        (void)reports.take();
        PaperVenue restored{&paper_rules};
        REQUIRE(restored.restore(venue.snapshot()));
        REQUIRE(restored.hash() == venue.hash());
        REQUIRE(restored.resting_count() == venue.resting_count());
        Reports again;
        RandomCommands same = commands;
        for (int step = 0; step < 200; ++step) {
            commands.step(venue, reports);
            same.step(restored, again);
            REQUIRE(again.take() == reports.take());
            REQUIRE(restored.hash() == venue.hash());
        }
    }
}
