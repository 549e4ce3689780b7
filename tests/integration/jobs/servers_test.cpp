// SPDX-License-Identifier: Apache-2.0
// Two servers on one PostgreSQL, each a process that claims and completes, one of them killed again
// and again. Each job's effect is a row without a unique key, written with the completion.
#include "tests/integration/jobs/server.hpp"
#include "tests/unit/jobs/job_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

using tenon::Session;
using tenon::jobs::Store;
using tenon::test::job_of;
using tenon::test::JobServer;
using tenon::test::PostgresBackend;
using tenon::test::SharedNumber;

namespace {

constexpr std::int64_t k_lease_ns = 300'000'000;

// Runs jobs until it is killed, or nothing is queued or running.
[[noreturn]] void serve(const tenon::postgres::Settings& settings, int told) {
    try {
        const SharedNumber none;
        JobServer server{settings, none};
        Store& store = server.store;
        const std::vector<std::string> kinds{"k"};
        for (;;) {
            (void)store.reclaim();
            const auto claimed =
                store.claim("q", kinds, 16, std::to_string(::getpid()), k_lease_ns);
            (void)!::write(told, "x", 1);
            for (const auto& job : claimed) {
                (void)tenon::guard(nullptr, [&] {
                    server.storage.write(server.deadline(), [&](Session& s) {
                        s.prepare("INSERT INTO effects VALUES (?)").bind_all(job.id).run();
                        store.finish(s, job.id, job.token);
                    });
                });
            }
            const auto depths = store.depths();
            const auto found = depths.find("q");
            if (found == depths.end() || found->second.queued + found->second.running == 0) {
                ::_exit(0);
            }
        }
    } catch (...) {
        ::_exit(1);
    }
}

void enqueue(const tenon::postgres::Settings& settings, std::uint32_t count) {
    const SharedNumber none;
    JobServer server{settings, none};
    for (std::uint32_t made = 0; made < count; made += 1'000) {
        std::vector<tenon_job> jobs(std::min(1'000U, count - made), job_of());
        for (tenon_job& job : jobs) {
            job.attempts_max = 100;
        }
        (void)server.store.enqueue(
            jobs.data(), static_cast<std::uint32_t>(jobs.size()), server.deadline()
        );
    }
}

void run(std::uint32_t count, int kills) {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    PostgresBackend backend;
    tenon::test::shipped_schema(backend)->up();
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE effects (job bigint NOT NULL)");
    });
    enqueue(backend.settings, count);
    const auto settings = backend.settings;
    backend.database.reset();  // no thread and no session crosses the fork
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const auto start = [&] {
        const pid_t child = ::fork();
        if (child == 0) {
            serve(settings, pipe[1]);
        }
        return child;
    };
    const pid_t steady = start();
    pid_t victim = start();
    for (int kill = 0; kill < kills; ++kill) {
        // After a random number of claims by either.
        for (auto claims = 4 + random() % 12; claims > 0; --claims) {
            char byte = 0;
            REQUIRE(::read(pipe[0], &byte, 1) == 1);
        }
        REQUIRE(::kill(victim, SIGKILL) == 0);
        REQUIRE(::waitpid(victim, nullptr, 0) == victim);
        victim = start();
    }
    ::close(pipe[1]);
    ::signal(SIGPIPE, SIG_IGN);
    std::array<char, 4096> rest{};
    while (::read(pipe[0], rest.data(), rest.size()) > 0) {
        // Until both are through: they hold the other end.
    }
    for (const pid_t child : {steady, victim}) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    ::close(pipe[0]);
    backend.open();
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto row = s.prepare("SELECT count(*), count(DISTINCT job) FROM effects");
        while (row.step()) {
            CHECK(row.integer(0) == count);
            CHECK(row.integer(1) == count);
        }
        auto done = s.prepare("SELECT count(*) FROM jobs WHERE status = 'done'");
        while (done.step()) {
            CHECK(done.integer(0) == count);
        }
    });
}

}  // namespace

TEST_CASE("each job is done once while one of two servers is killed", "[jobs][T8]") {
    run(3'000, 8);
}

TEST_CASE(
    "100,000 jobs are each done once while one of two servers is killed",
    "[.long][jobs][T8]"
) {
    run(100'000, 200);
}
