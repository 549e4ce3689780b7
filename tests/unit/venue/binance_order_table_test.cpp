// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/messages.hpp"
#include "tests/unit/venue/binance_orders_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

namespace {

using namespace tenon;
using namespace tenon::binance_venue;
using namespace tenon::binance_venue::test;
using Seen = std::vector<std::string>;

struct Scene {
    OneSymbol listing;
    OrderTable table{listing};
    Lines lines;

    void submit(const tenon_venue_order& order) {
        Venue::Reports out = lines.reports();
        table.submit(order, encode(Reference{100}), 5, out);
    }

    void tell(const OrderNews& news) {
        Venue::Reports out = lines.reports();
        REQUIRE(table.apply(encode(news), out) == news.order_id);
    }
};

OrderNews ended(std::uint64_t id, End end, std::int64_t executed) {
    OrderNews news = accepted(id);
    news.end = end;
    news.executed = executed;
    return news;
}

OrderNews denied(std::uint64_t id, End end) {
    OrderNews news;
    news.order_id = id;
    news.end = end;
    news.reject = end == End::refused ? TENON_REJECT_WOULD_MATCH : 0;
    return news;
}

}  // namespace

TEST_CASE("an order waits for evidence and says nothing before it", "[binance][orders][T9]") {
    Scene scene;
    scene.submit(limit_buy(1, 10));
    CHECK(scene.lines.take().empty());
    CHECK(scene.table.find(1)->state == BookState::pending);
    scene.tell(accepted(1));
    scene.tell(accepted(1));
    CHECK(scene.lines.take() == Seen{"accepted 1"});
    CHECK(scene.table.find(1)->state == BookState::open);
}

TEST_CASE("a fill counts once, however often and in whichever order it is told", "[binance][T9]") {
    std::mt19937 random{static_cast<std::uint32_t>(GENERATE(range(1, 20)))};
    Scene scene;
    scene.submit(limit_buy(1, 10));
    std::vector<OrderNews> news;
    for (const auto& [trade, quantity] : {std::pair{5U, 3}, {6U, 2}, {9U, 5}}) {
        OrderNews one = accepted(1);
        one.fills.push_back(fill(trade, quantity));
        news.insert(news.end(), {one, one});
    }
    OrderNews whole = ended(1, End::filled, 10);
    whole.fills = {fill(9, 5), fill(5, 3)};
    news.insert(news.end(), {whole, ended(1, End::filled, 10)});
    std::shuffle(news.begin(), news.end(), random);
    for (const OrderNews& one : news) {
        scene.tell(one);
    }
    Seen seen = scene.lines.take();
    CHECK(seen.front() == "accepted 1");
    std::sort(seen.begin(), seen.end());
    CHECK(
        seen ==
        Seen{
            "accepted 1",
            "commission 1 7 of 2",
            "commission 1 7 of 2",
            "commission 1 7 of 2",
            "trade 1/0 2@100",
            "trade 1/0 3@100",
            "trade 1/0 5@100"}
    );
    CHECK(scene.table.orders().empty());
    CHECK(scene.table.contradictions() == 0);
}

TEST_CASE("an order that ended is kept until its last fill is known", "[binance][orders][T9]") {
    Scene scene;
    scene.submit(limit_buy(1, 10));
    scene.tell(ended(1, End::canceled, 4));
    CHECK(scene.lines.take() == Seen{"accepted 1"});
    REQUIRE(scene.table.find(1) != nullptr);
    CHECK(scene.table.find(1)->state == BookState::ending);
    OrderNews late = accepted(1);
    late.fills = {fill(3, 1)};
    scene.tell(late);
    CHECK(scene.table.find(1)->state == BookState::ending);
    late.fills = {fill(3, 1), fill(4, 3)};
    scene.tell(late);
    const Seen seen = scene.lines.take();
    REQUIRE(seen.size() == 5);
    CHECK(seen.back() == "canceled 1");
    CHECK(scene.table.orders().empty());
}

