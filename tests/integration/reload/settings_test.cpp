// SPDX-License-Identifier: Apache-2.0
// Live settings changed over the deployment in a real server: kept over its end, however it ends.
#include "sdk/manifest/overrides.hpp"
#include "tests/integration/kernel/process.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using tenon::manifest::OverridesFile;
using tenon::manifest::SettingOverrideList;
using tenon::test::build_dir;
using tenon::test::Process;
using tenon::test::read_file;
using tenon::test::Result;
using tenon::test::TempDir;
using tenon::test::write_file;
namespace json = boost::json;

namespace {

struct Bench {
    Bench() { deploy(R"({"text":"first"})"); }

    // By rename: a reload never sees half a file.
    void deploy(const std::string& config, const std::string& more = "") const {
        const auto file = dir.path() / "d.json";
        write_file(
            file.string() + ".new",
            R"({"deployment_version":1,"plugins":{"one":{"id":"test.reload.live","config":)" +
                config + "}" + more + "}}"
        );
        std::filesystem::rename(file.string() + ".new", file);
    }

    [[nodiscard]] std::vector<std::string> command() const {
        return {
            (build_dir() / "bin/tenond").string(),
            "--listen",
            "127.0.0.1:0",
            "--deployment",
            (dir.path() / "d.json").string(),
            "--data-dir",
            data().string(),
            "--plugin-path",
            plugins()};
    }

    [[nodiscard]] Result tool(std::vector<std::string> words) const {
        words.insert(words.begin(), (build_dir() / "bin/tenon").string());
        words.insert(words.end(), {"--data-dir", data().string(), "--plugin-path", plugins()});
        return tenon::test::run(words);
    }

    // The answer as JSON, whatever the exit code.
    [[nodiscard]] json::value ask(std::vector<std::string> words) const {
        words.emplace_back("--json");
        const Result result = tool(std::move(words));
        INFO(result.out << result.err);
        return json::parse(result.out);
    }

    [[nodiscard]] json::value text() const { return ask({"one", "echo"}).at("text"); }

    [[nodiscard]] static std::string plugins() {
        return (build_dir() / "tests/reload-plugins").string();
    }

    [[nodiscard]] std::filesystem::path data() const { return dir.path() / "data"; }

    TempDir dir;
};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// State and reason of the kernel's component `settings`.
std::string settings_health(const Bench& bench) {
    const json::value report = bench.ask({"status"});
    for (const json::value& item : report.at("components").as_array()) {
        if (item.at("component") == "settings") {
            return std::string{item.at("state").as_string()} + " " +
                   std::string{item.at("reason").as_string()};
        }
    }
    return "none";
}

}  // namespace

TEST_CASE("an override outlives reloads, a stop and a kill", "[settings][K5]") {
    const Bench bench;
    {
        Process server{bench.command()};
        REQUIRE(server.says("event=ready"));
        const json::value answer =
            bench.ask({"settings", "set", "one", "/text", "over", "--reason", "a test"});
        CHECK(answer.at("applied") == true);
        CHECK(answer.at("changes").at(0).at("before") == "first");
        CHECK(bench.text() == "over");
        // A reload brings the deployment, not what lies over it.
        bench.deploy(R"({"text":"second","blob":"new"})");
        server.signal(SIGHUP);
        REQUIRE(server.says("generation=3"));
        CHECK(bench.text() == "over");
        server.signal(SIGKILL);
        (void)server.wait();
    }
    {
        Process server{bench.command()};
        REQUIRE(server.says("event=ready"));
        CHECK(bench.text() == "over");
        const json::value all = bench.ask({"settings", "list", "--plugin", "one"});
        const json::array& items = all.at("settings").as_array();
        const json::value& item = *std::find_if(items.begin(), items.end(), [](const auto& one) {
            return one.at("pointer") == "/text";
        });
        CHECK(item.at("deployment") == "second");
        CHECK(item.at("overridden") == true);
        CHECK(contains(std::string{item.at("by").as_string()}, "cli:"));
        server.signal(SIGTERM);
        CHECK(server.wait().code == 0);
    }
    // Without a server one is started for the command.
    CHECK(bench.ask({"settings", "unset", "one", "/text"}).at("applied") == true);
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(bench.text() == "second");
    const std::string audit = json::serialize(bench.ask({"audit", "list", "--count", "10"}));
    INFO(audit);
    CHECK(contains(audit, R"("action":"settings.set","subject":"one/text")"));
    CHECK(contains(audit, R"("action":"settings.unset","subject":"one/text")"));
    CHECK(contains(audit, R"("before":"first","after":"over","reason":"a test")"));
}

TEST_CASE("a setting that its plugin refuses changes nothing", "[settings][K5]") {
    const Bench bench;
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const Result refused = bench.tool({"settings", "set", "one", "/fail", "dry_run"});
    CHECK(refused.code == 1);
    CHECK(contains(refused.err, "error R06"));
    CHECK(contains(refused.err, "told to fail"));
    CHECK(contains(refused.out, "refused"));
    CHECK(bench.ask({"settings", "set", "one", "/fail", "apply"}).at("applied") == false);
    CHECK_FALSE(std::filesystem::exists(bench.data() / "overrides.json"));
    const Result secret = bench.tool({"settings", "set", "one", "/password", "hunter2"});
    CHECK(contains(secret.err, "error S04"));
    CHECK(contains(bench.tool({"settings", "set", "one", "/count", "3"}).err, "error S03"));
    server.signal(SIGTERM);
    const Result end = server.wait();
    for (const std::string& text :
         {secret.err, secret.out, end.err, read_file(bench.data() / "audit.log")}) {
        CHECK_FALSE(contains(text, "hunter2"));
    }
}

