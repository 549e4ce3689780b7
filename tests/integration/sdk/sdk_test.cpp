// SPDX-License-Identifier: Apache-2.0
// Plugins of every compiler and C++ runtime, built from the installed SDK alone, side by side in
// one running tenond: they work, and they misbehave.
#include "tests/integration/sdk/running_server.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <set>

using tenon::test::build_dir;
using tenon::test::Result;
using tenon::test::RunningServer;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> k_tools{"gcc", "clang", "libcxx", "libcxx-static"};

fs::path built() {
    return TENON_SDK_PLUGINS;
}

bool have_rust() {
    std::ifstream tools{built() / "tools"};
    std::string line;
    while (std::getline(tools, line)) {
        if (line == "rust") {
            return true;
        }
    }
    return false;
}

std::vector<fs::path> plugin_path() {
    std::vector<fs::path> path{build_dir() / "tests/sdk-probe", built() / "make"};
    for (const std::string& tool : k_tools) {
        path.push_back(built() / tool / "plugins");
    }
    if (have_rust()) {
        path.push_back(built() / "rust");
    }
    return path;
}

json::object odd(const std::string& id, const std::string& mode) {
    return {{"id", id}, {"config", {{"mode", mode}}}};
}

// One instance of everything, and everything that goes wrong.
json::object everything() {
    json::object plugins{{"probe", {{"id", "test.sdk.probe"}}}};
    for (const std::string& tool : k_tools) {
        plugins["cache-" + tool] = {{"id", "org.example.hello-cache-" + tool}};
        plugins["venue-" + tool] = {{"id", "org.example.limit-venue-" + tool}};
        plugins["throttle-" + tool] = {{"id", "org.example.gcra-throttle-" + tool}};
        for (const std::string kind : {"odd", "oddc"}) {
            const std::string name = kind + "-" + tool;
            const std::string id = "test.sdk." + name;
            plugins[name] = odd(id, "good");
            for (const std::string mode : {"fail_start", "fail_configure", "rubbish", "leak"}) {
                plugins[name + "-" + mode] = odd(id, mode);
            }
        }
        plugins["hang-" + tool] = odd("test.sdk.hang-" + tool, "hang_start");
        plugins["hangc-" + tool] = odd("test.sdk.hangc-" + tool, "hang_start");
    }
    plugins["throttle-make"] = {{"id", "org.example.gcra-throttle-make"}};
    for (const std::string kind : {"shared1", "shared2", "static"}) {
        plugins[kind] = odd("test.sdk." + kind + "-gcc", "good");
    }
    if (have_rust()) {
        plugins["cache-rust"] = {{"id", "org.example.rust-cache"}};
    }
    return plugins;
}

// Started at the first use, for all cases of this file.
RunningServer& server() {
    static RunningServer k_server{build_dir() / "bin/tenond", everything(), plugin_path()};
    return k_server;
}

std::vector<std::string> caches() {
    std::vector<std::string> names;
    for (const std::string& tool : k_tools) {
        names.push_back("cache-" + tool);
        names.push_back("odd-" + tool);
    }
    if (have_rust()) {
        names.emplace_back("cache-rust");
    } else {
        WARN("skipped: the Rust example, there is no rustc on this machine");
    }
    return names;
}

}  // namespace

TEST_CASE("cache tiers of every compiler and runtime work side by side", "[sdk][K2]") {
    for (const std::string& name : caches()) {
        INFO(name);
        CHECK(server().state(name) == "started ");
        CHECK(server().tier(name, "get", "k-" + name).at("status") == -1);
        CHECK(server().tier(name, "put", "k-" + name).at("status") == 0);
        const json::value got = server().tier(name, "get", "k-" + name);
        CHECK(got.at("status") == 0);
        CHECK(got.at("value") == json::value("v-k-" + name));
        CHECK(server().tier(name, "erase", "k-" + name).at("status") == 0);
        CHECK(server().tier(name, "get", "k-" + name).at("status") == -1);
    }
    for (const std::string& tool : k_tools) {
        CHECK(server().tier("oddc-" + tool, "get", "c").at("value") == json::value("C of " + tool));
    }
}

TEST_CASE("a throttle in C works, by CMake and by plain make", "[sdk][throttle][K2]") {
    std::vector<std::string> tools = k_tools;
    tools.emplace_back("make");
    for (const std::string& tool : tools) {
        INFO(tool);
        const json::value said = server().ask({"probe", "limit", "--instance", "throttle-" + tool});
        INFO(json::serialize(said));
        CHECK(said.at("given") == 10);
        CHECK(said.at("status") == 2);
        CHECK(said.at("wait_ns") == 200'000'000);
        CHECK(said.at("later") == 0);
    }
}

