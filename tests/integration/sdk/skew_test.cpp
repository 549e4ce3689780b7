// SPDX-License-Identifier: Apache-2.0
// Host and plugin of different releases: one appended slot apart, both ways.
#include "tests/integration/sdk/running_server.hpp"

#include <tenon/abi/base.h>

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

#include <fstream>

using tenon::test::build_dir;
using tenon::test::Result;
using tenon::test::RunningServer;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

fs::path built() {
    return TENON_SDK_PLUGINS;
}

const json::object k_plugins{
    {"probe", {{"id", "test.sdk.probe"}}},
    {"newer", {{"id", "test.sdk.skew-newer"}}},
    {"older", {{"id", "test.sdk.skew-older"}}},
    {"today", {{"id", "test.sdk.skew-today"}}},
    {"rust",
     {{"id", "org.example.rust-cache"},
      {"enabled", fs::exists(built() / "rust/rust-cache/plugin.json")}}},
    {"throttle", {{"id", "org.example.gcra-throttle-make"}}}};

std::vector<fs::path> plugin_path() {
    std::vector<fs::path> path{
        build_dir() / "tests/sdk-probe", built() / "skew/plugins", built() / "make"};
    if (fs::exists(built() / "rust")) {
        path.push_back(built() / "rust");
    }
    return path;
}

void check_all_work(const RunningServer& server) {
    for (const std::string name : {"newer", "older", "today"}) {
        INFO(name);
        CHECK(server.state(name) == "started ");
        CHECK(server.tier(name, "put", "key").at("status") == 0);
        CHECK(server.tier(name, "get", "key").at("value") == "v-key");
        const json::value stats = server.tier(name, "stats");
        CHECK(stats.at("entries") == 1);
        CHECK(stats.at("intact") == true);
        const json::value thrown = server.tier(name, "get", "throw");
        CHECK(thrown.at("status") == -6);
        CHECK(thrown.at("message") == json::value(std::string(496, 'x')));
    }
    CHECK(server.state("throttle") == "started ");
    CHECK(server.ask({"probe", "limit", "--instance", "throttle"}).at("given") == 10);
}

}  // namespace

TEST_CASE("plugins of a longer and of a shorter table work in this host", "[sdk][K2]") {
    RunningServer server{build_dir() / "bin/tenond", k_plugins, plugin_path()};
    check_all_work(server);
    CHECK(server.tier("newer", "get", "skew").at("value") == "host older, no future");
    CHECK(server.tier("today", "get", "skew").at("value") == "same");
    const auto size = [&](const std::string& name) {
        return server.tier(name, "get", "key").at("table_size").to_number<int>();
    };
    CHECK(size("newer") == size("today") + 8);
    CHECK(size("older") == size("today") - 5 * 8);  // without the optional ones
    CHECK(server.stop().code == 0);
}

TEST_CASE("plugins of today work in a host a slot longer", "[sdk][K2]") {
    RunningServer server{build_dir() / "tests/tenond-newer", k_plugins, plugin_path()};
    check_all_work(server);
    CHECK(server.tier("today", "get", "skew").at("value") == "host newer");
    CHECK(server.tier("newer", "get", "skew").at("value") == "same, no future");
    CHECK(server.stop().code == 0);
}

TEST_CASE("a plugin that needs a later ABI is refused by name", "[sdk][K3]") {
    const fs::path folder = built() / "skew/demanding";
    const fs::path deployment = folder / "d.json";
    std::ofstream{deployment} << R"({"deployment_version":1,"plugin_path":[")" << folder.string()
                              << R"("],"plugins":{"x":{"id":"test.sdk.skew-today"}}})";
    const Result result = tenon::test::run(
        {(build_dir() / "bin/tenond").string(), "--check", "--deployment", deployment.string()}
    );
    CHECK(result.code == 3);
    const std::string needed =
        std::to_string(TENON_ABI_MAJOR) + "." + std::to_string(TENON_ABI_MINOR + 1);
    CHECK_THAT(
        result.err,
        Catch::Contains("M06") && Catch::Contains("skew-today") &&
            Catch::Contains("needs ABI " + needed)
    );
}
