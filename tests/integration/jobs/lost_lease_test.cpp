// SPDX-License-Identifier: Apache-2.0
// A server that can no longer extend its lease: another runs the job, and what the first one does
// afterwards changes nothing. Each job's effect is a row without a unique key.
#include "tests/integration/jobs/server.hpp"
#include "tests/support/cutting_proxy.hpp"
#include "tests/unit/jobs/job_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using tenon::Error;
using tenon::JobRun;
using tenon::Session;
using tenon::test::CuttingProxy;
using tenon::test::job_of;
using tenon::test::JobServer;
using tenon::test::JobWorker;
using tenon::test::PostgresBackend;
using tenon::test::SharedNumber;

namespace {

// Longer than any test: only the tests' own time ends a lease.
constexpr std::int64_t k_lease_ns = 3'600'000'000'000;

enum class End { done, failed, finished };

// How a run ends; `finished`: its effect and its completion in one transaction.
void end_run(JobServer& server, const JobRun& run, End how) {
    if (how == End::failed) {
        throw Error{TENON_INTERNAL, "it did not work"};
    }
    if (how == End::finished) {
        server.storage.write(server.deadline(), [&](Session& s) {
            s.prepare("INSERT INTO effects VALUES (?)").bind_all(run.id()).run();
            run.finish(s);
        });
    }
}

struct LostLease {
    LostLease() {
        tenon::test::shipped_schema(backend)->up();
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.execute("CREATE TABLE effects (job bigint NOT NULL)");
        });
        JobServer server{backend.settings, passed_ns};
        tenon_job job = job_of();
        job.timeout_ms = 86'400'000;
        id = server.store.enqueue(&job, 1, server.deadline()).front();
    }

    // The second server finds the lease over and runs the job.
    void take_over() {
        JobServer other{backend.settings, passed_ns};
        CHECK(other.store.reclaim() == 0);
        passed_ns.add(k_lease_ns + 1);
        CHECK(other.store.reclaim() == 1);
        JobWorker worker{other, "other", k_lease_ns, [&](const JobRun& run) {
                             CHECK(run.attempt() == 2);
                             end_run(other, run, End::finished);
                         }};
        CHECK(worker.runner.work(8));
        CHECK(worker.counted == 1);
        CHECK_FALSE(worker.runner.work(8));
    }

    // Done once, with both attempts counted and nothing of the late end.
    void check_done_once() {
        backend.storage().read(backend.deadline(), [&](Session& s) {
            auto job = s.prepare(
                "SELECT status, attempts, token, last_error, owner IS NULL, (SELECT count(*) FROM "
                "effects) FROM jobs WHERE id = ?"
            );
            job.bind(1, id);
            while (job.step()) {
                CHECK(job.text(0) == "done");
                CHECK(job.integer(1) == 2);
                CHECK(job.integer(2) == 2);
                CHECK(job.text(3).empty());
                CHECK(job.integer(4) == 1);
                CHECK(job.integer(5) == 1);
            }
        });
    }

    PostgresBackend backend;
    SharedNumber passed_ns;
    std::int64_t id = 0;
};

// While `work` runs that server's clock goes fast, so that its patience is soon over.
template <class Work>
void in_fast_time(JobServer& server, Work&& work) {
    std::mutex mutex;
    std::condition_variable ended;
    bool is_over = false;
    std::thread clock{[&] {
        std::unique_lock lock{mutex};
        while (!ended.wait_for(lock, std::chrono::milliseconds{1}, [&] { return is_over; })) {
            server.host.reactor().advance(50'000'000);
        }
    }};
    work();
    {
        const std::lock_guard lock{mutex};
        is_over = true;
    }
    ended.notify_one();
    clock.join();
}

bool answers(JobServer& server) {
    return tenon::guard(nullptr, [&] {
               server.storage.read(server.deadline(), [](Session& s) { s.execute("SELECT 1"); });
           }) == TENON_OK;
}

// A process that runs the job: it tells that the run has begun, waits until it is told to go on,
// then tells whether the run is asked to end, and ends it as one that went well.
[[noreturn]] void serve(
    const tenon::postgres::Settings& settings,
    const SharedNumber& passed_ns,
    const std::array<int, 2>& told,
    const std::array<int, 2>& heard
) {
    int result = 1;
    (void)tenon::guard(nullptr, [&] {
        JobServer server{settings, passed_ns};
        JobWorker worker{server, "first", k_lease_ns, [&](const JobRun& run) {
                             worker.runner.heartbeat();
                             (void)!::write(told[1], run.cancelled() ? "1" : "0", 1);
                             char byte = 0;
                             (void)!::read(heard[0], &byte, 1);
                             (void)!::write(told[1], run.cancelled() ? "1" : "0", 1);
                             worker.runner.heartbeat();
                             (void)!::write(told[1], run.cancelled() ? "1" : "0", 1);
                         }};
        (void)worker.runner.work(8);
        result = worker.counted == 0 && !worker.runner.work(8) ? 0 : 1;
    });
    ::_exit(result);
}