TEST_CASE("a venue's reports, snapshot and hash hold", "[sdk][venue][K2]") {
    const json::array expected{
        {{"kind", 1}, {"order", 1}, {"maker", 0}, {"price", 0}, {"quantity", 0}},
        {{"kind", 1}, {"order", 2}, {"maker", 0}, {"price", 0}, {"quantity", 0}},
        {{"kind", 1}, {"order", 3}, {"maker", 0}, {"price", 0}, {"quantity", 0}},
        {{"kind", 3}, {"order", 3}, {"maker", 0}, {"price", 99}, {"quantity", 5}},
        {{"kind", 3}, {"order", 0}, {"maker", 1}, {"price", 100}, {"quantity", 5}},
        {{"kind", 4}, {"order", 2}, {"maker", 0}, {"price", 0}, {"quantity", 0}}};
    for (const std::string& tool : k_tools) {
        INFO(tool);
        const json::value said = server().ask({"probe", "venue", "--instance", "venue-" + tool});
        CHECK(said.at("reports").as_array() == expected);
        CHECK(said.at("empty_again") == true);
        CHECK(said.at("refused") == -8);
        CHECK(said.at("kept") == true);
        CHECK(said.at("restored") == true);
    }
}

TEST_CASE("an exception inside a plugin becomes a status with its message", "[sdk][K2][K3]") {
    std::vector<std::string> names{"static", "shared1"};
    for (const std::string& tool : k_tools) {
        names.push_back("odd-" + tool);
    }
    for (const std::string& name : names) {
        INFO(name);
        const std::string tool = name.starts_with("odd-") ? name.substr(4) : "gcc";
        const json::value thrown = server().tier(name, "get", "throw");
        CHECK(thrown.at("status") == -9);
        CHECK(thrown.at("message") == json::value("thrown inside " + tool));
        const json::value number = server().tier(name, "get", "throw-number");
        CHECK(number.at("status") == -9);
        CHECK(number.at("message") == "unknown exception");
        const json::value memory = server().tier(name, "get", "throw-memory");
        CHECK(memory.at("status") == -4);
        CHECK(memory.at("message") == "out of memory");
        CHECK(server().tier(name, "put", "after").at("status") == 0);
        CHECK(server().tier(name, "get", "after").at("value") == "v-after");
    }
    const json::value refused = server().tier("oddc-gcc", "get", "throw");
    CHECK(refused.at("message") == "refused by C of gcc");
}

TEST_CASE("a plugin that fails, hangs or leaks is named, and the host goes on", "[sdk][K3]") {
    for (const std::string& tool : k_tools) {
        for (const std::string kind : {"odd-", "oddc-"}) {
            const std::string name = kind + tool;
            INFO(name);
            CHECK_THAT(
                server().state(name + "-fail_start"),
                Catch::StartsWith("failed") && Catch::Contains("L07") &&
                    Catch::Contains("start failed in " + tool)
            );
            CHECK_THAT(
                server().state(name + "-fail_configure"),
                Catch::StartsWith("failed") && Catch::Contains("L07") &&
                    Catch::Contains("refused by " + tool)
            );
            CHECK(server().state(name + "-leak") == "started ");
            CHECK(server().state(name + "-rubbish") == "started ");
            CHECK(server().tier(name + "-leak", "get", "none").at("status") == -1);
        }
        for (const std::string kind : {"hang-", "hangc-"}) {
            CHECK_THAT(
                server().state(kind + tool),
                (Catch::StartsWith("failed") || Catch::StartsWith("quarantined")) &&
                    Catch::Contains("did not return within 300 ms")
            );
        }
    }
}

TEST_CASE("equal symbols and other versions of a library do not meet", "[sdk][K2]") {
    std::vector<std::string> names{"shared1", "shared2", "static"};
    for (const std::string& tool : k_tools) {
        names.push_back("odd-" + tool);
    }
    for (const std::string& name : names) {
        INFO(name);
        const std::string tool = name.starts_with("odd-") ? name.substr(4) : "gcc";
        // Each image counts for itself alone.
        CHECK(server().tier(name, "get", "clash").at("value") == json::value(tool + " 1 1"));
    }
    const auto ticks = [](const std::string& name) {
        return std::string{server().tier(name, "get", "ticker").at("value").as_string()};
    };
    CHECK(ticks("shared1") == "101");
    CHECK(ticks("shared2") == "201");
    CHECK(ticks("shared1") == "102");
    CHECK(ticks("odd-gcc") == "101");
    CHECK(ticks("odd-clang") == "201");
    CHECK(ticks("odd-libcxx") == "101");
    CHECK(ticks("odd-libcxx-static") == "201");
    CHECK(ticks("static") == "101");
}

