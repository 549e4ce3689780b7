// SPDX-License-Identifier: Apache-2.0
#include "tools/load/generator.hpp"

#include "tests/unit/load/child_server.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

using namespace tenon::load;
using tenon::test::ChildServer;

namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;

GeneratorOptions options_for(const ChildServer& server, std::uint32_t users, double seconds) {
    GeneratorOptions options;
    options.address = address_of("http://" + server.address() + "/");
    options.users = users;
    options.duration_ns = static_cast<std::int64_t>(seconds * 1e9);
    options.window_ns = 100'000'000;
    return options;
}

std::vector<Arrival> schedule_for(const GeneratorOptions& options, double rate) {
    ScheduleOptions schedule;
    schedule.arrivals = Arrivals::constant;
    schedule.rate = rate;
    schedule.duration_ns = options.duration_ns;
    schedule.users = options.users;
    return make_schedule(schedule);
}

// Nothing is lost from the books: what was due was answered, or it is said why not.
void check_books(const Run& run) {
    CHECK(run.all.latency.count() == run.planned);
    std::uint64_t windows = 0;
    std::uint64_t statuses = 0;
    for (const Tally& window : run.windows) {
        windows += window.latency.count();
    }
    for (const auto& [status, count] : run.all.statuses) {
        statuses += count;
    }
    CHECK(windows == run.planned);
    CHECK(statuses == run.planned);
}

double since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Stops the server a third of the way for a quarter of the time; how long it was, in seconds.
class Freeze {
public:
    Freeze(const ChildServer& server, double seconds)
        : thread_{[this, &server, seconds] {
              wait(seconds / 3);
              server.stop();
              const auto begin = std::chrono::steady_clock::now();
              wait(seconds / 4);
              length_s_ = since(begin);
              server.go_on();
          }} {}

    double length_s() {
        thread_.join();
        return length_s_;
    }

private:
    void wait(double seconds) {
        std::unique_lock lock{mutex_};
        (void)never_.wait_for(lock, std::chrono::duration<double>{seconds}, [] { return false; });
    }

    std::mutex mutex_;
    std::condition_variable never_;
    double length_s_ = 0;
    std::thread thread_;
};

}  // namespace

