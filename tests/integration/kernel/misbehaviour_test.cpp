// SPDX-License-Identifier: Apache-2.0
// Plugins that crash, hang, leave, lie or write rubbish, and what is left of the server.
#include "tests/integration/kernel/bench.hpp"

#include <tenon/abi/base.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>

using tenon::test::Bench;
using tenon::test::contains;
using tenon::test::Process;
using tenon::test::Result;
using tenon::test::state_of;
namespace json = boost::json;

namespace {

std::string fault(std::string_view at, std::string_view more = "") {
    return R"({"other":{"id":"test.kernel.ok"},"base":{"id":"test.kernel.fault","config":{"at":")" +
           std::string{at} + "\"}" + std::string{more} + "}}";
}

// A process that dies of a signal; sanitizers turn that into an exit of their own.
bool died(const Result& result) {
    return result.code != 0;
}

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

}  // namespace

TEST_CASE("what a plugin may call depends on its state", "[kernel][K1][lifecycle]") {
    const Bench bench{R"({"one":{"id":"test.kernel.states"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    server.signal(SIGTERM);
    const Result end = server.wait();
    CHECK(end.code == 0);
    const auto seen = [&](std::string_view call, std::string_view what, int status) {
        const std::string line = "event=seen call=" + std::string{call} +
                                 " what=" + std::string{what} +
                                 " status=" + std::to_string(status) + "\n";
        INFO(line << end.err);
        CHECK(contains(end.err, line));
    };
    constexpr int k_denied = TENON_DENIED;
    for (const char* call : {"create", "destroy"}) {
        seen(call, "tenon.log/1", 0);
        seen(call, "tenon.clock/1", 0);
        for (const char* id :
             {"tenon.environment/1",
              "tenon.exec/1",
              "tenon.metrics/1",
              "tenon.health/1",
              "tenon.services/1",
              "tenon.secret/1",
              "tenon.admin/1"}) {
            seen(call, id, k_denied);
        }
    }
    seen("configure", "tenon.exec/1", 0);
    for (const char* what : {"run_blocking", "post", "call"}) {
        seen("configure", what, k_denied);
        for (const char* call : {"start", "drain", "stop"}) {
            seen(call, what, 0);
        }
        seen("destroy", what, k_denied);
    }
    for (const char* call : {"configure", "start", "drain", "stop"}) {
        seen(call, "gauge", 1);
        seen(call, "find", TENON_NOT_FOUND);
        seen(call, "seal", 0);
    }
    seen("destroy", "gauge", 0);
    seen("destroy", "find", k_denied);
    seen("destroy", "seal", k_denied);
    // Told once for a service, however often it was tried.
    CHECK(count(end.err, "event=call_refused name=one service=tenon.exec/1 state=created") == 1);
    CHECK(count(end.err, "event=call_refused") == 7);
}

TEST_CASE("L01, L03: a library that crashes, hangs or exits is kept out", "[kernel][loader][K1]") {
    const Bench bench{
        R"({"other":{"id":"test.kernel.ok"},"crash":{"id":"test.rogue.crash"},
            "hang":{"id":"test.rogue.hang"},"entry":{"id":"test.rogue.entry"},
            "exit":{"id":"test.rogue.exit"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const json::value report = bench.ask({"status"});
    INFO(json::serialize(report));
    CHECK(report.at("state") == "degraded");
    CHECK(state_of(report, "other") == "started ");
    CHECK(contains(state_of(report, "crash"), "failed L01 opening the library"));
    CHECK(contains(state_of(report, "hang"), "failed L01 opening the library"));
    CHECK(contains(state_of(report, "hang"), "did not return within 1000 ms"));
    CHECK(contains(state_of(report, "entry"), "failed L03 its entry"));
    CHECK(contains(state_of(report, "exit"), "failed L03 its entry"));
    CHECK(contains(state_of(report, "exit"), "called exit(0)"));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(contains(state_of(report, "crash"), "was ended by SIGSEGV"));
    CHECK(contains(state_of(report, "entry"), "was ended by SIGSEGV"));
#endif
    // What passed is not tried again, what failed is.
    const auto cache = json::parse(tenon::test::read_file(bench.data() / "plugin-scan.json"));
    CHECK(cache.as_object().size() == 1);
    server.signal(SIGTERM);
    CHECK(server.wait().code == 0);
}

TEST_CASE("L07: a plugin without a table, or with gaps in it, is refused", "[kernel][K1]") {
    const Bench bench{
        R"({"nothing":{"id":"test.rogue.nothing"},"gaps":{"id":"test.rogue.gaps"},
            "other":{"id":"test.kernel.ok"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const json::value report = bench.ask({"status"});
    CHECK(contains(state_of(report, "nothing"), "failed L07 create gave no plugin"));
    CHECK(contains(state_of(report, "gaps"), "failed L07 create gave no plugin"));
    CHECK(state_of(report, "other") == "started ");
    server.signal(SIGTERM);
    CHECK(server.wait().code == 0);
}

TEST_CASE("a plugin that hangs is quarantined and never entered again", "[kernel][K1]") {
    const Bench bench{fault("hang")};
    Process server{bench.command()};
    REQUIRE(server.says("event=plugin_quarantined name=base"));
    REQUIRE(server.says("event=ready"));
    const json::value report = bench.ask({"status"});
    CHECK(contains(state_of(report, "base"), "quarantined L07 start did not return within 2000 ms")
    );
    CHECK(contains(json::serialize(bench.ask({"list"})), R"("state":"quarantined")"));
    const Result command = bench.tool({"base", "alive"});
    CHECK(command.code == 1);
    CHECK(contains(command.out, "quarantined"));
    // The timer that it left would crash the server; wait until it was due.
    Process{{"/bin/sleep", "0.8"}}.wait();
    CHECK(state_of(bench.ask({"status"}), "other") == "started ");
    server.signal(SIGTERM);
    const Result end = server.wait();
    CHECK(end.code == 1);
    CHECK(contains(end.err, "event=stopped clean=false"));
}

TEST_CASE("a plugin that hangs in drain or stop does not keep the rest", "[kernel][K1]") {
    const std::string at = GENERATE("hang-drain", "hang-stop", "never-drained");
    INFO(at);
    const Bench bench{fault(at)};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    server.signal(SIGTERM);
    const Result end = server.wait();
    INFO(end.err);
    if (at == "never-drained") {
        CHECK(end.code == 0);
        CHECK(contains(end.err, "event=plugin_stop_failed name=base"));
        return;
    }
    CHECK(end.code == 1);
    CHECK(contains(end.err, "event=plugin_quarantined name=base"));
    CHECK(contains(end.err, "event=stopped clean=false"));
}

TEST_CASE(
    "a command or a task that does not end is named, and does not keep the server",
    "[kernel][K1]"
) {
    const std::string at = GENERATE("hang-command", "hang-task");
    INFO(at);
    const Bench bench{fault(at)};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    std::vector<std::string> words{
        (tenon::test::build_dir() / "bin/tenon").string(),
        "base",
        "alive",
        "--data-dir",
        bench.data().string()};
    Process client{words};
    if (at == "hang-command") {
        REQUIRE(server.says("event=hanging"));
    }
    server.signal(SIGTERM);
    const Result end = server.wait();
    INFO(end.err);
    CHECK(end.code == 1);
    CHECK(contains(
        end.err,
        at == "hang-command" ? "event=command_left name=base.alive"
                             : "event=blocking_task_left name=base"
    ));
    CHECK(contains(end.err, "event=stopped clean=false"));
    (void)client.wait();
}

TEST_CASE("a crash in start is told and held back at the next start", "[kernel][crash][K1]") {
    struct Case {
        std::string at;
        std::string text;
    };

    const auto [at, text] = GENERATE(
        Case{"crash", "SIGSEGV in plugin base (test.kernel.fault) during start"},
        Case{"exit", "exit() in plugin base (test.kernel.fault) during start"},
        Case{"abort", "SIGABRT in plugin base (test.kernel.fault) during a posted callback"}
    );
    INFO(at);
    const Bench bench{fault(at)};
    const Result first = tenon::test::run(bench.command());
    INFO(first.err);
    CHECK(died(first));
    CHECK(contains(first.err, "tenond: " + text));
    {
        Process server{bench.command()};
        REQUIRE(server.says("event=ready"));
        const json::value report = bench.ask({"status"});
        CHECK(contains(state_of(report, "base"), "held held back in safe mode"));
        CHECK(state_of(report, "other") == "started ");
        CHECK(report.at("state") == "degraded");
        CHECK(report.at("components").at(0).at("plugin") == "base");
        CHECK(report.at("components").at(0).at("component") == "last_run");
        CHECK(server.says("event=crashed_before name=base"));
        server.signal(SIGTERM);
        CHECK(server.wait().code == 0);
    }
    if (at != "crash") {
        return;
    }
    {
        // Still held, though this time no crash came before.
        Process server{bench.command()};
        REQUIRE(server.says("event=ready"));
        CHECK(contains(state_of(bench.ask({"status"}), "base"), "held"));
        CHECK(bench.tool({"plugins", "release", "--plugin", "other"}).code == 1);
        CHECK(bench.ask({"plugins", "release", "--plugin", "base"}).at("plugin") == "base");
        server.signal(SIGTERM);
        CHECK(server.wait().code == 0);
    }
    CHECK(died(tenon::test::run(bench.command())));
    // Other settings make it another plugin.
    Process server{
        bench.command({"--listen", "127.0.0.1:0", "--set", "/plugins/base/config/at=nowhere"})};
    REQUIRE(server.says("event=ready"));
    CHECK(state_of(bench.ask({"status"}), "base") == "started ");
}

TEST_CASE("a stack overflow names the plugin", "[kernel][crash][K1]") {
    struct Case {
        std::string at;
        std::string text;
    };

    const auto [at, text] = GENERATE(
        Case{"overflow", "during start"},
        Case{"overflow-reactor", "during a posted callback"},
        Case{"overflow-pool", "during a blocking task"}
    );
    INFO(at);
    const Bench bench{fault(at)};
    const Result end = tenon::test::run(bench.command());
    INFO(end.err);
    CHECK(died(end));
    CHECK(contains(end.err, "tenond: SIGSEGV in plugin base (test.kernel.fault) " + text));
    CHECK(std::filesystem::exists(bench.data() / "crash.json"));
}

TEST_CASE("a plugin that the server needs is tried twice before it is held", "[kernel][crash]") {
    const Bench bench{fault("crash", R"(,"on_failure":"stop")")};
    CHECK(contains(tenon::test::run(bench.command()).err, "SIGSEGV in plugin base"));
    CHECK(contains(tenon::test::run(bench.command()).err, "SIGSEGV in plugin base"));
    const Result held = tenon::test::run(bench.command());
    CHECK(held.code == 5);
    CHECK(contains(held.err, "event=plugin_held name=base"));
    const Result forced =
        tenon::test::run(bench.command({"--listen", "127.0.0.1:0", "--no-safe-mode"}));
    CHECK(contains(forced.err, "SIGSEGV in plugin base"));
}

TEST_CASE("a crash after the start is told, and holds nothing back", "[kernel][crash]") {
    const Bench bench{fault("command")};
    {
        Process server{bench.command()};
        REQUIRE(server.says("event=ready"));
        CHECK(bench.tool({"base", "alive"}).code != 0);
        const Result end = server.wait();
        CHECK(died(end));
        CHECK(
            contains(end.err, "SIGSEGV in plugin base (test.kernel.fault) during an admin command")
        );
    }
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const json::value report = bench.ask({"status"});
    CHECK(state_of(report, "base") == "started ");
    CHECK(report.at("state") == "degraded");
    CHECK(contains(json::serialize(report), "crashed tenond: SIGSEGV during an admin command"));
}

TEST_CASE("rubbish in the log stays one line of bounded length", "[kernel][log][K13]") {
    const Bench bench{fault("rubbish"), R"("log":{"format":"json"},)"};
    Process server{bench.command()};
    REQUIRE(server.says("rubbish_written"));
    REQUIRE(server.says("\"ready\""));
    server.signal(SIGTERM);
    const Result end = server.wait();
    INFO(end.err.substr(end.err.size() - std::min<std::size_t>(end.err.size(), 2'000)));
    CHECK(end.code == 0);
    std::size_t lines = 0;
    for (std::size_t at = 0; at < end.err.size(); ++lines) {
        const std::size_t stop = end.err.find('\n', at);
        REQUIRE(stop != std::string::npos);
        const std::string line = end.err.substr(at, stop - at);
        CHECK(line.size() < 500'000);
        json::error_code ec;
        (void)json::parse(line, ec);  // also refuses what is not UTF-8
        INFO(line.substr(0, 200));
        CHECK_FALSE(ec);
        at = stop + 1;
    }
    CHECK(lines >= 5);
}

TEST_CASE("a thread that a plugin leaves behind is told of", "[kernel][K1]") {
    const Bench bench{fault("thread")};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    server.signal(SIGTERM);
    const Result end = server.wait();
    CHECK(end.code == 0);
    CHECK(contains(end.err, "event=threads_left count=1"));
    CHECK(contains(end.err, "event=stopped clean=false"));
}
