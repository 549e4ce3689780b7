// SPDX-License-Identifier: Apache-2.0
// Stop-loss and take-profit orders in the core, on the internal book.
#include "tests/simulation/core_world.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::test;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;

// ann has USDT, bob BTC, and mel has both and makes the market; the last price is 40,000.
struct Market : CoreWorld {
    Market() {
        ann = open("ann");
        bob = open("bob");
        mel = open("mel");
        deposit(ann, "USDT", "100000");
        deposit(bob, "BTC", "2");
        deposit(mel, "USDT", "1000000");
        deposit(mel, "BTC", "10");
        trade_at("40000");
    }

    std::uint32_t place(const tenon_order_request& order) { return apply(submit(order)).reject; }

    // Of `mel` with herself: only the last price changes, by as little as is allowed.
    void trade_at(std::string_view price) {
        REQUIRE(place(limit(mel, k_sell, price, "0.01")) == TENON_REJECT_NONE);
        REQUIRE(place(limit(mel, k_buy, price, "0.01")) == TENON_REJECT_NONE);
    }

    tenon_order_request conditional(
        std::uint8_t type,
        std::uint64_t account,
        std::uint8_t side,
        std::string_view stop_price,
        std::string_view quantity,
        std::string_view price = ""
    ) const {
        tenon_order_request order = limit(account, side, stop_price, quantity);
        order.type = type;
        order.stop_price = order.price;
        order.price = price.empty() ? 0 : limit(account, side, price, quantity).price;
        order.time_in_force = price.empty() ? std::uint8_t{0} : std::uint8_t{TENON_TIF_GTC};
        return order;
    }

    // "id status filled", with "waits" for what waits, of each order event of the last command.
    [[nodiscard]] std::vector<std::string> orders() const {
        std::vector<std::string> lines;
        const trading::Result& result = output.results().back();
        for (std::uint32_t i = 0; i < result.events.count; ++i) {
            const tenon_execution_event event = output.event(result, i);
            if (event.order != nullptr) {
                lines.push_back(
                    std::to_string(event.order->order_id) + " " +
                    std::to_string(event.order->status) + " " +
                    std::to_string(event.order->filled_quantity) +
                    (event.order->working_real_ns == 0 ? " waits" : "")
                );
            }
        }
        return lines;
    }

