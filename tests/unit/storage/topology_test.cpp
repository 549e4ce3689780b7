// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/topology.hpp"

#include <catch2/catch.hpp>

#include <initializer_list>
#include <string>

namespace tenon::postgres {
namespace {

constexpr std::uint64_t k_system = 7'000'000'000'000'000'001ULL;
constexpr std::int64_t k_second = 1'000'000'000;

// A topology with a clock, and a disk that keeps each fence at once unless told otherwise.
class World {
public:
    explicit World(std::size_t hosts, Fence known = {}, TopologySettings settings = {})
        : topology{hosts, settings, known} {}

    const TopologyView& step(std::initializer_list<Observation> observations) {
        topology.step(std::span{observations.begin(), observations.size()}, now);
        if (disk_works && topology.fence_to_store()) {
            topology.fence_stored(*topology.fence_to_store());
            topology.step({}, now);
        }
        return topology.view();
    }

    [[nodiscard]] Observation
    primary(std::size_t host, std::uint32_t timeline, std::uint64_t lsn = 100) const {
        Observation seen;
        seen.host = host;
        seen.answered = true;
        seen.system = k_system;
        seen.position = {timeline, lsn};
        seen.started_us = 1;
        return seen;
    }

    [[nodiscard]] Observation
    replica(std::size_t host, std::uint32_t timeline, std::int64_t age_ns = 0) const {
        Observation seen = primary(host, timeline, 90);
        seen.in_recovery = true;
        seen.fresh_as_of_ns = now - age_ns;
        return seen;
    }

    [[nodiscard]] Observation silent(std::size_t host) const {
        Observation seen;
        seen.host = host;
        seen.failure = "connection refused";
        return seen;
    }

    Topology topology;
    std::int64_t now = 1'000 * k_second;
    bool disk_works = true;
};

}  // namespace

TEST_CASE("no server is used before the first probe", "[postgres][topology][S6]") {
    World world{2};
    const TopologyView& view = world.step({});
    CHECK_FALSE(view.primary);
    CHECK(view.hosts[0].health == Health::unknown);
    CHECK(view.timeline == 0);
}

TEST_CASE("no primary is taken before every server was probed once", "[postgres][topology][S6]") {
    World world{3};
    CHECK_FALSE(world.step({world.primary(0, 1)}).primary);
    CHECK_FALSE(world.step({world.replica(1, 1)}).primary);
    CHECK(world.step({world.silent(2)}).primary == 0U);
    CHECK(world.topology.view().hosts[2].health == Health::down);
}

TEST_CASE("no primary is taken before its timeline is on disk", "[postgres][topology][S6]") {
    World world{1};
    world.disk_works = false;
    CHECK_FALSE(world.step({world.primary(0, 4)}).primary);
    REQUIRE(world.topology.fence_to_store() == Fence{k_system, 4});
    world.disk_works = true;
    CHECK(world.step({world.primary(0, 4)}).primary == 0U);
    CHECK_FALSE(world.topology.fence_to_store());
}

TEST_CASE(
    "a server that is up goes down after failures in a row only",
    "[postgres][topology][S6]"
) {
    World world{1};
    world.step({world.primary(0, 1)});
    const std::uint64_t epoch = world.topology.view().hosts[0].epoch;
    CHECK(world.step({world.silent(0)}).hosts[0].health == Health::up);
    CHECK(world.step({world.primary(0, 1)}).hosts[0].health == Health::up);
    CHECK(world.step({world.silent(0)}).hosts[0].health == Health::up);
    const TopologyView& view = world.step({world.silent(0)});
    CHECK(view.hosts[0].health == Health::down);
    CHECK(view.hosts[0].reason == Reason::unreachable);
    CHECK(view.hosts[0].detail == "connection refused");
    CHECK(view.hosts[0].epoch == epoch + 1);
    CHECK_FALSE(view.primary);
}

TEST_CASE("a server comes back half open, and up after good probes", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.silent(1)});
    REQUIRE(world.topology.view().hosts[1].health == Health::down);
    CHECK(world.step({world.replica(1, 1)}).hosts[1].health == Health::half_open);
    CHECK(world.step({world.replica(1, 1)}).hosts[1].health == Health::half_open);

    SECTION("a failure in between takes it down at once") {
        CHECK(world.step({world.silent(1)}).hosts[1].health == Health::down);
        CHECK(world.step({world.replica(1, 1)}).hosts[1].health == Health::half_open);
    }
    SECTION("the third makes it up") {
        CHECK(world.step({world.replica(1, 1)}).hosts[1].health == Health::up);
        CHECK(world.topology.view().hosts[1].reason == Reason::none);
    }
}

