// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_host.hpp"

#include <tenon/background_job.hpp>
#include <tenon/monitored.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <thread>

using tenon::test::FakeHost;
using tenon::test::FakeReactor;

namespace {

std::size_t lines_with(const FakeHost& host, std::string_view part) {
    const auto lines = host.log_lines();
    return static_cast<std::size_t>(std::count_if(
        lines.begin(),
        lines.end(),
        [&](const auto& line) { return line.find(part) != std::string::npos; }
    ));
}

constexpr std::int64_t k_second = 1'000'000'000;

// Turns the reactor until the condition holds.
template <class Condition>
bool turn_until(FakeReactor& reactor, Condition condition) {
    for (int i = 0; i < 20'000; ++i) {
        if (condition()) {
            return true;
        }
        reactor.turn(0);
        std::this_thread::yield();
    }
    return condition();
}

}  // namespace

TEST_CASE("a monitored call counts, times and lets its value through", "[sdk][M1]") {
    FakeHost host{FakeReactor::Mode::manual};
    const tenon::Monitored load{tenon::Host{host.raw()}, "tenon_test_load"};
    CHECK(load([] { return 7; }) == 7);
    std::string text{"kept"};
    std::string& same = load([&]() -> std::string& { return text; });
    CHECK(&same == &text);
    load([] {});
    CHECK_THROWS_WITH(load([]() -> int { throw std::runtime_error{"no"}; }), "no");
    CHECK(load([]() -> tenon_status { return TENON_TIMEOUT; }) == TENON_TIMEOUT);
    CHECK(host.metric("tenon_test_load_calls_total") == 5);
    CHECK(host.metric("tenon_test_load_errors_total") == 2);
    CHECK(host.metric("tenon_test_load_seconds") == 5);
    CHECK(tenon::Monitored{}([] { return 1; }) == 1);
}

TEST_CASE("slow calls are logged once a second with how many were left out", "[sdk][M1]") {
    FakeHost host{FakeReactor::Mode::manual};
    const tenon::Monitored load{
        tenon::Host{host.raw()}, "tenon_test_load", std::chrono::milliseconds{100}};
    const auto slow = [&] { load([&] { host.reactor().advance(k_second / 5); }); };
    load([] {});
    CHECK(lines_with(host, "slow_call") == 0);
    slow();
    slow();
    slow();
    CHECK(lines_with(host, "slow_call") == 1);
    host.reactor().advance(k_second);
    slow();
    CHECK(lines_with(host, "slow_call") == 2);
    CHECK(lines_with(host, "call=tenon_test_load") == 2);
    CHECK(lines_with(host, "left_out=2") == 1);
}

