// SPDX-License-Identifier: Apache-2.0
// Plugins that fail their checks, restarted by the health monitor of a whole server.
#include "tests/integration/kernel/bench.hpp"

#include <csignal>

using namespace tenon::test;

namespace {

// A server with the gateway, the health monitor and what `plugins` adds; a round a second.
struct Ward {
    explicit Ward(const std::string& plugins, const std::string& heal)
        : bench{
              R"({"http":{"id":"tenon.gateway.http","grant":["*"]},"health":{"id":"tenon.monitor.health","config":{
              "probe_interval_ms":1000,"heal_after":1,"heal_backoff_ms":1,"heal_backoff_max_ms":10)" +
              heal + "}}," + plugins + "}"} {}

    [[nodiscard]] std::vector<std::string> command() const {
        return bench.command(
            {"--listen", "127.0.0.1:0", "--plugin-path", (build_dir() / "plugins").string()}
        );
    }

    // Its audit records, the newest first or last.
    [[nodiscard]] std::string audit() const {
        return json::serialize(bench.ask({"audit", "list", "--count", "50"}));
    }

    [[nodiscard]] std::string status() const { return json::serialize(bench.ask({"status"})); }

    Bench bench;
};

std::size_t count_of(const std::string& text, std::string_view part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++count;
    }
    return count;
}

void end(Process& server) {
    server.signal(SIGTERM);
    const Result result = server.wait();
    INFO(result.err);
    CHECK(result.code == 0);
}

}  // namespace

TEST_CASE(
    "a plugin that fails its checks is restarted until it is well, and that is on record",
    "[health][healing][M6]"
) {
    // A probe's owner takes the health monitor along, which is bound to it.
    const std::string where = GENERATE("probe", "component", "start");
    const Ward ward{
        R"("sick":{"id":"test.kernel.sick","config":{"in":")" + where + R"(","well_at":3}})", ""};
    Process server{ward.command()};
    REQUIRE(server.says("event=heal_healed"));
    CHECK(state_of(ward.bench.ask({"status"}), "sick") == "started ");
    CHECK_FALSE(contains(ward.status(), "degraded"));
    const std::string audit = ward.audit();
    INFO(audit);
    CHECK(count_of(audit, R"("action":"plugins.restart","subject":"sick")") == 2);
    CHECK(contains(audit, R"("actor":"health")"));
    CHECK(contains(audit, "attempt 2: "));
    CHECK(contains(audit, "the pump does not turn"));
    CHECK(contains(audit, "restarted 2 times"));
    end(server);
}

TEST_CASE("a plugin that no restart mends is given up within its bound", "[health][healing][M6]") {
    const Ward ward{
        R"("sick":{"id":"test.kernel.sick","config":{"well_at":1000}})", R"(,"heal_per_hour":2)"};
    Process server{ward.command()};
    REQUIRE(server.says("event=heal_given_up"));
    CHECK(contains(ward.status(), "given up for now, restarted 2 times within the hour"));
    CHECK(count_of(ward.audit(), R"("action":"plugins.restart","subject":"sick")") == 2);
    end(server);
}

TEST_CASE("what the manifest or a rule forbids is not restarted", "[health][healing][M6]") {
    const Ward ward{
        R"("broken":{"id":"test.kernel.fault","config":{"at":"start"}},
        "sick":{"id":"test.kernel.sick","config":{"well_at":1000}})",
        R"(,"heal_rules":[{"plugin":"sick","action":"none"}])"};
    Process server{ward.command()};
    REQUIRE(server.says("event=heal_refused"));
    CHECK(contains(ward.status(), "not restarted: its manifest does not allow it"));
    const std::string audit = ward.audit();
    CHECK_FALSE(contains(audit, "plugins.restart"));
    CHECK(contains(audit, R"("action":"health.heal","subject":"broken")"));
    CHECK_FALSE(contains(ward.status(), "heal-sick"));
    end(server);
}
