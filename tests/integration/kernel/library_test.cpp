// SPDX-License-Identifier: Apache-2.0
#include "sdk/loading/library.hpp"

#include "tests/integration/kernel/process.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

namespace {

tenon::manifest::PluginManifest manifest_of(const std::filesystem::path& library) {
    tenon::manifest::PluginManifest manifest;
    manifest.library = library;
    manifest.id = "test.kernel.entry";
    manifest.version = "0.1.0";
    return manifest;
}

tenon::manifest::PluginManifest entry(const std::string& name) {
    return manifest_of(
        tenon::test::build_dir() / "tests/kernel-entries" / ("kernel-entry-" + name + ".so")
    );
}

}  // namespace

TEST_CASE("a library with a sound entry opens, twice the same", "[kernel][loader][K1]") {
    const tenon_entry* first = tenon::loader::open_library(entry("good"));
    CHECK(first == tenon::loader::open_library(entry("good")));
}

TEST_CASE("a library built for a later minor version opens", "[kernel][loader][K2]") {
    CHECK(tenon::loader::open_library(entry("newer"))->abi_minor == 9);
}

TEST_CASE("L01 to L05: each fault of a library has its code", "[kernel][loader][K1]") {
    const tenon::test::TempDir dir;
    tenon::test::write_file(dir.path() / "text.so", "no library at all");
    using tenon::loader::open_library;
    CHECK_THROWS_WITH(
        open_library(manifest_of(dir.path() / "text.so")),
        Catch::StartsWith("L01") && Catch::Contains("text.so")
    );
    CHECK_THROWS_WITH(open_library(entry("symbol")), Catch::StartsWith("L02"));
    CHECK_THROWS_WITH(open_library(entry("magic")), Catch::StartsWith("L03"));
    CHECK_THROWS_WITH(
        open_library(entry("abi")), Catch::StartsWith("L04") && Catch::Contains("ABI 9.")
    );
    CHECK_THROWS_WITH(
        open_library(entry("id")), Catch::StartsWith("L05") && Catch::Contains("test.kernel.other")
    );
}