TEST_CASE("every request that was due is answered and counted", "[load][P1]") {
    const ChildServer server;
    GeneratorOptions options = options_for(server, 8, 0.5);
    options.warmup_ns = 100'000'000;
    const auto workload = make_gets(server.address(), {{"a", "/a", 3}, {"b", "/b", 1}});
    Generator generator{options, *workload};
    for (int round = 0; round < 2; ++round) {
        const Run run = generator.open(schedule_for(options, 1'000), {});
        CHECK(run.planned == 400);
        CHECK(run.all.statuses.at(200) == 400);
        CHECK(run.all.errors + run.never_sent + run.unanswered + run.reconnects == 0);
        CHECK(run.service.count() == 400);
        CHECK(run.lateness.count() == 400);
        CHECK(run.all.latency.mean_ns() >= run.service.mean_ns());
        check_books(run);
    }
}

TEST_CASE("a server that stops is seen by everybody who came meanwhile", "[load][P1]") {
    const bool long_run = std::getenv("TENON_LONG") != nullptr;
    const double seconds = long_run ? 6 : 1.2;
    const ChildServer server;
    GeneratorOptions options = options_for(server, 8, seconds);
    const auto workload = make_gets(server.address(), {{"get", "/", 1}});
    Generator generator{options, *workload};
    Freeze freeze{server, seconds};
    const Run run = generator.open(schedule_for(options, 1'000), {});
    const double frozen = freeze.length_s();
    check_books(run);
    CHECK(run.all.statuses.at(200) == run.planned);
    // Of steady arrivals the share frozen / seconds waits, from all of it down to nothing.
    const double p90 = frozen - 0.10 * seconds;
    const double p99 = frozen - 0.01 * seconds;
    const auto told = [&](double share) {
        return static_cast<double>(run.all.latency.quantile_ns(share)) / 1e9;
    };
    INFO("frozen " << frozen << " s, p90 " << told(0.9) << ", p99 " << told(0.99));
    CHECK(told(0.9) >= p90 * 0.95);
    CHECK(told(0.99) >= p99 * 0.97);
    if (long_run) {  // a busy machine may add to it, so the upper bounds are for a quiet one
        CHECK(told(0.9) <= p90 * 1.05);
        CHECK(told(0.99) <= p99 * 1.03);
    }
}

TEST_CASE("requests that find no answer before the end are counted with their wait", "[load][P1]") {
    const ChildServer server;
    GeneratorOptions options = options_for(server, 2, 0.3);
    options.timeout_ns = k_second_ns / 2;
    const auto workload = make_gets(server.address(), {{"get", "/", 1}});
    Generator generator{options, *workload};
    server.stop();
    const Run run = generator.open(schedule_for(options, 100), {});
    CHECK(run.planned == 30);
    CHECK(run.unanswered >= 2);
    CHECK(run.never_sent > 0);
    CHECK(run.unanswered + run.never_sent == 30);
    CHECK(run.all.errors == 30);
    CHECK(run.all.statuses.at(0) == 30);
    CHECK(run.all.latency.min_ns() >= 200'000'000);
    CHECK_FALSE(run.trouble.empty());
    check_books(run);
}

TEST_CASE(
    "a connection that the server closes comes back, and the request is an error",
    "[load][P1]"
) {
    const ChildServer server{""};
    GeneratorOptions options = options_for(server, 2, 0.4);
    const auto workload = make_gets(server.address(), {{"get", "/", 1}});
    Generator generator{options, *workload};
    const Run run = generator.open(schedule_for(options, 50), {});
    CHECK(run.all.errors == 20);
    CHECK(run.reconnects >= 2);
    CHECK(run.trouble == "closed before it answered");
    check_books(run);
}

TEST_CASE("an answer that is no success is an error of its status", "[load][P1]") {
    const ChildServer server{
        "HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"};
    GeneratorOptions options = options_for(server, 4, 0.2);
    const auto workload = make_gets(server.address(), {{"get", "/", 1}});
    Generator generator{options, *workload};
    const Run run = generator.open(schedule_for(options, 200), {});
    CHECK(run.all.statuses.at(429) == 40);
    CHECK(run.all.errors == 40);
    CHECK(run.unanswered == 0);
    CHECK(run.reconnects >= 40 - 4);
}

TEST_CASE("users of a closed loop ask again as soon as they were answered", "[load][P1]") {
    const ChildServer server;
    GeneratorOptions options = options_for(server, 4, 0.3);
    options.warmup_ns = 100'000'000;
    const auto workload = make_gets(server.address(), {{"a", "/a", 1}, {"b", "/b", 1}});
    Generator generator{options, *workload};
    const Run run = generator.closed({});
    CHECK(run.planned > 8);
    CHECK(run.all.errors == 0);
    CHECK(run.operations[0].latency.count() > 0);
    CHECK(run.operations[1].latency.count() > 0);
    check_books(run);
}

TEST_CASE("what cannot be loaded is told before the first request", "[load][P1]") {
    CHECK_THROWS_WITH(address_of("https://localhost:1"), Catch::Contains("https is not supported"));
    CHECK_THROWS_WITH(address_of("localhost"), Catch::Contains("expected http://HOST:PORT"));
    CHECK_THROWS_WITH(address_of("http://localhost:80/path"), Catch::Contains("expected"));
    std::string gone;
    {
        const ChildServer server;
        gone = server.address();
    }
    const auto workload = make_gets(gone, {{"get", "/", 1}});
    GeneratorOptions options;
    options.address = address_of(gone);
    CHECK_THROWS_WITH(Generator(options, *workload), Catch::Contains("refused"));
}

TEST_CASE("orders that may rest are known after the run, by the run's own ids", "[load][P1]") {
    OrderDesk desk;
    desk.keys = {{"key", "secret"}};
    desk.real_ms = [] { return std::int64_t{1}; };
    desk.users = 3;
    desk.prefix = "mine";
    const auto orders = make_orders(std::move(desk));
    std::string out;
    const auto ask = [&](std::uint32_t user, int status) {
        (void)orders->answered(user, orders->write(user, 0, out), status);
        return out;
    };
    CHECK(orders->left().empty());
    CHECK(ask(0, 200).starts_with("POST /api/v3/order HTTP/1.1"));
    CHECK(ask(1, 0).find("newClientOrderId=mine-1-1&") != std::string::npos);
    (void)ask(2, 400);  // refused: nothing rests
    REQUIRE(orders->left().size() == 2);
    CHECK(orders->left()[1].client_id == "mine-1-1");
    CHECK(ask(0, 0).starts_with("DELETE /api/v3/order?symbol="));
    CHECK(orders->left().size() == 2);  // whether it was cancelled is not known: asked again
    (void)ask(0, 429);                  // not cancelled
    CHECK(orders->left().size() == 2);
    CHECK(ask(0, 200).find("origClientOrderId=mine-0-1&") != std::string::npos);
    (void)ask(1, 400);  // not there
    CHECK(orders->left().empty());
}
