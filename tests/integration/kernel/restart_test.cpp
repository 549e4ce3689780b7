// SPDX-License-Identifier: Apache-2.0
// Plugins that are stopped and started again while the server runs, and the watchdog's food.
#include "tests/integration/kernel/bench.hpp"

#include <algorithm>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace tenon::test;

namespace {

json::value restart(const Bench& bench, const char* name) {
    const Result result =
        bench.tool({"plugins", "restart", "--plugin", name, "--reason", "a test"});
    INFO(result.out << result.err);
    return json::parse(result.out);
}

std::string state(const Bench& bench, std::string_view name) {
    return state_of(bench.ask({"status"}), name);
}

// What is bound to the notify socket of systemd.
class Listener {
public:
    explicit Listener(const std::filesystem::path& path)
        : fd_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.string().copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }

    ~Listener() { ::close(fd_); }

    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // How often it was fed since the last call.
    int fed() {
        int count = 0;
        std::string text(256, '\0');
        for (;;) {
            const ssize_t got = ::recv(fd_, text.data(), text.size(), 0);
            if (got < 0) {
                return count;
            }
            count += text.starts_with("WATCHDOG=1") ? 1 : 0;
        }
    }

    void wait_until_fed() {
        while (fed() == 0) {
            pollfd wanted{fd_, POLLIN, 0};
            REQUIRE(::poll(&wanted, 1, 60'000) == 1);
        }
    }

private:
    int fd_;
};

}  // namespace

TEST_CASE("a plugin is restarted with all that need it, the others run on", "[restart][M6]") {
    const Bench bench{R"({"base":{"id":"test.kernel.fault"},
        "user":{"id":"test.kernel.user","bind":{"test.base/1":"base"}},
        "other":{"id":"test.kernel.fault"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    const json::value answer = restart(bench, "base");
    CHECK(answer.at("ok") == true);
    CHECK(answer.at("plugins") == json::array{"base", "user"});
    CHECK(state(bench, "base") == "started ");
    CHECK(state(bench, "user") == "started ");
    CHECK(bench.ask({"base", "alive"}) == "alive");
    CHECK(restart(bench, "other").at("plugins") == json::array{"other"});
    CHECK(restart(bench, "base").at("ok") == true);  // and once more
    CHECK(bench.tool({"plugins", "restart", "--plugin", "nobody"}).code == 1);
    const std::string audit = json::serialize(bench.ask({"audit", "list", "--count", "9"}));
    CHECK(contains(audit, R"("action":"plugins.restart","subject":"base")"));
    CHECK(contains(audit, R"("reason":"a test")"));
    server.signal(SIGTERM);
    const Result end = server.wait();
    INFO(end.err);
    CHECK(end.code == 0);
    CHECK(contains(end.err, "event=stopped clean=true"));
}

TEST_CASE("what failed at the start is tried again with what waits for it", "[restart][M6]") {
    const Bench bench{R"({"base":{"id":"test.kernel.fault","config":{"at":"start"}},
        "user":{"id":"test.kernel.user","bind":{"test.base/1":"base"}},
        "early":{"id":"test.kernel.fault","config":{"at":"configure"}},
        "hung":{"id":"test.kernel.fault","config":{"at":"hang"}}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    for (int times = 0; times < 2; ++times) {
        const json::value answer = restart(bench, "base");
        CHECK(answer.at("ok") == false);
        REQUIRE(answer.at("failed").as_array().size() == 2);
        CHECK(contains(state(bench, "base"), "failed L07 start failed"));
        CHECK(contains(state(bench, "user"), "down "));
        CHECK(restart(bench, "early").at("ok") == false);
        CHECK(contains(state(bench, "early"), "asked to fail in configure"));
    }
    const Result hung = bench.tool({"plugins", "restart", "--plugin", "hung"});
    CHECK(hung.code == 1);
    CHECK(contains(hung.out, "quarantined"));
    CHECK(bench.ask({"base", "alive"}) == "alive");  // its commands may be what mends it
}

TEST_CASE(
    "a plugin that does not come back from its stop is left alone, dependants are down",
    "[restart][M6]"
) {
    const Bench bench{R"({"base":{"id":"test.kernel.fault","config":{"at":"hang-stop"}},
        "user":{"id":"test.kernel.user","bind":{"test.base/1":"base"}}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(restart(bench, "base").at("ok") == false);
    CHECK(contains(state(bench, "base"), "quarantined "));
    CHECK(contains(state(bench, "user"), "down "));
    CHECK(bench.tool({"plugins", "restart", "--plugin", "base"}).code == 1);
}

TEST_CASE("a restart takes no thread from what the plugin waits for", "[restart][M6]") {
    const Bench bench{
        R"({"base":{"id":"test.kernel.fault","config":{"at":"needs-pool"}}})",
        R"("runtime":{"blocking_threads":1},)"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    CHECK(restart(bench, "base").at("ok") == true);
    CHECK(state(bench, "base") == "started ");
}

TEST_CASE("a restart that could not be put on record is not begun", "[restart][M6]") {
    const Bench bench{R"({"base":{"id":"test.kernel.fault"}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    std::string reason = "a";
    while (reason.size() <= 1000) {
        reason += "\xd1\x8f";
    }
    const Result refused =
        bench.tool({"plugins", "restart", "--plugin", "base", "--reason", reason});
    CHECK(refused.code == 1);
    CHECK(contains(refused.out + refused.err, "expected text of at most 1000 bytes"));
    CHECK_FALSE(
        contains(json::serialize(bench.ask({"audit", "list", "--count", "9"})), "plugins.restart")
    );
}

TEST_CASE("a server that is to stop starts nothing anew", "[restart][M6]") {
    const Bench bench{R"({"base":{"id":"test.kernel.fault","config":{"at":"never-drained"}},
        "user":{"id":"test.kernel.user","bind":{"test.base/1":"base"}}})"};
    Process server{bench.command()};
    REQUIRE(server.says("event=ready"));
    std::thread asks{[&] { (void)bench.tool({"plugins", "restart", "--plugin", "base"}); }};
    REQUIRE(server.says("event=plugin_restart "));
    server.signal(SIGTERM);  // it drains for two seconds yet
    asks.join();
    const Result end = server.wait();
    INFO(end.err);
    const std::size_t began = end.err.find("event=plugin_restart ");
    CHECK_FALSE(contains(end.err.substr(std::min(began, end.err.size())), "event=plugin_started"));
}

TEST_CASE(
    "the watchdog is fed while all reactors turn, and not while one is stuck",
    "[watchdog][M6]"
) {
    const Bench bench{
        R"({"one":{"id":"test.kernel.fault","config":{"at":"hang-reactor"}}})",
        R"("runtime":{"reactors":2},)"};
    Listener systemd{bench.dir.path() / "notify"};
    ::setenv("NOTIFY_SOCKET", (bench.dir.path() / "notify").c_str(), 1);
    ::setenv("WATCHDOG_USEC", "200000", 1);
    Process server{bench.command()};
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    REQUIRE(server.says("event=ready"));
    systemd.wait_until_fed();
    CHECK(bench.ask({"one", "alive"}) == "alive");  // and reactor 1 is stuck from here on
    REQUIRE(server.says("event=watchdog_not_fed reactors=1 missed=1"));
    (void)systemd.fed();
    REQUIRE(server.says("event=watchdog_not_fed reactors=1 missed=3"));
    CHECK(systemd.fed() == 0);
    server.signal(SIGKILL);
    (void)server.wait();
}
