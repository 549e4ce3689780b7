// SPDX-License-Identifier: Apache-2.0
// The tables of what the exchange told of before, in the shipped schema.
#include "plugins/market-data/service/old_rows.hpp"

#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

using namespace tenon::market_data;
using tenon::HistoryRows;
using tenon::test::SchemaBackend;

namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_minute = 60'000 * k_ms;

HistoryRows trades(std::uint64_t from, std::uint64_t to) {
    HistoryRows rows;
    for (std::uint64_t id = from; id <= to; ++id) {
        auto trade = tenon::sized<tenon_public_trade>();
        trade.instrument = 7;
        trade.trade_id = id;
        trade.time_real_ns = static_cast<std::int64_t>(id) * k_ms;
        trade.price = 100;
        trade.quantity = 3;
        trade.quote_amount = 300;
        trade.buyer_is_maker = 1;
        rows.trades.push_back(trade);
    }
    return rows;
}

tenon_agg_trade aggregate(std::uint64_t first, std::uint64_t last, std::int64_t time_ms) {
    auto trade = tenon::sized<tenon_agg_trade>();
    trade.instrument = 7;
    trade.agg_id = trade.last_trade_id = last;
    trade.first_trade_id = first;
    trade.time_real_ns = time_ms * k_ms;
    trade.price = 100;
    trade.quantity = 5;
    return trade;
}

HistoryRows minutes(std::int64_t from, std::int64_t to) {
    HistoryRows rows;
    for (std::int64_t at = from; at <= to; ++at) {
        auto candle = tenon::sized<tenon_candle>();
        candle.instrument = 7;
        candle.interval = TENON_INTERVAL_1M;
        candle.open_real_ns = at * k_minute;
        candle.close_real_ns = (at + 1) * k_minute - 1;
        candle.open = candle.high = candle.low = candle.close = 100 + at;
        candle.volume = 9;
        candle.trade_count = static_cast<std::uint64_t>(at);
        rows.candles.push_back(candle);
    }
    return rows;
}

struct Fixture {
    Fixture() { tenon::test::shipped_schema(backend)->up(); }

    OldRows::Found read(const Stretch& asked) { return rows.read(btc, asked, backend.deadline()); }

    void write(const Stretch& told, const HistoryRows& what) {
        rows.write(btc, told, what, backend.deadline());
    }

    SchemaBackend backend;
    OldRows rows{backend.storage()};
    StoredInstrument btc{7, "BTCUSDT", 2, 5};
};

constexpr std::uint32_t k_trades = TENON_HISTORY_TRADES;
constexpr std::uint32_t k_aggregates = TENON_HISTORY_AGG_TRADES;
constexpr std::uint32_t k_candles = TENON_HISTORY_CANDLES;

}  // namespace

TEST_CASE("trades that were told are known, and no others", "[market_data][T6][C2]") {
    Fixture f;
    CHECK_FALSE(f.read({k_trades, 0, 10, 12, 0, 3}).known);
    f.write({k_trades, 0, 10, 19, 0, 10}, trades(10, 19));
    f.write({k_trades, 0, 10, 19, 0, 10}, trades(10, 19));  // told again
    const auto found = f.read({k_trades, 0, 12, 14, 0, 3});
    CHECK(found.known);
    REQUIRE(found.rows.trades.size() == 3);
    CHECK(found.rows.trades[0].trade_id == 12);
    CHECK(found.rows.trades[0].quote_amount == 300);
    CHECK(found.rows.trades[2].buyer_is_maker == 1);
    CHECK_FALSE(f.read({k_trades, 0, 18, 22, 0, 5}).known);
    CHECK_FALSE(f.read({k_trades, 0, 9, 12, 0, 4}).known);
    f.write({k_trades, 0, 20, 25, 0, 10}, trades(20, 25));
    CHECK(f.read({k_trades, 0, 18, 22, 0, 5}).rows.trades.size() == 5);
    CHECK(f.read({k_trades, 0, 18, 22, 0, 5}).known);
}

TEST_CASE("a stretch without rows is known too", "[market_data][T6]") {
    Fixture f;
    f.write({k_candles, TENON_INTERVAL_1M, 0, 5 * k_minute - 1, 0, 5}, minutes(3, 4));
    const auto found = f.read({k_candles, TENON_INTERVAL_1M, 0, 5 * k_minute - 1, 0, 5});
    CHECK(found.known);
    REQUIRE(found.rows.candles.size() == 2);
    CHECK(found.rows.candles[0].open == 103);
    CHECK(found.rows.candles[1].close_real_ns == 5 * k_minute - 1);
    CHECK(found.rows.candles[1].trade_count == 4);
    CHECK_FALSE(f.read({k_candles, TENON_INTERVAL_5M, 0, 5 * k_minute - 1, 0, 1}).known);
}

