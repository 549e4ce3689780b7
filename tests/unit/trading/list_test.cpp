// SPDX-License-Identifier: Apache-2.0
// Order lists in the core: two orders of which one ends the other, on the internal book.
#include "tests/simulation/core_world.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::test;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;

using Lines = std::vector<std::string>;

// bob has BTC, ann USDT, and mel has both and makes the market; the last price is 40,000.
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

    void trade_at(std::string_view price) {
        REQUIRE(place(limit(mel, k_sell, price, "0.01")) == TENON_REJECT_NONE);
        REQUIRE(place(limit(mel, k_buy, price, "0.01")) == TENON_REJECT_NONE);
    }

    tenon_order_request stop(
        std::uint64_t account,
        std::uint8_t side,
        std::string_view stop_price,
        std::string_view quantity
    ) const {
        tenon_order_request order = limit(account, side, stop_price, quantity);
        order.type = TENON_ORDER_STOP_LOSS;
        order.stop_price = order.price;
        order.price = 0;
        order.time_in_force = 0;
        return order;
    }

    tenon_order_request target(
        std::uint64_t account,
        std::uint8_t side,
        std::string_view price,
        std::string_view quantity
    ) const {
        tenon_order_request order = limit(account, side, price, quantity);
        order.type = TENON_ORDER_LIMIT_MAKER;
        return order;
    }

    std::uint32_t pair(
        const tenon_order_request& first,
        const tenon_order_request& second,
        std::string_view id = ""
    ) {
        trading::SubmitListCommand command;
        command.contingency = TENON_CONTINGENCY_OCO;
        command.client_id = client_id(id);
        const trading::ListOrders orders{submit(first), submit(second)};
        command.orders = &orders;
        return apply(command).reject;
    }

    // bob sells one at 42,000 or, when it falls to 38,000, at the market: orders 3 and 4.
    std::uint32_t protect() {
        return pair(stop(bob, k_sell, "38000", "1"), target(bob, k_sell, "42000", "1"), "p");
    }

    std::uint32_t cancel_list(std::uint64_t account, std::uint64_t list_id, std::string_view id) {
        trading::CancelListCommand command;
        command.request.instrument = TENON_ANY_INSTRUMENT;
        command.request.account = account;
        command.request.list_id = list_id;
        command.request.client_id = client_id(id);
        return apply(command).reject;
    }

    // "order id status filled" and "list id status" of each event of the last command.
    [[nodiscard]] Lines events() const {
        Lines lines;
        const trading::Result& result = output.results().back();
        for (std::uint32_t i = 0; i < result.events.count; ++i) {
            const tenon_execution_event event = output.event(result, i);
            if (event.order != nullptr) {
                lines.push_back(
                    "order " + std::to_string(event.order->order_id) + " " +
                    std::to_string(event.order->status) + " " +
                    std::to_string(event.order->filled_quantity)
                );
            } else if (event.list != nullptr) {
                lines.push_back(
                    "list " + std::to_string(event.list->list_id) + " " +
                    std::to_string(event.list->status)
                );
            }
        }
        return lines;
    }

    std::uint64_t ann = 0, bob = 0, mel = 0;
};

}  // namespace

TEST_CASE("a pair locks its money once, and is answered with both orders", "[core][T2]") {
    Market m;
    REQUIRE(m.protect() == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"list 3 1", "order 4 2 0", "order 3 2 0"});
    CHECK(m.balance(m.bob, "BTC") == "1 locked 1");
    const tenon_trading_reply reply = m.reply();
    REQUIRE(reply.order_count == 2);
    CHECK(reply.orders[0].order_id == 3);
    CHECK(reply.orders[1].order_id == 4);
    CHECK(reply.orders[1].list_id == 3);
    REQUIRE(reply.list_count == 1);
    CHECK(reply.lists[0].list_id == 3);
    CHECK(reply.lists[0].orders[1].order_id == 4);
    // A buy locks what the dearer one needs: the stop at 41,000, not the 39,000.
    REQUIRE(m.pair(m.target(m.ann, k_buy, "39000", "1"), m.stop(m.ann, k_buy, "41000", "1")) == 0);
    CHECK(m.balance(m.ann, "USDT") == "59000 locked 41000");
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("the target's first fill ends the stop, and its rest works on", "[core][T2]") {
    Market m;
    REQUIRE(m.protect() == 0);
    REQUIRE(m.place(m.limit(m.ann, k_buy, "42000", "0.4")) == 0);
    CHECK(m.events() == Lines{"order 5 2 0", "order 5 4 40000", "order 4 3 40000", "order 3 6 0"});
    CHECK(m.balance(m.bob, "BTC") == "1 locked 0.6");
    REQUIRE(m.place(m.limit(m.ann, k_buy, "42000", "0.6")) == 0);
    CHECK(m.events() == Lines{"order 6 2 0", "order 6 4 60000", "order 4 4 100000", "list 3 2"});
    CHECK(m.core.order_lists().size() == 0);
    CHECK(m.balance(m.bob, "BTC") == "1");
}

TEST_CASE("a stop that is triggered ends the target before it sells", "[core][T2]") {
    Market m;
    REQUIRE(m.protect() == 0);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "37500", "3")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "38000", "0.01")) == 0);
    REQUIRE(m.place(m.limit(m.ann, k_buy, "38000", "0.01")) == 0);
    CHECK(
        m.events() ==
        Lines{
            "order 7 2 0",
            "order 7 4 1000",
            "order 6 4 1000",
            "order 3 2 0",
            "order 4 6 0",
            "order 3 4 100000",
            "list 3 2",
            "order 5 3 100000"}
    );
    CHECK(m.balance(m.bob, "BTC") == "1");
}