    std::uint64_t ann = 0, bob = 0, mel = 0;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a stop-loss waits, and sells at the market when the price falls to it", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.bob, k_sell, "39000", "1")) == 0);
    CHECK(m.orders() == Lines{"3 2 0 waits"});
    CHECK(m.balance(m.bob, "BTC") == "1 locked 1");
    REQUIRE(m.place(m.limit(m.mel, k_buy, "38500", "0.4")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "38000", "5")) == 0);
    m.trade_at("39001");
    CHECK(m.balance(m.bob, "BTC") == "1 locked 1");

    m.trade_at("39000");
    // The buy that traded, then what it triggered, in the same command.
    CHECK(
        m.orders() ==
        Lines{
            "9 2 0",
            "9 4 1000",
            "8 4 1000",
            "3 2 0",
            "3 3 40000",
            "4 4 40000",
            "3 4 100000",
            "5 3 60000"}
    );
    CHECK(m.reply().trade_count == 1);  // the reply is about the buy alone
    CHECK(m.core.open_order(m.bob, 0, 3, {}) == nullptr);
    CHECK(m.balance(m.bob, "BTC") == "1");
    CHECK(m.balance(m.bob, "USDT") == "38123.6");  // 0.4 * 38,500 + 0.6 * 38,000, less 0.2 %
    CHECK(m.core.last_price(0) == 3'800'000);
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("each type and side is triggered in its direction", "[core][T2]") {
    struct Row {
        std::uint8_t type, side;
        const char* stop;
    };

    const auto row = GENERATE(
        Row{TENON_ORDER_STOP_LOSS_LIMIT, TENON_SIDE_BUY, "41000"},
        Row{TENON_ORDER_STOP_LOSS_LIMIT, TENON_SIDE_SELL, "39000"},
        Row{TENON_ORDER_TAKE_PROFIT_LIMIT, TENON_SIDE_BUY, "39000"},
        Row{TENON_ORDER_TAKE_PROFIT_LIMIT, TENON_SIDE_SELL, "41000"}
    );
    const std::uint64_t whose = row.side == k_buy ? 0 : 1;
    Market m;
    const std::uint64_t account = whose == 0 ? m.ann : m.bob;
    const auto order = [&](const char* stop) {
        return m.conditional(row.type, account, row.side, stop, "0.1", "40000");
    };
    // At the last price, and on the other side of it, it would be triggered at once.
    const char* const beyond = std::string_view{row.stop} == "41000" ? "39999" : "40001";
    CHECK(m.place(order("40000")) == TENON_REJECT_WOULD_TRIGGER);
    CHECK(m.place(order(beyond)) == TENON_REJECT_WOULD_TRIGGER);
    REQUIRE(m.place(order(row.stop)) == TENON_REJECT_NONE);
    const std::uint64_t id = m.reply().orders[0].order_id;
    CHECK(m.core.open_order(account, 0, id, {})->working_real_ns == 0);
    m.trade_at(row.stop);
    const tenon_order* const now = m.core.open_order(account, 0, id, {});
    REQUIRE(now != nullptr);  // it rests at its limit
    CHECK(now->working_real_ns == m.core.time_real_ns());
    CHECK(now->status == TENON_STATUS_NEW);
    CHECK(m.venue.book(0)->quantity_at(row.side, 4'000'000) == 10'000);
}

TEST_CASE("a triggered order stands behind what rested at its price before", "[core][T2]") {
    Market m;
    REQUIRE(
        m.place(m.conditional(TENON_ORDER_STOP_LOSS_LIMIT, m.ann, k_buy, "41000", "0.1", "40500")
        ) == 0
    );
    REQUIRE(m.place(m.limit(m.mel, k_buy, "40500", "0.1")) == 0);
    m.trade_at("41000");
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40500", "0.1")) == 0);
    CHECK(m.balance(m.ann, "BTC") == "0");
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40500", "0.1")) == 0);
    CHECK(m.balance(m.ann, "BTC") == "0.0999");
}

TEST_CASE("what one triggered order trades triggers the next, by ids and once", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.limit(m.mel, k_buy, "38000", "1")) == 0);  // 3
    REQUIRE(m.place(m.limit(m.mel, k_buy, "37000", "1")) == 0);  // 4
    REQUIRE(
        m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.bob, k_sell, "38000", "0.5")) == 0
    );  // 5
    REQUIRE(
        m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.bob, k_sell, "39000", "0.6")) == 0
    );  // 6
    REQUIRE(
        m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.bob, k_sell, "39500", "0.5")) == 0
    );                                                               // 7
    REQUIRE(m.place(m.limit(m.mel, k_buy, "39000", "0.01")) == 0);   // 8
    REQUIRE(m.place(m.limit(m.mel, k_sell, "39000", "0.01")) == 0);  // 9
    CHECK(
        m.orders() ==
        Lines{
            "9 2 0",
            "9 4 1000",
            "8 4 1000",
            "6 2 0",
            "7 2 0",  // by the trade at 39,000
            "6 4 60000",
            "3 3 60000",
            "5 2 0",  // its trade triggers 5
            "7 3 40000",
            "3 4 100000",
            "7 4 50000",
            "4 3 10000",
            "5 4 50000",
            "4 3 60000"}
    );
    CHECK(m.balance(m.bob, "BTC") == "0.4");
    CHECK(m.core.open_order_count() == 1);
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE(
    "a conditional market buy may spend all that is free when it is triggered",
    "[core][T3]"
) {
    Market m;
    REQUIRE(m.place(m.limit(m.mel, k_sell, "45000", "1")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "50000", "5")) == 0);
    REQUIRE(m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.ann, k_buy, "41000", "2")) == 0);
    CHECK(m.balance(m.ann, "USDT") == "18000 locked 82000");
    m.trade_at("41000");
    CHECK(m.balance(m.ann, "BTC") == "1.996");  // 45,000 + 50,000, more than was locked
    CHECK(m.balance(m.ann, "USDT") == "5000");
}

