// SPDX-License-Identifier: Apache-2.0
// New libraries for plugins of a server that runs: good ones, bad ones, and a kill while one comes
// in.
#include "tests/integration/kernel/process.hpp"
#include "tests/integration/reload/new_library.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <iostream>
#include <memory>
#include <poll.h>
#include <random>
#include <thread>

using namespace tenon::test;

namespace {

// A server of the two test plugins, with a folder of plugins of its own.
class Bench {
public:
    Bench() {
        fs::copy(build_dir() / "tests/reload-plugins", plugins(), fs::copy_options::recursive);
        library_ = read_file(folder() / "reload-swap.so");
        REQUIRE(!library_.empty());
        configure("never");
        start();
    }

    void configure(const std::string& fail) const {
        const json::object swap{{"id", "test.reload.swap"}, {"config", {{"fail", fail}}}};
        write_file(
            dir_.path() / "d.json",
            json::serialize(json::object{
                {"deployment_version", 1},
                {"plugins", {{"swap", swap}, {"asker", {{"id", "test.reload.asker"}}}}}})
        );
    }

    void start() {
        process_ = std::make_unique<Process>(std::vector<std::string>{
            (build_dir() / "bin/tenond").string(),
            "--listen",
            "127.0.0.1:0",
            "--deployment",
            (dir_.path() / "d.json").string(),
            "--data-dir",
            data().string(),
            "--plugin-path",
            plugins().string()});
        REQUIRE(process_->says("event=ready"));
    }

    [[nodiscard]] Result tool(std::vector<std::string> words) const {
        words.insert(words.begin(), (build_dir() / "bin/tenon").string());
        words.insert(words.end(), {"--json", "--data-dir", data().string()});
        return run(words);
    }

    [[nodiscard]] json::value ask(std::vector<std::string> words) const {
        const Result result = tool(std::move(words));
        INFO(result.out << result.err);
        return json::parse(result.out);
    }

    [[nodiscard]] json::value reload(const std::string& watch_ms = "0") const {
        return ask({"plugin", "reload", "swap", "--watch-ms", watch_ms, "--reason", "a test"});
    }

    // Asked since, and none of it in vain.
    void asked_well() const {
        const auto before = ask({"asker", "asked"}).at("asked").to_number<std::uint64_t>();
        json::value now;
        do {
            now = ask({"asker", "asked"});
        } while (now.at("asked").to_number<std::uint64_t>() <= before);
        CHECK(now.at("failed") == 0);
    }

    [[nodiscard]] fs::path plugins() const { return dir_.path() / "plugins"; }

    [[nodiscard]] fs::path folder() const { return plugins() / "reload-swap"; }

    [[nodiscard]] fs::path data() const { return dir_.path() / "data"; }

    [[nodiscard]] Process& process() const { return *process_; }

    [[nodiscard]] const std::string& library() const { return library_; }

private:
    TempDir dir_;
    std::string library_;
    std::unique_ptr<Process> process_;
};

}  // namespace

TEST_CASE("new code takes over while it is called, and no call is lost", "[replace][K5]") {
    Bench bench;
    json::value who = bench.ask({"swap", "who"});
    for (int i = 1; i <= 20; ++i) {
        install(bench.folder(), another_build(bench.library(), i));
        const json::value answer = bench.reload();
        INFO(json::serialize(answer));
        REQUIRE(answer.at("ok") == true);
        CHECK(answer.at("result") == "replaced");
        CHECK(answer.at("way") == "side by side");
        CHECK(answer.at("old_images") == i);
        const json::value now = bench.ask({"swap", "who"});
        CHECK(now != who);
        who = now;
    }
    CHECK(bench.reload().at("result") == "unchanged");
    bench.asked_well();
    const std::string audit = json::serialize(bench.ask({"audit", "list", "--count", "3"}));
    CHECK(audit.find(R"("action":"plugins.reload","subject":"swap")") != std::string::npos);
    bench.process().signal(SIGTERM);
    const Result end = bench.process().wait();
    INFO(end.err);
    CHECK(end.code == 0);
    CHECK(end.err.find("event=stopped clean=true") != std::string::npos);
}

TEST_CASE("a reload takes the new code that is installed, and says which", "[replace][K5]") {
    Bench bench;
    const json::value swap = bench.ask({"swap", "who"});
    install(bench.folder(), another_build(bench.library(), 1));
    const fs::path other = bench.plugins() / "reload-asker";
    install(other, another_build(read_file(other / "reload-asker.so"), 1));

    const json::value dry = bench.ask({"reload", "--dry-run"});
    INFO(json::serialize(dry));
    CHECK(dry.at("ok") == true);
    REQUIRE(dry.at("changes").as_array().size() == 2);
    CHECK(bench.ask({"swap", "who"}) == swap);

    const json::value answer = bench.ask({"reload"});
    INFO(json::serialize(answer));
    CHECK(answer.at("ok") == true);
    CHECK(answer.at("reloaded") == true);
    REQUIRE(answer.at("plugins").as_array().size() == 2);
    for (const json::value& one : answer.at("plugins").as_array()) {
        CHECK(one.at("result") == "replaced");
    }
    const json::value now = bench.ask({"swap", "who"});
    CHECK(now != swap);
    CHECK(bench.ask({"reload"}).at("plugins").as_array().empty());

    const std::string third = another_build(bench.library(), 2);
    install(bench.folder(), third);
    bench.process().signal(SIGHUP);
    REQUIRE(bench.process().says(tenon::manifest::sha256_of(third).substr(0, 16)));
    CHECK(bench.ask({"swap", "who"}) != now);
    bench.asked_well();
}

