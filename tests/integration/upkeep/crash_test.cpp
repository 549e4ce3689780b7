// SPDX-License-Identifier: Apache-2.0
// Summaries after what ends without asking: the server killed under its writers.
#include "plugins/storage/upkeep/rounds.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"
#include "tests/unit/upkeep/summaries.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using tenon::Session;
using tenon::test::PostgresBackend;
using tenon::test::SqliteBackend;
using tenon::test::SummaryModel;

namespace {

template <class Backend>
tenon::upkeep::Findings check(Backend& backend) {
    tenon::upkeep::ViewsRound round{
        {backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }}};
    while (round.step()) {}
    return round.findings();
}

void write_some(Session& s, SummaryModel& model) {
    for (int i = 0; i < 3; ++i) {
        s.execute(model.next());
    }
}

}  // namespace

TEST_CASE("a PostgreSQL that is killed comes back with summaries of its rows", "[upkeep][S10]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    PostgresBackend backend;
    tenon::test::shipped_schema(backend)->up();
    backend.storage().write(backend.deadline(), SummaryModel::prepare);
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> written{0};
    std::vector<std::thread> writers;
    for (std::uint64_t w = 0; w < 4; ++w) {
        writers.emplace_back([&, w] {
            std::mt19937_64 random{seed + w};
            while (!done) {
                // Ids of one's own; what fails when the server goes is not written.
                const std::string id = std::to_string(random() >> 2);
                (void)tenon::guard(nullptr, [&] {
                    backend.storage().write(
                        backend.host.reactor().now_ns() + 1'000'000'000,
                        [&](Session& s) {
                            s.execute(
                                "INSERT INTO news_items (source, external_id, title, "
                                "sentiment_score, published_real_ns, fetched_real_ns) VALUES "
                                "('s', '" +
                                id + "', 't', 3, 5, 5), ('r', '" + id +
                                "', 't', 4, 86400000000005, 5)"
                            );
                            s.execute(
                                "DELETE FROM news_items WHERE source = 'r' AND "
                                "external_id < '5'"
                            );
                        }
                    );
                    ++written;
                });
            }
        });
    }
    for (int kills = 0; kills < 3; ++kills) {
        const std::uint64_t before = written;
        while (written < before + 20) {
            std::this_thread::yield();
        }
        PostgresBackend::server().kill_9();
        PostgresBackend::server().start();
    }
    done = true;
    for (std::thread& writer : writers) {
        writer.join();
    }
    // Nobody waits for a server that has been away for long: it is asked until it is found again.
    while (tenon::guard(nullptr, [&] {
               (void)backend.storage().read(backend.deadline(), [](Session&) {});
           }) != TENON_OK) {}
    const auto found = check(backend);
    CHECK(found.different == 0);
    CHECK(found.keys >= 1);
}

TEST_CASE("a process that is killed leaves summaries of its rows", "[upkeep][S10]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    tenon::test::TemporaryFolder folder;
    const auto file = (folder.path() / "shared.db").string();
    const auto tweak = [&](tenon::sqlite::Settings& s) { s.file = file; };
    for (std::uint64_t round = 0; round < 3; ++round) {
        std::array<int, 2> pipe{};
        REQUIRE(::pipe(pipe.data()) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            // Nothing of the parent's runs on in here but this.
            try {
                SqliteBackend backend{tweak};
                tenon::test::shipped_schema(backend)->up();
                if (round == 0) {
                    backend.storage().write(backend.deadline(), SummaryModel::prepare);
                }
                SummaryModel model{seed + round};
                for (int i = 0;; ++i) {
                    (void)tenon::guard(nullptr, [&] {
                        backend.storage().write(backend.deadline(), [&](Session& s) {
                            write_some(s, model);
                        });
                    });
                    if (i == 50) {
                        (void)!::write(pipe[1], "x", 1);
                    }
                }
            } catch (...) {
                ::_exit(1);
            }
        }
        char byte = 0;
        REQUIRE(::read(pipe[0], &byte, 1) == 1);
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        (void)::close(pipe[0]);
        (void)::close(pipe[1]);
        SqliteBackend backend{tweak};
        const auto found = check(backend);
        CHECK(found.different == 0);
        CHECK(found.keys > 0);
    }
}
