// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/instruments/catalogue.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>

using tenon::instruments::Catalogue;

namespace {

std::string message_of(std::string_view text) {
    try {
        (void)Catalogue::parse(text, "x.json");
    } catch (const tenon::Error& error) {
        return error.what();
    }
    return "accepted";
}

// A document with one instrument, `more` spliced into it.
std::string with(const std::string& more, const std::string& scales = "") {
    return R"({"instruments_version":1,"assets":[{"name":"USDT","scale":8},{"name":"BTC","scale":8}],
        "instruments":[{"symbol":"BTCUSDT","base":"BTC","quote":"USDT","venue":"paper",)" +
           (scales.empty() ? R"("price_scale":2,"quantity_scale":5)" : scales) + more + "}]}";
}

}  // namespace

TEST_CASE("the shipped instruments are read exactly", "[instruments][T3]") {
    const char* source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    const Catalogue catalogue = Catalogue::load(std::string{source} + "/etc/instruments.json");
    std::uint32_t id = 99;
    REQUIRE(catalogue.find_instrument("BTCUSDT", id));
    const tenon_instrument* btc = catalogue.instrument(id);
    REQUIRE(btc != nullptr);
    CHECK(btc->id == id);
    CHECK(tenon::view(btc->venue) == "paper");
    CHECK(tenon::view(catalogue.asset(btc->base)->name) == "BTC");
    CHECK(btc->price_tick == 1);
    CHECK(btc->quantity_max == 9000 * 100'000LL);
    CHECK(btc->market_quantity_max == 120 * 100'000LL);
    CHECK(btc->notional_min == 5 * 100'000'000LL);
    CHECK(btc->notional_min_to_market == 1);
    CHECK(btc->bid_multiplier_up_ppm == 5'000'000);
    CHECK(btc->ask_multiplier_down_ppm == 200'000);
    CHECK(btc->maker_fee_ppm == 1000);
    CHECK(btc->orders_max == 200);
    CHECK(btc->status == TENON_INSTRUMENT_TRADING);
    CHECK(catalogue.instrument(catalogue.instrument_count()) == nullptr);
    CHECK(catalogue.asset(catalogue.asset_count()) == nullptr);
    CHECK_FALSE(catalogue.find_instrument("btcusdt", id));
}

TEST_CASE(
    "each mistake is told with its pointer, what was found and expected",
    "[instruments][T3]"
) {
    CHECK(message_of(with("")) == "accepted");
    CHECK_THAT(message_of("{"), Catch::Contains("x.json: not JSON"));
    CHECK_THAT(message_of("[]"), Catch::Contains("x.json /: found [], expected an object"));
    CHECK_THAT(
        message_of(with(R"(,"price":{"tick":0.01})")),
        Catch::Contains("x.json /instruments/0/price/tick: found 1E-2, expected a decimal")
    );
    CHECK_THAT(
        message_of(with(R"(,"price":{"tick":"0.001"})")),
        Catch::Contains(
            R"(/instruments/0/price/tick: found "0.001", expected a decimal >= 0 in a string, with at most 2 decimals)"
        )
    );
    CHECK_THAT(
        message_of(with(R"(,"quantity":{"min":"2","max":"1"})")),
        Catch::Contains("/instruments/0/quantity/max: found \"1\", expected at least min")
    );
    CHECK_THAT(
        message_of(with(R"(,"tick":"1")")),
        Catch::Contains("/instruments/0/tick: found \"1\", expected one of symbol, base")
    );
    CHECK_THAT(
        message_of(with(R"(,"fees":{"maker":"1.5"})")),
        Catch::Contains("/fees/maker: found \"1.5\"")
    );
    CHECK_THAT(message_of(with(R"(,"status":"open")")), Catch::Contains("trading, halt or break"));
    CHECK_THAT(
        message_of(with(R"(,"orders_max":-1)")), Catch::Contains("an integer from 0 to 1000000")
    );
}

TEST_CASE("scales that make amounts inexact are refused", "[instruments][T3]") {
    CHECK_THAT(
        message_of(with("", R"("price_scale":4,"quantity_scale":5)")),
        Catch::Contains("price_scale + quantity_scale at most 8, the scale of the quote asset")
    );
    CHECK_THAT(
        message_of(with("", R"("price_scale":9,"quantity_scale":5)")),
        Catch::Contains("/instruments/0/price_scale: found 9, expected an integer from 0 to 8")
    );
}

TEST_CASE("all mistakes of a file are told at once", "[instruments][T3]") {
    const std::string message = message_of(
        R"({"instruments_version":2,"assets":[{"name":"A","scale":9},{"name":"A","scale":1}],
            "instruments":[{"symbol":"","base":"B","quote":"A","venue":"v","price_scale":0,
            "quantity_scale":0}]})"
    );
    for (const char* pointer :
         {"/instruments_version",
          "/assets/0/scale",
          "/assets/1/name",
          "/instruments/0/symbol",
          "/instruments/0/base"}) {
        CHECK_THAT(message, Catch::Contains(pointer));
    }
}
