// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/trade_sync.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

using namespace tenon::binance_venue;

namespace {

struct Seen {
    std::vector<std::uint64_t> ids;

    void operator()(const MarketTrade& trade) { ids.push_back(trade.id); }
};

MarketTrade trade(std::uint64_t id) {
    return {id, 0, 1, 1, false};
}

std::vector<MarketTrade> trades(std::uint64_t from, std::uint64_t to) {
    std::vector<MarketTrade> out;
    for (; from <= to; ++from) {
        out.push_back(trade(from));
    }
    return out;
}

}  // namespace

TEST_CASE("missing trades are asked for and put in before later ones", "[binance][T4]") {
    Seen seen;
    TradeSync sync{100, std::ref(seen)};
    sync.on_trade(trade(10));
    sync.on_trade(trade(11));
    sync.on_trade(trade(11));
    CHECK_FALSE(sync.wanted());
    sync.on_trade(trade(15));
    sync.on_trade(trade(16));
    REQUIRE(sync.wanted() == 12);
    sync.on_fill(trades(12, 13));
    REQUIRE(sync.wanted() == 14);
    sync.on_fill(trades(14, 20));
    CHECK_FALSE(sync.wanted());
    CHECK(seen.ids == std::vector<std::uint64_t>{10, 11, 12, 13, 14, 15, 16});
    CHECK(sync.filled() == 3);
    CHECK(sync.missed() == 0);
}

TEST_CASE("what cannot be had is left out, counted and not asked for twice", "[binance][T4]") {
    Seen seen;
    TradeSync sync{100, std::ref(seen)};
    sync.on_trade(trade(10));
    sync.on_trade(trade(15));
    sync.on_trade(trade(18));
    sync.on_fill({});
    CHECK(sync.missed() == 4);
    REQUIRE(sync.wanted() == 16);  // the next hole
    sync.on_fill({});
    CHECK_FALSE(sync.wanted());
    CHECK(seen.ids == std::vector<std::uint64_t>{10, 15, 18});
    CHECK(sync.missed() == 6);
}

TEST_CASE("of a large hole its last trades are asked for", "[binance][T4]") {
    Seen seen;
    TradeSync sync{100, std::ref(seen)};
    sync.on_trade(trade(10));
    sync.on_trade(trade(1011));
    CHECK(sync.wanted() == 911);
    CHECK(sync.missed() == 900);
    TradeSync none{0, std::ref(seen)};
    none.on_trade(trade(1));
    none.on_trade(trade(5));
    CHECK_FALSE(none.wanted());
    CHECK(none.missed() == 3);
}

TEST_CASE("trades rise and none is counted twice, however they come", "[binance][T4]") {
    const auto seed = GENERATE(take(40, random(1U, 1'000'000U)));
    CAPTURE(seed);
    std::mt19937 random{seed};
    Seen seen;
    TradeSync sync{50, std::ref(seen)};
    std::uint64_t id = 1;
    for (int step = 0; step < 500; ++step) {
        id += random() % 10 == 0 ? random() % 120 : 1;
        sync.on_trade(trade(id));
        if (const auto from = sync.wanted(); from && random() % 3 == 0) {
            const bool lost = random() % 4 == 0;
            sync.on_fill(lost ? trades(2, 1) : trades(*from, *from + random() % 40));
        }
    }
    while (sync.wanted()) {
        sync.on_fill({});
    }
    for (std::size_t i = 1; i < seen.ids.size(); ++i) {
        REQUIRE(seen.ids[i] > seen.ids[i - 1]);
    }
    REQUIRE(seen.ids.back() == id);
    CHECK(seen.ids.size() + sync.missed() == id - seen.ids.front() + 1);
}

TEST_CASE("an exchange that numbers its trades anew is followed", "[binance][T4]") {
    Seen seen;
    TradeSync sync{100, std::ref(seen)};
    const auto at = [](std::uint64_t id, std::int64_t real_ns) {
        return MarketTrade{id, real_ns, 1, 1, false};
    };
    sync.on_trade(at(500'000, 10));
    sync.on_trade(at(500'002, 11));  // one is missing
    sync.on_trade(at(1, 9));         // old and not newer: told twice by somebody
    sync.on_trade(at(1, 11));
    sync.on_trade(at(450'000, 12));  // later, but not far enough below
    REQUIRE(sync.wanted() == 500'001);
    sync.on_trade(at(7, 13));
    CHECK_FALSE(sync.wanted());
    sync.on_trade(at(8, 13));
    sync.on_trade(at(8, 13));
    sync.on_fill(trades(500'001, 500'001));
    CHECK(seen.ids == std::vector<std::uint64_t>{500'000, 500'002, 7, 8});
    CHECK(sync.missed() == 1);
}
