// SPDX-License-Identifier: Apache-2.0
// The contract of the queue; compiled for SQLite here, and for PostgreSQL in tests/integration.
#include "plugins/jobs/runner.hpp"
#include "tests/unit/jobs/job_fixture.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <vector>

using Catch::Contains;
using tenon::Session;
using tenon::jobs::Clocks;
using tenon::jobs::Outcome;
using tenon::jobs::Result;
using tenon::jobs::Runner;
using tenon::test::job_of;
using tenon::test::k_job_s;
using Fixture = tenon::test::JobFixture<tenon::test::SchemaBackend>;

TEST_CASE("a job is claimed once, run and done", "[jobs][T8]") {
    Fixture f;
    const std::int64_t id = f.enqueue(job_of(R"({"a":1})"));
    const auto claimed = f.claim(*f.store);
    REQUIRE(claimed.size() == 1);
    CHECK(claimed[0].id == id);
    CHECK(claimed[0].payload == R"({"a":1})");
    CHECK(claimed[0].attempt == 1);
    CHECK(f.claim(*f.make()).empty());
    const std::vector<Outcome> done{{claimed[0], Result::done, ""}};
    CHECK(f.store->complete(done) == std::vector<bool>{true});
    CHECK(f.status(id) == "done");
    CHECK(f.store->complete(done) == std::vector<bool>{false});
}

TEST_CASE("a run whose lease has passed on completes nothing", "[jobs][T8]") {
    Fixture f;
    const std::int64_t id = f.enqueue(job_of());
    const auto first = f.claim(*f.store);
    f.now += 31 * k_job_s;
    CHECK(f.store->reclaim() == 1);
    const auto other = f.make();
    const auto second = f.claim(*other);
    REQUIRE(second.size() == 1);
    CHECK(second[0].attempt == 2);
    CHECK(f.store->extend(first, k_job_s) == std::vector<bool>{false});
    CHECK(
        f.store->complete(std::vector<Outcome>{{first[0], Result::done, ""}}) ==
        std::vector<bool>{false}
    );
    CHECK(f.status(id) == "running");
    CHECK_THROWS_WITH(
        f.storage().write(
            f.deadline(), [&](Session& s) { f.store->finish(s, id, first[0].token); }
        ),
        Contains("has passed on")
    );
    f.storage().write(f.deadline(), [&](Session& s) { other->finish(s, id, second[0].token); });
    CHECK(f.status(id) == "done");
}

TEST_CASE("a heartbeat keeps the lease", "[jobs][T8]") {
    Fixture f;
    const std::int64_t id = f.enqueue(job_of());
    const auto held = f.claim(*f.store);
    f.now += 20 * k_job_s;
    CHECK(f.store->extend(held, 30 * k_job_s) == std::vector<bool>{true});
    f.now += 20 * k_job_s;
    CHECK(f.store->reclaim() == 0);
    CHECK(f.status(id) == "running");
}

TEST_CASE("a job that has ended is nobody else's while its batch goes on", "[jobs][T8]") {
    Fixture f;
    f.enqueue(job_of(R"("short")"));
    f.enqueue(job_of(R"("long")"));
    std::int64_t skipped_ns = 0;
    std::vector<Outcome> told;
    Runner runner{
        *f.store,
        Clocks{[&] { return f.host.reactor().now_ns() + skipped_ns; }, [&] { return f.now; }},
        "me",
        30 * k_job_s,
        [&](const Outcome& outcome, std::int64_t) { told.push_back(outcome); }};
    std::vector<std::string> ran;
    std::int64_t reclaimed = 0;
    const std::function<void(std::string)> body = [&](const std::string& payload) {
        ran.push_back(payload);
        if (payload == R"("short")") {
            skipped_ns += 29 * k_job_s;
            f.now += 29 * k_job_s;
        }
        // The second runs on beyond the time of the first, whose lease is extended all the same.
        for (int i = 0; payload == R"("long")" && i < 5; ++i) {
            skipped_ns += 11 * k_job_s;
            f.now += 11 * k_job_s;
            runner.heartbeat();
            reclaimed += f.store->reclaim();
        }
        if (payload == R"("long")") {
            f.now += 29 * k_job_s;
        }
    };
    (void)runner.handle(
        "q",
        "k",
        const_cast<std::function<void(std::string)>*>(&body),
        [](void* ctx, const tenon_job_run* job, tenon_err*) noexcept -> tenon_status {
            (*static_cast<const std::function<void(std::string)>*>(ctx)
            )(std::string{tenon::view(job->payload)});
            return TENON_OK;
        }
    );
    CHECK(runner.work(8));
    CHECK(reclaimed == 0);
    CHECK(ran == std::vector<std::string>{R"("short")", R"("long")"});
    CHECK(told.size() == 2);
    CHECK_FALSE(runner.work(8));
}

