// SPDX-License-Identifier: Apache-2.0
// Orders at an exchange under every fault, seeded. TENON_SIMULATION_SEED runs one seed,
// TENON_SIMULATION_RUNS so many.
#include "tests/simulation/exchange_world.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

namespace {

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE(
    "no fill is missed or counted twice, no order is sent twice or denied without evidence",
    "[simulation][binance][T9]"
) {
    const std::uint64_t first = number_of("TENON_SIMULATION_SEED", 1);
    const std::uint64_t runs = std::getenv("TENON_SIMULATION_SEED") != nullptr
                                   ? 1
                                   : number_of("TENON_SIMULATION_RUNS", 12);
    tenon::test::ExchangeWorld::Seen all;
    for (std::uint64_t seed = first; seed < first + runs; ++seed) {
        tenon::test::ExchangeWorld world{seed};
        world.live(60'000'000'000);
        world.settle();
        INFO("seed " << seed);
        REQUIRE(world.judge() == "");
        all.orders += world.seen().orders;
        all.restarts += world.seen().restarts;
        all.breaks += world.seen().breaks;
        all.cancels += world.seen().cancels;
        all.broken_in.insert(world.seen().broken_in.begin(), world.seen().broken_in.end());
    }
    CHECK(all.orders > 50 * runs);
    CHECK(all.restarts > runs);
    CHECK(all.breaks > runs);
    CHECK(all.cancels > runs);
    // The user stream was cut in every state of an order. One seed alone need not have them all.
    for (const char* const state :
         {"pending",
          "pending, cancel wanted",
          "open",
          "open, cancel wanted",
          "partly filled",
          "partly filled, cancel wanted",
          "ending"}) {
        INFO(state);
        CHECK((runs < 12 || all.broken_in.count(state) == 1));
    }
}
