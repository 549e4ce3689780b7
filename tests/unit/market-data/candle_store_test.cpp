// SPDX-License-Identifier: Apache-2.0
// The table of candles, in the shipped schema.
#include "plugins/market-data/service/candle_store.hpp"

#include "plugins/market-data/service/intervals.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <limits>

using namespace tenon::market_data;
using tenon::Session;
using tenon::test::SchemaBackend;

namespace {

struct Fixture {
    Fixture() { tenon::test::shipped_schema(backend)->up(); }

    [[nodiscard]] std::vector<tenon_candle> read(
        const StoredInstrument& from,
        std::uint32_t interval = TENON_INTERVAL_1M,
        std::size_t limit = 1000
    ) {
        return store.read(from, interval, limit, backend.deadline());
    }

    void write(const std::vector<tenon_candle>& candles) {
        store.write(std::span{&btc, 1}, candles, backend.deadline());
    }

    SchemaBackend backend;
    CandleStore store{backend.storage()};
    StoredInstrument btc{7, "BTCUSDT", 2, 5};
};

tenon_candle candle(std::int64_t open_ns, std::uint64_t trades, std::int64_t price = 100) {
    auto row = tenon::sized<tenon_candle>();
    row.instrument = 7;
    row.interval = TENON_INTERVAL_1M;
    row.open_real_ns = open_ns;
    row.close_real_ns = open_ns + k_minute_ns - 1;
    row.open = price;
    row.high = std::numeric_limits<std::int64_t>::max();
    row.low = 1;
    row.close = price + 1;
    row.volume = std::numeric_limits<std::int64_t>::max();
    row.quote_volume = 77;
    row.taker_buy_volume = 5;
    row.taker_buy_quote_volume = 70;
    row.trade_count = trades;
    row.first_trade_id = 3;
    row.last_trade_id = 3 + trades;
    return row;
}

}  // namespace

TEST_CASE("candles come back as they were written, newest within the limit", "[market_data][S8]") {
    Fixture f;
    const std::int64_t t = 1'700'006'400'000'000'000;
    f.write({candle(t, 1), candle(t + k_minute_ns, 2), candle(t + 5 * k_minute_ns, 3)});
    auto hour = candle(t, 9);
    hour.interval = TENON_INTERVAL_1H;
    f.write({hour});
    const auto rows = f.read(f.btc, TENON_INTERVAL_1M, 2);
    REQUIRE(rows.size() == 2);
    const tenon_candle wanted = candle(t + k_minute_ns, 2);
    CHECK(rows[0].open_real_ns == wanted.open_real_ns);
    CHECK(rows[0].close_real_ns == wanted.close_real_ns);
    CHECK(rows[0].open == wanted.open);
    CHECK(rows[0].high == wanted.high);
    CHECK(rows[0].low == wanted.low);
    CHECK(rows[0].close == wanted.close);
    CHECK(rows[0].volume == wanted.volume);
    CHECK(rows[0].quote_volume == wanted.quote_volume);
    CHECK(rows[0].taker_buy_volume == wanted.taker_buy_volume);
    CHECK(rows[0].taker_buy_quote_volume == wanted.taker_buy_quote_volume);
    CHECK(rows[0].trade_count == wanted.trade_count);
    CHECK(rows[0].first_trade_id == wanted.first_trade_id);
    CHECK(rows[0].last_trade_id == wanted.last_trade_id);
    CHECK(rows[1].trade_count == 3);
    CHECK(f.read(f.btc, TENON_INTERVAL_1H).at(0).trade_count == 9);
}

TEST_CASE("a candle that saw fewer trades does not replace one of more", "[market_data][S8]") {
    Fixture f;
    f.write({candle(0, 10)});
    f.write({candle(0, 9, 200)});
    CHECK(f.read(f.btc).at(0).open == 100);
    f.write({candle(0, 11, 300)});
    CHECK(f.read(f.btc).at(0).open == 300);
}

TEST_CASE("candles of another symbol or scale are not taken for these", "[market_data][S8]") {
    Fixture f;
    f.write({candle(0, 1)});
    CHECK(f.read(f.btc).size() == 1);
    CHECK(f.read({7, "ETHUSDT", 2, 5}).empty());
    CHECK(f.read({7, "BTCUSDT", 3, 5}).empty());
    CHECK(f.read({7, "BTCUSDT", 2, 4}).empty());
    CHECK(f.read({8, "BTCUSDT", 2, 5}).empty());
}

TEST_CASE("old candles go, of their interval alone", "[market_data][S13]") {
    Fixture f;
    std::vector<tenon_candle> rows;
    for (int i = 0; i < 4'500; ++i) {  // more than one delete takes
        rows.push_back(candle(i * k_minute_ns, 1));
    }
    f.write(rows);
    auto hour = candle(0, 1);
    hour.interval = TENON_INTERVAL_1H;
    f.write({hour});
    const std::int64_t before = 4'400 * k_minute_ns;
    CHECK(f.store.prune(TENON_INTERVAL_1M, before, f.backend.deadline()) == 4'400);
    CHECK(f.read(f.btc, TENON_INTERVAL_1M, 10'000).size() == 100);
    CHECK(f.read(f.btc, TENON_INTERVAL_1H).size() == 1);
    CHECK(f.store.prune(TENON_INTERVAL_1M, before, f.backend.deadline()) == 0);
}
