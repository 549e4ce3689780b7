// SPDX-License-Identifier: Apache-2.0
// What the tape keeps over a restart.
#include "plugins/market-data/service/tape.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <vector>

using namespace tenon::market_data;

namespace {

constexpr std::int64_t k_ms = 1'000'000;

tenon_public_trade trade(std::uint64_t id, std::int64_t ms, std::int64_t price = 100) {
    auto made = tenon::sized<tenon_public_trade>();
    made.trade_id = id;
    made.price = price;
    made.quantity = 2;
    made.time_real_ns = ms * k_ms;
    return made;
}

std::vector<std::uint64_t> ids(const Tape& tape) {
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i < tape.trades().size(); ++i) {
        out.push_back(tape.trades()[i].trade_id);
    }
    return out;
}

}  // namespace

TEST_CASE("a tape that is put back has the same trades and aggregates", "[market_data][C2]") {
    Tape before{100, 100};
    for (std::uint64_t id = 1; id <= 20; ++id) {
        (void)before.add(trade(id, static_cast<std::int64_t>(id / 3)));
    }
    const auto kept = before.after(0, 1'000);
    REQUIRE(kept.size() == 20);
    CHECK(before.after(18, 1'000).size() == 2);
    CHECK(before.after(0, 5).back().trade.trade_id == 5);
    CHECK(kept[0].agg_id == 1);
    CHECK(kept[1].agg_id == 1);
    CHECK(kept[2].agg_id == 3);
    CHECK(kept.back().agg_id != 0);  // of the one that is still open
    Tape after{100, 100};
    REQUIRE(after.put_before(kept));
    CHECK(ids(after) == ids(before));
    (void)before.complete_before(1'000 * k_ms);
    REQUIRE(after.aggregates().size() == before.aggregates().size());
    for (std::size_t i = 0; i < after.aggregates().size(); ++i) {
        CHECK(after.aggregates()[i].agg_id == before.aggregates()[i].agg_id);
        CHECK(after.aggregates()[i].first_trade_id == before.aggregates()[i].first_trade_id);
        CHECK(after.aggregates()[i].last_trade_id == before.aggregates()[i].last_trade_id);
        CHECK(after.aggregates()[i].quantity == before.aggregates()[i].quantity);
    }
    // The ids of aggregates go on.
    (void)after.add(trade(21, 100));
    (void)before.add(trade(21, 100));
    CHECK(after.after(20, 1)[0].agg_id == before.after(20, 1)[0].agg_id);
}

TEST_CASE("what was kept comes before what came since", "[market_data][C2]") {
    Tape tape{5, 5};
    (void)tape.add(trade(13, 13));
    (void)tape.add(trade(14, 14));
    const std::vector<TapedTrade> kept{
        {trade(10, 10), 4}, {trade(11, 11), 5}, {trade(12, 12), 6}, {trade(13, 13), 7}};
    REQUIRE(tape.put_before(kept));
    CHECK(ids(tape) == std::vector<std::uint64_t>{10, 11, 12, 13, 14});
    REQUIRE(tape.aggregates().size() == 4);
    CHECK(tape.aggregates()[2].agg_id == 12);
    CHECK(tape.aggregates()[3].agg_id == 13);
    Tape small{3, 3};
    REQUIRE(small.put_before(kept));
    CHECK(ids(small) == std::vector<std::uint64_t>{11, 12, 13});
}

TEST_CASE("trades without a known aggregate are kept as trades alone", "[market_data][C2]") {
    Tape before{100, 2};
    for (std::uint64_t id = 1; id <= 6; ++id) {
        (void)before.add(trade(id, static_cast<std::int64_t>(id)));
    }
    const auto kept = before.after(0, 100);
    CHECK(kept[0].agg_id == 0);
    CHECK(kept[5].agg_id == 6);
    Tape after{100, 100};
    REQUIRE(after.put_before(kept));
    CHECK(after.trades().size() == 6);
    CHECK(after.aggregates().size() == 3);
}

TEST_CASE("ids that begin again are another history", "[market_data][C2]") {
    const std::vector<TapedTrade> kept{{trade(10, 10), 10}, {trade(11, 11), 11}};
    Tape tape{100, 100};
    REQUIRE(tape.put_before(kept));
    (void)tape.add(trade(10, 10));  // of the same history, and known
    CHECK(tape.restarts() == 0);
    CHECK(ids(tape) == std::vector<std::uint64_t>{10, 11});
    (void)tape.add(trade(3, 500));
    CHECK(tape.restarts() == 1);
    CHECK(ids(tape) == std::vector<std::uint64_t>{3});
    CHECK(tape.aggregates().empty());
    CHECK(tape.after(0, 10)[0].agg_id == 3);
    // Noticed when they are put back later.
    Tape late{100, 100};
    (void)late.add(trade(3, 500));
    CHECK_FALSE(late.put_before(kept));
    CHECK(ids(late) == std::vector<std::uint64_t>{3});
}

TEST_CASE("a tape knows from which trade on none is missing", "[market_data][T6]") {
    Tape tape{4, 4};
    CHECK(tape.whole_from() == 0);
    (void)tape.add(trade(5, 5));
    (void)tape.add(trade(6, 6));
    CHECK(tape.whole_from() == 5);
    (void)tape.add(trade(8, 8));
    (void)tape.add(trade(9, 9));
    (void)tape.add(trade(10, 10));
    CHECK(tape.whole_from() == 8);
    // The first aggregate of them may have begun with the one that is missing.
    CHECK(tape.aggregates()[tape.whole_aggregates()].agg_id == 9);
    (void)tape.add(trade(11, 11));
    (void)tape.add(trade(12, 12));
    CHECK(tape.whole_from() == 9);  // the ring is full
    Tape late{10, 10};
    (void)late.add(trade(12, 12));
    REQUIRE(late.put_before(std::vector<TapedTrade>{{trade(9, 9), 9}, {trade(11, 11), 11}}));
    CHECK(late.whole_from() == 11);
}
