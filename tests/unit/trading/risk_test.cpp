// SPDX-License-Identifier: Apache-2.0
// Risk limits: what each of them refuses, whom it binds, and that restarts change nothing.
#include "tests/simulation/core_world.hpp"

#include <tenon/decimal.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace tenon;
using namespace tenon::test;
using trading::RiskLimit;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;
constexpr std::uint32_t k_any = TENON_ANY_INSTRUMENT;
constexpr std::uint64_t k_each = 0;
constexpr std::uint32_t k_btc = 0;

// Ann and mel have money and coins; the last price is 50,000.
struct Market : CoreWorld {
    Market() {
        ann = open("ann");
        mel = open("mel");
        for (const std::uint64_t account : {ann, mel}) {
            deposit(account, "USDT", "10000000");
            deposit(account, "BTC", "20");
        }
        REQUIRE(place(limit(mel, k_sell, "50000", "0.01")) == TENON_REJECT_NONE);
        REQUIRE(place(limit(mel, k_buy, "50000", "0.01")) == TENON_REJECT_NONE);
    }

    std::uint32_t place(const tenon_order_request& order) { return apply(submit(order)).reject; }

    std::uint32_t
    set(std::uint64_t account, std::uint32_t instrument, RiskLimit limit, std::int64_t value) {
        trading::RiskLimitsCommand command;
        command.account = account;
        command.instrument = instrument;
        command.limits.fill(trading::k_keep_limit);
        command.limits[static_cast<std::size_t>(limit)] = value;
        return apply(command).reject;
    }

    std::uint32_t set_rate(std::uint64_t account, std::int64_t orders, std::int64_t ms) {
        trading::RiskLimitsCommand command;
        command.account = account;
        command.instrument = k_any;
        command.limits.fill(trading::k_keep_limit);
        command.limits[static_cast<std::size_t>(RiskLimit::order_rate)] = orders;
        command.limits[static_cast<std::size_t>(RiskLimit::order_rate_ms)] = ms;
        return apply(command).reject;
    }

    // In another core, from a snapshot: what it says of an order.
    std::uint32_t elsewhere(const tenon_order_request& order) {
        std::string snapshot;
        core.snapshot_write(snapshot);
        CoreWorld other;
        other.core.snapshot_read(snapshot);
        REQUIRE(other.core.state_hash() == core.state_hash());
        return other.apply(submit(order)).reject;
    }

    [[nodiscard]] tenon_order_request
    market(std::uint64_t account, std::uint8_t side, std::string_view quantity) const {
        tenon_order_request order = limit(account, side, "1", quantity);
        order.type = TENON_ORDER_MARKET;
        order.price = 0;
        order.time_in_force = 0;
        return order;
    }

    std::uint64_t ann = 0, mel = 0;
};

[[nodiscard]] std::int64_t usdt(std::int64_t whole) {
    return whole * 100'000'000;
}

[[nodiscard]] std::int64_t lots_of(std::string_view btc) {
    return parse_decimal(btc, 5).value;
}

}  // namespace

