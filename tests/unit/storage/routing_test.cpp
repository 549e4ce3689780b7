// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/routing.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <random>
#include <string>
#include <vector>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_now = 100 * k_second;

HostView replica(std::uint64_t lsn = 500, std::int64_t age_ns = 0) {
    HostView host;
    host.health = Health::up;
    host.role = Role::replica;
    host.position = {2, lsn};
    host.fresh_as_of_ns = k_now - age_ns;
    return host;
}

// Server 0 is the primary, the others are replicas.
TopologyView cluster(std::vector<HostView> replicas) {
    TopologyView view;
    HostView primary;
    primary.health = Health::up;
    primary.role = Role::primary;
    primary.position = {2, 1000};
    view.hosts.push_back(primary);
    view.hosts.insert(view.hosts.end(), replicas.begin(), replicas.end());
    view.primary = 0;
    view.timeline = 2;
    return view;
}

RouteRequest read(std::int64_t max_staleness_ns) {
    RouteRequest request;
    request.max_staleness_ns = max_staleness_ns;
    request.now_ns = k_now;
    return request;
}

std::vector<std::size_t> order(const Route& route) {
    std::vector<std::size_t> out;
    for (const Candidate& candidate : route.candidates) {
        out.push_back(candidate.host);
    }
    return out;
}

using Order = std::vector<std::size_t>;

}  // namespace

TEST_CASE("writes go to the primary and nowhere else", "[postgres][routing][S6]") {
    RouteRequest request = read(INT64_MAX);
    request.intent = TENON_INTENT_WRITE;
    const Route found = route(cluster({replica(), replica()}), request);
    REQUIRE(order(found) == Order{0});
    CHECK(found.candidates[0].is_primary);
}

TEST_CASE(
    "a write without a primary is refused with each server's state",
    "[postgres][routing][S6]"
) {
    TopologyView view = cluster({replica()});
    view.primary.reset();
    view.hosts[0].health = Health::down;
    view.hosts[0].reason = Reason::fenced;
    view.hosts[0].detail = "why";
    RouteRequest request;
    request.intent = TENON_INTENT_WRITE;
    const Route found = route(view, request);
    CHECK(found.candidates.empty());
    CHECK(
        found.refusal ==
        "no PostgreSQL server takes writes: server 0 is down, fenced (why); server 1 is up, a "
        "replica"
    );
}

TEST_CASE("a read of the newest rows goes to the primary", "[postgres][routing][S6]") {
    CHECK(order(route(cluster({replica()}), read(0))) == Order{0});
}

TEST_CASE("a replica is read from up to the staleness bound", "[postgres][routing][S6]") {
    const TopologyView view = cluster({replica(500, k_second)});
    CHECK(order(route(view, read(k_second))) == Order{1, 0});
    CHECK(order(route(view, read(k_second - 1))) == Order{0});
}

TEST_CASE("a replica of unknown age serves only who does not mind", "[postgres][routing][S6]") {
    TopologyView view = cluster({replica()});
    view.hosts[1].fresh_as_of_ns = 0;
    CHECK(order(route(view, read(INT64_MAX - 1))) == Order{0});
    CHECK(order(route(view, read(INT64_MAX))) == Order{1, 0});
}

TEST_CASE("a replica that is down or on an older timeline is left out", "[postgres][routing][S6]") {
    TopologyView view = cluster({replica(), replica(), replica()});
    view.hosts[1].health = Health::down;
    view.hosts[2].position.timeline = 1;
    view.hosts[3].health = Health::unknown;
    CHECK(order(route(view, read(INT64_MAX))) == Order{0});
}

TEST_CASE("replicas serve while there is no primary", "[postgres][routing][S6]") {
    TopologyView view = cluster({replica()});
    view.primary.reset();
    CHECK(order(route(view, read(INT64_MAX))) == Order{1});
    CHECK(route(view, read(0)).candidates.empty());
}

TEST_CASE("a half-open replica gets one reader, after the others", "[postgres][routing][S6]") {
    TopologyView view = cluster({replica(), replica()});
    view.hosts[1].health = Health::half_open;
    const std::array<std::uint32_t, 3> free{0, 0, 5};
    const std::array<std::uint32_t, 3> taken{0, 1, 5};
    RouteRequest request = read(INT64_MAX);
    request.in_use = free;
    CHECK(order(route(view, request)) == Order{2, 1, 0});
    request.in_use = taken;
    CHECK(order(route(view, request)) == Order{2, 0});
}

