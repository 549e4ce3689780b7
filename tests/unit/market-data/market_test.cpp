// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/market.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <vector>

using namespace tenon;
using namespace tenon::market_data;

namespace {

constexpr std::int64_t k_now = 1'790'000'000'000'000'000;
constexpr std::int64_t k_ms = 1'000'000;

// A market of one instrument, with what it published.
struct Fixture {
    std::vector<std::uint32_t> kinds;
    std::vector<tenon_agg_trade> aggregates;
    Market market{{}, [this](const tenon_md_event& event) {
                      kinds.push_back(event.kind);
                      if (event.kind == TENON_MD_AGG) {
                          aggregates.push_back(*event.agg);
                      }
                  }};

    Fixture() { market.add_instrument(0, {2, 5, 8}); }

    void book(
        std::uint32_t kind,
        std::uint64_t first,
        std::uint64_t last,
        std::vector<tenon_level> bids,
        std::vector<tenon_level> asks
    ) {
        tenon_feed_event event{};
        event.size = sizeof event;
        event.kind = kind;
        event.event_real_ns = k_now;
        event.first_update_id = first;
        event.last_update_id = last;
        event.bids = bids.data();
        event.asks = asks.data();
        event.bid_count = static_cast<std::uint32_t>(bids.size());
        event.ask_count = static_cast<std::uint32_t>(asks.size());
        market.on_event(event);
    }

    void trade(
        std::uint64_t id,
        std::int64_t time_ns,
        std::int64_t price,
        std::int64_t quantity,
        std::uint32_t buyer_is_maker = 0
    ) {
        tenon_feed_event event{};
        event.size = sizeof event;
        event.kind = TENON_FEED_TRADE;
        event.event_real_ns = time_ns;
        event.trade_id = id;
        event.price = price;
        event.quantity = quantity;
        event.buyer_is_maker = buyer_is_maker;
        market.on_event(event);
    }

    [[nodiscard]] tenon_book book() const {
        tenon_book out{};
        out.size = sizeof out;
        REQUIRE(market.book(0, 0, out) == TENON_OK);
        return out;
    }
};

}  // namespace

TEST_CASE("an instrument without events is not found", "[market_data][T6]") {
    const Fixture f;
    tenon_book book{};
    tenon_level bid{};
    tenon_level ask{};
    tenon_ticker ticker{};
    std::int64_t price = 0;
    std::int64_t close = 0;
    REQUIRE(f.market.book(0, 5, book) == TENON_NOT_FOUND);
    REQUIRE(f.market.best(0, bid, ask) == TENON_NOT_FOUND);
    REQUIRE(f.market.ticker(0, k_now, ticker) == TENON_NOT_FOUND);
    REQUIRE(f.market.average_price(0, 5, k_now, price, close) == TENON_NOT_FOUND);
    REQUIRE(f.market.book(7, 5, book) == TENON_NOT_FOUND);
}

TEST_CASE("diffs are applied in order and a break of ids is a gap", "[market_data][T6]") {
    Fixture f;
    f.book(TENON_FEED_SNAPSHOT, 0, 10, {{100, 1}, {99, 2}}, {{101, 1}, {103, 1}});
    f.book(TENON_FEED_DIFF, 11, 12, {{100, 0}, {98, 5}}, {{102, 4}});
    auto book = f.book();
    REQUIRE(book.trusted == 1);
    REQUIRE(book.last_update_id == 12);
    REQUIRE(book.bid_count == 2);
    REQUIRE(book.bids[0].price == 99);
    REQUIRE(book.bids[1].price == 98);
    REQUIRE(book.ask_count == 3);
    REQUIRE(book.asks[1].price == 102);

    f.kinds.clear();
    f.book(TENON_FEED_DIFF, 14, 14, {{99, 0}}, {});
    REQUIRE(f.kinds == std::vector<std::uint32_t>{TENON_MD_GAP});
    REQUIRE(f.market.gaps() == 1);
    REQUIRE(f.book().trusted == 0);
    f.book(TENON_FEED_DIFF, 15, 15, {{99, 0}}, {});
    REQUIRE(f.book().bids[0].price == 99);
    REQUIRE(f.market.gaps() == 1);

    f.book(TENON_FEED_SNAPSHOT, 0, 20, {{97, 1}}, {{105, 1}});
    REQUIRE(f.book().trusted == 1);
    REQUIRE(f.book().bid_count == 1);
}