TEST_CASE("a price band is around the last price, or the price that is waited for", "[core][T3]") {
    Market m;
    REQUIRE(m.set(m.ann, k_btc, RiskLimit::price_band_ppm, 10'000) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "49500", "0.01")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "49499.99", "0.01")) == TENON_REJECT_RISK_PRICE_BAND);
    CHECK(m.place(m.limit(m.ann, k_sell, "50500", "0.01")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_sell, "50500.01", "0.01")) == TENON_REJECT_RISK_PRICE_BAND);
    CHECK(m.place(m.limit(m.mel, k_sell, "60000", "0.01")) == TENON_REJECT_NONE);
    tenon_order_request stop = m.limit(m.ann, k_sell, "39900", "0.01");
    stop.type = TENON_ORDER_STOP_LOSS_LIMIT;
    stop.stop_price = m.limit(m.ann, k_sell, "40000", "0.01").price;
    CHECK(m.place(stop) == TENON_REJECT_NONE);
    stop.price = m.limit(m.ann, k_sell, "39500", "0.01").price;
    CHECK(m.place(stop) == TENON_REJECT_RISK_PRICE_BAND);
    CHECK(m.place(m.market(m.ann, k_sell, "0.001")) == TENON_REJECT_NONE);
}

TEST_CASE("a notional limit is on each order, and refuses what cannot be priced", "[core][T3]") {
    Market m;
    REQUIRE(m.set(k_each, k_btc, RiskLimit::order_notional, usdt(1000)) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.025")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.02501")) == TENON_REJECT_RISK_NOTIONAL);
    CHECK(m.place(m.limit(m.mel, k_sell, "60000", "0.02")) == TENON_REJECT_RISK_NOTIONAL);
    CHECK(m.place(m.market(m.mel, k_sell, "0.02001")) == TENON_REJECT_RISK_NOTIONAL);
    tenon_order_request spend = m.market(m.mel, k_buy, "0.001");
    spend.quantity = 0;
    spend.quote_quantity = usdt(1000) + 1;
    CHECK(m.place(spend) == TENON_REJECT_RISK_NOTIONAL);

    CoreWorld fresh;  // nothing was traded: a market order has no price
    const std::uint64_t bob = fresh.open("bob");
    fresh.deposit(bob, "BTC", "1");
    trading::RiskLimitsCommand command;
    command.limits[static_cast<std::size_t>(RiskLimit::order_notional)] = usdt(1000);
    REQUIRE(fresh.apply(command).reject == TENON_REJECT_NONE);
    tenon_order_request sell = fresh.limit(bob, k_sell, "1", "0.001");
    sell.type = TENON_ORDER_MARKET;
    sell.price = 0;
    sell.time_in_force = 0;
    CHECK(fresh.apply(submit(sell)).reject == TENON_REJECT_RISK_NOTIONAL);
}

TEST_CASE("position and exposure count what is held and being bought", "[core][T3]") {
    Market m;
    REQUIRE(m.set(m.ann, k_btc, RiskLimit::position, lots_of("21")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.6")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.40001")) == TENON_REJECT_RISK_POSITION);
    CHECK(m.place(m.market(m.ann, k_buy, "0.40001")) == TENON_REJECT_RISK_POSITION);
    CHECK(m.place(m.limit(m.ann, k_sell, "60000", "15")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.4")) == TENON_REJECT_NONE);
    CHECK(m.set(m.ann, k_btc, RiskLimit::position, 0) == TENON_REJECT_NONE);

    // 20 held and 1 being bought, at 50,000.
    REQUIRE(m.set(m.ann, k_btc, RiskLimit::exposure, usdt(1'100'000)) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "30000", "1")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "30000", "0.001")) == TENON_REJECT_RISK_EXPOSURE);
    CHECK(m.place(m.limit(m.ann, k_sell, "60000", "1")) == TENON_REJECT_NONE);
}

TEST_CASE("open orders are counted for one instrument, or over all", "[core][T3]") {
    Market m;
    m.deposit(m.ann, "ETH", "5");
    const auto eth = [&] { return m.limit(m.ann, k_sell, "0.07", "0.01", "ETHBTC"); };
    REQUIRE(m.set(m.ann, k_btc, RiskLimit::open_orders, 2) == TENON_REJECT_NONE);
    REQUIRE(m.set(m.ann, k_any, RiskLimit::open_orders, 3) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.01")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.01")) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.01")) == TENON_REJECT_RISK_OPEN_ORDERS);
    CHECK(m.place(m.market(m.ann, k_sell, "0.001")) == TENON_REJECT_NONE);
    CHECK(m.place(eth()) == TENON_REJECT_NONE);
    CHECK(m.place(eth()) == TENON_REJECT_RISK_OPEN_ORDERS);
}

