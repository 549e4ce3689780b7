// SPDX-License-Identifier: Apache-2.0
// The list of assets and instruments.
//
// input := JSON
// Asserted: it is a catalogue, or an Error says each mistake; the scales of a catalogue keep the
// rule that amounts are whole units, and each name is found.
#include "plugins/trading/instruments/catalogue.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/simulation/core_world.hpp"

#include <tenon/plugin.hpp>

using tenon::fuzz::expect;
using tenon::instruments::Catalogue;

namespace {

void expect_instrument(const Catalogue& all, const tenon_instrument& one) {
    expect(one.base < all.asset_count() && one.quote < all.asset_count(), "its assets are listed");
    expect(one.price_scale >= 0 && one.quantity_scale >= 0, "scales are not negative");
    expect(one.quantity_scale <= all.asset(one.base)->scale, "quantities are units of the base");
    expect(
        one.price_scale + one.quantity_scale <= all.asset(one.quote)->scale,
        "price times quantity is units of the quote"
    );
    expect(one.price_tick >= 0 && one.quantity_step >= 0, "steps are not negative");
    expect(one.price_min >= 0 && one.price_max >= 0, "bounds are not negative");
    expect(one.quantity_min >= 0 && one.quantity_max >= 0, "bounds are not negative");
    std::uint32_t id = 0;
    expect(all.find_instrument(tenon::view(one.symbol), id) && id == one.id, "it is found by name");
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    made.seeds = {
        std::string{test::world_instruments()},
        R"({"instruments_version":1,"assets":[{"name":"A","scale":0}],"instruments":[]})",
        R"({"instruments_version":1,"assets":[{"name":"A","scale":8},{"name":"B","scale":2}],)"
        R"("instruments":[{"symbol":"AB","base":"A","quote":"B","venue":"v","price_scale":1,)"
        R"("quantity_scale":1,"price":{"tick":"0.1"},"quantity":{"step":"0.1"}}]})"};
    made.words = {
        "\"price\":{",
        "\"tick\":\"0.01\"",
        "\"scale\":",
        "\"max\":\"9223372036854775807\"",
        "\"-1\"",
        "\"status\":\"halt\"",
        "\"fees\":{\"maker\":\"",
        "1e3",
        "\"symbol\":\""};
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const Catalogue all = Catalogue::parse(tenon::fuzz::text_of(data, size), "input");
        for (std::uint32_t id = 0; id < all.asset_count(); ++id) {
            std::uint32_t found = 0;
            expect(all.asset(id)->scale >= 0 && all.asset(id)->scale <= 18, "a scale is bounded");
            expect(
                all.find_asset(tenon::view(all.asset(id)->name), found) && found == id,
                "it is found by name"
            );
        }
        for (std::uint32_t id = 0; id < all.instrument_count(); ++id) {
            expect_instrument(all, *all.instrument(id));
        }
        expect(all.asset(all.asset_count()) == nullptr, "nothing is behind the last");
    } catch (const tenon::Error& error) {
        expect(error.code() == TENON_INVALID && *error.what() != '\0', "a refusal has reasons");
    }
    return 0;
}
