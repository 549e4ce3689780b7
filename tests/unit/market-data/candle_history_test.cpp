// SPDX-License-Identifier: Apache-2.0
// What is kept of candles over a restart, without a database.
#include "plugins/market-data/service/candle_history.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <vector>

using namespace tenon::market_data;

namespace {

constexpr std::int64_t k_midnight = 1'700'006'400'000'000'000;

tenon_public_trade trade(std::uint64_t id, std::int64_t second, std::int64_t price) {
    const std::int64_t at = k_midnight + second * k_second_ns;
    return {sizeof(tenon_public_trade), 0, id, price, 2, 2 * price, at, 0, 0};
}

tenon_candle minute(std::int64_t number, std::int64_t price, std::uint64_t trades) {
    auto bar = tenon::sized<tenon_candle>();
    bar.open_real_ns = k_midnight + number * k_minute_ns;
    bar.close_real_ns = bar.open_real_ns + k_minute_ns - 1;
    bar.open = bar.high = bar.low = bar.close = price;
    bar.volume = static_cast<std::int64_t>(trades);
    bar.quote_volume = price * bar.volume;
    bar.trade_count = trades;
    bar.first_trade_id = 1;
    bar.last_trade_id = trades;
    return bar;
}

std::vector<tenon_candle> changed(const Candles& candles, CandleMark& mark, std::size_t most = 99) {
    std::vector<tenon_candle> out;
    take_changed(candles.minutes(), TENON_INTERVAL_1M, most, mark, out);
    return out;
}

}  // namespace

TEST_CASE("kept candles come before what was seen, and a bar in both is one", "[market_data][T6]") {
    Candles candles{{}};
    candles.add(trade(100, 2 * 60 + 30, 70));
    candles.add(trade(101, 3 * 60, 60));
    // The fourth opens after the first bar that was seen: another clock has written it.
    const std::vector kept{minute(0, 40, 5), minute(2, 50, 7), minute(4, 10, 1)};
    candles.put_before(kept, {});
    std::vector<tenon_candle> rows;
    const std::int64_t now = k_midnight + 3 * k_minute_ns + 1;
    REQUIRE(candles.query({TENON_INTERVAL_1M, 0, 0, 0, 10}, now, [&](const tenon_candle& row) {
        rows.push_back(row);
        return TENON_OK;
    }) == TENON_OK);
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].trade_count == 5);
    CHECK(rows[1].trade_count == 0);
    CHECK(rows[1].close == 40);
    CHECK(rows[2].trade_count == 8);
    CHECK(rows[2].open == 50);
    CHECK(rows[2].high == 70);
    CHECK(rows[2].close == 70);
    CHECK(rows[2].volume == 9);
    CHECK(rows[2].first_trade_id == 1);
    CHECK(rows[2].last_trade_id == 100);
    CHECK(rows[3].trade_count == 1);
    // The day counts what was before the start.
    CHECK(candles.day(now)->trade_count == 14);
    CHECK(candles.day(now)->open == 40);
}

TEST_CASE("kept candles keep to the bound of their tier", "[market_data][T6]") {
    CandleBounds bounds;
    bounds.minutes = 3;
    Candles candles{bounds};
    candles.add(trade(9, 600, 70));
    candles.put_before(std::vector{minute(1, 1, 1), minute(2, 2, 1), minute(3, 3, 1)}, {});
    REQUIRE(candles.minutes().bars().size() == 3);
    CHECK(candles.minutes().bars()[0].open == 2);
    CHECK(candles.minutes().bars().back().open == 70);
}

TEST_CASE("a candle is taken when it changed, oldest first, none left out", "[market_data][T6]") {
    Candles candles{{}};
    CandleMark mark;
    CHECK(changed(candles, mark).empty());
    for (std::uint64_t i = 0; i < 5; ++i) {
        candles.add(trade(i, static_cast<std::int64_t>(i) * 60, 10));
    }
    CHECK(changed(candles, mark, 3).size() == 3);
    const auto rest = changed(candles, mark, 3);
    REQUIRE(rest.size() == 2);
    CHECK(rest[0].open_real_ns == k_midnight + 3 * k_minute_ns);
    CHECK(rest[0].interval == TENON_INTERVAL_1M);
    CHECK(changed(candles, mark).empty());
    candles.add(trade(9, 4 * 60 + 59, 10));  // in the newest one
    const auto again = changed(candles, mark);
    REQUIRE(again.size() == 1);
    CHECK(again[0].trade_count == 2);
    candles.add(trade(10, 5 * 60, 10));
    CHECK(changed(candles, mark).size() == 1);
}
