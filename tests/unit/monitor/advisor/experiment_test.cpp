// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/experiment.hpp"

#include "tests/unit/monitor/advisor/simulated_server.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace tenon::advisor;
using tenon::test::SimulatedServer;

namespace {

constexpr std::uint64_t k_seeds = 20;
const Promise k_promise{{"cache_miss_ratio", ""}, 0.05};

struct Course {
    Experiment::Action end = Experiment::Action::wait;
    std::int64_t took_ms = 0;      // since the new value came into force first
    std::int64_t with_new_ms = 0;  // in force before the end
    std::string reason;
    std::vector<Experiment::Side> sides;
};

// The new value behaves as `after` says, the old one as usual.
Course course(std::uint64_t seed, SimulatedServer::Behaviour after) {
    bool is_after = false;
    SimulatedServer server{seed, [&](const SimulatedServer&) {
                               return is_after ? after : SimulatedServer::Behaviour{};
                           }};
    ExperimentOptions options;
    options.seed = seed;
    Experiment experiment{k_promise, options, server.now_ms()};
    Course out;
    std::int64_t first_ms = 0;
    while (out.end == Experiment::Action::wait) {
        server.run();
        out.with_new_ms += is_after ? 500 : 0;
        switch (const auto action = experiment.step(server.look()); action) {
            case Experiment::Action::wait:
                break;
            case Experiment::Action::to_before:
            case Experiment::Action::to_after:
                is_after = action == Experiment::Action::to_after;
                first_ms = first_ms == 0 ? server.now_ms() : first_ms;
                experiment.switched(server.now_ms());
                break;
            default:
                out.end = action;
        }
    }
    out.took_ms = server.now_ms() - first_ms;
    out.reason = experiment.reason();
    for (const auto& window : experiment.windows()) {
        out.sides.push_back(window.side);
    }
    return out;
}

}  // namespace

TEST_CASE("what brings what it promised is kept", "[advisor][M4]") {
    for (std::uint64_t seed = 1; seed <= k_seeds; ++seed) {
        const Course found = course(seed, {.miss_ratio = 0.2});
        INFO("seed " << seed << ": " << found.reason);
        CHECK(found.end == Experiment::Action::keep);
        CHECK(found.reason.starts_with("proven: cache_miss_ratio"));
        CHECK(std::count(found.sides.begin(), found.sides.end(), Experiment::Side::after) == 8);
        CHECK(found.sides.size() == 18);
    }
}

TEST_CASE("what brings nothing is rolled back at the end", "[advisor][M4]") {
    for (std::uint64_t seed = 1; seed <= k_seeds; ++seed) {
        const Course found = course(seed, {});
        INFO("seed " << seed << ": " << found.reason);
        CHECK(found.end == Experiment::Action::roll_back);
        CHECK(found.took_ms <= 60'000);
    }
}

TEST_CASE("what makes the promised measure worse is rolled back before the end", "[advisor][M4]") {
    for (std::uint64_t seed = 1; seed <= k_seeds; ++seed) {
        const Course found = course(seed, {.miss_ratio = 0.6});
        INFO("seed " << seed << ": " << found.reason);
        CHECK(found.end == Experiment::Action::roll_back);
        CHECK(found.reason.starts_with("cache_miss_ratio got worse"));
        CHECK(found.sides.size() < 18);
    }
}

TEST_CASE("a guard that breaks ends the trial within its window", "[advisor][M4]") {
    for (std::uint64_t seed = 1; seed <= k_seeds; ++seed) {
        const Course slow = course(seed, {.miss_ratio = 0.1, .median_s = 0.05});
        INFO("seed " << seed << ": " << slow.reason);
        CHECK(slow.end == Experiment::Action::roll_back);
        CHECK(slow.reason.starts_with("guard http_p99_seconds broke"));
        CHECK(slow.with_new_ms <= 2'000);
        const Course refused = course(seed, {.miss_ratio = 0.1, .refused_ratio = 0.2});
        INFO("seed " << seed << ": " << refused.reason);
        CHECK(refused.reason.starts_with("guard http_refused_ratio broke"));
        CHECK(refused.with_new_ms <= 2'000);
    }
}

TEST_CASE("without traffic there is no proof", "[advisor][M4]") {
    Experiment experiment{k_promise, {}, 0};
    Snapshot nothing;
    Experiment::Action action = Experiment::Action::wait;
    while (action != Experiment::Action::roll_back) {
        nothing.at_ms += 500;
        REQUIRE(nothing.at_ms <= 100'000);
        action = experiment.step(nothing);
        REQUIRE(action != Experiment::Action::keep);
        if (action == Experiment::Action::to_before || action == Experiment::Action::to_after) {
            experiment.switched(nothing.at_ms);
        }
    }
    CHECK(experiment.reason() == "no proof: too little happened to measure cache_miss_ratio");
}

TEST_CASE("a trial that nobody carries on expires", "[advisor][M4]") {
    Experiment experiment{k_promise, {}, 0};
    Snapshot late;
    CHECK(experiment.step(late) == Experiment::Action::wait);
    late.at_ms = experiment.expires_ms();
    CHECK(experiment.step(late) == Experiment::Action::roll_back);
    CHECK(experiment.reason() == "expired without proof");
    CHECK(experiment.step(late) == Experiment::Action::wait);
}