TEST_CASE("a run whose lease has passed on is asked to end, and completes nothing", "[jobs][T8]") {
    Fixture f;
    const std::int64_t first = f.enqueue(job_of(R"({"n":1})"));
    const std::int64_t second = f.enqueue(job_of(R"({"n":2})"));
    int told = 0;
    Runner runner{
        *f.store,
        {[&] { return f.host.reactor().now_ns(); }, [&] { return f.now; }},
        "me",
        30 * k_job_s,
        [&](const Outcome&, std::int64_t) { ++told; }};
    std::vector<std::string> begun;
    bool before = true, after = false;
    const auto other = f.make();

    struct Scene {
        std::function<void(const tenon_job_run*)> run;
    } scene;

    scene.run = [&](const tenon_job_run* run) {
        begun.emplace_back(tenon::view(run->payload));
        before = run->cancelled(run) != 0;
        // Another server takes both over meanwhile: the clocks of the two differ.
        f.now += 31 * k_job_s;
        REQUIRE(other->reclaim() == 2);
        REQUIRE(f.claim(*other).size() == 2);
        runner.heartbeat();
        after = run->cancelled(run) != 0;
    };
    (void
    )runner.handle("q", "k", &scene, [](void* ctx, const tenon_job_run* run, tenon_err*) noexcept {
        static_cast<Scene*>(ctx)->run(run);
        return tenon_status{TENON_OK};
    });
    CHECK(runner.work(10));
    CHECK_FALSE(before);
    CHECK(after);
    CHECK(begun == std::vector<std::string>{R"({"n":1})"});  // the second is another's by now
    CHECK(told == 0);
    CHECK(f.status(first) == "running");
    CHECK(f.status(second) == "running");
}

TEST_CASE("a lease that could not be extended is over", "[jobs][T8]") {
    Fixture f;
    (void)f.enqueue(job_of());
    std::int64_t now_ns = 1;
    Runner runner{
        *f.store,
        {[&] { return now_ns; }, [&] { return f.now; }},
        "me",
        30 * k_job_s,
        [](const Outcome&, std::int64_t) {}};
    std::vector<bool> cancelled;

    struct Scene {
        std::function<void(const tenon_job_run*)> run;
    } scene{[&](const tenon_job_run* run) {
        for (const std::int64_t passed_s : {29, 1}) {
            now_ns += passed_s * k_job_s;
            cancelled.push_back(run->cancelled(run) != 0);
        }
    }};

    (void
    )runner.handle("q", "k", &scene, [](void* ctx, const tenon_job_run* run, tenon_err*) noexcept {
        static_cast<Scene*>(ctx)->run(run);
        return tenon_status{TENON_OK};
    });
    CHECK(runner.work(1));
    CHECK(cancelled == std::vector<bool>{false, true});
}

