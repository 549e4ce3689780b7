// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/plugin_manifest.hpp"
#include "tests/integration/kernel/process.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using tenon::test::build_dir;
using tenon::test::Process;
using tenon::test::Result;
using tenon::test::TempDir;
using tenon::test::write_file;
namespace json = boost::json;

namespace {

constexpr const char* k_id = R"({"id":"test.reload.live","config":)";

struct Bench {
    // `plugins` is the text of that member.
    void deploy(const std::string& plugins, const std::string& head = "") const {
        // By rename: a reload never sees half a file.
        const auto file = dir.path() / "d.json";
        write_file(
            file.string() + ".new",
            "{\"deployment_version\":1," + head + "\"plugins\":" + plugins + "}"
        );
        std::filesystem::rename(file.string() + ".new", file);
    }

    // One instance "one" with this config.
    void one(const std::string& config) const {
        deploy("{\"one\":" + std::string{k_id} + config + "}}");
    }

    [[nodiscard]] std::vector<std::string> command(std::vector<std::string> extra = {}) const {
        std::vector<std::string> all{
            (build_dir() / "bin/tenond").string(),
            "--listen",
            "127.0.0.1:0",
            "--deployment",
            (dir.path() / "d.json").string(),
            "--data-dir",
            data().string(),
            "--plugin-path",
            (build_dir() / "tests/reload-plugins").string()};
        all.insert(all.end(), extra.begin(), extra.end());
        return all;
    }

    [[nodiscard]] Result tool(std::vector<std::string> words) const {
        words.insert(words.begin(), (build_dir() / "bin/tenon").string());
        words.insert(words.end(), {"--data-dir", data().string()});
        return tenon::test::run(words);
    }

    // The answer as JSON, whatever the exit code.
    [[nodiscard]] json::value ask(std::vector<std::string> words) const {
        words.emplace_back("--json");
        const Result result = tool(std::move(words));
        INFO(result.out << result.err);
        return json::parse(result.out);
    }

    [[nodiscard]] std::filesystem::path data() const { return dir.path() / "data"; }

    TempDir dir;
};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

bool has(const json::value& answer, std::string_view code, std::string_view pointer) {
    for (const json::value& problem : answer.at("problems").as_array()) {
        if (problem.at("code") == json::value(code) &&
            problem.at("pointer") == json::value(pointer)) {
            return true;
        }
    }
    return false;
}

}  // namespace

TEST_CASE("a live setting changes by command and by signal", "[reload][K5]") {
    Bench bench;
    bench.one(R"({"text":"first"})");
    Process server{bench.command({"--set", "/plugins/one/config/count=3"})};
    REQUIRE(server.says("event=ready"));
    bench.one(R"({"text":"second"})");
    const json::value dry = bench.ask({"reload", "--dry-run"});
    CHECK(dry.at("ok") == true);
    CHECK(dry.at("reloaded") == false);
    CHECK(dry.at("changes").at(0).at("pointer") == "/plugins/one/config/text");
    CHECK(bench.ask({"one", "echo"}).at("text") == "first");

    const json::value answer = bench.ask({"reload"});
    CHECK(answer.at("reloaded") == true);
    CHECK(answer.at("generation") == 2);
    REQUIRE(answer.at("changes").as_array().size() == 1);
    CHECK(answer.at("changes").at(0).at("old") == "first");
    CHECK(answer.at("changes").at(0).at("new") == "second");
    const json::value echo = bench.ask({"one", "echo"});
    CHECK(echo.at("text") == "second");
    CHECK(echo.at("count") == 3);  // --set holds
    CHECK(echo.at("configured") == 2);

    // The same again changes nothing and calls nobody.
    CHECK(bench.ask({"reload"}).at("generation") == 2);
    CHECK(bench.ask({"one", "echo"}).at("configured") == 2);

    bench.one(R"({"text":"third"})");
    server.signal(SIGHUP);
    REQUIRE(server.says("generation=3"));
    CHECK(bench.ask({"one", "echo"}).at("text") == "third");
    // What the tools start again from is what runs.
    CHECK(contains(
        tenon::test::run({"/bin/cat", (bench.data() / "deployment.json").string()}).out, "third"
    ));
    server.signal(SIGTERM);
    CHECK(server.wait().code == 0);
}