TEST_CASE("a step without a probe of a server does not count as one", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.silent(1)});
    world.step({world.replica(1, 1)});
    for (int i = 0; i < 10; ++i) {
        world.step({world.primary(0, 1)});
    }
    CHECK(world.topology.view().hosts[1].health == Health::half_open);
}

TEST_CASE("a primary that comes back half open is used at once", "[postgres][topology][S6]") {
    World world{1};
    world.step({world.primary(0, 1)});
    world.step({world.silent(0)});
    REQUIRE_FALSE(world.step({world.silent(0)}).primary);
    const TopologyView& view = world.step({world.primary(0, 1)});
    CHECK(view.hosts[0].health == Health::half_open);
    CHECK(view.primary == 0U);
    CHECK(view.failovers == 0);
}

TEST_CASE("a promoted replica becomes the primary, once", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    world.step({world.silent(0)});
    REQUIRE_FALSE(world.step({world.silent(0)}).primary);
    const std::uint64_t epoch = world.topology.view().hosts[1].epoch;
    const TopologyView& view = world.step({world.primary(1, 2)});
    CHECK(view.primary == 1U);
    CHECK(view.timeline == 2);
    CHECK(view.failovers == 1);
    CHECK(view.hosts[1].epoch == epoch + 1);
    CHECK(world.step({world.primary(1, 2)}).failovers == 1);
}

TEST_CASE("the old primary is fenced when a higher timeline shows", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    const std::uint64_t epoch = world.topology.view().hosts[0].epoch;
    // The old one still answers, and is not even probed in this step.
    const TopologyView& view = world.step({world.primary(1, 2)});
    CHECK(view.primary == 1U);
    CHECK(view.hosts[0].health == Health::down);
    CHECK(view.hosts[0].reason == Reason::fenced);
    CHECK(view.hosts[0].epoch == epoch + 1);
    CHECK_THAT(view.hosts[0].detail, Catch::Contains("timeline 1, timeline 2 is known"));

    SECTION("and stays so however often it answers") {
        for (int i = 0; i < 10; ++i) {
            world.step({world.primary(0, 1), world.primary(1, 2)});
        }
        CHECK(view.primary == 1U);
        CHECK(view.hosts[0].reason == Reason::fenced);
    }
    SECTION("also while the new one is down") {
        world.step({world.silent(1), world.primary(0, 1)});
        world.step({world.silent(1), world.primary(0, 1)});
        CHECK_FALSE(view.primary);
        CHECK(view.hosts[0].reason == Reason::fenced);
    }
    SECTION("until it follows as a replica") {
        world.step({world.replica(0, 2)});
        CHECK(view.hosts[0].health == Health::half_open);
        CHECK(view.hosts[0].role == Role::replica);
        world.step({world.replica(0, 2)});
        world.step({world.replica(0, 2)});
        CHECK(view.hosts[0].health == Health::up);
        CHECK(view.failovers == 1);
    }
}

TEST_CASE("a replica's timeline fences the primary too", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    const TopologyView& view = world.step({world.replica(1, 2)});
    CHECK_FALSE(view.primary);
    CHECK(view.hosts[0].reason == Reason::fenced);
}

TEST_CASE("the fence of an earlier run refuses an old primary", "[postgres][topology][S6]") {
    World world{2, Fence{k_system, 3}};
    world.step({world.primary(0, 2), world.silent(1)});
    CHECK_FALSE(world.topology.view().primary);
    CHECK(world.topology.view().hosts[0].reason == Reason::fenced);
    CHECK(world.step({world.primary(1, 3)}).primary == 1U);
    CHECK(world.topology.view().failovers == 0);
}

TEST_CASE("of two primaries on one timeline the one in use is kept", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 2), world.replica(1, 2)});
    const TopologyView& view = world.step({world.primary(1, 2)});
    CHECK(view.primary == 0U);
    CHECK(view.hosts[1].reason == Reason::rival);

    SECTION("the other does not take over when it goes down") {
        world.step({world.silent(0)});
        world.step({world.silent(0), world.primary(1, 2)});
        CHECK_FALSE(view.primary);
    }
    SECTION("it does when the first one follows as a replica") {
        world.step({world.replica(0, 2), world.primary(1, 2)});
        world.step({world.replica(0, 2), world.primary(1, 2)});
        CHECK(view.primary == 1U);
        CHECK(view.failovers == 1);
    }
}

TEST_CASE("two primaries on one timeline are both refused at first", "[postgres][topology][S6]") {
    World world{2};
    const TopologyView& view = world.step({world.primary(0, 2), world.primary(1, 2)});
    CHECK_FALSE(view.primary);
    CHECK(view.hosts[0].reason == Reason::rival);
    CHECK(view.hosts[1].reason == Reason::rival);
    world.step({world.replica(1, 2), world.primary(0, 2)});
    CHECK(view.primary == 0U);
}

