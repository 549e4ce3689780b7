// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/positions.hpp"

#include "tests/support/fake_instruments.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>

using tenon::console::Position;

namespace {

// BTCUSDT: price scale 2, quantity scale 5, assets of scale 8.
constexpr std::uint32_t k_btc = 0, k_usdt = 2;

struct Fills {
    Fills() : position{instruments.at(0), 8} {}

    bool fill(std::uint8_t side, std::int64_t quantity, std::int64_t amount) {
        auto trade = tenon::sized<tenon_trade>();
        trade.side = side;
        trade.quantity = quantity;
        trade.quote_amount = amount;
        trade.fee_asset = fee_asset;
        trade.fee = fee;
        return position.add(trade);
    }

    bool buy(std::int64_t quantity, std::int64_t amount) {
        return fill(TENON_SIDE_BUY, quantity, amount);
    }

    bool sell(std::int64_t quantity, std::int64_t amount) {
        return fill(TENON_SIDE_SELL, quantity, amount);
    }

    tenon::test::FakeInstruments instruments;
    Position position;
    std::uint32_t fee_asset = k_usdt;
    std::int64_t fee = 0;
};

}  // namespace

TEST_CASE("a sale realizes what it brings above the average cost", "[console][M5]") {
    Fills fills;
    CHECK(fills.buy(100'000, 100));  // 1 BTC
    CHECK(fills.buy(100'000, 300));
    CHECK(fills.position.quantity() == 200'000'000);
    CHECK(fills.position.cost() == 400);
    CHECK(fills.sell(50'000, 150));
    CHECK(fills.position.realized() == 50);
    CHECK(fills.position.cost() == 300);
    CHECK(fills.position.quantity() == 150'000'000);
    CHECK(fills.sell(150'000, 0));
    CHECK(fills.position.realized() == -250);
    CHECK(fills.position.cost() == 0);
    CHECK(fills.position.quantity() == 0);
}

TEST_CASE("fees cost, in the quote asset as in the base asset", "[console][M5]") {
    Fills fills;
    fills.fee = 7;
    CHECK(fills.buy(100'000, 100));
    CHECK(fills.position.cost() == 107);
    CHECK(fills.sell(100'000, 200));
    CHECK(fills.position.realized() == 200 - 7 - 107);
    fills.fee_asset = k_btc;
    fills.fee = 1'000;
    CHECK(fills.buy(100'000, 500));
    CHECK(fills.position.quantity() == 100'000'000 - 1'000);
    CHECK(fills.position.cost() == 500);
    fills.fee_asset = 9;  // neither: not counted here
    CHECK(fills.buy(100'000, 500));
    CHECK(fills.position.cost() == 1'000);
}

TEST_CASE("what is sold beyond what was bought makes no profit", "[console][M5]") {
    Fills fills;
    CHECK(fills.sell(100'000, 1'000));
    CHECK(fills.position.realized() == 0);
    CHECK(fills.position.sold_without_cost() == 100'000'000);
    CHECK(fills.buy(100'000, 400));
    CHECK(fills.sell(200'000, 1'000));  // half of it is covered
    CHECK(fills.position.realized() == 500 - 400);
    CHECK(fills.position.sold_without_cost() == 200'000'000);
    CHECK(fills.position.quantity() == 0);
}

TEST_CASE("sums that leave 64 bits are told, not wrapped", "[console][M5]") {
    Fills fills;
    CHECK(fills.buy(1, INT64_MAX));
    CHECK_FALSE(fills.buy(1, 1));
    CHECK_FALSE(fills.position.whole());
    CHECK_FALSE(fills.sell(1, 1));
    Fills wide;
    CHECK_FALSE(wide.buy(INT64_MAX / 2, 1));
    CHECK_FALSE(wide.position.whole());
}

TEST_CASE("money in and out is cost and profit, whatever the order of fills", "[console][M5]") {
    const char* const given = std::getenv("TENON_SEED");
    const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1U;
    INFO("TENON_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (int round = 0; round < 200; ++round) {
        Fills fills;
        std::int64_t held = 0, paid = 0, got = 0;
        for (int i = 0; i < 40; ++i) {
            const auto quantity = static_cast<std::int64_t>(random() % 1'000'000) + 1;
            const auto amount = static_cast<std::int64_t>(random() % 1'000'000'000);
            if (held >= quantity && random() % 2 == 0) {
                REQUIRE(fills.sell(quantity, amount));
                held -= quantity;
                got += amount;
            } else {
                REQUIRE(fills.buy(quantity, amount));
                held += quantity;
                paid += amount;
            }
        }
        CHECK(fills.position.quantity() == held * 1'000);
        CHECK(fills.position.realized() - fills.position.cost() == got - paid);
        CHECK(fills.position.sold_without_cost() == 0);
    }
}
