// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/candles.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace tenon::market_data;

namespace {

[[nodiscard]] std::int64_t
utc(int year, unsigned month, unsigned day, int hour = 0, int minute = 0, int second = 0) {
    const std::chrono::sys_days date{std::chrono::year_month_day{
        std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}}};
    return date.time_since_epoch().count() * k_day_ns + hour * k_hour_ns + minute * k_minute_ns +
           second * k_second_ns;
}

[[nodiscard]] tenon_public_trade trade(
    std::uint64_t id,
    std::int64_t time_ns,
    std::int64_t price,
    std::int64_t quantity = 1,
    std::uint32_t buyer_is_maker = 0
) {
    return {
        sizeof(tenon_public_trade),
        0,
        id,
        price,
        quantity,
        price * quantity,
        time_ns,
        buyer_is_maker,
        0};
}

[[nodiscard]] std::vector<tenon_candle>
all(const Candles& candles, const CandleQuery& query, std::int64_t now_ns) {
    std::vector<tenon_candle> rows;
    REQUIRE(candles.query(query, now_ns, [&](const tenon_candle& candle) {
        rows.push_back(candle);
        return TENON_OK;
    }) == TENON_OK);
    return rows;
}

[[nodiscard]] unsigned seed() {
    const char* const given = std::getenv("TENON_TEST_SEED");
    return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : 20'240'808U;
}

}  // namespace

TEST_CASE("candles open where the calendar says", "[market_data][T6]") {
    const std::int64_t friday = utc(2024, 8, 9, 13, 47, 59) + 999'999'999;
    REQUIRE(candle_open(TENON_INTERVAL_1S, friday, 0) == utc(2024, 8, 9, 13, 47, 59));
    REQUIRE(candle_open(TENON_INTERVAL_15M, friday, 0) == utc(2024, 8, 9, 13, 45));
    REQUIRE(candle_open(TENON_INTERVAL_1W, friday, 0) == utc(2024, 8, 5));
    REQUIRE(candle_open(TENON_INTERVAL_1W, utc(2024, 8, 5), 0) == utc(2024, 8, 5));
    REQUIRE(candle_open(TENON_INTERVAL_1MO, friday, 0) == utc(2024, 8, 1));
    REQUIRE(candle_step(TENON_INTERVAL_1MO, utc(2024, 12, 1), 1, 0) == utc(2025, 1, 1));
    REQUIRE(candle_step(TENON_INTERVAL_1MO, utc(2024, 3, 1), -1, 0) == utc(2024, 2, 1));
    // Eight hours ahead a day opens at 16:00 UTC, and so do week and month.
    REQUIRE(candle_open(TENON_INTERVAL_1D, friday, 8 * k_hour_ns) == utc(2024, 8, 8, 16));
    REQUIRE(candle_open(TENON_INTERVAL_1W, friday, 8 * k_hour_ns) == utc(2024, 8, 4, 16));
    REQUIRE(candle_open(TENON_INTERVAL_1MO, friday, 8 * k_hour_ns) == utc(2024, 7, 31, 16));
    REQUIRE(
        candle_step(TENON_INTERVAL_1MO, utc(2024, 7, 31, 16), 1, 8 * k_hour_ns) ==
        utc(2024, 8, 31, 16)
    );
    REQUIRE(
        candle_open(TENON_INTERVAL_1H, friday, 5 * k_hour_ns + 45 * k_minute_ns) ==
        utc(2024, 8, 9, 13, 15)
    );
}

TEST_CASE("candles without trades are flat at the close before them", "[market_data][T6]") {
    Candles candles{{}};
    const std::int64_t start = utc(2024, 8, 9, 10);
    candles.add(trade(1, start + 5 * k_second_ns, 100, 2));
    candles.add(trade(2, start + 8 * k_second_ns, 90, 1, 1));
    candles.add(trade(3, start + 3 * k_minute_ns, 120));
    const auto rows = all(candles, {TENON_INTERVAL_1M, 0, 0, 0, 10}, start + 4 * k_minute_ns + 1);
    REQUIRE(rows.size() == 5);
    REQUIRE(rows[0].open_real_ns == start);
    REQUIRE(rows[0].close_real_ns == start + k_minute_ns - 1);
    REQUIRE(rows[0].open == 100);
    REQUIRE(rows[0].low == 90);
    REQUIRE(rows[0].close == 90);
    REQUIRE(rows[0].volume == 3);
    REQUIRE(rows[0].quote_volume == 290);
    REQUIRE(rows[0].taker_buy_volume == 2);
    REQUIRE(rows[0].taker_buy_quote_volume == 200);
    REQUIRE(rows[0].trade_count == 2);
    REQUIRE(rows[1].open == 90);
    REQUIRE(rows[1].trade_count == 0);
    REQUIRE(rows[1].first_trade_id == 0);
    REQUIRE(rows[3].close == 120);
    REQUIRE(rows[4].open == 120);
    REQUIRE(rows[4].volume == 0);
}

TEST_CASE("candle queries keep to their start, end and limit", "[market_data][T6]") {
    Candles candles{{}};
    const std::int64_t start = utc(2024, 8, 9, 10);
    for (std::uint64_t i = 0; i < 20; ++i) {
        candles.add(trade(i + 1, start + static_cast<std::int64_t>(i) * k_minute_ns, 100));
    }
    const std::int64_t now = start + 19 * k_minute_ns;
    const auto newest = all(candles, {TENON_INTERVAL_1M, 0, 0, 0, 3}, now);
    REQUIRE(newest.size() == 3);
    REQUIRE(newest.back().open_real_ns == now);
    const auto from = all(candles, {TENON_INTERVAL_1M, start + 1, 0, 0, 2}, now);
    REQUIRE(from.size() == 2);
    REQUIRE(from[0].open_real_ns == start + k_minute_ns);
    const auto until = all(candles, {TENON_INTERVAL_1M, 0, start + 5 * k_minute_ns + 3, 0, 2}, now);
    REQUIRE(until.size() == 2);
    REQUIRE(until[1].open_real_ns == start + 5 * k_minute_ns);
    REQUIRE(all(candles, {TENON_INTERVAL_1M, now + 1, 0, 0, 5}, now).empty());
    REQUIRE(all(candles, {TENON_INTERVAL_1M, start - k_day_ns, start - 1, 0, 5}, now).empty());
}