// Each command comes a second after the one before.
TEST_CASE("a rate of orders comes back evenly, and a restart forgets nothing", "[core][T3]") {
    Market m;
    REQUIRE(m.set_rate(k_each, 4, 16'000) == TENON_REJECT_NONE);
    const auto order = [&] { return m.limit(m.ann, k_buy, "40000", "0.01"); };
    const auto refused = [&] { return m.place(order()) == TENON_REJECT_RISK_ORDER_RATE; };
    // Four at once, and after four seconds the fifth.
    for (int i = 0; i < 5; ++i) {
        REQUIRE_FALSE(refused());
    }
    CHECK(m.elsewhere(order()) == TENON_REJECT_RISK_ORDER_RATE);
    CHECK(refused());
    CHECK(m.place(m.limit(m.mel, k_buy, "40000", "0.01")) == TENON_REJECT_NONE);
    CHECK(refused());
    CHECK_FALSE(refused());
    CHECK(refused());
    // Another rate begins anew.
    REQUIRE(m.set_rate(k_each, 5, 16'000) == TENON_REJECT_NONE);
    CHECK_FALSE(refused());
}

TEST_CASE("all limits that fit bind, and what was refused changed nothing", "[core][T3]") {
    Market m;
    REQUIRE(m.set(k_each, k_btc, RiskLimit::position, lots_of("25")) == TENON_REJECT_NONE);
    REQUIRE(m.set(m.ann, k_btc, RiskLimit::position, lots_of("30")) == TENON_REJECT_NONE);
    const std::uint64_t before = m.core.state_hash();
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "6")) == TENON_REJECT_RISK_POSITION);
    CHECK(m.core.state_hash() == before);
    CHECK(m.elsewhere(m.limit(m.ann, k_buy, "40000", "6")) == TENON_REJECT_RISK_POSITION);
    REQUIRE(m.set(k_each, k_btc, RiskLimit::position, 0) == TENON_REJECT_NONE);
    CHECK(m.core.risk().rows().size() == 1);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "6")) == TENON_REJECT_NONE);
}

TEST_CASE("limits that make no sense are refused and leave those there are", "[core][T3]") {
    Market m;
    REQUIRE(m.set(m.ann, k_btc, RiskLimit::open_orders, 7) == TENON_REJECT_NONE);
    const std::uint64_t before = m.core.state_hash();
    CHECK(m.set(m.ann, k_btc, RiskLimit::open_orders, -2) == TENON_REJECT_INVALID);
    CHECK(m.set(m.ann, k_btc, RiskLimit::order_rate, 5) == TENON_REJECT_INVALID);
    CHECK(m.set_rate(m.ann, 1'000'001, 1'000) == TENON_REJECT_INVALID);
    CHECK(m.set_rate(m.ann, 1, 86'400'001) == TENON_REJECT_INVALID);
    CHECK(m.set(m.ann, k_any, RiskLimit::exposure, 5) == TENON_REJECT_INVALID);
    CHECK(m.set(m.ann, 99, RiskLimit::open_orders, 5) == TENON_REJECT_UNKNOWN_INSTRUMENT);
    CHECK(m.set(999, k_btc, RiskLimit::open_orders, 5) == TENON_REJECT_UNKNOWN_ACCOUNT);
    CHECK(
        m.set(TENON_ACCOUNT_FEES, k_btc, RiskLimit::open_orders, 5) == TENON_REJECT_UNKNOWN_ACCOUNT
    );
    CHECK(m.core.state_hash() == before);
}

TEST_CASE("both orders of a list count against limits", "[core][T3][T2]") {
    Market m;
    REQUIRE(m.set_rate(m.ann, 1, 100'000) == TENON_REJECT_NONE);
    trading::ListOrders orders;
    orders[0].order = m.limit(m.ann, k_sell, "60000", "1");
    orders[0].order.type = TENON_ORDER_LIMIT_MAKER;
    orders[1].order = m.limit(m.ann, k_sell, "39900", "1");
    orders[1].order.type = TENON_ORDER_STOP_LOSS_LIMIT;
    orders[1].order.stop_price = m.limit(m.ann, k_sell, "40000", "1").price;
    trading::SubmitListCommand list;
    list.contingency = TENON_CONTINGENCY_OCO;
    list.orders = &orders;
    CHECK(m.apply(list).reject == TENON_REJECT_RISK_ORDER_RATE);
    REQUIRE(m.set_rate(m.ann, 2, 100'000) == TENON_REJECT_NONE);
    CHECK(m.apply(list).reject == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_sell, "60000", "1")) == TENON_REJECT_RISK_ORDER_RATE);
}
