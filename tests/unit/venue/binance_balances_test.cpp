// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/balance_watch.hpp"
#include "plugins/venue/binance/orders/messages.hpp"
#include "tests/unit/venue/binance_orders_fixture.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance_venue;
using Totals = BalanceWatch::Totals;

namespace {

constexpr std::uint32_t k_btc = 0, k_usdt = 1;

// Two answers in a row, with nothing booked between.
void look_twice(BalanceWatch& watch, const Totals& totals) {
    (void)watch.told(totals, watch.changes());
    (void)watch.told(totals, watch.changes());
}

}  // namespace

TEST_CASE("what the exchange has at the first look is taken as given", "[binance][T4]") {
    BalanceWatch watch;
    look_twice(watch, {{k_btc, 500}, {k_usdt, 70}});
    CHECK(watch.differences().empty());
    CHECK_FALSE(watch.in_doubt());
}

TEST_CASE("a change that was booked is no difference, another one is", "[binance][T4]") {
    BalanceWatch watch;
    look_twice(watch, {{k_btc, 500}, {k_usdt, 70}});
    watch.booked(k_btc, 10);
    watch.booked(k_usdt, -20);
    look_twice(watch, {{k_btc, 510}, {k_usdt, 50}});
    CHECK(watch.differences().empty());
    look_twice(watch, {{k_btc, 510}, {k_usdt, 45}, {7, 3}});
    CHECK(watch.differences() == Totals{{k_usdt, -5}, {7, 3}});
    look_twice(watch, {{k_btc, 510}, {k_usdt, 50}});
    CHECK(watch.differences().empty());
}

TEST_CASE("one answer alone makes no difference", "[binance][T4]") {
    BalanceWatch watch;
    look_twice(watch, {{k_btc, 500}});
    CHECK_FALSE(watch.told({{k_btc, 510}}, watch.changes()));
    CHECK(watch.in_doubt());
    CHECK(watch.differences().empty());
    // The fill becomes known: the exchange was only faster.
    watch.booked(k_btc, 10);
    CHECK_FALSE(watch.told({{k_btc, 510}}, watch.changes()));
    CHECK(watch.differences().empty());
    CHECK_FALSE(watch.in_doubt());
}

TEST_CASE("an answer that was under way while something was booked is not used", "[binance][T4]") {
    BalanceWatch watch;
    look_twice(watch, {{k_btc, 500}});
    const std::uint64_t asked = watch.changes();
    watch.booked(k_btc, 10);
    CHECK_FALSE(watch.told({{k_btc, 500}}, asked));
    CHECK_FALSE(watch.told({{k_btc, 500}}, asked));
    CHECK(watch.differences().empty());
    CHECK_FALSE(watch.in_doubt());
    CHECK(watch.compared() == 2);
}

TEST_CASE("an asset that disappears from the answer has nothing", "[binance][T4]") {
    BalanceWatch watch;
    look_twice(watch, {{k_btc, 500}, {k_usdt, 70}});
    look_twice(watch, {{k_btc, 500}});
    CHECK(watch.differences() == Totals{{k_usdt, -70}});
}

TEST_CASE("balances are read exactly, or not at all", "[binance][T4]") {
    const test::OneSymbol listing;
    const auto read = [&](std::string_view text) {
        return read_balances(tenon::Json::parse(text), listing);
    };
    CHECK(
        read(
            R"({"balances":[{"asset":"BTC","free":"0.10000001","locked":"2"},{"asset":"XYZ","free":"1","locked":"1"}]})"
        ) == Totals{{k_btc, 210'000'001}}
    );
    CHECK(
        read(R"({"balances":[{"asset":"BTC","free":"0.123456789","locked":"0"}]})") ==
        Totals{{k_btc, 12'345'678}}
    );
    CHECK_FALSE(read(R"({"balances":[{"asset":"BTC","free":"-1","locked":"0"}]})"));
    CHECK_FALSE(read(R"({"balances":[{"asset":"BTC","free":"x","locked":"0"}]})"));
    CHECK_FALSE(read(R"({"balances":[{"asset":"BTC","free":"1"}]})"));
    CHECK_FALSE(read(R"({"balances":7})"));
    CHECK_FALSE(read(R"({"balances":[{"asset":"BTC","free":"90000000000","locked":"90000000000"}]})"
    ));
}