TEST_CASE(
    "a page of aggregates that ended within a millisecond is not whole",
    "[market_data][T6]"
) {
    Fixture f;
    HistoryRows page;
    page.agg_trades = {aggregate(1, 2, 10), aggregate(3, 3, 11)};
    f.write({k_aggregates, 0, 10 * k_ms, 11 * k_ms, 0, 2}, page);
    page.agg_trades = {aggregate(5, 5, 12)};  // 4 was of the eleventh millisecond too
    f.write({k_aggregates, 0, 11 * k_ms + 1, 20 * k_ms, 0, 2}, page);
    CHECK_FALSE(f.read({k_aggregates, 0, 10 * k_ms, 20 * k_ms, 0, 9}).known);
    CHECK(f.read({k_aggregates, 0, 10 * k_ms, 20 * k_ms, 0, 2}).known);
    page.agg_trades = {aggregate(3, 3, 11), aggregate(4, 4, 11), aggregate(5, 5, 12)};
    f.write({k_aggregates, 0, 11 * k_ms, 20 * k_ms, 0, 9}, page);
    const auto whole = f.read({k_aggregates, 0, 10 * k_ms, 20 * k_ms, 0, 9});
    CHECK(whole.known);
    CHECK(whole.rows.agg_trades.size() == 4);
    const auto by_id = f.read({k_aggregates, 0, 0, 20 * k_ms, 4, 9});
    CHECK(by_id.known);
    REQUIRE(by_id.rows.agg_trades.size() == 2);
    CHECK(by_id.rows.agg_trades[0].agg_id == 4);
    CHECK_FALSE(f.read({k_aggregates, 0, 0, 20 * k_ms, 6, 9}).known);
}

TEST_CASE(
    "the rows of a page's last millisecond are given while they follow",
    "[market_data][T6]"
) {
    Fixture f;
    HistoryRows page;
    page.agg_trades = {aggregate(1, 2, 10), aggregate(3, 3, 11)};
    f.write({k_aggregates, 0, 10 * k_ms, 11 * k_ms - 1, 0, 2}, page);
    const auto same = f.read({k_aggregates, 0, 10 * k_ms, 20 * k_ms, 0, 2});
    CHECK(same.known);
    CHECK(same.rows.agg_trades.size() == 2);
    // 4 may be of the eleventh millisecond too.
    CHECK_FALSE(f.read({k_aggregates, 0, 10 * k_ms, 11 * k_ms, 0, 9}).known);
    CHECK_FALSE(f.read({k_aggregates, 0, 11 * k_ms, 20 * k_ms, 0, 1}).known);
}

TEST_CASE("rows of a later stretch do not stand in for what is between", "[market_data][T6]") {
    Fixture f;
    f.write({k_aggregates, 0, 10 * k_ms, 20 * k_ms, 0, 9}, {});  // nobody traded
    HistoryRows page;
    page.agg_trades = {aggregate(7, 7, 50), aggregate(8, 8, 51)};
    f.write({k_aggregates, 0, 50 * k_ms, 60 * k_ms, 0, 9}, page);
    const auto full_page = f.read({k_aggregates, 0, 12 * k_ms, 60 * k_ms, 0, 2});
    CHECK_FALSE(full_page.known);
    CHECK(full_page.rows.agg_trades.empty());
    CHECK(f.read({k_aggregates, 0, 12 * k_ms, 15 * k_ms, 0, 2}).known);
}

TEST_CASE("a page from an id is not known for its first millisecond", "[market_data][T6]") {
    Fixture f;
    HistoryRows page;
    page.agg_trades = {aggregate(3, 3, 10), aggregate(4, 4, 11), aggregate(5, 5, 12)};
    f.write({k_aggregates, 0, 10 * k_ms + 1, 12 * k_ms, 3, 9}, page);
    CHECK_FALSE(f.read({k_aggregates, 0, 10 * k_ms, 12 * k_ms, 0, 9}).known);
    const auto by_id = f.read({k_aggregates, 0, 0, 12 * k_ms, 3, 9});
    CHECK(by_id.known);
    CHECK(by_id.rows.agg_trades.size() == 3);
}

