// SPDX-License-Identifier: Apache-2.0
// 64 threads on 20 connections while sessions are ended all the time, the server is restarted, the
// wall clock steps, and the network goes silent and loses commits and the answers to them.
// TENON_LONG=1: for a minute, with three restarts.
#include "tests/integration/storage/postgres_backend.hpp"
#include "tests/integration/storage/stepping_clock.hpp"
#include "tests/support/cutting_proxy.hpp"
#include "tests/support/in_use.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <set>
#include <thread>

using tenon::Session;
using tenon::StorageError;
using tenon::test::CuttingProxy;
using tenon::test::PostgresBackend;
using tenon::test::PostgresServer;

namespace {

constexpr int k_threads = 64;

struct Tally {
    std::atomic<std::uint64_t> done{0}, leases{0}, gave_up{0}, in_doubt{0};
    std::mutex mutex;
    std::set<std::int64_t> acknowledged, doubtful;
    std::vector<std::string> broken;

    void complain(const std::string& what) {
        const std::lock_guard lock{mutex};
        broken.push_back(what);
    }
};

// What must be true of a session that was just lent.
void expect_as_new(Session& s, std::size_t cap, Tally& tally) {
    auto q = s.prepare(
        "SELECT current_setting('work_mem'), (SELECT count(*) FROM pg_prepared_statements), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
        "to_regclass('pg_temp.mine') IS NULL"
    );
    if (!q.step()) {
        tally.complain("no row");
        return;
    }
    if (q.text(0) != "4MB") {
        tally.complain("work_mem leaked: " + std::string{q.text(0)});
    }
    if (static_cast<std::size_t>(q.integer(1)) > cap + 1) {
        tally.complain("prepared statements: " + std::to_string(q.integer(1)));
    }
    if (q.integer(2) != 0) {
        tally.complain("a lock leaked");
    }
    if (q.integer(3) != 1) {
        tally.complain("a temporary table leaked");
    }
    (void)q.step();
}

// Leaves behind what a careless lessee leaves behind.
void use_lease(PostgresBackend& backend, std::mt19937_64& random, Tally& tally) {
    auto lease = backend.storage().lease(TENON_INTENT_WRITE, backend.deadline());
    expect_as_new(*lease, backend.settings.statement_cache, tally);
    lease->execute("SET work_mem = '9MB'");
    lease->prepare("SELECT pg_advisory_lock_shared(5)::text").run();
    if (random() % 2 == 0) {
        lease->begin();
        lease->execute("CREATE TEMP TABLE mine (a int)");
        lease->execute("INSERT INTO t (id) VALUES (-1)");
    }
    ++tally.leases;
}

void write_row(PostgresBackend& backend, std::int64_t id, bool with_key, Tally& tally) {
    auto options = tenon::sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_WRITE;
    options.deadline_ns = backend.deadline();
    const std::string key = with_key ? "row-" + std::to_string(id) : "";
    options.key = tenon::str(key);
    try {
        (void)backend.storage().transact(options, [&](Session& s) {
            s.prepare("INSERT INTO t (id) VALUES (?)").bind(1, id).run();
            s.prepare("SELECT " + std::to_string(id % 100)).run();
        });
        const std::lock_guard lock{tally.mutex};
        tally.acknowledged.insert(id);
    } catch (const StorageError& e) {
        if (e.failure() != tenon::Failure::in_doubt) {
            throw;
        }
        ++tally.in_doubt;
        const std::lock_guard lock{tally.mutex};
        tally.doubtful.insert(id);
    }
    ++tally.done;
}

void work(
    PostgresBackend& backend,
    int thread,
    std::uint64_t seed,
    const std::atomic<bool>& over,
    Tally& tally
) {
    std::mt19937_64 random{seed + static_cast<std::uint64_t>(thread)};
    for (std::int64_t i = 0; !over; ++i) {
        const std::int64_t id = thread * 1'000'000 + i;
        try {
            switch (random() % 4) {
                case 0:
                    use_lease(backend, random, tally);
                    break;
                case 1:
                    backend.storage().read(backend.deadline(), [&](Session& s) {
                        expect_as_new(s, backend.settings.statement_cache, tally);
                    });
                    break;
                default:
                    write_row(backend, id, random() % 2 == 0, tally);
            }
        } catch (const StorageError& e) {
            // By a lessee's own hand nothing is retried.
            ++tally.gave_up;
            if (!e.retryable() && e.failure() != tenon::Failure::in_doubt) {
                tally.complain(e.what());
            }
        } catch (const tenon::Error& e) {
            tally.complain(e.what());
        }
    }
}

class Pause {
public:
    // False: stopped.
    bool wait(std::chrono::milliseconds time) {
        std::unique_lock lock{mutex_};
        return !wake_.wait_for(lock, time, [&] { return stopped_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopped_ = false;
};

}  // namespace

TEST_CASE(
    "ended sessions and restarts lose no lease and leak nothing to the next",
    "[postgres][chaos][S3]"
) {
    const bool long_run = std::getenv("TENON_LONG") != nullptr;
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    auto& server = PostgresBackend::server();
    CuttingProxy network{server.folder() / ".s.PGSQL.5432"};
    PostgresBackend backend{[&](tenon::postgres::Settings& s) {
        s.conninfo += " host=127.0.0.1 port=" + std::to_string(network.port()) + " sslmode=disable";
        s.command_timeout_ms = 5'000;
    }};
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)");
    });
    Tally tally;
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] { work(backend, t, seed, over, tally); });
    }
    std::mt19937_64 random{seed};
    const int rounds = long_run ? 600 : 30;
    const int restarts = long_run ? 3 : 1;
    Pause pause;
    const auto strike = [&](int round) {
        // A day ahead, an hour back, and right again.
        static constexpr std::int64_t k_steps_s[]{86'400, -3'600, 0};
        tenon::test::set_wall_clock_offset(k_steps_s[round % 3]);
        if (round % 5 == 1) {
            network.lose_answers(2);
            network.lose_commits(1);
        }
        if (round % 10 == 4) {
            network.go_silent();
        } else {
            network.resume();
        }
        if (round % 10 == 7) {
            network.drop_all();
        }
        if (round % (rounds / (restarts + 1) + 1) == rounds / (restarts + 1)) {
            server.restart();
            return;
        }
        server.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE "
            "datname = '" +
            backend.name + "' ORDER BY pid % " + std::to_string(random() % 97 + 2) + " LIMIT " +
            std::to_string(random() % 4 + 1) + ") victim"
        );
    };
    for (int round = 0; round < rounds; ++round) {
        (void)pause.wait(std::chrono::milliseconds{100});
        try {
            strike(round);
        } catch (const std::exception& e) {
            tally.complain(e.what());
        }
    }
    network.resume();
    network.lose_answers(0);
    network.lose_commits(0);
    tenon::test::set_wall_clock_offset(0);
    over = true;
    for (auto& thread : threads) {
        thread.join();
    }
    const auto stats = backend.storage().stats();
    WARN(
        "seed " << seed << ": " << tally.done << " writes, " << tally.leases << " leases, "
                << tally.gave_up << " given up, " << tally.in_doubt << " in doubt, "
                << stats.connects << " connects, " << stats.resets << " resets, " << network.cuts()
                << " commits cut"
    );
    for (const std::string& what : tally.broken) {
        UNSCOPED_INFO(what);
    }
    CHECK(tally.broken.empty());
    CHECK(tenon::test::in_use_at_rest(backend.storage()) == 0);
    CHECK(stats.waiting == 0);
    CHECK(stats.leaks == 0);
    CHECK(tally.done > 0);
    CHECK(tally.leases > 0);
    CHECK(network.cuts() > 0);
    std::set<std::int64_t> there;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        there.clear();
        auto q = s.prepare("SELECT id FROM t");
        while (q.step()) {
            there.insert(q.integer(0));
        }
    });
    CHECK(there.count(-1) == 0);
    for (const std::int64_t id : tally.acknowledged) {
        if (there.erase(id) != 1) {
            FAIL_CHECK("acknowledged and lost: " << id);
        }
    }
    for (const std::int64_t id : there) {
        // Only what was in doubt, or whose caller was told of a failure after it was sent.
        CHECK(tally.doubtful.count(id) == 1);
    }
}
