// SPDX-License-Identifier: Apache-2.0
// The service on the real recording, against naive computations.
#include "plugins/market-data/service/intervals.hpp"
#include "plugins/market-data/service/market.hpp"
#include "tests/support/recorded_market.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <vector>

using namespace tenon;
using namespace tenon::market_data;

namespace {

constexpr std::int64_t k_start_real_ns = 1'790'000'000'000'000'000;

struct Naive {
    std::map<std::int64_t, std::int64_t> bids, asks;
    std::vector<tenon_public_trade> trades;

    void operator()(const tenon_feed_event& event) {
        if (event.kind == TENON_FEED_SNAPSHOT) {
            bids.clear();
            asks.clear();
        }
        if (event.kind == TENON_FEED_SNAPSHOT || event.kind == TENON_FEED_DIFF) {
            for (std::uint32_t i = 0; i < event.bid_count; ++i) {
                set(bids, event.bids[i]);
            }
            for (std::uint32_t i = 0; i < event.ask_count; ++i) {
                set(asks, event.asks[i]);
            }
        }
        if (event.kind == TENON_FEED_TRADE) {
            // Scales 2 and 5 make 7 decimals, the quote asset has 8.
            trades.push_back(
                {sizeof(tenon_public_trade),
                 event.instrument,
                 event.trade_id,
                 event.price,
                 event.quantity,
                 event.price * event.quantity * 10,
                 event.event_real_ns,
                 event.buyer_is_maker,
                 0}
            );
        }
    }

    static void set(std::map<std::int64_t, std::int64_t>& side, const tenon_level& level) {
        if (level.quantity == 0) {
            side.erase(level.price);
        } else {
            side[level.price] = level.quantity;
        }
    }
};

}  // namespace

TEST_CASE("book, candles and ticker of two recorded loops equal naive ones", "[market_data][T6]") {
    Naive naive;
    std::uint64_t aggregated = 0;
    Market market{{}, [&](const tenon_md_event& event) {
                      if (event.kind == TENON_MD_AGG) {
                          aggregated += event.agg->last_trade_id - event.agg->first_trade_id + 1;
                      }
                  }};
    market.add_instrument(0, {2, 5, 8});
    replay::Replay replay{
        {0, false, true},
        [&](const tenon_feed_event& event) {
            naive(event);
            market.on_event(event);
        },
        [](const std::string&, const std::string&) {}};
    replay.add(0, "BTCUSDT", test::prefetch_now(test::recorded_file("btcusdt"), {"BTCUSDT", 2, 5}));
    while (replay.statistics().loops <= 2) {
        (void)replay.step(0, k_start_real_ns);
    }

    tenon_book book{};
    REQUIRE(market.book(0, 0, book) == TENON_OK);
    REQUIRE(market.gaps() == 0);
    REQUIRE(book.trusted == 1);
    REQUIRE(book.bid_count == naive.bids.size());
    REQUIRE(book.ask_count == naive.asks.size());
    REQUIRE(std::equal(
        naive.bids.rbegin(),
        naive.bids.rend(),
        book.bids,
        [](const auto& a, const tenon_level& b) {
            return a.first == b.price && a.second == b.quantity;
        }
    ));
    REQUIRE(std::equal(
        naive.asks.begin(),
        naive.asks.end(),
        book.asks,
        [](const auto& a, const tenon_level& b) {
            return a.first == b.price && a.second == b.quantity;
        }
    ));
    REQUIRE(book.bids[0].price < book.asks[0].price);

    const std::int64_t now = naive.trades.back().time_real_ns;
    (void)market.complete_aggregates(now + k_second_ns);
    REQUIRE(aggregated == naive.trades.size());

    for (const std::uint32_t interval :
         std::vector<std::uint32_t>{TENON_INTERVAL_1S, TENON_INTERVAL_1M, TENON_INTERVAL_5M}) {
        std::size_t next = 0;
        REQUIRE(market.candles(0, {interval, 0, 0, 0, 1000}, now, [&](const tenon_candle& candle) {
            std::int64_t volume = 0;
            std::int64_t high = 0;
            for (; next < naive.trades.size() &&
                   naive.trades[next].time_real_ns <= candle.close_real_ns;
                 ++next) {
                volume += naive.trades[next].quantity;
                high = std::max(high, naive.trades[next].price);
            }
            CHECK(candle.volume == volume);
            CHECK((volume == 0 || candle.high == high));
            return TENON_OK;
        }) == TENON_OK);
        REQUIRE(next == naive.trades.size());
    }

    tenon_ticker ticker{};
    REQUIRE(market.ticker(0, now, ticker) == TENON_OK);
    std::int64_t volume = 0;
    std::int64_t quote_volume = 0;
    for (const auto& trade : naive.trades) {
        volume += trade.quantity;
        quote_volume += trade.quote_amount;
    }
    REQUIRE(ticker.volume == volume);
    REQUIRE(ticker.quote_volume == quote_volume);
    REQUIRE(ticker.trade_count == naive.trades.size());
    REQUIRE(ticker.open == naive.trades.front().price);
    REQUIRE(ticker.last == naive.trades.back().price);
}
