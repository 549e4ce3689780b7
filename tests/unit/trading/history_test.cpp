// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/history.hpp"

#include "plugins/trading/engine/spool.hpp"
#include "tests/support/memory_disk.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstring>

using tenon::engine::History;
using tenon::engine::Spool;

namespace {

constexpr std::uint64_t k_account = 16;

tenon_client_id client(std::uint64_t id) {
    tenon_client_id out{};
    const std::string text = "c" + std::to_string(id);
    out.length = static_cast<std::uint8_t>(text.size());
    std::memcpy(out.text, text.data(), text.size());
    return out;
}

// Order `id` created by command `id`, filled at once by trade `id`.
struct Filled {
    explicit Filled(std::uint64_t id) {
        order.order_id = id;
        order.account = k_account;
        order.status = TENON_STATUS_FILLED;
        order.client_id = client(id);
        order.update_sequence = id;
        order.created_real_ns = static_cast<std::int64_t>(id) * 10;
        trade.trade_id = id;
        trade.order_id = id;
        trade.account = k_account;
        trade.sequence = id;
        trade.time_real_ns = order.created_real_ns;
        event.size = sizeof event;
        event.kind = TENON_EVENT_ORDER;
        event.sequence = id;
        event.time_real_ns = order.created_real_ns;
        event.order = &order;
        event.trade = &trade;
    }

    Filled(const Filled&) = delete;
    Filled& operator=(const Filled&) = delete;

    tenon_order order = tenon::sized<tenon_order>();
    tenon_trade trade = tenon::sized<tenon_trade>();
    tenon_execution_event event = tenon::sized<tenon_execution_event>();
};

void add(History& history, std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t id = first; id <= last; ++id) {
        history.add(Filled{id}.event);
    }
}

tenon_order_query orders_from(std::uint64_t id, std::uint32_t limit) {
    tenon_order_query query{};
    query.size = sizeof query;
    query.which = TENON_ORDERS_ALL;
    query.account = k_account;
    query.from_order_id = id;
    query.limit = limit;
    return query;
}

std::vector<std::uint64_t> ids(const std::vector<tenon_order>& orders) {
    std::vector<std::uint64_t> out;
    for (const tenon_order& order : orders) {
        out.push_back(order.order_id);
    }
    return out;
}

}  // namespace

TEST_CASE("memory answers by id, client id, range and newest", "[history][T5]") {
    History history{100, 100, true};
    add(history, 1, 10);
    CHECK(history.order(k_account, 0, 4, {})->order_id == 4);
    CHECK(history.order(k_account, 0, 0, client(7))->order_id == 7);
    CHECK(history.order(k_account + 1, 0, 4, {}) == nullptr);
    CHECK(history.order(k_account, 1, 4, {}) == nullptr);
    std::vector<tenon_order> rows;
    CHECK(history.orders(orders_from(0, 3), rows));
    CHECK(ids(rows) == std::vector<std::uint64_t>{8, 9, 10});
    rows.clear();
    CHECK(history.orders(orders_from(3, 2), rows));
    CHECK(ids(rows) == std::vector<std::uint64_t>{3, 4});
    auto timed = orders_from(0, 1000);
    timed.start_real_ns = 40;
    timed.end_real_ns = 60;
    rows.clear();
    CHECK(history.orders(timed, rows));
    CHECK(ids(rows) == std::vector<std::uint64_t>{4, 5, 6});
}

TEST_CASE(
    "rows leave once the database has them, and memory knows what it lacks",
    "[history][T5]"
) {
    History history{5, 5, true};
    add(history, 1, 8);
    history.evict(2);
    CHECK(history.order_count() == 6);
    CHECK(history.order(k_account, 0, 2, {}) == nullptr);
    CHECK_FALSE(history.complete());
    CHECK(history.evicted_sequence() == 2);
    std::vector<tenon_order> rows;
    CHECK(history.orders(orders_from(0, 4), rows));
    CHECK_FALSE(history.orders(orders_from(0, 100), rows));
    CHECK(history.orders(orders_from(3, 100), rows));
    CHECK_FALSE(history.orders(orders_from(1, 100), rows));
    tenon_trade_query trades{};
    trades.size = sizeof trades;
    trades.account = k_account;
    trades.limit = 100;
    std::vector<tenon_trade> found;
    CHECK_FALSE(history.trades(trades, found));
    trades.from_trade_id = 3;
    CHECK(history.trades(trades, found));
}

TEST_CASE("the bound holds even when the database is down", "[history][K10]") {
    History history{5, 5, true};
    add(history, 1, 50);
    history.evict(0);
    CHECK(history.order_count() == 10);
    CHECK(history.trade_count() == 10);
    CHECK(history.evicted_sequence() == 40);
}

TEST_CASE("after a snapshot memory does not claim what came before", "[history][T5]") {
    History history{100, 100, false};
    std::vector<tenon_order> rows;
    CHECK_FALSE(history.orders(orders_from(0, 1), rows));
    add(history, 20, 22);
    CHECK_FALSE(history.orders(orders_from(0, 10), rows));
    rows.clear();
    CHECK(history.orders(orders_from(0, 3), rows));
    CHECK(history.orders(orders_from(20, 10), rows));
    auto timed = orders_from(0, 10);
    timed.start_real_ns = 205;
    CHECK(history.orders(timed, rows));
    timed.start_real_ns = 200;
    CHECK_FALSE(history.orders(timed, rows));
}

TEST_CASE("the spool gives events back in order, with their texts", "[spool][T5]") {
    tenon::test::MemoryDisk disk;
    Spool spool{disk, "spool"};
    CHECK(spool.empty());
    CHECK(spool.front().empty());
    const std::string name = "somebody";
    for (std::uint64_t id = 1; id <= 2000; ++id) {
        const Filled filled{id};
        const tenon_account account{sizeof account, 1, id, tenon::str(name), 5, 6};
        auto other = tenon::sized<tenon_execution_event>();
        other.kind = TENON_EVENT_ACCOUNT;
        other.sequence = id;
        other.index = 1;
        other.account = &account;
        const std::array<tenon_execution_event, 2> events{filled.event, other};
        spool.append(events);
    }
    std::uint64_t next = 1;
    while (!spool.empty()) {
        const auto events = spool.front();
        REQUIRE(events.size() == 2);
        REQUIRE(events[0].order->order_id == next);
        REQUIRE(events[0].trade->trade_id == next);
        REQUIRE(tenon::view(events[1].account->name) == name);
        spool.pop();
        ++next;
    }
    CHECK(next == 2001);
    CHECK(spool.bytes() == 0);
    CHECK(disk.bytes("spool").empty());
}

TEST_CASE("a full disk is an error of the spool, not of the engine's memory", "[spool][T5]") {
    tenon::test::MemoryDisk disk;
    Spool spool{disk, "spool"};
    disk.faults.writes_left = 0;
    const Filled filled{1};
    const std::array<tenon_execution_event, 1> events{filled.event};
    spool.append(events);
    CHECK_THROWS_AS(spool.front(), tenon::Error);
}