TEST_CASE("a reload of which one new library is bad changes nothing", "[replace][K5]") {
    Bench bench;
    const std::string hash = tenon::manifest::sha256_of(bench.library());
    install(bench.folder(), another_build(bench.library(), 1));
    install(bench.plugins() / "reload-asker", "no library");
    const json::value answer = bench.ask({"reload"});
    INFO(json::serialize(answer));
    CHECK(answer.at("ok") == false);
    CHECK(answer.at("reloaded") == false);
    const std::string problems = json::serialize(answer.at("problems"));
    CHECK(problems.find("R09") != std::string::npos);
    CHECK(problems.find("/plugins/asker/library") != std::string::npos);
    // The good one came, and went again.
    CHECK(answer.at("plugins").at(0).at("result") == "replaced");
    CHECK(bench.process().says("event=plugin_put_back name=swap"));
    bench.asked_well();
    const json::value again = bench.reload();
    CHECK(std::string{again.at("from").as_string()}.find(hash) != std::string::npos);
    CHECK(again.at("result") == "replaced");
}

TEST_CASE("bad new code is named and the old one goes on as before", "[replace][K5]") {
    Bench bench;
    const json::value first = bench.ask({"swap", "who"});
    const auto refused = [&](const std::string& result, const std::string& why) {
        const json::value answer = bench.reload("200");
        INFO(json::serialize(answer));
        CHECK(answer.at("ok") == false);
        CHECK(answer.at("result").as_string() == result);
        CHECK(std::string{answer.at("error").as_string()}.find(why) != std::string::npos);
        CHECK(bench.ask({"swap", "who"}) == first);
        bench.asked_well();
    };
    install(bench.folder(), "no library");
    refused("refused", "L01");
    install(bench.folder(), read_file(bench.plugins() / "reload-asker/reload-asker.so"));
    refused("refused", "L05");
    install(bench.folder(), another_build(bench.library(), 1));
    const std::string manifest = read_file(bench.folder() / "plugin.json");
    json::object other = json::parse(manifest).as_object();
    other["requires"] = json::parse(R"([{"interface":"tenon.cache/1","optional":true}])");
    write_file(bench.folder() / "plugin.json", json::serialize(other));
    refused("refused", "R04 requires: found");
    write_file(bench.folder() / "plugin.json", manifest);
    bench.configure("configure");
    refused("restored", "told to fail in configure");
    bench.configure("start");
    refused("restored", "told to fail in start");
    bench.configure("health");
    refused("restored", "told to be ill");
    CHECK(bench.ask({"status"}).at("ready") == true);
    bench.configure("no such value");
    refused("refused", "M17");
    bench.configure("hang");
    refused("restored", "did not return within 1000 ms");
    bench.configure("never");
    CHECK(bench.reload().at("result") == "replaced");
    bench.asked_well();
}

TEST_CASE("a plugin that does not ask for it is stopped, made anew and started", "[replace][K5]") {
    Bench bench;
    json::value manifest = json::parse(read_file(bench.folder() / "plugin.json"));
    manifest.at("lifecycle").as_object()["reload"] = "restart";
    write_file(bench.folder() / "plugin.json", json::serialize(manifest));
    bench.process().signal(SIGTERM);
    REQUIRE(bench.process().wait().code == 0);
    bench.start();
    for (int i = 1; i <= 5; ++i) {
        install(bench.folder(), another_build(bench.library(), i));
        const json::value answer = bench.reload();
        INFO(json::serialize(answer));
        REQUIRE(answer.at("result") == "replaced");
        CHECK(answer.at("plugins") == json::array{"swap", "asker"});
        bench.asked_well();
    }
    install(bench.folder(), another_build(bench.library(), 6));
    bench.configure("start");
    CHECK(bench.reload().at("result") == "restored");
    bench.asked_well();
    bench.process().signal(SIGTERM);
    CHECK(bench.process().wait().code == 0);
}

TEST_CASE("killed while new code comes in, the next start has what is installed", "[replace][K5]") {
    const char* const set = std::getenv("TENON_SEED");
    const auto seed =
        set == nullptr ? std::random_device{}() : static_cast<unsigned>(std::stoul(set));
    const int kills = std::getenv("TENON_LONG") == nullptr ? 8 : 100;
    std::cout << "seed " << seed << "\n";
    std::minstd_rand random{seed};
    Bench bench;
    for (int i = 1; i <= kills; ++i) {
        install(bench.folder(), another_build(bench.library(), i));
        std::thread operator_{[&] { (void)bench.tool({"plugin", "reload", "swap"}); }};
        (void)::poll(nullptr, 0, static_cast<int>(random() % 150));
        bench.process().signal(SIGKILL);
        (void)bench.process().wait();
        operator_.join();
        bench.start();
        bench.asked_well();
        CHECK(bench.reload().at("result") == "unchanged");
        CHECK(!fs::exists(bench.data() / "images/part"));
    }
}
