// SPDX-License-Identifier: Apache-2.0
// The table of public trades, in the shipped schema.
#include "plugins/market-data/service/trade_store.hpp"

#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <limits>
#include <vector>

using namespace tenon::market_data;
using tenon::test::SchemaBackend;

namespace {

struct Fixture {
    Fixture() { tenon::test::shipped_schema(backend)->up(); }

    [[nodiscard]] std::vector<std::uint64_t> ids(std::size_t limit = 1'000) {
        std::vector<std::uint64_t> out;
        for (const TapedTrade& row : store.read(btc, limit, backend.deadline())) {
            out.push_back(row.trade.trade_id);
        }
        return out;
    }

    void write(const std::vector<TapedTrade>& rows, bool afresh = false) {
        store.write(btc, rows, afresh, backend.deadline());
    }

    SchemaBackend backend;
    TradeStore store{backend.storage()};
    StoredInstrument btc{7, "BTCUSDT", 2, 5};
};

TapedTrade taped(std::uint64_t id, std::uint64_t agg_id, std::int64_t price = 100) {
    TapedTrade row{tenon::sized<tenon_public_trade>(), agg_id};
    row.trade.instrument = 7;
    row.trade.trade_id = id;
    row.trade.time_real_ns = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(id);
    row.trade.price = price;
    row.trade.quantity = std::numeric_limits<std::int64_t>::max();
    row.trade.quote_amount = 77;
    row.trade.buyer_is_maker = static_cast<std::uint32_t>(id % 2);
    return row;
}

}  // namespace

TEST_CASE("trades come back as they were written, ascending", "[market_data][C2]") {
    Fixture f;
    f.write({taped(5, 3), taped(6, 3), taped(8, 4)});
    const auto rows = f.store.read(f.btc, 100, f.backend.deadline());
    REQUIRE(rows.size() == 3);
    const TapedTrade wanted = taped(6, 3);
    CHECK(rows[1].agg_id == 3);
    CHECK(rows[1].trade.instrument == 7);
    CHECK(rows[1].trade.trade_id == 6);
    CHECK(rows[1].trade.time_real_ns == wanted.trade.time_real_ns);
    CHECK(rows[1].trade.price == wanted.trade.price);
    CHECK(rows[1].trade.quantity == wanted.trade.quantity);
    CHECK(rows[1].trade.quote_amount == wanted.trade.quote_amount);
    CHECK(rows[1].trade.buyer_is_maker == 0);
    CHECK(rows[0].trade.buyer_is_maker == 1);
    CHECK(f.ids(2) == std::vector<std::uint64_t>{8});  // half of an aggregate is none
    CHECK(f.ids(0).empty());
}

TEST_CASE("a trade that is written again stays as it was", "[market_data][C2]") {
    Fixture f;
    f.write({taped(5, 5, 100)});
    f.write({taped(5, 5, 200), taped(6, 6, 200)});
    const auto rows = f.store.read(f.btc, 100, f.backend.deadline());
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].trade.price == 100);
    f.write({taped(2, 2, 300)}, true);
    CHECK(f.ids() == std::vector<std::uint64_t>{2});
}

TEST_CASE("trades of an instrument that is another by now are not read", "[market_data][C2]") {
    Fixture f;
    f.write({taped(5, 5)});
    f.btc.price_scale = 3;
    CHECK(f.ids().empty());
    f.btc = {7, "ETHUSDT", 2, 5};
    CHECK(f.ids().empty());
}

TEST_CASE("pruning keeps the newest trades and aggregates whole", "[market_data][C2]") {
    Fixture f;
    CHECK(f.store.prune(7, 3, f.backend.deadline()) == 0);
    f.write({taped(1, 1), taped(2, 2), taped(3, 3), taped(4, 3), taped(5, 5), taped(6, 6)});
    CHECK(f.store.prune(7, 6, f.backend.deadline()) == 0);
    CHECK(f.store.prune(7, 2, f.backend.deadline()) == 2);
    CHECK(f.ids() == std::vector<std::uint64_t>{3, 4, 5, 6});
    std::vector<TapedTrade> many;
    for (std::uint64_t id = 10; id < 5'010; ++id) {
        many.push_back(taped(id, id));
    }
    f.write(many);
    CHECK(f.store.prune(7, 10, f.backend.deadline()) == 5'004 - 11);
    CHECK(f.ids().size() == 11);
    CHECK(f.ids().back() == 5'009);
}
