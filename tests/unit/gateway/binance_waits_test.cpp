// SPDX-License-Identifier: Apache-2.0
// Answers that wait for a venue that answers later.
#include "plugins/gateway/binance/order_waits.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

using namespace tenon::binance;
using tenon::test::client_id;
using tenon::test::FakeAnswer;
using tenon::test::FakeBinanceWorld;

namespace {

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), {}, builtin_weights()} {}

    void ask(std::string_view method, const std::string& path, std::string params) {
        last = send_signed(api, method, path, std::move(params));
    }

    Api api;
    std::uint64_t last = 0;
};

const std::string k_limit =
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=60000";

// What the engine tells of an order later.
struct Later {
    explicit Later(const tenon_order& of) : order{of} {}

    void tell(Api& api, std::uint8_t status, std::int64_t filled = 0) {
        order.status = status;
        auto event = tenon::sized<tenon_execution_event>();
        event.kind = TENON_EVENT_ORDER;
        event.time_real_ns = FakeBinanceWorld::k_now_ns;
        event.order = &order;
        auto trade = tenon::sized<tenon_trade>();
        if (filled != 0) {
            order.filled_quantity += filled;
            trade.trade_id = 7;
            trade.order_id = order.order_id;
            trade.price = order.price;
            trade.quantity = filled;
            event.trade = &trade;
        }
        api.on_execution(&event, 1);
    }

    tenon_order order;
};

constexpr std::int64_t k_wait_ns = 15'000'000'000;

}  // namespace

TEST_CASE("an order that its venue takes later is answered then", "[binance][T9]") {
    Fixture f;
    f.ask("POST", "/api/v3/order", k_limit + "&newClientOrderId=x-1");
    tenon_order pending = f.order(28, "x-1");
    pending.status = TENON_STATUS_PENDING_NEW;
    f.finish(TENON_REJECT_NONE, {pending});
    CHECK(f.answers[f.last].status == 0);
    CHECK(f.api.in_flight() == 1);
    Later other{f.order(29, "x-2")};
    other.tell(f.api, TENON_STATUS_NEW);
    CHECK(f.answers[f.last].status == 0);
    Later later{pending};
    SECTION("with the fills of the command that took it") {
        later.tell(f.api, TENON_STATUS_PARTIALLY_FILLED, 40'000);
        CHECK(f.answers[f.last].status == 200);
        CHECK(f.answers[f.last].body.find(R"("status":"PARTIALLY_FILLED")") != std::string::npos);
        CHECK(f.answers[f.last].body.find(R"("tradeId":7)") != std::string::npos);
    }
    SECTION("with the refusal of the exchange") {
        later.order.reject = TENON_REJECT_BALANCE;
        later.tell(f.api, TENON_STATUS_REJECTED);
        CHECK(f.answers[f.last].status == 400);
        CHECK(f.answers[f.last].body.find("-2010") != std::string::npos);
    }
    SECTION("as certainly not sent") {
        later.order.reject = TENON_REJECT_NOT_SENT;
        later.tell(f.api, TENON_STATUS_REJECTED);
        CHECK(f.answers[f.last].status == 503);
        CHECK(f.answers[f.last].body.find("-1001") != std::string::npos);
    }
    SECTION("at its deadline: the outcome is unknown") {
        f.now_ns += k_wait_ns - 1;
        f.api.waits().give_up(f.now_ns, false);
        CHECK(f.answers[f.last].status == 0);
        f.api.waits().give_up(f.now_ns + 1, false);
        CHECK(f.answers[f.last].status == 504);
        CHECK(f.answers[f.last].body.find("-1007") != std::string::npos);
        later.tell(f.api, TENON_STATUS_NEW);  // nobody waits any more
    }
    CHECK(f.api.in_flight() == 0);
    CHECK(f.api.waits().size() == 0);
}

TEST_CASE("a cancel is answered when its order has ended", "[binance][T9]") {
    Fixture f;
    f.ask("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=4&newClientOrderId=c-1");
    tenon_order open = f.order(4, "mine");
    open.status = TENON_STATUS_NEW;
    open.cancel_client_id = client_id("c-1");
    f.finish(TENON_REJECT_NONE, {open});
    CHECK(f.answers[f.last].status == 0);
    Later later{open};
    SECTION("cancelled") {
        later.tell(f.api, TENON_STATUS_PARTIALLY_FILLED, 10);
        CHECK(f.answers[f.last].status == 0);
        later.tell(f.api, TENON_STATUS_CANCELED);
        CHECK(f.answers[f.last].status == 200);
        CHECK(f.answers[f.last].body.find(R"("clientOrderId":"c-1")") != std::string::npos);
    }
    SECTION("filled before") {
        later.tell(f.api, TENON_STATUS_FILLED, 100'000);
        CHECK(f.answers[f.last].status == 400);
        CHECK(f.answers[f.last].body.find("-2011") != std::string::npos);
    }
    SECTION("when the server stops: unknown") {
        f.api.waits().give_up(0, true);
        CHECK(f.answers[f.last].status == 504);
    }
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("a cancel of all waits for the last of them", "[binance][T9]") {
    Fixture f;
    f.ask("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
    tenon_order one = f.order(4, "a");
    tenon_order two = f.order(5, "b");
    one.status = two.status = TENON_STATUS_NEW;
    f.finish(TENON_REJECT_NONE, {one, two});
    Later first{one}, second{two};
    first.tell(f.api, TENON_STATUS_CANCELED);
    CHECK(f.answers[f.last].status == 0);
    second.tell(f.api, TENON_STATUS_FILLED, 10);
    CHECK(f.answers[f.last].status == 200);
    CHECK(f.answers[f.last].body.find(R"("orderId":4)") != std::string::npos);
    CHECK(f.answers[f.last].body.find(R"("orderId":5)") == std::string::npos);
    CHECK(f.api.in_flight() == 0);
}

TEST_CASE("a wait has its length also when the wall clock is set", "[binance][T9]") {
    Fixture f;
    f.ask("POST", "/api/v3/order", k_limit + "&newClientOrderId=x-1");
    tenon_order order = f.order(28, "x-1");
    order.status = TENON_STATUS_PENDING_NEW;
    f.finish(TENON_REJECT_NONE, {order});
    f.wall_step_ns = 3'600'000'000'000;
    f.api.waits().give_up(f.api.now_ns() + k_wait_ns - 1, false);
    CHECK(f.answers[f.last].status == 0);
    f.wall_step_ns = -3'600'000'000'000;
    f.api.waits().give_up(f.api.now_ns() + k_wait_ns, false);
    CHECK(f.answers[f.last].body.find(R"("code":-1007)") != std::string::npos);
}