TEST_CASE("no plugin exports more than its entry", "[sdk][K2]") {
    std::size_t seen = 0;
    for (const fs::path& folder : plugin_path()) {
        for (const auto& file : fs::recursive_directory_iterator{folder}) {
            if (file.path().extension() != ".so") {
                continue;
            }
            ++seen;
            const Result nm = tenon::test::run(
                {"/usr/bin/nm",
                 "-D",
                 "--defined-only",
                 "--format=just-symbols",
                 file.path().string()}
            );
            INFO(file.path());
            CHECK(nm.out == "tenon_plugin_entry_v1\n");
        }
    }
    CHECK(seen >= 30);
}

TEST_CASE("a manifest tells the library, platform and runtime", "[sdk][K3]") {
    const std::vector<std::pair<std::string, std::string>> runtimes{
        {"gcc/plugins/hello-cache", "libstdc++"},
        {"clang/plugins/hello-cache", "libstdc++"},
        {"libcxx/plugins/hello-cache", "libc++"},
        {"libcxx-static/plugins/hello-cache", "libc++-static"},
        {"gcc/plugins/static-gcc", "libstdc++-static"},
        {"make/gcra-throttle", "none"}};
    for (const auto& [folder, runtime] : runtimes) {
        INFO(folder);
        std::ifstream in{built() / folder / "plugin.json"};
        const std::string text{std::istreambuf_iterator<char>{in}, {}};
        CHECK_THAT(text, Catch::Contains("\"cxx_runtime\" : \"" + runtime + "\""));
        CHECK_THAT(text, Catch::Contains("\"platform\" : \"linux-x86_64-glibc2."));
        const fs::path library = built() / folder / (fs::path{folder}.filename().string() + ".so");
        const Result needed = tenon::test::run({"/usr/bin/readelf", "-d", library.string()});
        const bool dynamic = needed.out.find("c++.so") != std::string::npos;
        CHECK(dynamic == (runtime == "libstdc++" || runtime == "libc++"));
        CHECK_THAT(needed.out, Catch::Contains("NODELETE") && Catch::Contains("NOW"));
    }
}

TEST_CASE("the examples pass the conformance kit of the installed SDK", "[sdk][K6]") {
    std::vector<std::string> libraries{
        "gcc/plugins/hello-cache/hello-cache.so",
        "libcxx-static/plugins/hello-cache/hello-cache.so",
        "clang/plugins/limit-venue/limit-venue.so",
        "make/gcra-throttle/gcra-throttle.so"};
    if (have_rust()) {
        libraries.emplace_back("rust/rust-cache/rust-cache.so");
    }
    for (const std::string& library : libraries) {
        const Result checked = tenon::test::run(
            {(built() / "sdk/bin/tenon").string(), "plugin", "check", (built() / library).string()}
        );
        INFO(library << "\n" << checked.out << checked.err);
        CHECK(checked.code == 0);
    }
}

// The last of this file: it ends the server.
TEST_CASE("the log of it all is lines of text, and nobody forges one", "[sdk][K3]") {
    REQUIRE(server().says("event=rubbish_ended"));
    const Result end = server().stop();
    CHECK(end.code != -1);  // two plugins hang: it cannot unwind, but it ends by itself
    CHECK_THAT(end.err, Catch::Contains("hang-gcc"));
    std::ptrdiff_t rubbish = 0;
    std::size_t at = 0;
    while (at < end.err.size()) {
        const std::size_t stop = std::min(end.err.find('\n', at), end.err.size());
        const std::string line = end.err.substr(at, stop - at);
        at = stop + 1;
        INFO(line.substr(0, 200));
        REQUIRE(line.starts_with("20"));
        REQUIRE(line.find('\x1b') == std::string::npos);
        REQUIRE_FALSE(line.starts_with("plugin=kernel"));
        rubbish += line.find("event=rubbish_ended") != std::string::npos ? 1 : 0;
    }
    CHECK(rubbish == 2 * std::ssize(k_tools));
}