TEST_CASE("of two drawn replicas the less busy one comes first", "[postgres][routing][S6]") {
    const TopologyView view = cluster({replica(), replica()});
    const std::array<std::uint32_t, 3> in_use{0, 7, 3};
    RouteRequest request = read(INT64_MAX);
    request.in_use = in_use;
    for (request.random = 0; request.random < 8; ++request.random) {
        CHECK(order(route(view, request)) == Order{2, 1, 0});
    }
}

TEST_CASE("at equal use the replica that answers sooner comes first", "[postgres][routing][S6]") {
    TopologyView view = cluster({replica(), replica()});
    view.hosts[1].latency_ns = 900;
    view.hosts[2].latency_ns = 800;
    CHECK(order(route(view, read(INT64_MAX))).front() == 2);
}

TEST_CASE("reads spread over all replicas", "[postgres][routing][S6]") {
    const std::uint64_t seed = 20'260'101;
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    const TopologyView view = cluster({replica(), replica(), replica(), replica()});
    std::vector<std::uint32_t> in_use(5);
    for (int i = 0; i < 4000; ++i) {
        RouteRequest request = read(INT64_MAX);
        request.in_use = in_use;
        request.random = random();
        ++in_use[route(view, request).candidates.front().host];
    }
    CHECK(in_use[0] == 0);
    for (std::size_t i = 1; i < in_use.size(); ++i) {
        CHECK(in_use[i] >= 990);
        CHECK(in_use[i] <= 1010);
    }
}

TEST_CASE("every replica that qualifies is tried before the primary", "[postgres][routing][S6]") {
    const TopologyView view = cluster({replica(), replica(), replica()});
    for (std::uint64_t random = 0; random < 50; ++random) {
        RouteRequest request = read(INT64_MAX);
        request.random = random;
        Order found = order(route(view, request));
        REQUIRE(found.size() == 4);
        CHECK(found.back() == 0);
        std::sort(found.begin(), found.end());
        CHECK(found == Order{0, 1, 2, 3});
    }
}

TEST_CASE("a reader's own write leaves out replicas that lack it", "[postgres][routing][S6]") {
    const TopologyView view = cluster({replica(500), replica(501)});
    RouteRequest request = read(INT64_MAX);
    request.after = LogPosition{2, 501};
    const Route found = route(view, request);
    REQUIRE(order(found) == Order{2, 0});
    CHECK(found.candidates[0].check);
    CHECK(found.candidates[0].wait_ns == 0);
    CHECK_FALSE(found.candidates[1].check);
}

TEST_CASE("when no replica has the write yet, one is waited for", "[postgres][routing][S6]") {
    const TopologyView view = cluster({replica(500), replica(500)});
    RouteRequest request = read(INT64_MAX);
    request.after = LogPosition{2, 501};
    const Route found = route(view, request);
    REQUIRE(found.candidates.size() == 2);
    CHECK_FALSE(found.candidates[0].is_primary);
    CHECK(found.candidates[0].check);
    CHECK(found.candidates[0].wait_ns == k_position_wait_ns);
    CHECK(found.candidates[1].is_primary);
}

TEST_CASE("a position of an older timeline is read on the primary", "[postgres][routing][S6]") {
    RouteRequest request = read(INT64_MAX);
    request.after = LogPosition{1, 10};
    CHECK(order(route(cluster({replica()}), request)) == Order{0});
}

TEST_CASE("a position of a newer timeline asks for a probe", "[postgres][routing][S6]") {
    RouteRequest request = read(INT64_MAX);
    request.after = LogPosition{3, 10};
    const Route found = route(cluster({replica()}), request);
    CHECK(found.candidates.empty());
    CHECK(found.outdated);
    CHECK_THAT(found.refusal, Catch::Contains("3:0/A"));
}

TEST_CASE("a position comes back from its text as it was", "[postgres][routing][S6]") {
    const LogPosition position{7, 0x16B374D848ULL};
    CHECK(to_text(position) == "7:16/B374D848");
    CHECK(parse_position("7:16/B374D848") == position);
    CHECK(to_text({1, 0}) == "1:0/0");
    CHECK(
        parse_position(to_text({4'294'967'295U, UINT64_MAX})) ==
        LogPosition{4'294'967'295U, UINT64_MAX}
    );
    for (const char* bad :
         {"",
          "7",
          "7:",
          "7:16",
          "7:16/",
          "7:/16",
          "0:1/1",
          "x:1/1",
          "-1:1/1",
          "7:1/1 ",
          " 7:1/1",
          "7:1/100000000",
          "4294967296:1/1",
          "7:1/1/1",
          "7:0x1/1"}) {
        INFO(bad);
        CHECK_FALSE(parse_position(bad));
    }
}

}  // namespace tenon::postgres