TEST_CASE(
    "a start leaves out what no longer fits and says so until it is unset",
    "[settings][K5]"
) {
    const Bench bench;
    std::filesystem::create_directory(bench.data());
    write_file(
        bench.data() / "overrides.json",
        R"({"overrides_version":1,"overrides":[
            {"plugin":"gone","pointer":"/x","value":1,"by":"b","reason":"","at_ms":1},
            {"plugin":"one","pointer":"/blob","value":"kept","by":"b","reason":"","at_ms":1},
            {"plugin":"one","pointer":"/text","value":"much too long for it","at_ms":1}]})"
    );
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(server.says("warning M17"));
    CHECK(server.says("warning S01"));
    CHECK(bench.text() == "first");
    const std::string health = settings_health(bench);
    CHECK(contains(health, "degraded"));
    CHECK(contains(health, "one/text"));
    CHECK(contains(health, "gone/x"));
    CHECK(bench.ask({"settings", "unset", "one", "/text"}).at("applied") == true);
    CHECK(bench.ask({"settings", "unset", "gone", "/x"}).at("applied") == true);
    CHECK(settings_health(bench) == "healthy ");
    CHECK(contains(read_file(bench.data() / "overrides.json"), "kept"));
}

TEST_CASE("a setting waits for a plugin that does not run", "[settings][K5]") {
    const Bench bench;
    bench.deploy(R"({"password":"file:missing"})");
    Process server{bench.command()};
    REQUIRE(server.says("event=plugin_failed"));
    REQUIRE(server.says("event=ready"));
    const json::value refused = bench.ask({"settings", "set", "one", "/text", "later"});
    INFO(json::serialize(refused));
    CHECK(refused.at("applied") == false);  // its secret cannot be had
    write_file(bench.dir.path() / "missing", "hunter2");
    const json::value answer = bench.ask({"settings", "set", "one", "/text", "later"});
    INFO(json::serialize(answer));
    CHECK(answer.at("applied") == true);
    CHECK(answer.at("problems").at(0).at("severity") == "warning");
    server.signal(SIGTERM);
    (void)server.wait();
    Process again{bench.command()};
    REQUIRE(again.says("event=ready"));
    CHECK(bench.text() == "later");
}

TEST_CASE("changes and reloads at once are taken one after the other", "[settings][K5]") {
    const Bench bench;
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    std::array<std::thread, 3> threads;
    std::array<int, 3> done{};
    for (std::size_t t = 0; t < threads.size(); ++t) {
        threads[t] = std::thread{[&, t] {
            for (int i = 0; i < 5; ++i) {
                const std::string value = std::to_string(t) + "-" + std::to_string(i);
                const Result result =
                    t == 0
                        ? bench.tool({"reload", "--json"})
                        : bench.tool({"settings", "set", "one", t == 1 ? "/text" : "/blob", value});
                done[t] += result.code == 0 ? 1 : 0;
            }
        }};
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(done == std::array{5, 5, 5});
    CHECK(bench.text() == "1-4");
    CHECK(bench.ask({"settings", "list"}).at("generation") == 11);
    CHECK(contains(read_file(bench.data() / "overrides.json"), "\"2-4\""));
    CHECK(contains(read_file(bench.data() / "overrides.json"), "\"1-4\""));
}

TEST_CASE(
    "a writer that is killed at any step leaves the old list or the new one",
    "[settings][K5]"
) {
    const TempDir dir;
    const auto file = dir.path() / "overrides.json";
    const auto list = [](const std::string& text) {
        return SettingOverrideList(
            100, {"one", "/text", json::value(std::string(200, text[0])), text, "", 1}
        );
    };
    for (int round = 0; round < 24; ++round) {
        std::array<int, 2> told{};
        REQUIRE(::pipe(told.data()) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            OverridesFile writer{file};
            for (int i = 0;; ++i) {
                writer.prepare(list(i % 2 == 0 ? "a" : "b"));
                (void)!::write(told[1], "p", 1);
                writer.commit(list(i % 2 == 0 ? "a" : "b"), {});
                (void)!::write(told[1], "c", 1);
            }
        }
        // The child is somewhere in or after the step that follows this byte.
        for (int steps = 0; steps <= round; ++steps) {
            char step = 0;
            REQUIRE(::read(told[0], &step, 1) == 1);
        }
        ::kill(child, SIGKILL);
        (void)::waitpid(child, nullptr, 0);
        ::close(told[0]);
        ::close(told[1]);
        const OverridesFile found{file};
        CHECK(found.complaint().empty());
        if (round > 0 || !found.list().empty()) {
            REQUIRE(found.list().size() == 100);
            const bool whole =
                std::all_of(found.list().begin(), found.list().end(), [&](const auto& one) {
                    return one.by == found.list().front().by &&
                           one.value == found.list().front().value;
                });
            CHECK(whole);
        }
    }
}