TEST_CASE("a bad configuration is refused whole, with every error", "[reload][K5]") {
    Bench bench;
    bench.one(R"({"text":"first"})");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    bench.deploy(
        R"({"one":{"id":"test.reload.live","config":{"text":"much too long for it","count":4,
            "cuont":1}},"two":{"id":"test.reload.live"}})",
        R"("runtime":{"spin_us":7},)"
    );
    const json::value answer = bench.ask({"reload"});
    INFO(json::serialize(answer));
    CHECK(answer.at("ok") == false);
    CHECK(answer.at("reloaded") == false);
    CHECK(answer.at("generation") == 1);
    CHECK(has(answer, "M17", "/plugins/one/config/text"));
    CHECK(has(answer, "M01", "/plugins/one/config/cuont"));
    CHECK(has(answer, "R01", "/plugins/one/config/count"));
    CHECK(has(answer, "R02", "/plugins/two"));
    CHECK(has(answer, "R05", "/runtime/spin_us"));
    CHECK(bench.ask({"one", "echo"}).at("text") == "first");
    CHECK(bench.ask({"one", "echo"}).at("configured") == 1);

    const Result human = bench.tool({"reload"});
    CHECK(human.code == 3);
    CHECK(contains(human.err, "error R01"));
    CHECK(contains(human.err, "needs a restart"));
    CHECK(contains(human.out, "refused"));

    write_file(bench.dir.path() / "d.json", "{ not json");
    CHECK(has(bench.ask({"reload"}), "M02", ""));
    std::filesystem::remove(bench.dir.path() / "d.json");
    server.signal(SIGHUP);
    REQUIRE(server.says("M09"));
    CHECK(bench.ask({"one", "echo"}).at("text") == "first");
    // And a good one goes through afterwards.
    bench.one(R"({"text":"good"})");
    CHECK(bench.ask({"reload"}).at("reloaded") == true);
    CHECK(bench.ask({"one", "echo"}).at("text") == "good");
}

TEST_CASE("what a plugin refuses or fails with is undone for all", "[reload][K5]") {
    Bench bench;
    const auto deploy = [&](const std::string& a, const std::string& b) {
        bench.deploy(
            "{\"one\":" + std::string{k_id} + a + "},\"two\":" + std::string{k_id} + b + "}}"
        );
    };
    deploy("{}", "{}");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    deploy(R"({"text":"new"})", R"({"text":"new","fail":"dry_run"})");
    json::value answer = bench.ask({"reload"});
    CHECK(has(answer, "R06", "/plugins/two/config"));
    CHECK(bench.ask({"one", "echo"}).at("configured") == 1);

    deploy(R"({"text":"new"})", R"({"text":"new","fail":"apply"})");
    answer = bench.ask({"reload"});
    CHECK(has(answer, "R07", "/plugins/two/config"));
    CHECK(answer.at("ok") == false);
    CHECK(contains(json::serialize(answer), "told to fail"));
    CHECK(bench.ask({"one", "echo"}).at("text") == "hello");
    CHECK(bench.ask({"two", "echo"}).at("text") == "hello");
    CHECK(bench.ask({"one", "echo"}).at("configured") == 3);  // there and back

    // One that hangs is given up; the other is as it was, and the server goes on.
    deploy(R"({"text":"new"})", R"({"text":"new","fail":"hang"})");
    answer = bench.ask({"reload"});
    CHECK(has(answer, "R06", "/plugins/two/config"));
    CHECK(contains(json::serialize(answer), "did not return within 500 ms"));
    CHECK(bench.ask({"one", "echo"}).at("text") == "hello");
    deploy(R"({"text":"new"})", "{}");
    CHECK(bench.ask({"reload"}).at("reloaded") == true);
    CHECK(bench.ask({"one", "echo"}).at("text") == "new");
}

TEST_CASE("who is told of a generation sees all its settings", "[reload][K5]") {
    Bench bench;
    const auto deploy = [&](const std::string& config) {
        bench.deploy(
            "{\"one\":" + std::string{k_id} + config + "},\"two\":" + std::string{k_id} + config +
            "}}"
        );
    };
    deploy("{}");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    deploy(R"({"text":"new"})");
    CHECK(bench.ask({"reload"}).at("generation") == 2);
    for (const char* name : {"one", "two"}) {
        CHECK(bench.ask({name, "echo"}).at("seen") == json::array{"2 \"new\"", "2 \"new\""});
    }
}