TEST_CASE("a conditional market buy without enough buys what it can", "[core][T3]") {
    Market m;
    REQUIRE(m.place(m.limit(m.mel, k_sell, "45000", "1")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "55000", "5")) == 0);
    REQUIRE(m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.ann, k_buy, "41000", "2.43")) == 0);
    const std::uint64_t id = m.reply().orders[0].order_id;
    m.trade_at("41000");
    const std::vector<std::string> all = m.orders();
    const std::string expired = std::to_string(id) + " 6 200000";
    CHECK(std::find(all.begin(), all.end(), expired) != all.end());
    CHECK(m.balance(m.ann, "USDT") == "0");
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("a conditional order is held against its own filters", "[core][T3]") {
    Market m;
    const auto with = [&](auto&& change) {
        tenon_order_request order =
            m.conditional(TENON_ORDER_STOP_LOSS_LIMIT, m.ann, k_buy, "41000", "0.01", "41000");
        change(order);
        return m.place(order);
    };
    using Order = tenon_order_request;
    const std::uint64_t before = m.core.state_hash();
    CHECK(with([](Order& o) { o.stop_price = 0; }) == TENON_REJECT_INVALID);
    CHECK(with([](Order& o) { o.stop_price = -1; }) == TENON_REJECT_INVALID);
    CHECK(with([](Order& o) { o.type = TENON_ORDER_LIMIT; }) == TENON_REJECT_INVALID);
    CHECK(with([](Order& o) { o.type = TENON_ORDER_STOP_LOSS; }) == TENON_REJECT_INVALID);
    CHECK(with([](Order& o) { o.time_in_force = 0; }) == TENON_REJECT_INVALID);
    CHECK(with([](Order& o) { o.stop_price = 200'000'000; }) == TENON_REJECT_PRICE_FILTER);
    CHECK(with([](Order& o) { o.quantity = 12; }) == TENON_REJECT_NOTIONAL);
    CHECK(with([](Order& o) { o.quantity = 500'000; }) == TENON_REJECT_BALANCE);
    CHECK(m.core.state_hash() == before);
    for (int i = 0; i < 4; ++i) {
        CHECK(with([](Order&) {}) == TENON_REJECT_NONE);
    }
    CHECK(with([](Order&) {}) == TENON_REJECT_MAX_ALGO_ORDERS);
    CHECK(m.place(m.limit(m.ann, k_buy, "30000", "0.01")) == TENON_REJECT_NONE);
}

TEST_CASE("a waiting order is cancelled, and its money comes back", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.conditional(TENON_ORDER_TAKE_PROFIT, m.bob, k_sell, "42000", "2")) == 0);
    const tenon_order order = m.reply().orders[0];
    CHECK(m.apply(cancel(m.bob, order.instrument, order.order_id)).reject == TENON_REJECT_NONE);
    CHECK(m.balance(m.bob, "BTC") == "2");
    m.trade_at("42000");
    CHECK(m.orders().size() == 3);  // it is not triggered any more
    CHECK(m.core.open_order_count() == 0);
}

TEST_CASE("waiting orders come back from a snapshot and are triggered", "[core][T2][T5]") {
    Market m;
    REQUIRE(m.place(m.conditional(TENON_ORDER_STOP_LOSS, m.bob, k_sell, "39000", "1")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "38000", "5")) == 0);
    std::string snapshot;
    m.core.snapshot_write(snapshot);
    Market again;
    again.core.snapshot_read(snapshot);
    CHECK(again.core.state_hash() == m.core.state_hash());
    again.trade_at("39000");
    m.trade_at("39000");
    CHECK(again.orders() == m.orders());
    CHECK(again.balance(m.bob, "BTC") == "1");
    CHECK(again.core.state_hash() == m.core.state_hash());
}