TEST_CASE("two replicas promoted at once are both refused", "[postgres][topology][S6]") {
    World world{3};
    world.step({world.primary(0, 1), world.replica(1, 1), world.replica(2, 1)});
    const TopologyView& view = world.step({world.primary(1, 2), world.primary(2, 2)});
    CHECK_FALSE(view.primary);
    CHECK(view.hosts[0].reason == Reason::fenced);
    CHECK(view.failovers == 0);
    world.step({world.primary(1, 2), world.primary(2, 3)});
    CHECK(view.primary == 2U);
    CHECK(view.hosts[1].reason == Reason::fenced);
}

TEST_CASE("a server of another database cluster is refused", "[postgres][topology][S6]") {
    World world{2};
    Observation stranger = world.primary(1, 9);
    stranger.system = 42;
    const TopologyView& view = world.step({world.primary(0, 1), stranger});
    CHECK(view.primary == 0U);
    CHECK(view.timeline == 1);
    CHECK(view.hosts[1].reason == Reason::other_cluster);
    CHECK_THAT(view.hosts[1].detail, Catch::Contains("42"));

    World known{1, Fence{42, 1}};
    CHECK_FALSE(known.step({known.primary(0, 1)}).primary);
    CHECK(known.topology.view().hosts[0].reason == Reason::other_cluster);
}

TEST_CASE("a replica that lags goes, and comes back at half the lag", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    const TopologyView& view = world.topology.view();
    world.now += 60 * k_second;
    world.step({world.primary(0, 1), world.replica(1, 1, 10 * k_second)});
    CHECK(view.hosts[1].health == Health::up);
    world.step({world.replica(1, 1, 10 * k_second + 1)});
    CHECK(view.hosts[1].health == Health::down);
    CHECK(view.hosts[1].reason == Reason::lagging);
    world.step({world.replica(1, 1, 6 * k_second)});
    CHECK(view.hosts[1].health == Health::down);
    world.step({world.replica(1, 1, 5 * k_second)});
    CHECK(view.hosts[1].health == Health::half_open);
}

TEST_CASE("time alone makes a replica lag", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    world.now += 11 * k_second;
    CHECK(world.step({world.primary(0, 1)}).hosts[1].reason == Reason::lagging);
}

TEST_CASE("without a primary no replica is taken out for its lag", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    world.step({world.silent(0)});
    world.step({world.silent(0)});
    world.now += 60 * k_second;
    const TopologyView& view = world.step({world.replica(1, 1, 60 * k_second)});
    CHECK(view.hosts[1].health == Health::up);

    SECTION("and a new one gives it time to catch up") {
        world.step({world.primary(0, 1), world.replica(1, 1, 60 * k_second)});
        world.step({world.replica(1, 1, 60 * k_second)});
        CHECK(view.hosts[1].health == Health::up);
        world.now += 11 * k_second;
        world.step({world.primary(0, 1), world.replica(1, 1, 71 * k_second)});
        CHECK(view.hosts[1].reason == Reason::lagging);
    }
}

TEST_CASE("a replica keeps its timeline when its sender goes", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 2), world.replica(1, 2)});
    CHECK(world.step({world.replica(1, 1)}).hosts[1].position.timeline == 2);

    Observation restarted = world.replica(1, 1);
    restarted.started_us = 2;
    CHECK(world.step({restarted}).hosts[1].position.timeline == 1);
}

TEST_CASE("a restart ends the connections made before it", "[postgres][topology][S6]") {
    World world{1};
    world.step({world.primary(0, 1)});
    const std::uint64_t epoch = world.topology.view().hosts[0].epoch;
    CHECK(world.step({world.primary(0, 1)}).hosts[0].epoch == epoch);
    Observation restarted = world.primary(0, 1);
    restarted.started_us = 2;
    CHECK(world.step({restarted}).hosts[0].epoch == epoch + 1);
}

TEST_CASE("a server promoted and back is followed there and back", "[postgres][topology][S6]") {
    World world{2};
    world.step({world.primary(0, 1), world.replica(1, 1)});
    world.step({world.primary(1, 2)});
    world.step({world.replica(0, 2), world.primary(1, 2)});
    const TopologyView& view = world.step({world.primary(0, 3), world.replica(1, 3)});
    CHECK(view.primary == 0U);
    CHECK(view.failovers == 2);
    CHECK(view.hosts[1].reason == Reason::none);
}

}  // namespace tenon::postgres
