// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/account_json.hpp"

#include "plugins/console/refusal.hpp"
#include "tests/support/fake_instruments.hpp"

#include <tenon/structs.hpp>

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

using namespace tenon;
using namespace tenon::console;

namespace {

struct Fixture {
    test::FakeInstruments instruments;
    Catalogue catalogue{instruments.service()};

    tenon_order_request order(const char* text) {
        return read_order(catalogue, Json::parse(text), 17);
    }

    std::string refused(const char* text) {
        try {
            (void)order(text);
        } catch (const Refusal& refusal) {
            CHECK(refusal.status() == 400);
            return refusal.what();
        }
        return "taken";
    }
};

}  // namespace

TEST_CASE("an order is read exactly, by the instrument's scales", "[console][M5]") {
    Fixture f;
    const auto limit = f.order(
        R"({"symbol":"BTCUSDT","side":"SELL","type":"LIMIT","time_in_force":"IOC","quantity":"0.00001","price":"61837.63","client_id":"web-1"})"
    );
    CHECK(limit.account == 17);
    CHECK(limit.side == TENON_SIDE_SELL);
    CHECK(limit.time_in_force == TENON_TIF_IOC);
    CHECK(limit.quantity == 1);
    CHECK(limit.price == 6'183'763);
    CHECK(limit.client_id.length == 5);
    const auto market =
        f.order(R"({"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quote_quantity":"10"})");
    CHECK(market.quote_quantity == 1'000'000'000);
    CHECK(market.quantity == 0);
}

TEST_CASE("an order that makes no sense is refused by the member's name", "[console][M5]") {
    Fixture f;
    const auto with = [&](const std::string& rest) {
        return f.refused((R"({"symbol":"BTCUSDT","side":"BUY",)" + rest + "}").c_str());
    };
    CHECK(with(R"("type":"LIMIT","quantity":"1")") == "price: missing");
    CHECK(with(R"("type":"LIMIT","price":"1")") == "quantity: missing");
    CHECK(with(R"("type":"LIMIT","price":"1.234","quantity":"1")") == "price: at most 2 decimals");
    CHECK(
        with(R"("type":"LIMIT","price":"1e5","quantity":"1")") ==
        "price: a number such as 12.5 expected"
    );
    CHECK(with(R"("type":"LIMIT","price":"0","quantity":"1")") == "price: more than 0 expected");
    CHECK(
        with(R"("type":"LIMIT","price":"99999999999999999999","quantity":"1")") ==
        "price: too large"
    );
    CHECK(
        with(R"("type":"MARKET","price":"1","quantity":"1")") == "price: a market order has none"
    );
    CHECK(
        with(R"("type":"MARKET","quantity":"1","quote_quantity":"1")") ==
        "quantity: not together with quote_quantity"
    );
    CHECK(with(R"("type":"LIMIT","price":1,"quantity":"1")") == "price: a text expected");
    CHECK(
        with(R"("type":"LIMIT","price":"1","quantity":"1","client_id":"a b")") ==
        "client_id: at most 36 characters of a-z, A-Z, 0-9 and .:/_-"
    );
    CHECK(with(R"("type":"STOP","price":"1","quantity":"1")").substr(0, 5) == "type:");
    CHECK(
        f.refused(R"({"symbol":"NOPE","side":"BUY","type":"MARKET","quantity":"1"})") ==
        "symbol: there is no such instrument"
    );
    CHECK(f.refused("[1]") == "a JSON object expected");
    CHECK(f.refused(R"({"<script>":1})") == "there is a member that is not known");
}

TEST_CASE("a cancel names one order", "[console][M5]") {
    Fixture f;
    const auto read = [&](const char* text) {
        return read_cancel(f.catalogue, Json::parse(text), 17);
    };
    CHECK(read(R"({"symbol":"BTCUSDT","order_id":"18446744073709551615"})").order_id == UINT64_MAX);
    for (const char* const text :
         {R"({"symbol":"BTCUSDT","order_id":"0"})",
          R"({"symbol":"BTCUSDT","order_id":"-1"})",
          R"({"symbol":"BTCUSDT","order_id":"12x"})",
          R"({"symbol":"BTCUSDT"})",
          R"({"symbol":"BTCUSDT","order_id":"1","all":true})"}) {
        CHECK_THROWS_AS(read(text), Refusal);
    }
}

TEST_CASE(
    "what is shown of an order is exact, and its text stays inside of JSON",
    "[console][M5]"
) {
    Fixture f;
    auto order = sized<tenon_order>();
    order.instrument = 0;
    order.order_id = UINT64_MAX;
    order.side = TENON_SIDE_BUY;
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = TENON_TIF_GTC;
    order.status = TENON_STATUS_REJECTED;
    order.reject = TENON_REJECT_BALANCE;
    order.price = 6'183'763;
    order.quantity = 1;
    order.created_real_ns = 1'795'378'688'554'999'999;
    const std::string_view evil = R"(</script>"\)";
    order.client_id.length = static_cast<std::uint8_t>(evil.size());
    evil.copy(order.client_id.text, evil.size());
    const std::string text = boost::json::serialize(order_json(f.catalogue, order));
    const Json back = Json::parse(text);
    CHECK(back.find("client_id")->text() == evil);
    CHECK(back.find("order_id")->text() == "18446744073709551615");
    CHECK(back.find("price")->text() == "61837.63");
    CHECK(back.find("quantity")->text() == "0.00001");
    CHECK(back.find("created_ms")->number() == "1795378688554");
    CHECK(back.find("reason")->text() == "the balance does not suffice");
}