TEST_CASE("what the exchange refused is rejected for its reason", "[binance][orders][T9]") {
    Scene scene;
    scene.submit(limit_buy(1, 10));
    scene.tell(denied(1, End::refused));
    CHECK(scene.lines.take() == Seen{"rejected 1 " + std::to_string(TENON_REJECT_WOULD_MATCH)});
    scene.submit(limit_buy(2, 10));
    scene.tell(denied(2, End::absent));
    CHECK(scene.lines.take() == Seen{"rejected 2 " + std::to_string(TENON_REJECT_NOT_SENT)});
    scene.submit(limit_buy(3, 10));
    scene.tell(denied(3, End::withdrawn));
    CHECK(scene.lines.take() == Seen{"canceled 3"});
}

TEST_CASE("nothing denies an order that is there", "[binance][orders][T9]") {
    const End end = GENERATE(End::refused, End::absent, End::not_sent, End::withdrawn);
    Scene scene;
    scene.submit(limit_buy(1, 10));
    scene.tell(accepted(1));
    (void)scene.lines.take();
    scene.tell(denied(1, end));
    CHECK(scene.lines.take().empty());
    CHECK(scene.table.find(1)->state == BookState::open);
    CHECK(scene.table.contradictions() == 1);
}

TEST_CASE("more than was ordered is a contradiction and is not booked", "[binance][orders][T9]") {
    Scene scene;
    scene.submit(limit_buy(1, 10));
    OrderNews news = accepted(1);
    news.fills = {fill(1, 11)};
    scene.tell(news);
    CHECK(scene.lines.take() == Seen{"accepted 1"});
    CHECK(scene.table.contradictions() == 1);
    OrderNews other = accepted(1);
    other.exchange_id += 1;
    other.fills = {fill(1, 1)};
    scene.tell(other);
    CHECK(scene.lines.take().empty());
    CHECK(scene.table.contradictions() == 2);
}

TEST_CASE("a market buy by quantity is bounded by its funds", "[binance][orders][T4]") {
    Scene scene;
    tenon_venue_order order = limit_buy(1, 10);
    order.type = TENON_ORDER_MARKET;
    order.price = 0;
    order.funds = 10 * 10 * 250 + 99;  // reaches up to a price of 250
    scene.submit(order);
    CHECK(scene.table.find(1)->limit == 250);
    order.order_id = 2;
    order.funds *= 1'000;
    scene.submit(order);
    CHECK(scene.table.find(2)->limit == 500);  // five times the reference
    order.order_id = 3;
    order.funds = 99;
    scene.submit(order);
    CHECK(scene.lines.take() == Seen{"rejected 3 " + std::to_string(TENON_REJECT_BALANCE)});
}

TEST_CASE("a conditional order waits at the exchange, which tells that it works", "[binance][T2]") {
    Scene scene;
    tenon_venue_order order = limit_buy(1, 10);
    order.type = TENON_ORDER_STOP_LOSS_LIMIT;
    order.stop_price = 95;
    scene.submit(order);
    scene.tell(accepted(1));
    CHECK(scene.lines.take() == Seen{"accepted 1"});
    const std::string waits = scene.table.snapshot();
    OrderNews news = accepted(1);
    news.working = true;
    scene.tell(news);
    scene.tell(news);
    CHECK(scene.lines.take() == Seen{"working 1"});
    CHECK(scene.table.snapshot() != waits);

    // The trade may be told before that.
    order.order_id = 2;
    scene.submit(order);
    OrderNews traded = accepted(2);
    traded.fills.push_back(fill(5, 3));
    scene.tell(traded);
    CHECK(
        scene.lines.take() ==
        Seen{"accepted 2", "working 2", "commission 2 7 of 2", "trade 2/0 3@100"}
    );
    Scene same;
    same.table.restore(scene.table.snapshot());
    CHECK(same.table.hash() == scene.table.hash());
    CHECK(same.table.find(1)->order.stop_price == 95);
}