TEST_CASE("a plugin that the server needs and that a reload loses ends it", "[reload][K5]") {
    Bench bench;
    const auto deploy = [&](const std::string& config) {
        bench.deploy("{\"one\":" + std::string{k_id} + config + R"(,"on_failure":"stop"}})");
    };
    deploy("{}");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    deploy(R"({"fail":"hang"})");
    CHECK(has(bench.ask({"reload"}), "R06", "/plugins/one/config"));
    const Result end = server.wait();
    INFO(end.err);
    CHECK(end.code == 5);
    CHECK(contains(end.err, "event=stopping reason=\"a plugin with on_failure stop failed\""));
}

TEST_CASE("a reload too large for the audit log is recorded by its hash", "[reload][K5]") {
    Bench bench;
    bench.one("{}");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    bench.one(R"({"text":"new","blob":")" + std::string(70'000, 'x') + "\"}");
    const json::value answer = bench.ask({"reload"});
    REQUIRE(answer.at("reloaded") == true);
    const std::string changes = json::serialize(answer.at("changes"));
    const json::value log = bench.ask({"audit", "list", "--count", "1"});
    const std::string text = json::serialize(log);
    INFO(text.substr(0, 2000));
    CHECK(contains(text, R"("action":"config.reload")"));
    CHECK(contains(text, R"("bytes":)" + std::to_string(changes.size())));
    CHECK(contains(text, tenon::manifest::sha256_of(changes)));
    server.signal(SIGTERM);
    CHECK_FALSE(contains(server.wait().err, "audit_failed"));
}

TEST_CASE("a secret that was rotated is a change, and is never shown", "[reload][K5]") {
    Bench bench;
    write_file(bench.dir.path() / "secret", "hunter2hunter2\n");
    bench.one(R"({"password":"file:secret"})");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(bench.ask({"one", "echo"}).at("password_length") == 14);
    write_file(bench.dir.path() / "secret", "hunter3\n");
    const json::value answer = bench.ask({"reload"});
    CHECK(answer.at("reloaded") == true);
    CHECK(answer.at("changes").at(0).at("pointer") == "/plugins/one/config/password");
    CHECK(answer.at("changes").at(0).at("new") == "(secret)");
    CHECK(bench.ask({"one", "echo"}).at("password_length") == 7);
    std::filesystem::remove(bench.dir.path() / "secret");
    const json::value gone = bench.ask({"reload"});
    CHECK(has(gone, "M18", "/plugins/one/config"));
    CHECK(bench.ask({"one", "echo"}).at("password_length") == 7);
    server.signal(SIGTERM);
    const Result end = server.wait();
    for (const std::string& text :
         {json::serialize(answer), json::serialize(gone), end.err, end.out}) {
        CHECK_FALSE(contains(text, "hunter"));
    }
}

TEST_CASE("log levels change; one set by hand stays until its own does", "[reload][K5][K13]") {
    Bench bench;
    bench.one("{}");
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    (void)bench.ask({"log", "level", "--plugin", "kernel", "--level", "trace"});
    bench.deploy("{\"one\":" + std::string{k_id} + "{}}}", R"("log":{"levels":{"one":"debug"}},)");
    CHECK(bench.ask({"reload"}).at("reloaded") == true);
    const json::value levels = bench.ask({"log", "level"});
    CHECK(levels.at("one") == "debug");
    CHECK(levels.at("kernel") == "trace");
}

TEST_CASE("systemd is told of a reload", "[reload][K5]") {
    Bench bench;
    const std::string path = (bench.dir.path() / "notify").string();
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const auto next = [fd] {
        pollfd wanted{fd, POLLIN, 0};
        REQUIRE(::poll(&wanted, 1, 20'000) == 1);
        std::string text(512, '\0');
        const ssize_t got = ::recv(fd, text.data(), text.size(), 0);
        text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        return text;
    };
    bench.one("{}");
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    Process server{bench.command()};
    ::unsetenv("NOTIFY_SOCKET");
    CHECK(next() == "READY=1");
    REQUIRE(server.says("event=ready"));
    server.signal(SIGHUP);
    CHECK(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    CHECK(next() == "READY=1");
    server.signal(SIGTERM);
    CHECK(next() == "STOPPING=1");
    (void)server.wait();
    ::close(fd);
}