TEST_CASE(
    "a triggered buy pays from what the list had locked, and gives the rest back",
    "[core][T2]"
) {
    Market m;
    REQUIRE(m.pair(m.stop(m.ann, k_buy, "41000", "1"), m.target(m.ann, k_buy, "39000", "1")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "41000", "2")) == 0);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "41000", "0.01")) == 0);
    CHECK(m.balance(m.ann, "USDT") == "59000");
    CHECK(m.core.check_invariants().empty());
    CHECK(m.core.open_order_count() == 1);
}

TEST_CASE("a cancel of either order, or of the list, cancels both", "[core][T2]") {
    for (const int which : {0, 1, 2, 3}) {
        Market m;
        REQUIRE(m.protect() == 0);
        if (which < 2) {
            const auto order_id = static_cast<std::uint64_t>(3 + which);
            REQUIRE(m.apply(cancel(m.bob, TENON_ANY_INSTRUMENT, order_id)).reject == 0);
        } else {
            REQUIRE(m.cancel_list(m.bob, which == 2 ? 3 : 0, which == 2 ? "" : "p") == 0);
        }
        CHECK(m.events() == Lines{"order 3 5 0", "order 4 5 0", "list 3 2"});
        const tenon_trading_reply reply = m.reply();
        REQUIRE(reply.order_count == 2);
        CHECK(reply.orders[0].cancel_client_id.length != 0);
        REQUIRE(reply.list_count == 1);
        CHECK(reply.lists[0].status == TENON_LIST_ALL_DONE);
        CHECK(m.balance(m.bob, "BTC") == "2");
        CHECK(m.cancel_list(m.bob, 3, "") == TENON_REJECT_UNKNOWN_LIST);
    }
    Market m;
    REQUIRE(m.protect() == 0);
    REQUIRE(m.apply(trading::CancelAllCommand{m.bob, TENON_ANY_INSTRUMENT}).reject == 0);
    CHECK(m.events() == Lines{"order 3 5 0", "order 4 5 0", "list 3 2"});
    CHECK(m.reply().list_count == 1);
}

TEST_CASE("another account's list, and one by a wrong name, is not found", "[core][T2]") {
    Market m;
    REQUIRE(m.protect() == 0);
    CHECK(m.cancel_list(m.ann, 3, "") == TENON_REJECT_UNKNOWN_LIST);
    CHECK(m.cancel_list(m.bob, 3, "other") == TENON_REJECT_UNKNOWN_LIST);
    CHECK(m.cancel_list(m.bob, 0, "") == TENON_REJECT_INVALID);
}

TEST_CASE("what is no pair around the market is refused and changes nothing", "[core][T2]") {
    Market m;
    REQUIRE(m.protect() == 0);
    const std::uint64_t before = m.core.state_hash();
    const auto stop = m.stop(m.bob, k_sell, "38000", "0.5");
    const auto target = m.target(m.bob, k_sell, "42000", "0.5");
    CHECK(m.pair(stop, target, "p") == TENON_REJECT_DUPLICATE_ID);
    CHECK(m.pair(target, target) == TENON_REJECT_INVALID);
    CHECK(m.pair(stop, m.limit(m.bob, k_sell, "42000", "0.5")) == TENON_REJECT_INVALID);
    CHECK(m.pair(stop, m.target(m.bob, k_sell, "42000", "0.4")) == TENON_REJECT_INVALID);
    CHECK(m.pair(stop, m.target(m.mel, k_sell, "42000", "0.5")) == TENON_REJECT_INVALID);
    CHECK(m.pair(stop, m.target(m.bob, k_sell, "40000", "0.5")) == TENON_REJECT_LIST_PRICES);
    CHECK(m.pair(m.stop(m.bob, k_sell, "40000", "0.5"), target) == TENON_REJECT_LIST_PRICES);
    CHECK(
        m.pair(m.stop(m.bob, k_sell, "38000", "1.1"), m.target(m.bob, k_sell, "42000", "1.1")) ==
        TENON_REJECT_BALANCE
    );
    auto twice = target;
    twice.client_id = client_id("same");
    auto again = stop;
    again.client_id = client_id("same");
    CHECK(m.pair(again, twice) == TENON_REJECT_DUPLICATE_ID);
    CHECK(m.core.state_hash() == before);
    // The book refuses a target that would trade: everything is as it was.
    REQUIRE(m.place(m.limit(m.mel, k_buy, "40500", "1")) == 0);
    const std::uint64_t bid = m.core.state_hash();
    CHECK(m.pair(stop, m.target(m.bob, k_sell, "40400", "0.5")) == TENON_REJECT_WOULD_MATCH);
    CHECK(m.core.state_hash() == bid);
}

TEST_CASE("a pair comes back from a snapshot with its links", "[core][T2][T5]") {
    Market m;
    REQUIRE(m.protect() == 0);
    std::string bytes;
    m.core.snapshot_write(bytes);
    CoreWorld again;
    again.core.snapshot_read(bytes);
    CHECK(again.core.state_hash() == m.core.state_hash());
    CHECK(again.core.order_lists().find_client(m.bob, client_id("p")) != nullptr);
    trading::Output output;
    trading::Command command;
    command.sequence = m.core.sequence() + 1;
    command.time_real_ns = m.core.time_real_ns();
    command.body = cancel(m.bob, TENON_ANY_INSTRUMENT, 4);
    CHECK(again.core.apply(command, output).orders.count == 2);
    CHECK(again.core.open_order_count() == 0);
}