TEST_CASE("the waits of a job grow by half after failures, up to a limit", "[sdk][H4]") {
    tenon::JobOptions options;
    options.jitter = 0;
    tenon::JobPace pace{std::chrono::nanoseconds{1000}, options};
    CHECK(pace.wait_ns(0) == 1000);
    CHECK(pace.wait_ns(1) == 1500);
    CHECK(pace.wait_ns(2) == 2250);
    CHECK(pace.wait_ns(100) == 10'000);
    options.backoff_max = std::chrono::nanoseconds{2000};
    CHECK(tenon::JobPace{std::chrono::nanoseconds{1000}, options}.wait_ns(2) == 2000);
}

TEST_CASE("the waits of a job vary within the jitter, the same for the same seed", "[sdk][H4]") {
    tenon::JobOptions options;
    options.jitter = 0.1;
    options.seed = 42;
    tenon::JobPace one{std::chrono::milliseconds{1}, options};
    tenon::JobPace two{std::chrono::milliseconds{1}, options};
    std::int64_t low = INT64_MAX;
    std::int64_t high = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::int64_t wait = one.wait_ns(0);
        CHECK(wait == two.wait_ns(0));
        low = std::min(low, wait);
        high = std::max(high, wait);
    }
    CHECK(low >= 900'000);
    CHECK(low < 910'000);
    CHECK(high <= 1'100'000);
    CHECK(high > 1'090'000);
}

TEST_CASE("a job runs at its interval and never after stop", "[sdk][K6]") {
    FakeHost host{FakeReactor::Mode::manual};
    std::atomic<int> runs{0};
    tenon::JobOptions options;
    options.own_thread = GENERATE(false, true);
    auto job = tenon::every(
        tenon::Host{host.raw()}, "count", std::chrono::seconds{60}, [&] { ++runs; }, options
    );
    host.reactor().turn();
    CHECK(runs == 0);
    for (int i = 1; i <= 3; ++i) {
        host.reactor().advance(67 * k_second);
        CHECK(turn_until(host.reactor(), [&] { return job.runs() == static_cast<unsigned>(i); }));
    }
    CHECK(runs == 3);
    job.stop();
    job.stop();
    host.reactor().advance(670 * k_second);
    host.reactor().turn();
    CHECK(runs == 3);
    CHECK(job.runs() == 0);
}

TEST_CASE("a job does not overlap itself and stop waits for its run", "[sdk][K6]") {
    FakeHost host{FakeReactor::Mode::manual};
    std::mutex gate;
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    tenon::JobOptions options;
    options.first_after = std::chrono::seconds{0};
    std::unique_lock closed{gate};
    auto job = tenon::every(
        tenon::Host{host.raw()},
        "slow",
        std::chrono::seconds{10},
        [&] {
            ++begun;
            const std::lock_guard wait{gate};
            ++ended;
        },
        options
    );
    CHECK(turn_until(host.reactor(), [&] { return begun == 1; }));
    for (int i = 0; i < 5; ++i) {
        host.reactor().advance(20 * k_second);
        host.reactor().turn();
    }
    CHECK(begun == 1);
    std::thread opener{[&] { closed.unlock(); }};
    opener.join();
    job.stop();
    CHECK(ended == 1);
}

TEST_CASE("jobs with threads of their own take none of the pool's", "[sdk][K6]") {
    FakeHost host{FakeReactor::Mode::manual};
    std::mutex gate;
    std::unique_lock closed{gate};
    std::atomic<int> begun{0};
    tenon::JobOptions options;
    options.first_after = std::chrono::seconds{0};
    options.own_thread = true;
    std::vector<tenon::BackgroundJob> jobs;
    for (const char* name : {"a", "b", "c"}) {
        jobs.push_back(tenon::every(
            tenon::Host{host.raw()},
            name,
            std::chrono::seconds{10},
            [&] {
                ++begun;
                const std::lock_guard wait{gate};
            },
            options
        ));
    }
    CHECK(turn_until(host.reactor(), [&] { return begun == 3; }));
    std::atomic<bool> ran{false};
    tenon::run_blocking(host.exec(), [&] { ran = true; });
    CHECK(turn_until(host.reactor(), [&] { return ran.load(); }));
    closed.unlock();
}

TEST_CASE("a job that keeps failing backs off and shows in the health", "[sdk][M6]") {
    FakeHost host{FakeReactor::Mode::manual};
    std::atomic<bool> broken{true};
    std::atomic<int> tries{0};
    tenon::JobOptions options;
    options.jitter = 0;
    options.first_after = std::chrono::seconds{0};
    auto job = tenon::every(
        tenon::Host{host.raw()},
        "sync",
        std::chrono::seconds{10},
        [&] {
            ++tries;
            if (broken) {
                throw std::runtime_error{"no route"};
            }
        },
        options
    );
    const auto pass = [&](std::int64_t seconds, unsigned expected) {
        host.reactor().advance(seconds * k_second);
        return turn_until(host.reactor(), [&] { return job.runs() == expected; });
    };
    CHECK(pass(1, 1));
    CHECK(host.health_of("job-sync") == TENON_HEALTHY);
    host.reactor().advance(11 * k_second);
    host.reactor().turn();  // after one failure the wait is 15 s
    host.reactor().turn();
    CHECK(job.runs() == 1);
    CHECK(pass(5, 2));
    CHECK(pass(30, 3));
    CHECK(job.failures() == 3);
    CHECK(host.health_of("job-sync") == TENON_DEGRADED);
    CHECK(lines_with(host, "job_failed job=sync reason=no route") == 3);
    broken = false;
    CHECK(pass(40, 4));
    CHECK(host.health_of("job-sync") == TENON_HEALTHY);
    CHECK(job.failures() == 0);
}