TEST_CASE(
    "icebergs and trailing stops are sent, and what is sent survives a restart",
    "[binance][T2]"
) {
    Scene scene;
    tenon_venue_order order = limit_buy(1, 10);
    order.display_quantity = 3;
    order.stp_mode = TENON_STP_EXPIRE_MAKER;
    scene.submit(order);
    order.order_id = 2;
    order.type = TENON_ORDER_STOP_LOSS_LIMIT;
    order.display_quantity = 0;
    order.trailing_delta = 150;
    scene.submit(order);
    CHECK(scene.lines.take().empty());
    scene.tell(accepted(2));
    CHECK(scene.lines.take() == Seen{"accepted 2"});
    Scene same;
    same.table.restore(scene.table.snapshot());
    CHECK(same.table.hash() == scene.table.hash());
    CHECK(same.table.find(1)->order.display_quantity == 3);
    const Market market = *scene.listing.market(0);
    const std::string iceberg = place_query(*same.table.find(1), market, "x");
    CHECK(
        iceberg.find("&icebergQty=0.00003&selfTradePreventionMode=EXPIRE_MAKER&newClientOrderId=x"
        ) != std::string::npos
    );
    const std::string trailing = place_query(*same.table.find(2), market, "x");
    CHECK(
        trailing.find("&type=STOP_LOSS_LIMIT&trailingDelta=150&timeInForce=") != std::string::npos
    );
    // What its fills would not tell is not asked for.
    order.order_id = 3;
    order.stp_mode = TENON_STP_DECREMENT;
    scene.submit(order);
    CHECK(scene.lines.take() == Seen{"rejected 3 " + std::to_string(TENON_REJECT_UNSUPPORTED)});
}

TEST_CASE("what this venue cannot send is refused at once", "[binance][orders][T4]") {
    Scene scene;
    tenon_venue_order order = limit_buy(1, 10);
    order.type = TENON_ORDER_STOP_LOSS;  // its cost has no bound
    order.stop_price = 100;
    order.price = 0;
    scene.submit(order);
    order.stop_price = 0;
    order.order_id = 2;
    order.type = TENON_ORDER_MARKET;
    order.side = TENON_SIDE_SELL;
    order.quantity = 0;
    order.quote_quantity = 1'000;
    scene.submit(order);
    const std::string why = std::to_string(TENON_REJECT_UNSUPPORTED);
    CHECK(scene.lines.take() == Seen{"rejected 1 " + why, "rejected 2 " + why});
    CHECK(scene.table.orders().empty());
}

TEST_CASE("a snapshot brings the same state back, and garbage changes nothing", "[binance][T9]") {
    Scene scene;
    scene.submit(limit_buy(1, 10));
    scene.submit(limit_buy(2, 10));
    CHECK(scene.table.cancel(2));
    CHECK_FALSE(scene.table.cancel(2));
    OrderNews news = ended(1, End::expired, 8);
    news.fills = {fill(7, 2)};
    scene.tell(news);
    const std::string bytes = scene.table.snapshot();
    OrderTable other{scene.listing};
    other.restore(bytes);
    CHECK(other.snapshot() == bytes);
    CHECK(other.hash() == scene.table.hash());
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        CHECK_THROWS_AS(other.restore(std::string_view{bytes}.substr(0, cut)), Error);
    }
    CHECK(other.snapshot() == bytes);
}

TEST_CASE("without a credential an order is rejected as not sent", "[binance][orders][T9]") {
    Scene scene;
    Venue::Reports out = scene.lines.reports();
    scene.table.submit(limit_buy(1, 10), encode(Closed{}), 5, out);
    CHECK(scene.lines.take() == Seen{"rejected 1 " + std::to_string(TENON_REJECT_NOT_SENT)});
    CHECK(scene.table.orders().empty());
    CHECK_THROWS_AS(scene.table.apply(encode(Closed{}), out), Error);
}

TEST_CASE("bytes that are not evidence change nothing", "[binance][orders][T9]") {
    Scene scene;
    scene.submit(limit_buy(1, 10));
    const std::string before = scene.table.snapshot();
    OrderNews news = accepted(1);
    news.reason = "why";
    news.fills = {fill(1, 2), fill(2, 3)};
    const std::string good = encode(news);
    Venue::Reports out = scene.lines.reports();
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        CHECK_THROWS_AS(scene.table.apply(good.substr(0, cut), out), Error);
    }
    CHECK_THROWS_AS(scene.table.apply(good + "x", out), Error);
    CHECK_THROWS_AS(scene.table.apply(encode(Reference{1}), out), Error);
    news.fills[0].quantity = 0;
    CHECK_THROWS_AS(scene.table.apply(encode(news), out), Error);
    CHECK(scene.table.snapshot() == before);
    CHECK(scene.lines.take().empty());
}