char next_byte(int from) {
    char byte = 0;
    REQUIRE(::read(from, &byte, 1) == 1);
    return byte;
}

}  // namespace

TEST_CASE("a run is asked to end when its server is cut off, and its end is void", "[jobs][T8]") {
    const End how = GENERATE(End::done, End::failed, End::finished);
    LostLease f;
    CuttingProxy network{PostgresBackend::server().folder() / ".s.PGSQL.5432"};
    auto settings = f.backend.settings;
    settings.conninfo +=
        " host=127.0.0.1 port=" + std::to_string(network.port()) + " sslmode=disable";
    settings.connect_timeout_ms = 500;
    JobServer server{settings, f.passed_ns};
    std::vector<bool> cancelled;
    JobWorker worker{server, "first", k_lease_ns, [&](const JobRun& run) {
                         worker.runner.heartbeat();
                         cancelled.push_back(run.cancelled());
                         network.go_silent();
                         network.drop_all();
                         in_fast_time(server, [&] { CHECK_THROWS(worker.runner.heartbeat()); });
                         cancelled.push_back(run.cancelled());
                         f.take_over();
                         cancelled.push_back(run.cancelled());
                         network.resume();
                         in_fast_time(server, [&] {
                             while (!answers(server)) {}
                         });
                         worker.runner.heartbeat();
                         cancelled.push_back(run.cancelled());
                         end_run(server, run, how);
                     }};
    CHECK(worker.runner.work(8));
    CHECK(cancelled == std::vector<bool>{false, false, true, true});
    CHECK(worker.counted == 0);
    CHECK_FALSE(worker.runner.work(8));
    f.check_done_once();
}

TEST_CASE("a server that stood still while its lease passed completes nothing", "[jobs][T8]") {
    LostLease f;
    f.backend.database.reset();  // no thread and no session crosses the fork
    std::array<int, 2> told{}, heard{};
    REQUIRE(::pipe(told.data()) == 0);
    REQUIRE(::pipe(heard.data()) == 0);
    const pid_t first = ::fork();
    REQUIRE(first >= 0);
    if (first == 0) {
        serve(f.backend.settings, f.passed_ns, told, heard);
    }
    ::close(told[1]);  // so that the child's end is seen
    CHECK(next_byte(told[0]) == '0');
    REQUIRE(::kill(first, SIGSTOP) == 0);
    int status = 0;
    REQUIRE(::waitpid(first, &status, WUNTRACED) == first);
    REQUIRE(WIFSTOPPED(status));
    f.take_over();
    REQUIRE(::write(heard[1], "x", 1) == 1);
    REQUIRE(::kill(first, SIGCONT) == 0);
    CHECK(next_byte(told[0]) == '1');  // by its own clock
    CHECK(next_byte(told[0]) == '1');  // by the database
    REQUIRE(::waitpid(first, &status, 0) == first);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    for (const int end : {told[0], heard[0], heard[1]}) {
        ::close(end);
    }
    f.backend.open();
    f.check_done_once();
}

// As when a server is stopped within a transaction, until PostgreSQL ends its session.
TEST_CASE("rows that a server holds locked keep only themselves from others", "[jobs][T8]") {
    LostLease f;
    JobServer server{f.backend.settings, f.passed_ns};
    const tenon_job second = job_of();
    (void)server.store.enqueue(&second, 1, server.deadline());
    for (const char* name : {"first", "second"}) {
        auto schedule = tenon::sized<tenon_job_schedule>();
        schedule.name = tenon::str(name);
        schedule.rule = tenon::str("every 60s");
        schedule.job = job_of();
        server.store.schedule(schedule);
    }
    const std::vector<std::string> kinds{"k"};
    REQUIRE(server.store.claim("q", kinds, 8, "first", k_lease_ns).size() == 2);
    f.passed_ns.add(k_lease_ns + 1);
    const auto locked = [&](const std::string& table, const std::string& which, auto&& meanwhile) {
        f.backend.storage().write(f.backend.deadline(), [&](Session& s) {
            auto row = s.prepare("SELECT 1 FROM " + table + " WHERE " + which + " FOR UPDATE");
            while (row.step()) {}
            CHECK(meanwhile() == 1);
        });
        CHECK(meanwhile() == 1);
    };
    locked("jobs", "id = " + std::to_string(f.id), [&] { return server.store.reclaim(); });
    locked("job_schedules", "name = 'first'", [&] { return server.store.run_schedules(); });
    CHECK(server.store.reclaim() + server.store.run_schedules() == 0);
    CHECK(server.store.claim("q", kinds, 8, "second", k_lease_ns).size() == 4);
}
