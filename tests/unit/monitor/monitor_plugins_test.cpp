// SPDX-License-Identifier: Apache-2.0
// The monitor's plugins as they are built, on the HTTP gateway.
#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/gateway/http_fixture.hpp"

#include <tenon/abi/probe.h>

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <string>
#include <thread>

using namespace tenon;
using namespace tenon::test;
using Catch::Contains;

namespace {

std::string get(Gateway& gateway, const std::string& path) {
    Client client{gateway.port()};
    client.send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n");
    return client.response();
}

struct Bound {
    explicit Bound(const std::string& config = "{}") : gateway{config} {
        gateway.host().bind("tenon.http_routes/1", {gateway.routes().self, gateway.routes().table});
    }

    Gateway gateway;
};

// Passes shallow, fails deep.
struct FakeProbe {
    static tenon_status check(void* self, std::uint32_t deep, std::int64_t, tenon_err* err) {
        auto& probe = *static_cast<FakeProbe*>(self);
        ++probe.checks;
        return deep != 0 ? fail(err, TENON_UNAVAILABLE, "the disk is slow") : TENON_OK;
    }

    tenon_probe_1 table{sizeof(tenon_probe_1), 0, &check};
    std::atomic<int> checks{0};
};

}  // namespace

TEST_CASE("metrics are served, the host's and the process's", "[monitor][metrics][M1]") {
    Bound bound;
    LoadedPlugin metrics{bound.gateway.host(), "monitor-metrics", "{}"};
    const std::string response = get(bound.gateway, "/metrics");
    CHECK(status_of(response) == 200);
    CHECK_THAT(response, Contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    CHECK_THAT(response, Contains("tenon_http_connections 1\n"));
    CHECK_THAT(response, Contains("tenon_process_open_fds "));
    CHECK_THAT(response, Contains("tenon_system_memory_total_bytes "));
    Client client{bound.gateway.port()};
    client.send(
        "GET /metrics HTTP/1.1\r\nHost: test\r\n"
        "Accept: application/openmetrics-text;version=1.0.0\r\n\r\n"
    );
    const std::string open_metrics = client.response();
    CHECK_THAT(
        open_metrics,
        Contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n")
    );
    CHECK_THAT(open_metrics, Catch::EndsWith("# EOF\n"));
    CHECK_THAT(open_metrics, !Contains("content-encoding"));
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n");
    const std::string packed = client.response();
    CHECK_THAT(packed, Contains("content-encoding: gzip\r\n"));
    CHECK_THAT(packed, Contains("vary: accept, accept-encoding\r\n"));
    CHECK(packed.size() < open_metrics.size() / 2);
    metrics.stop();
    CHECK(status_of(get(bound.gateway, "/metrics")) == 404);
}

TEST_CASE("a flood of scrapes is refused and over with itself", "[monitor][metrics]") {
    Bound bound;
    const LoadedPlugin metrics{bound.gateway.host(), "monitor-metrics", "{}"};
    Client client{bound.gateway.port()};
    constexpr int k_scrapes = 12;
    std::string flood;
    for (int i = 0; i < k_scrapes; ++i) {
        flood += "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";
    }
    client.send(flood);
    int served = 0;
    for (int i = 0; i < k_scrapes; ++i) {
        const int status = status_of(client.response());
        served += status == 200 ? 1 : 0;
        CHECK((status == 200 || status == 503));
    }
    CHECK(served == 4);
    CHECK(status_of(get(bound.gateway, "/metrics")) == 200);
}

TEST_CASE("health and readiness are served", "[monitor][health]") {
    Bound bound;
    const std::string config =
        R"({"probe_interval_ms":30000,"deep_every":10,"probe_timeout_ms":5000})";
    const LoadedPlugin health{bound.gateway.host(), "monitor-health", config};
    CHECK(status_of(get(bound.gateway, "/healthz")) == 200);
    CHECK(status_of(get(bound.gateway, "/readyz")) == 200);
    bound.gateway.host().set_ready(false);
    CHECK(status_of(get(bound.gateway, "/readyz")) == 503);
}

TEST_CASE("a probe that fails degrades its component and heals again", "[monitor][health]") {
    Bound bound;
    FakeHost& host = bound.gateway.host();
    FakeProbe probe;
    host.bind("tenon.probe/1", {&probe, &probe.table}, "storage");
    const std::string config = R"({"probe_interval_ms":1000,"deep_every":2,"probe_timeout_ms":50})";
    LoadedPlugin health{host, "monitor-health", config};
    const auto round = [&](int number, std::int32_t state) {
        host.reactor().advance(1'100'000'000);
        while (probe.checks < number || host.health_of("probe-storage") != state) {}
    };
    round(1, TENON_HEALTHY);
    round(2, TENON_DEGRADED);
    CHECK(host.metric("tenon_health_probe_failures_total") == 1);
    round(3, TENON_HEALTHY);
    health.stop();
}

namespace {

// Does not return until it is let go.
struct StuckProbe {
    static tenon_status check(void* self, std::uint32_t, std::int64_t, tenon_err*) {
        static_cast<StuckProbe*>(self)->gone.wait();
        return TENON_OK;
    }

    tenon_probe_1 table{sizeof(tenon_probe_1), 0, &check};
    std::promise<void> go;
    std::shared_future<void> gone = go.get_future().share();
};

}  // namespace

TEST_CASE("a probe that does not return is named", "[monitor][health][M2]") {
    Bound bound;
    FakeHost& host = bound.gateway.host();
    StuckProbe probe;
    host.bind("tenon.probe/1", {&probe, &probe.table}, "storage");
    const std::string config =
        R"({"probe_interval_ms":60000,"deep_every":10,"probe_timeout_ms":5000})";
    LoadedPlugin health{host, "monitor-health", config};
    // Each step lets the next round come; the first one is the one that does not end.
    while (host.health_of("probes") != TENON_DEGRADED) {
        host.reactor().advance(61'000'000'000);
        std::this_thread::yield();
    }
    // Others are answered.
    CHECK(status_of(get(bound.gateway, "/healthz")) == 200);
    host.set_ready(true);
    probe.go.set_value();
    health.stop();
    CHECK(host.health_of("probes") == TENON_HEALTHY);
}
