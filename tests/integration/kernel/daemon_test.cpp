// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/kernel/bench.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using tenon::test::Bench;
using tenon::test::build_dir;
using tenon::test::contains;
using tenon::test::Process;
using tenon::test::Result;
using tenon::test::state_of;
namespace json = boost::json;

TEST_CASE("plugins start, answer commands and stop in reverse", "[kernel][K1][K4]") {
    const Bench bench{R"({"one":{"id":"test.kernel.ok","config":{"count":3}}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(bench.ask({"status"}).at("ready") == true);
    const json::value echo = bench.ask({"one", "echo", "--x", "y"});
    CHECK(echo.at("config").at("count") == 3);
    CHECK(echo.at("config").at("text") == "hello");
    CHECK(echo.at("args").at("x") == "y");
    CHECK(echo.at("data_dir") == json::value(bench.data().string()));
    CHECK(bench.ask({"list"}).at(0).at("id") == "test.kernel.ok");

    struct stat info {};

    REQUIRE(::stat((bench.data() / "admin.sock").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);
    server.signal(SIGHUP);
    REQUIRE(server.says("event=config_reload result=unchanged"));
    server.signal(SIGTERM);
    const Result end = server.wait();
    CHECK(end.code == 0);
    CHECK(contains(end.err, "event=stopped clean=true"));
    CHECK_FALSE(std::filesystem::exists(bench.data() / "admin.sock"));
}

TEST_CASE("log levels change while it runs, stop stops", "[kernel][K4][K13]") {
    const Bench bench{R"({"one":{"id":"test.kernel.ok"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(bench.ask({"log", "level"}).at("one") == "info");
    CHECK(
        bench.ask({"log", "level", "--plugin", "one", "--level", "debug"}).at("level") == "debug"
    );
    CHECK(bench.ask({"log", "level"}).at("one") == "debug");
    const Result bad = bench.tool({"log", "level", "--level", "loud"});
    CHECK(bad.code == 1);
    CHECK(contains(bad.out, "expected trace, debug"));
    CHECK(bench.ask({"stop"}).at("stopping") == true);
    CHECK(server.wait().code == 0);
}

TEST_CASE("a command without a server runs under a temporary one", "[cli][K4]") {
    const Bench bench{R"({"one":{"id":"test.kernel.ok"}})"};
    const Result status = bench.tool({"status"});
    CHECK(status.code == 4);
    const json::value echo = bench.ask(
        {"one",
         "echo",
         "--deployment",
         (bench.dir.path() / "d.json").string(),
         "--plugin-path",
         (build_dir() / "tests/kernel-plugins").string()}
    );
    CHECK(echo.at("listen") == "");
    // From now on the folder knows its deployment.
    CHECK(bench.ask({"one", "echo"}).at("config").at("count") == 1);
    CHECK(bench.tool({"one", "nothing"}).code == 1);
}

TEST_CASE("a wrong deployment prints every error and starts nothing", "[kernel][K3]") {
    const Bench bench{
        R"({"one":{"id":"test.kernel.ok","config":{"cuont":3,"text":7}},"two":{"id":"test.nope"},
            "three":{"id":"test.kernel.user"}})"};
    for (const bool check : {false, true}) {
        const Result result = tenon::test::run(
            bench.command(check ? std::vector<std::string>{"--check"} : std::vector<std::string>{})
        );
        CHECK(result.code == 3);
        CHECK(contains(result.err, "M01"));
        CHECK(contains(result.err, "/plugins/one/config/cuont"));
        CHECK(contains(result.err, "perhaps \"count\""));
        CHECK(contains(result.err, "M17"));
        CHECK(contains(result.err, "/plugins/two/id"));
        CHECK(contains(result.err, "M11"));
        CHECK_FALSE(std::filesystem::exists(bench.data()));
    }
    const Result tool = bench.tool(
        {"check",
         (bench.dir.path() / "d.json").string(),
         "--plugin-path",
         (build_dir() / "tests/kernel-plugins").string()}
    );
    CHECK(tool.code == 3);
    CHECK(json::parse(tool.out).at("problems").as_array().size() == 4);
}

TEST_CASE("a second daemon is refused and told who holds the folder", "[kernel][K1]") {
    const Bench bench{R"({"one":{"id":"test.kernel.ok"}})"};
    Process first{bench.command()};
    REQUIRE(first.says("event=ready"));
    const Result second = tenon::test::run(bench.command());
    CHECK(second.code == 4);
    CHECK(contains(second.err, bench.data().string()));
    CHECK(contains(second.err, "process " + std::to_string(first.pid())));
    CHECK(bench.ask({"status"}).at("ready") == true);
}

TEST_CASE("a port in use is named before anything starts", "[kernel][K1]") {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const std::string listen = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    const Bench bench{R"({"one":{"id":"test.kernel.ok"}})"};
    const Result result = tenon::test::run(bench.command({"--listen", listen}));
    ::close(fd);
    CHECK(result.code == 4);
    CHECK(contains(result.err, listen));
    CHECK_FALSE(contains(result.err, "plugin_started"));
}

TEST_CASE("a plugin that fails is named, and only its dependants stay down", "[kernel][K1]") {
    struct Case {
        std::string at;
        std::string reason;
    };

    const auto [at, reason] = GENERATE(
        Case{"configure", "failed L07 configure failed: asked to fail in configure"},
        Case{"interface", "failed L06"},
        Case{"start", "failed L07 start failed: asked to fail in start"},
        Case{"throw", "failed L07 start failed: asked to throw in start"},
        Case{"hang", "quarantined L07 start did not return within 2000 ms"}
    );
    INFO(at);
    const Bench bench{
        R"({"other":{"id":"test.kernel.ok"},"user":{"id":"test.kernel.user"},
            "base":{"id":"test.kernel.fault","config":{"at":")" +
        at + "\"}}}"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const json::value report = bench.ask({"status"});
    CHECK(report.at("ready") == false);
    CHECK(report.at("state") == "degraded");
    CHECK(contains(state_of(report, "base"), reason));
    CHECK(contains(state_of(report, "user"), "down needs test.base/1 of \"base\""));
    CHECK(state_of(report, "other") == "started ");
    if (at == "start") {
        // What it registered before it failed still serves: that may be what repairs it.
        CHECK(bench.ask({"base", "alive"}) == "alive");
    }
    server.signal(SIGTERM);
    // After a hang the process cannot end cleanly, and says so.
    CHECK(server.wait().code == (at == "hang" ? 1 : 0));
}

TEST_CASE("on_failure stop ends the daemon, but not for the tools", "[kernel][K1]") {
    const Bench bench{
        R"({"base":{"id":"test.kernel.fault","config":{"at":"start"},"on_failure":"stop"}})"};
    const Result result = tenon::test::run(bench.command());
    CHECK(result.code == 5);
    CHECK(contains(result.err, "asked to fail in start"));
    CHECK(bench.ask({"base", "alive"}) == "alive");
}

TEST_CASE("a master key that others can read stops the start", "[kernel][S8]") {
    const Bench bench{R"({"one":{"id":"test.kernel.ok"}})"};
    CHECK(
        bench
            .tool(
                {"one",
                 "echo",
                 "--deployment",
                 (bench.dir.path() / "d.json").string(),
                 "--plugin-path",
                 (build_dir() / "tests/kernel-plugins").string()}
            )
            .code == 0
    );
    REQUIRE(::chmod((bench.data() / "master.key").c_str(), 0644) == 0);
    const Result result = tenon::test::run(bench.command());
    CHECK(result.code == 1);
    CHECK(contains(result.err, "has mode 0644; expected 0400 or 0600"));
}

TEST_CASE("the admin socket answers rubbish with an error and lives on", "[kernel][K4]") {
    const Bench bench{R"({"one":{"id":"test.kernel.ok"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const Result unknown = bench.tool({"no", "such", "command"});
    CHECK(unknown.code == 1);
    CHECK(json::parse(unknown.out).at("error").at("code") == "NOT_FOUND");
    const std::string huge(2U << 20U, 'x');
    std::vector<std::string> words{"one", "echo"};
    for (int i = 0; i < 20; ++i) {
        words.insert(words.end(), {"--long", huge.substr(0, 100'000)});
    }
    const Result long_line = bench.tool(words);
    CHECK(long_line.code != 0);
    CHECK(bench.ask({"status"}).at("ready") == true);
}