TEST_CASE("the best prices are those of the newest update id", "[market_data][T6]") {
    Fixture f;
    f.book(TENON_FEED_SNAPSHOT, 0, 10, {{100, 1}}, {{101, 1}});
    f.kinds.clear();
    f.book(TENON_FEED_BOOK_TICKER, 0, 15, {{100, 1}}, {{101, 1}});
    REQUIRE(f.kinds.empty());  // nothing changed
    f.book(TENON_FEED_BOOK_TICKER, 0, 16, {{99, 3}}, {{101, 1}});
    REQUIRE(f.kinds == std::vector<std::uint32_t>{TENON_MD_BEST});
    // A diff that is older than the ticker does not bring the old best back.
    f.book(TENON_FEED_DIFF, 11, 12, {{100, 2}}, {});
    tenon_level bid{};
    tenon_level ask{};
    REQUIRE(f.market.best(0, bid, ask) == TENON_OK);
    REQUIRE(bid.price == 99);
    f.book(TENON_FEED_DIFF, 13, 17, {{100, 0}, {99, 4}}, {});
    REQUIRE(f.market.best(0, bid, ask) == TENON_OK);
    REQUIRE(bid.quantity == 4);
}

TEST_CASE("aggregates join trades of one price, side and millisecond", "[market_data][T6]") {
    Fixture f;
    f.trade(5, k_now, 100, 1);
    f.trade(6, k_now + 1000, 100, 2);
    f.trade(7, k_now + 2000, 101, 3);      // another price
    f.trade(8, k_now + 3000, 101, 4, 1);   // another side
    f.trade(9, k_now + k_ms, 101, 5, 1);   // another millisecond
    f.trade(11, k_now + k_ms, 101, 6, 1);  // not consecutive
    REQUIRE(f.aggregates.size() == 4);
    REQUIRE(f.aggregates[0].agg_id == 6);
    REQUIRE(f.aggregates[0].first_trade_id == 5);
    REQUIRE(f.aggregates[0].last_trade_id == 6);
    REQUIRE(f.aggregates[0].quantity == 3);
    REQUIRE(f.aggregates[3].agg_id == 9);

    REQUIRE(f.market.complete_aggregates(k_now + 2 * k_ms));
    REQUIRE(f.aggregates.size() == 4);
    REQUIRE_FALSE(f.market.complete_aggregates(k_now + 200 * k_ms));
    REQUIRE(f.aggregates.size() == 5);
    REQUIRE(f.aggregates[4].quantity == 6);
}

TEST_CASE("trades and aggregates are found by id and time", "[market_data][T6]") {
    Fixture f;
    for (std::uint64_t id = 1; id <= 10; ++id) {
        f.trade(id, k_now + static_cast<std::int64_t>(id) * k_ms, 100, 1);
    }
    f.trade(10, k_now, 100, 1);  // an old id counts for nothing
    const Tape& tape = *f.market.tape(0);
    const auto ids = [&](std::uint64_t from, std::size_t limit) {
        std::vector<std::uint64_t> found;
        REQUIRE(each_trade(tape.trades(), from, limit, [&](const tenon_public_trade& trade) {
                    found.push_back(trade.trade_id);
                    return TENON_OK;
                }) == TENON_OK);
        return found;
    };
    REQUIRE(ids(0, 2) == std::vector<std::uint64_t>{9, 10});
    REQUIRE(ids(3, 2) == std::vector<std::uint64_t>{3, 4});
    REQUIRE(ids(10, 100) == std::vector<std::uint64_t>{10});

    const auto aggregates = [&](const AggregateQuery& query) {
        std::vector<std::uint64_t> found;
        REQUIRE(each_aggregate(tape.aggregates(), query, [&](const tenon_agg_trade& trade) {
                    found.push_back(trade.agg_id);
                    return TENON_OK;
                }) == TENON_OK);
        return found;
    };
    REQUIRE(aggregates({0, 0, 0, 2}) == std::vector<std::uint64_t>{8, 9});
    REQUIRE(aggregates({2, 0, 0, 2}) == std::vector<std::uint64_t>{2, 3});
    REQUIRE(
        aggregates({0, k_now + 4 * k_ms, k_now + 6 * k_ms, 9}) ==
        std::vector<std::uint64_t>{4, 5, 6}
    );
}

