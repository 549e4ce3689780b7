// SPDX-License-Identifier: Apache-2.0
// Which older rows memory lacks, and how what is found of them goes on with memory's.
#include "plugins/market-data/service/history_plan.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <vector>

using namespace tenon::market_data;
using tenon::HistoryRows;
using tenon::sized;

namespace {

constexpr std::int64_t k_start = 1'700'000'040'000'000'000;  // a full minute
static_assert(k_start % k_minute_ns == 0);

struct Fixture {
    Fixture() { market.add_instrument(0, {2, 3, 8}); }

    // One trade a minute, by id from k_start on.
    void trade(std::uint64_t id) { trade(id, at(id)); }

    void trade(std::uint64_t id, std::int64_t time_ns) {
        tenon_feed_event event{};
        event.kind = TENON_FEED_TRADE;
        event.event_real_ns = time_ns;
        event.trade_id = id;
        event.price = 100 + static_cast<std::int64_t>(id);
        event.quantity = 5;
        market.on_event(event);
    }

    [[nodiscard]] static std::int64_t at(std::uint64_t id) {
        return k_start + static_cast<std::int64_t>(id) * k_minute_ns;
    }

    [[nodiscard]] tenon_history_query query(std::uint32_t kind, std::uint32_t limit) const {
        auto made = sized<tenon_history_query>();
        made.kind = kind;
        made.limit = limit;
        made.interval = TENON_INTERVAL_1M;
        return made;
    }

    [[nodiscard]] auto plan(const tenon_history_query& query) {
        return plan_history(market, query, now);
    }

    std::int64_t now = at(20) + 30 * k_second_ns;
    Market market{{}, [](const tenon_md_event&) {}};
};

tenon_candle minute(std::int64_t open_ns, std::int64_t close) {
    auto candle = sized<tenon_candle>();
    candle.interval = TENON_INTERVAL_1M;
    candle.open_real_ns = open_ns;
    candle.close_real_ns = open_ns + k_minute_ns - 1;
    candle.open = candle.high = candle.low = candle.close = close;
    return candle;
}

}  // namespace

TEST_CASE("candles from where memory is whole need no read", "[market_data][T6]") {
    Fixture f;
    for (std::uint64_t id = 10; id <= 20; ++id) {
        f.trade(id);
    }
    auto query = f.query(TENON_HISTORY_CANDLES, 5);
    CHECK_FALSE(f.plan(query));
    query.limit = 10;  // from the eleventh on; the tenth may have had trades before
    CHECK_FALSE(f.plan(query));
    query.limit = 12;
    auto plan = f.plan(query);
    REQUIRE(plan);
    CHECK(plan->newest);
    CHECK(plan->memory_from_ns == f.at(11));
    CHECK(plan->fetch.start_real_ns == f.at(9));
    CHECK(plan->fetch.end_real_ns == f.at(11) - 1);
    REQUIRE(plan->stretch);
    CHECK(plan->stretch->to == f.at(11) - 1);
    query.start_real_ns = f.at(11);
    CHECK_FALSE(f.plan(query));
    query.start_real_ns = f.at(20) + 1;
    query.end_real_ns = f.at(20) + 2;
    CHECK_FALSE(f.plan(query));  // no minute opens between them
    query.end_real_ns = 0;
    query.start_real_ns = f.at(3);
    query.offset_ns = k_hour_ns;
    query.interval = TENON_INTERVAL_1D;
    query.start_real_ns = 1;
    plan = f.plan(query);
    REQUIRE(plan);
    CHECK_FALSE(plan->stretch);  // days of another zone are not kept
}

TEST_CASE("a hole in the trades is a hole in the candles", "[market_data][T6]") {
    Fixture f;
    f.trade(10);
    f.trade(11);
    f.trade(14);  // 12 and 13 were missed
    f.trade(15);
    auto query = f.query(TENON_HISTORY_CANDLES, 100);
    query.start_real_ns = f.at(15);
    CHECK_FALSE(f.plan(query));
    query.start_real_ns = f.at(14);
    const auto plan = f.plan(query);
    REQUIRE(plan);
    CHECK(plan->memory_from_ns == f.at(15));
}

