// SPDX-License-Identifier: Apache-2.0
// Two servers with the same schedules, each a process, one of them killed again and again: each due
// time is one job, whose effect is there once. Done jobs are forgotten at once, so that no key of
// an earlier one hides a second.
#include "tests/integration/jobs/server.hpp"
#include "tests/unit/jobs/job_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using tenon::JobRun;
using tenon::Session;
using tenon::test::JobServer;
using tenon::test::JobWorker;
using tenon::test::now_real_ns;
using tenon::test::PostgresBackend;
using tenon::test::SharedNumber;

namespace {

// So long that a slow machine does not miss a run.
constexpr std::int64_t k_day_ns = 86'400'000'000'000, k_lease_ns = 10 * k_day_ns;
constexpr std::array<const char*, 3> k_names{"first", "second", "third"};

void make_effect(JobServer& server, const JobRun& run) {
    server.storage.write(server.deadline(), [&](Session& s) {
        s.prepare("INSERT INTO effects SELECT idempotency_key FROM jobs WHERE id = ?")
            .bind_all(run.id())
            .run();
        run.finish(s);
    });
}

struct TwoServers {
    TwoServers() {
        tenon::test::shipped_schema(backend)->up();
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.execute("CREATE TABLE effects (key text NOT NULL)");
        });
        JobServer server{backend.settings, passed_ns};
        for (const char* name : k_names) {
            auto schedule = tenon::sized<tenon_job_schedule>();
            schedule.name = tenon::str(name);
            schedule.rule = tenon::str("every 86400s");
            schedule.job = tenon::test::job_of();
            schedule.job.attempts_max = 100;
            server.store.schedule(schedule);
        }
        for (const char* name : k_names) {
            first_due_ns.push_back(std::stoll(sql(
                "SELECT next_real_ns FROM job_schedules WHERE name = '" + std::string{name} + "'"
            )));
        }
        backend.database.reset();  // no thread and no session crosses a fork
    }

    [[nodiscard]] std::string sql(const std::string& text) const {
        return PostgresBackend::server().execute(text, backend.name);
    }

    // Runs schedules and jobs until it is killed.
    [[nodiscard]] pid_t start() {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child != 0) {
            return child;
        }
        const tenon_status status = tenon::guard(nullptr, [&] {
            JobServer server{backend.settings, passed_ns};
            JobWorker worker{
                server, std::to_string(::getpid()), k_lease_ns, [&](const JobRun& run) {
                    make_effect(server, run);
                }};
            for (;;) {
                (void)server.store.reclaim();
                turns.add(1);
                (void)server.store.run_schedules();
                turns.add(1);
                (void)worker.runner.work(8);
                turns.add(1);
                (void)server.store.forget_done(0);
            }
        });
        ::_exit(status == TENON_OK ? 0 : 1);
    }

    static void require_alive() {
        if (::waitpid(-1, nullptr, WNOHANG) != 0) {
            FAIL("a server has ended by itself");
        }
    }

    static void end(pid_t child) {
        int status = 0;
        REQUIRE(::kill(child, SIGKILL) == 0);
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));  // not before
    }

    void wait_for_turns(std::int64_t more) const {
        for (const std::int64_t last = turns.get() + more; turns.get() < last;) {
            require_alive();
            std::this_thread::yield();
        }
    }

    // Until nothing that was due is due any more.
    void wait_for_schedules() const {
        const std::string due = "SELECT count(*) FROM job_schedules WHERE next_real_ns <= " +
                                std::to_string(now_real_ns(passed_ns));
        while (sql(due) != "0") {
            require_alive();
        }
    }

    // What the killed ones left behind is run here.
    void finish_jobs() {
        passed_ns.add(k_lease_ns + k_day_ns);
        JobServer server{backend.settings, passed_ns};
        JobWorker worker{
            server, "last", k_lease_ns, [&](const JobRun& run) { make_effect(server, run); }};
        const std::string left = "SELECT count(*) FROM jobs WHERE status <> 'done'";
        while (sql(left) != "0") {
            (void)server.store.reclaim();
            (void)worker.runner.work(8);
        }
    }

    void check_effects(int days) {
        std::vector<std::string> wanted, found;
        for (std::size_t i = 0; i < k_names.size(); ++i) {
            for (int day = 0; day < days; ++day) {
                const std::int64_t due_ns = first_due_ns[i] + day * k_day_ns;
                wanted.push_back(
                    std::string{"schedule/"} + k_names.at(i) + "/" + std::to_string(due_ns)
                );
            }
        }
        backend.open();
        backend.storage().read(backend.deadline(), [&](Session& s) {
            found.clear();
            auto row = s.prepare("SELECT key FROM effects");
            while (row.step()) {
                found.emplace_back(row.text(0));
            }
        });
        std::sort(wanted.begin(), wanted.end());
        std::sort(found.begin(), found.end());
        CHECK(found == wanted);
    }

    PostgresBackend backend;
    SharedNumber passed_ns, turns;
    std::vector<std::int64_t> first_due_ns;
};

void run(int days) {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    TwoServers f;
    const pid_t steady = f.start();
    pid_t victim = f.start();
    for (int day = 0; day < days; ++day) {
        f.passed_ns.add(k_day_ns);
        if (random() % 2 == 0) {
            f.wait_for_turns(static_cast<std::int64_t>(random() % 6));
            TwoServers::end(victim);
            victim = f.start();
        }
        f.wait_for_schedules();
    }
    TwoServers::end(victim);
    TwoServers::end(steady);
    f.finish_jobs();
    f.check_effects(days);
}

}  // namespace

TEST_CASE("each due time is one job while one of two servers is killed", "[jobs][T8]") {
    run(30);
}

TEST_CASE("2000 due times are each one job while servers are killed", "[.long][jobs][T8]") {
    run(2'000);
}