TEST_CASE("the oldest rows go, and what was known of their time", "[market_data][T6]") {
    Fixture f;
    const auto prune = [&](const Stretch& of, std::size_t kept) {
        return f.rows.prune(7, of, kept, f.backend.deadline());
    };
    f.write({k_trades, 0, 1, 10, 0, 10}, trades(1, 10));
    CHECK(prune({k_trades, 0}, 10) == 0);
    CHECK(prune({k_trades, 0}, 4) == 6);
    CHECK_FALSE(f.read({k_trades, 0, 6, 10, 0, 5}).known);
    CHECK(f.read({k_trades, 0, 7, 10, 0, 4}).known);
    const std::uint32_t minute = TENON_INTERVAL_1M;
    f.write({k_candles, minute, 0, 10 * k_minute - 1, 0, 10}, minutes(0, 9));
    CHECK(prune({k_candles, minute}, 4) == 6);
    CHECK_FALSE(f.read({k_candles, minute, 5 * k_minute, 10 * k_minute - 1, 0, 5}).known);
    CHECK(f.read({k_candles, minute, 6 * k_minute, 10 * k_minute - 1, 0, 4}).known);
    HistoryRows page;
    page.agg_trades = {aggregate(1, 1, 10), aggregate(2, 2, 10), aggregate(3, 3, 11)};
    f.write({k_aggregates, 0, 10 * k_ms, 11 * k_ms, 0, 3}, page);
    CHECK(prune({k_aggregates, 0}, 2) == 1);
    CHECK_FALSE(f.read({k_aggregates, 0, 10 * k_ms, 11 * k_ms, 0, 3}).known);
    CHECK(f.read({k_aggregates, 0, 11 * k_ms, 11 * k_ms, 0, 3}).known);
}

TEST_CASE("what counts as known is here, whoever writes and prunes at once", "[market_data][C2]") {
    Fixture f;
    // PostgreSQL's weakest isolation, which does not find such conflicts by itself.
    const auto weaken = [](auto& backend) {
        if constexpr (requires { backend.settings.isolation; }) {
            backend.settings.isolation = "read committed";
            backend.open();
        }
    };
    weaken(f.backend);
    f.rows = OldRows{f.backend.storage()};
    constexpr std::uint64_t k_last = 400;
    constexpr std::uint64_t k_page = 8;
    std::vector<std::thread> threads;
    // Both tell everything, in pages that overlap.
    for (const std::uint64_t shift : {std::uint64_t{0}, std::uint64_t{3}}) {
        threads.emplace_back([&f, shift] {
            for (std::uint64_t from = 1 + shift; from <= k_last; from += k_page) {
                const std::uint64_t to = from + k_page - 1;
                f.write(
                    {k_trades,
                     0,
                     static_cast<std::int64_t>(from),
                     static_cast<std::int64_t>(to),
                     0,
                     k_page},
                    trades(from, to)
                );
            }
        });
    }
    threads.emplace_back([&f] {
        for (int i = 0; i < 50; ++i) {
            (void)f.rows.prune(7, {k_trades, 0}, 20, f.backend.deadline());
        }
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    const auto number = [&f](const char* sql) {
        std::int64_t found = -1;
        f.backend.storage().read(f.backend.deadline(), [&](tenon::Session& session) {
            tenon::Statement rows = session.prepare(sql);
            REQUIRE(rows.step());
            found = rows.integer(0);
        });
        return found;
    };
    CHECK(number("SELECT count(*) FROM known_history") > 0);
    CHECK(
        number("SELECT count(*) FROM known_history a JOIN known_history b "
               "ON a.first_at < b.first_at AND b.first_at <= a.last_at") == 0
    );
    CHECK(
        number("SELECT count(*) FROM known_history k WHERE k.last_at - k.first_at + 1 <> (SELECT "
               "count(*) FROM old_trades t WHERE t.last_trade_id BETWEEN k.first_at AND k.last_at)"
        ) == 0
    );
}

TEST_CASE("rows of another symbol or scale are not given", "[market_data][T6]") {
    Fixture f;
    f.write({k_trades, 0, 1, 3, 0, 3}, trades(1, 3));
    f.btc.price_scale = 3;
    CHECK_FALSE(f.read({k_trades, 0, 1, 3, 0, 3}).known);
}