TEST_CASE("kept candles join memory's by the ids of their trades", "[market_data][T6]") {
    const auto kept = [](std::uint64_t id, std::uint64_t count) {
        tenon_candle bar = minute(Fixture::at(id), 100);
        bar.last_trade_id = id;
        bar.first_trade_id = id - count + 1;
        bar.trade_count = count;
        return bar;
    };
    Fixture joined;
    joined.trade(10);
    joined.trade(11);
    joined.market.candles_of(0)->put_before(
        std::vector{kept(8, 3), kept(9, 1)}, std::vector<tenon_candle>{}
    );
    CHECK(joined.market.candles_of(0)->whole_from(TENON_INTERVAL_1M, 0) == Fixture::at(9));
    Fixture apart;
    apart.trade(10);
    apart.trade(11);
    apart.market.candles_of(0)->put_before(
        std::vector{kept(7, 2), kept(8, 1)}, std::vector<tenon_candle>{}
    );
    CHECK(apart.market.candles_of(0)->whole_from(TENON_INTERVAL_1M, 0) == Fixture::at(11));
    CHECK(apart.market.candles_of(0)->whole_from(TENON_INTERVAL_15M, 0) == Fixture::at(16));
}

TEST_CASE("what is found of candles goes on with memory's", "[market_data][T6]") {
    Fixture f;
    for (std::uint64_t id = 10; id <= 20; ++id) {
        f.trade(id);
    }
    auto query = f.query(TENON_HISTORY_CANDLES, 6);
    query.start_real_ns = f.at(9);
    const auto plan = f.plan(query);
    REQUIRE(plan);
    HistoryRows rows;
    rows.candles = {minute(f.at(9), 1), minute(f.at(10), 2), minute(f.at(11), 3)};
    CHECK(join_memory(f.market, query, *plan, f.now, rows));
    REQUIRE(rows.candles.size() == 6);
    CHECK(rows.candles[1].close == 2);
    CHECK(rows.candles[2].close == 111);
    CHECK(rows.candles[5].open_real_ns == f.at(14));
    // Nothing is known of before: the market began later.
    rows = {};
    CHECK(join_memory(f.market, query, *plan, f.now, rows));
    CHECK(rows.candles.front().open_real_ns == f.at(11));
}

TEST_CASE("a candle in progress is told and not kept", "[market_data][T6]") {
    Fixture f;  // without a trade
    auto query = f.query(TENON_HISTORY_CANDLES, 3);
    const auto plan = f.plan(query);
    REQUIRE(plan);
    CHECK(plan->memory_from_ns == 0);
    HistoryRows rows;
    rows.candles = {minute(f.at(18), 1), minute(f.at(19), 2), minute(f.at(20), 3)};
    const auto told = told_by(*plan, rows, f.now);
    REQUIRE(told);
    CHECK(told->from == f.at(18));
    CHECK(told->to == f.at(20) - 1);
    CHECK(rows.candles.size() == 2);
}

TEST_CASE("trades from an id are read where memory has not all", "[market_data][T6]") {
    Fixture f;
    for (std::uint64_t id = 100; id <= 120; ++id) {
        f.trade(id);
    }
    auto query = f.query(TENON_HISTORY_TRADES, 10);
    query.from_id = 100;
    CHECK_FALSE(f.plan(query));
    query.from_id = 95;
    auto plan = f.plan(query);
    REQUIRE(plan);
    CHECK(plan->stretch->from == 95);
    CHECK(plan->stretch->to == 99);
    HistoryRows rows;
    for (std::uint64_t id = 95; id <= 104; ++id) {
        rows.trades.push_back(sized<tenon_public_trade>());
        rows.trades.back().trade_id = id;
        rows.trades.back().price = 7;
    }
    HistoryRows kept = rows;
    CHECK(told_by(*plan, kept, f.now)->to == 104);
    CHECK(join_memory(f.market, query, *plan, f.now, rows));
    REQUIRE(rows.trades.size() == 10);
    CHECK(rows.trades[4].price == 7);
    CHECK(rows.trades[5].price == 200);
    CHECK(rows.trades[9].trade_id == 104);
    query.from_id = 10;  // does not reach memory
    plan = f.plan(query);
    REQUIRE(plan);
    CHECK(plan->stretch->to == 19);
    CHECK(plan->memory_from_id == 0);
}