TEST_CASE("a ticker of kept candles needs no trade since the start", "[market_data][T6]") {
    Fixture f;
    auto bar = sized<tenon_candle>();
    bar.open_real_ns = k_now / 60'000'000'000 * 60'000'000'000;
    bar.close_real_ns = bar.open_real_ns + 60'000'000'000 - 1;
    bar.open = bar.high = bar.low = bar.close = 10'000;
    bar.volume = bar.quote_volume = 5;
    bar.trade_count = 1;
    bar.first_trade_id = bar.last_trade_id = 7;
    f.market.candles_of(0)->put_before({&bar, 1}, {});
    f.book(TENON_FEED_SNAPSHOT, 0, 1, {{9'900, 1}}, {{10'100, 1}});
    auto ticker = sized<tenon_ticker>();
    REQUIRE(f.market.ticker(0, k_now, ticker) == TENON_OK);
    CHECK(ticker.last == 10'000);
    CHECK(ticker.last_quantity == 0);
    CHECK(ticker.trade_count == 1);
}

TEST_CASE("the ticker and the average price are exact", "[market_data][T6]") {
    Fixture f;
    f.book(TENON_FEED_SNAPSHOT, 0, 10, {{9'999, 1}}, {{10'001, 2}});
    f.trade(1, k_now, 10'000, 100'000);              // 100.00 x 1
    f.trade(2, k_now + k_ms, 10'300, 200'000);       // 103.00 x 2
    f.trade(3, k_now + 2 * k_ms, 9'900, 50'001, 1);  // 99.00 x 0.50001
    tenon_ticker ticker{};
    ticker.size = sizeof ticker;
    REQUIRE(f.market.ticker(0, k_now + 3 * k_ms, ticker) == TENON_OK);
    REQUIRE(ticker.open == 10'000);
    REQUIRE(ticker.high == 10'300);
    REQUIRE(ticker.low == 9'900);
    REQUIRE(ticker.last == 9'900);
    REQUIRE(ticker.last_quantity == 50'001);
    REQUIRE(ticker.price_change == -100);
    REQUIRE(ticker.price_change_ppm == -10'000);
    REQUIRE(ticker.volume == 350'001);
    REQUIRE(ticker.quote_volume == 35'550'099'000);  // 355.50099
    // 355.50099 / 3.50001 = 101.5714...: 101.57 rounded
    REQUIRE(ticker.weighted_average == 10'157);
    REQUIRE(ticker.bid == 9'999);
    REQUIRE(ticker.ask_quantity == 2);
    REQUIRE(ticker.trade_count == 3);

    std::int64_t price = 0;
    std::int64_t close = 0;
    REQUIRE(f.market.average_price(0, 5, k_now + 3 * k_ms, price, close) == TENON_OK);
    REQUIRE(price == 10'157);
    REQUIRE(close == k_now + 2 * k_ms);
    // Nothing traded in the window: the last price.
    REQUIRE(f.market.average_price(0, 5, k_now + 3'600'000 * k_ms, price, close) == TENON_OK);
    REQUIRE(price == 9'900);
}

TEST_CASE("the version changes with every event", "[market_data][T6]") {
    Fixture f;
    REQUIRE(f.market.version(0) == 0);
    f.book(TENON_FEED_SNAPSHOT, 0, 10, {{100, 1}}, {{101, 1}});
    const auto before = f.market.version(0);
    f.trade(1, k_now, 100, 1);
    REQUIRE(f.market.version(0) != before);
}

TEST_CASE("trades that a feed sends again after a restart count once", "[market_data][C2]") {
    Fixture f;
    auto kept = tenon::sized<tenon_public_trade>();
    kept.trade_id = 500;
    kept.price = 100;
    kept.quantity = 1;
    kept.time_real_ns = k_now;
    const TapedTrade taped{kept, 500};
    REQUIRE(f.market.put_trades_before(0, std::span{&taped, 1}));
    f.trade(400, k_now - 1, 100, 1);
    f.trade(500, k_now, 100, 1);
    CHECK(f.kinds.empty());
    CHECK(f.market.tape(0)->trades().size() == 1);
    f.trade(501, k_now, 100, 1);
    CHECK(f.kinds == std::vector<std::uint32_t>{TENON_MD_TRADE});
    CHECK(f.market.tape(0)->trades().size() == 2);
}

TEST_CASE("a source that numbers its trades anew is followed", "[market_data][C2]") {
    Fixture f;
    f.trade(1'000'000, k_now, 100, 1);
    f.trade(999'999, k_now, 100, 1);  // late, and known
    CHECK(f.market.tape(0)->trades().size() == 1);
    f.trade(1, k_now + 1, 101, 1);
    f.trade(2, k_now + 2, 102, 1);
    REQUIRE(f.market.tape(0)->trades().size() == 2);
    CHECK(f.market.tape(0)->trades()[0].trade_id == 1);
}