TEST_CASE("effects and completion are one transaction", "[jobs][T8]") {
    Fixture f;
    const std::int64_t id = f.enqueue(job_of());
    const auto held = f.claim(*f.store);
    CHECK_THROWS(f.storage().write(f.deadline(), [&](Session& s) {
        f.store->finish(s, id, held[0].token);
        throw tenon::Error{TENON_INTERNAL, "the effect failed"};
    }));
    CHECK(f.status(id) == "running");
}

TEST_CASE("a failed run comes again later and later, then it is dead", "[jobs][T8]") {
    Fixture f;
    tenon_job job = job_of();
    job.attempts_max = 3;
    const std::int64_t id = f.enqueue(job);
    for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
        const auto held = f.claim(*f.store);
        REQUIRE(held.size() == 1);
        CHECK(held[0].attempt == attempt);
        CHECK(
            f.store->complete(std::vector<Outcome>{{held[0], Result::retry, "no luck"}}) ==
            std::vector<bool>{true}
        );
        CHECK(f.claim(*f.store).empty());
        // 1 s and 2 s, a fifth up or down.
        f.now += (attempt == 1 ? 12 : 24) * k_job_s / 10;
    }
    CHECK(f.status(id) == "dead");
    CHECK_THAT(f.store->show(id), Contains("no luck"));
}

TEST_CASE("a server that dies with the last attempt leaves a dead job", "[jobs][T8]") {
    Fixture f;
    tenon_job job = job_of();
    job.attempts_max = 1;
    const std::int64_t id = f.enqueue(job);
    REQUIRE(f.claim(*f.store).size() == 1);
    f.now += 31 * k_job_s;
    CHECK(f.store->reclaim() == 1);
    CHECK(f.status(id) == "dead");
}

TEST_CASE("an operator sees, replays and discards dead jobs", "[jobs][T8]") {
    Fixture f;
    const std::int64_t id = f.enqueue(job_of());
    CHECK_THROWS_WITH(f.store->replay(id), Contains("is queued, expected dead"));
    const auto held = f.claim(*f.store);
    CHECK_THROWS_WITH(f.store->discard(id), Contains("is running, expected dead or queued"));
    (void)f.store->complete(std::vector<Outcome>{{held[0], Result::dead, "bad \"payload\""}});
    CHECK_THAT(f.store->list("q", "dead", 10), Contains(R"(bad \"payload\")"));
    f.store->replay(id);
    const auto again = f.claim(*f.store);
    REQUIRE(again.size() == 1);
    CHECK(again[0].attempt == 1);
    CHECK(again[0].token > held[0].token);
    (void)f.store->complete(std::vector<Outcome>{{again[0], Result::dead, ""}});
    f.store->discard(id);
    CHECK_THROWS_WITH(f.store->show(id), Contains("there is no job"));
    CHECK_THROWS_WITH(f.store->replay(id), Contains("there is no job"));
    CHECK_THROWS_WITH(f.store->list("", "lost", 10), Contains("status: expected"));
}

TEST_CASE("a key is queued once", "[jobs][T8]") {
    Fixture f;
    const std::int64_t id = f.enqueue(job_of("{}", "one"));
    CHECK(f.enqueue(job_of("{}", "one")) == id);
    CHECK(f.enqueue(job_of("{}", "two")) != id);
    CHECK(f.claim(*f.store).size() == 2);
}

TEST_CASE("priority goes first, and a minute of waiting is worth a step", "[jobs][T8]") {
    Fixture f;
    const std::int64_t plain = f.enqueue(job_of());
    f.now += 30 * k_job_s;
    tenon_job urgent = job_of();
    urgent.priority = 1;
    const std::int64_t first = f.enqueue(urgent);
    f.now += 31 * k_job_s;
    const std::int64_t late = f.enqueue(urgent);
    const auto claimed = f.claim(*f.store);
    REQUIRE(claimed.size() == 3);
    CHECK(claimed[0].id == first);
    CHECK(claimed[1].id == plain);
    CHECK(claimed[2].id == late);
}