TEST_CASE(
    "aggregates from an id or a time are read where memory has not all",
    "[market_data][T6]"
) {
    Fixture f;
    for (std::uint64_t id = 100; id <= 110; ++id) {
        f.trade(id, k_start + static_cast<std::int64_t>(id) * k_second_ns);
    }
    const auto time = [](std::uint64_t id) {
        return k_start + static_cast<std::int64_t>(id) * k_second_ns;
    };
    auto query = f.query(TENON_HISTORY_AGG_TRADES, 5);
    query.from_id = 101;
    CHECK_FALSE(f.plan(query));
    query.from_id = 100;  // it may have begun with trades that memory has not
    CHECK(f.plan(query));
    query.from_id = 0;
    query.start_real_ns = time(101) + 1;
    CHECK_FALSE(f.plan(query));
    query.start_real_ns = time(99);
    const auto plan = f.plan(query);
    REQUIRE(plan);
    CHECK(plan->memory_from_id == 101);
    HistoryRows rows;
    for (const std::uint64_t last : {98U, 100U}) {
        rows.agg_trades.push_back(sized<tenon_agg_trade>());
        rows.agg_trades.back().agg_id = rows.agg_trades.back().last_trade_id = last;
        rows.agg_trades.back().first_trade_id = last - 1;
        rows.agg_trades.back().time_real_ns = time(last);
    }
    CHECK(join_memory(f.market, query, *plan, f.now, rows));
    REQUIRE(rows.agg_trades.size() == 5);
    CHECK(rows.agg_trades[1].agg_id == 100);
    CHECK(rows.agg_trades[2].agg_id == 101);
}

TEST_CASE("a full page of aggregates is not known for its last millisecond", "[market_data][T6]") {
    Fixture f;
    f.now = k_start + k_hour_ns;
    f.trade(100);
    auto query = f.query(TENON_HISTORY_AGG_TRADES, 2);
    query.start_real_ns = k_start;
    const auto plan = f.plan(query);
    REQUIRE(plan);
    HistoryRows rows;
    for (const std::uint64_t id : {1U, 2U}) {
        rows.agg_trades.push_back(sized<tenon_agg_trade>());
        rows.agg_trades.back().agg_id = rows.agg_trades.back().last_trade_id = id;
        rows.agg_trades.back().first_trade_id = id;
        rows.agg_trades.back().time_real_ns = k_start + static_cast<std::int64_t>(id) * k_second_ns;
    }
    const auto told = told_by(*plan, rows, f.now);
    REQUIRE(told);
    CHECK(told->from == k_start);
    CHECK(told->to == k_start + 2 * k_second_ns - 1);
    CHECK(rows.agg_trades.size() == 2);
    auto by_id = f.query(TENON_HISTORY_AGG_TRADES, 9);
    by_id.from_id = 1;
    const auto from_id = told_by(*f.plan(by_id), rows, f.now);
    REQUIRE(from_id);
    CHECK(from_id->from == k_start + k_second_ns + 1);
}

TEST_CASE("a query that makes no sense is refused", "[market_data][T6]") {
    Fixture f;
    auto query = f.query(TENON_HISTORY_TRADES, 0);
    CHECK_THROWS_AS(f.plan(query), tenon::Error);
    query.limit = TENON_HISTORY_ROWS_MAX + 1;
    CHECK_THROWS_AS(f.plan(query), tenon::Error);
    query = f.query(9, 5);
    CHECK_THROWS_AS(f.plan(query), tenon::Error);
    query = f.query(TENON_HISTORY_CANDLES, 5);
    query.interval = TENON_INTERVAL_COUNT;
    CHECK_THROWS_AS(f.plan(query), tenon::Error);
    query = f.query(TENON_HISTORY_CANDLES, 5);
    query.start_real_ns = -1;
    CHECK_THROWS_AS(f.plan(query), tenon::Error);
    query = f.query(TENON_HISTORY_TRADES, 5);
    query.instrument = 3;
    CHECK_THROWS_AS(f.plan(query), tenon::Error);
}