TEST_CASE("every interval equals a naive fold of random trades", "[market_data][T6]") {
    INFO("TENON_TEST_SEED=" << seed());
    std::mt19937 random{seed()};
    Candles candles{{}};
    std::vector<tenon_public_trade> trades;
    std::int64_t time = utc(2024, 1, 30, 3, 7);
    for (std::uint64_t id = 1; id <= 3000; ++id) {
        time += static_cast<std::int64_t>(random() % 3'600'000) * 1'000'000;
        trades.push_back(trade(
            id,
            time,
            1000 + static_cast<std::int64_t>(random() % 500),
            1 + static_cast<std::int64_t>(random() % 100),
            random() % 2
        ));
        candles.add(trades.back());
    }
    const std::int64_t offset = GENERATE(0, 8, -3) * k_hour_ns;
    for (std::uint32_t interval = TENON_INTERVAL_1H; interval < TENON_INTERVAL_COUNT; ++interval) {
        const auto rows = all(candles, {interval, 0, 0, offset, 5000}, time);
        std::size_t next = 0;
        for (const tenon_candle& row : rows) {
            auto naive = tenon::sized<tenon_candle>();
            for (; next < trades.size() && trades[next].time_real_ns <= row.close_real_ns; ++next) {
                const auto& one = trades[next];
                naive.open = naive.trade_count == 0 ? one.price : naive.open;
                naive.high = std::max(naive.high, one.price);
                naive.low = naive.trade_count == 0 ? one.price : std::min(naive.low, one.price);
                naive.close = one.price;
                naive.volume += one.quantity;
                naive.quote_volume += one.quote_amount;
                naive.taker_buy_volume += one.buyer_is_maker == 0 ? one.quantity : 0;
                ++naive.trade_count;
                naive.last_trade_id = one.trade_id;
            }
            REQUIRE(row.trade_count == naive.trade_count);
            REQUIRE(row.volume == naive.volume);
            REQUIRE(row.quote_volume == naive.quote_volume);
            REQUIRE(row.taker_buy_volume == naive.taker_buy_volume);
            if (naive.trade_count != 0) {
                REQUIRE(row.open == naive.open);
                REQUIRE(row.high == naive.high);
                REQUIRE(row.low == naive.low);
                REQUIRE(row.close == naive.close);
                REQUIRE(row.last_trade_id == naive.last_trade_id);
            }
        }
        REQUIRE(next == trades.size());
    }
}

TEST_CASE("the rolling day equals a naive sum from a full minute on", "[market_data][T6]") {
    INFO("TENON_TEST_SEED=" << seed());
    std::mt19937 random{seed()};
    Candles candles{{}};
    std::vector<tenon_public_trade> trades;
    std::int64_t time = utc(2024, 8, 9);
    for (std::uint64_t id = 1; id <= 4000; ++id) {
        time += static_cast<std::int64_t>(random() % 90'000) * 1'000'000;
        trades.push_back(trade(
            id,
            time,
            1000 + static_cast<std::int64_t>(random() % 500),
            1 + static_cast<std::int64_t>(random() % 100)
        ));
        candles.add(trades.back());
        if (id % 97 != 0) {
            continue;
        }
        const std::int64_t open = (time - k_day_ns) / k_minute_ns * k_minute_ns;
        WindowStatistics naive;
        for (const auto& one : trades) {
            if (one.time_real_ns >= open) {
                naive.open = naive.trade_count == 0 ? one.price : naive.open;
                naive.low = naive.trade_count == 0 ? one.price : std::min(naive.low, one.price);
                naive.high = std::max(naive.high, one.price);
                naive.close = one.price;
                naive.volume += one.quantity;
                naive.quote_volume += one.quote_amount;
                ++naive.trade_count;
            }
        }
        const auto day = candles.day(time);
        REQUIRE(day.has_value());
        REQUIRE(day->open_ns == open);
        REQUIRE(day->trade_count == naive.trade_count);
        REQUIRE(day->open == naive.open);
        REQUIRE(day->high == naive.high);
        REQUIRE(day->low == naive.low);
        REQUIRE(day->close == naive.close);
        REQUIRE(day->volume == naive.volume);
        REQUIRE(day->quote_volume == naive.quote_volume);
    }
    const auto later = candles.day(time + 3 * k_day_ns);
    REQUIRE(later->trade_count == 0);
    REQUIRE(later->open == trades.back().price);
    REQUIRE(later->previous_close == trades.back().price);
}

TEST_CASE("bounded tiers forget their oldest candles", "[market_data][T6]") {
    Candles candles{{60, 1442, 24}};
    const std::int64_t start = utc(2024, 8, 9);
    for (std::uint64_t i = 0; i < 100; ++i) {
        candles.add(trade(i + 1, start + static_cast<std::int64_t>(i) * k_second_ns, 100));
    }
    const auto rows =
        all(candles, {TENON_INTERVAL_1S, start, 0, 0, 1000}, start + 99 * k_second_ns);
    REQUIRE(rows.size() == 60);
    REQUIRE(rows.front().open_real_ns == start + 40 * k_second_ns);
}