TEST_CASE("a job is not claimed before it is due, nor by who has no handler", "[jobs][T8]") {
    Fixture f;
    tenon_job job = job_of();
    job.due_real_ns = f.now + 5 * k_job_s;
    (void)f.enqueue(job);
    tenon_job strange = job_of();
    strange.kind = tenon::str("strange");
    (void)f.enqueue(strange);
    CHECK(f.claim(*f.store).empty());
    f.now += 5 * k_job_s;
    CHECK(f.claim(*f.store).size() == 1);
}

TEST_CASE("what is wrong with a job is told, and nothing is taken", "[jobs][T8]") {
    tenon::jobs::Limits limits;
    limits.queue_max = 3;
    limits.payload_max = 20;
    Fixture f{limits};
    const auto refused = [&](auto spoil, const char* message) {
        std::vector<tenon_job> two{job_of(), job_of()};
        spoil(two[1]);
        CHECK_THROWS_WITH(f.store->enqueue(two.data(), 2, f.deadline()), Contains(message));
    };
    refused([](tenon_job& j) { j.queue = tenon::str(""); }, "job 1: queue \"\" is not");
    refused([](tenon_job& j) { j.kind = tenon::str("a b"); }, "job 1: kind \"a b\" is not");
    refused([](tenon_job& j) { j.priority = 10; }, "priority is not");
    refused([](tenon_job& j) { j.payload = tenon::str("{"); }, "job 1: payload: ");
    refused([](tenon_job& j) { j.payload = tenon::str("[1111111111111111111111]"); }, "24 bytes");
    refused([](tenon_job& j) { j.key = tenon::str("~x"); }, "begins with '~'");
    refused([](tenon_job& j) { j.attempts_max = 101; }, "attempts_max");
    refused([](tenon_job& j) { j.timeout_ms = -1; }, "timeout_ms");
    CHECK(f.store->list("", "", 10) == "[]");
    std::vector<tenon_job> three{job_of(), job_of(), job_of()};
    CHECK(f.store->enqueue(three.data(), 3, f.deadline()).size() == 3);
    CHECK_THROWS_WITH(f.enqueue(job_of()), Contains("queue q is full: 3 jobs wait, 3 may"));
    (void)f.claim(*f.store, 2);
    CHECK(f.store->depths().at("q").queued == 1);
    CHECK(f.enqueue(job_of()) > 0);
}

TEST_CASE("done jobs are forgotten after their time", "[jobs][T8]") {
    Fixture f;
    (void)f.enqueue(job_of());
    const auto held = f.claim(*f.store);
    (void)f.store->complete(std::vector<Outcome>{{held[0], Result::done, ""}});
    CHECK(f.store->forget_done(10 * k_job_s) == 0);
    f.now += 11 * k_job_s;
    CHECK(f.store->forget_done(10 * k_job_s) == 1);
}

TEST_CASE("a due run of a schedule is enqueued once over all servers", "[jobs][T8]") {
    Fixture f;
    auto wanted = tenon::sized<tenon_job_schedule>();
    wanted.name = tenon::str("nightly");
    wanted.rule = tenon::str("every 60s");
    wanted.job = job_of();
    f.store->schedule(wanted);
    const auto other = f.make();
    CHECK(f.store->run_schedules() == 0);
    f.now += 60 * k_job_s;
    other->schedule(wanted);  // started later: the beat stays
    CHECK(f.store->run_schedules() + other->run_schedules() == 1);
    f.now += 600 * k_job_s;
    CHECK(f.store->run_schedules() + other->run_schedules() == 1);
    CHECK(f.claim(*f.store).size() == 2);
    CHECK_THAT(f.store->list_schedules(), Contains("\"rule\":\"every 60s\""));
    CHECK(f.store->unschedule("nightly"));
    CHECK_FALSE(f.store->unschedule("nightly"));
}
