// SPDX-License-Identifier: Apache-2.0
// tenon.storage/1: transactions that are whole, refusals, leases that end. storage_values.cpp has
// the checks of what goes in and comes back.
#include "sdk/conformance/suites/storage_scene.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <vector>

namespace tenon::suites {
namespace {

void dialect(Bench& bench) {
    const Database database{bench, Database::Tables::none};
    const std::string_view name = database.storage().dialect();
    expect(
        name == "sqlite" || name == "postgres",
        "the dialect is ",
        printable(name),
        ", the contract knows sqlite and postgres"
    );
}

void commit(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    expect(database.count() == 1, "a committed row is not there");
    const Ending ending = ending_of([&] {
        database.write([](Session& s) {
            for (int id = 2; id < 6; ++id) {
                s.prepare("INSERT INTO {t} (id) VALUES (?)"_sql).bind_all(id).run();
            }
            throw Error{TENON_DENIED, "changed my mind"};
        });
    });
    expect_status(ending.status, TENON_DENIED, "a transaction whose function fails");
    expect(database.count() == 1, "a transaction that failed left ", database.count() - 1, " rows");
    const Ending broken = ending_of([&] {
        database.write([](Session& s) {
            s.prepare("INSERT INTO {t} (id) VALUES (?)"_sql).bind_all(7).run();
            s.prepare("INSERT INTO {t} (id) VALUES (?)"_sql).bind_all(1).run();
        });
    });
    expect(broken.status < 0, "a transaction with a duplicate key came through");
    expect(database.count() == 1, "the first half of a batch that failed is there");
}

// Acknowledged ones stay, refused ones are not there, whatever the neighbours do.
void failures_alone(Bench& bench) {
    constexpr std::size_t k_threads = 4;
    constexpr std::int64_t k_each = 40;
    const Database database{bench};
    std::array<std::vector<std::int64_t>, k_threads> kept;
    bench.in_parallel(k_threads, [&](std::size_t thread) {
        Random random{bench.seed() + thread};
        for (std::int64_t i = 0; i < k_each; ++i) {
            const std::int64_t id = static_cast<std::int64_t>(thread) * 1'000 + i;
            const bool fails = random.one_in(3);
            const Ending ending = ending_of([&] {
                database.write([&](Session& s) {
                    s.prepare("INSERT INTO {t} (id) VALUES (?)"_sql).bind_all(id).run();
                    if (fails) {
                        throw Error{TENON_DENIED, "no"};
                    }
                });
            });
            if (ending.status == TENON_OK) {
                kept[thread].push_back(id);
            }
        }
    });
    std::vector<std::int64_t> wanted;
    for (const auto& one : kept) {
        wanted.insert(wanted.end(), one.begin(), one.end());
    }
    const auto found = database.numbers("SELECT id FROM {t} ORDER BY id"_sql);
    expect(
        found == wanted,
        "after ",
        k_threads,
        " threads with failing neighbours ",
        found.size(),
        " rows are there, ",
        wanted.size(),
        " were acknowledged"
    );
}

// Each adds one to what it read, after waiting a moment for another writer to have read as well.
void exclusive(Bench& bench) {
    constexpr std::size_t k_threads = 4;
    constexpr std::int64_t k_each = 15;
    const Database database{bench};
    database.insert(1);
    std::atomic<std::int64_t> acknowledged{0};
    std::atomic<int> inside{0};
    bench.in_parallel(k_threads, [&](std::size_t) {
        for (std::int64_t i = 0; i < k_each; ++i) {
            const Ending ending = ending_of([&] {
                database.write([&](Session& s) {
                    auto query = s.prepare("SELECT amount FROM {t} WHERE id = 1"_sql);
                    if (!query.step()) {
                        throw Error{TENON_CORRUPT, "the row is gone"};
                    }
                    const std::int64_t amount = query.integer(0);
                    (void)query.step();
                    ++inside;
                    (void)bench.wait([&] { return inside > 1; }, 3 * k_ms);
                    --inside;
                    s.prepare("UPDATE {t} SET amount = ? WHERE id = 1"_sql)
                        .bind_all(amount + 1)
                        .run();
                });
            });
            acknowledged += ending.status == TENON_OK ? 1 : 0;
        }
    });
    const std::int64_t found = database.numbers("SELECT amount FROM {t}"_sql).at(0);
    expect(
        acknowledged > 0 && found == acknowledged,
        acknowledged.load(),
        " transactions added one each, the sum is ",
        found
    );
}

void constraints(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    const Ending twice = ending_of([&] { database.insert(1); });
    expect_status(twice.status, TENON_CONFLICT, "a duplicate key");
    const Ending negative = ending_of([&] { database.insert(2, -1); });
    expect_status(negative.status, TENON_CONFLICT, "a broken CHECK");
    expect(!negative.message.empty(), "a broken constraint without a message");
    expect(database.count() == 1, "a row that breaks a constraint is there");
}

void not_retryable(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    const Ending twice = ending_of([&] { database.insert(1); });
    expect(twice.status < 0, "a duplicate key came through");
    expect(!twice.retryable, "a duplicate key is called retryable: ", twice.message);
    const Ending nonsense =
        ending_of([&] { database.write([](Session& s) { (void)s.prepare("SELEC 1"); }); });
    expect(nonsense.status < 0, "SELEC came through");
    expect(!nonsense.retryable, "nonsense is called retryable: ", nonsense.message);
}

void bad_sql(Bench& bench) {
    const Database database{bench};
    for (const std::string& sql :
         {std::string{"SELEC 1"},
          std::string{"SELECT * FROM nothing_here"},
          "SELECT no_column FROM {t}"_sql,
          std::string{"SELECT 1; SELECT 2"},
          std::string{}}) {
        // Outside a transaction, which on some servers an error would end.
        Lease reader = database.lease(TENON_INTENT_READ);
        const Ending ending = ending_of([&] { (void)reader->prepare(sql); });
        expect_status(ending.status, TENON_INVALID, text("prepare of ", printable(sql)));
        expect(
            ending.message.find("storage failed with status") == std::string::npos,
            "prepare of ",
            printable(sql),
            " fails without a message"
        );
    }
}

void bad_parameters(Bench& bench) {
    const Database database{bench};
    database.read([](Session& s) {
        auto query = s.prepare("SELECT id FROM {t} WHERE id = ?"_sql);
        for (const std::uint32_t index : {0U, 2U, 4'000'000'000U}) {
            const Ending ending = ending_of([&] { query.bind(index, 1); });
            expect_status(ending.status, TENON_INVALID, text("bind of parameter ", index, " of 1"));
        }
        query.bind(1, 1);
        (void)query.step();
    });
}

void snapshot(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    Lease reader = database.lease(TENON_INTENT_READ);
    const auto seen = [&] {
        auto query = reader->prepare("SELECT count(*) FROM {t}"_sql);
        expect(query.step(), "count gives no row");
        const std::int64_t count = query.integer(0);
        (void)query.step();
        return count;
    };
    reader->begin();
    expect(seen() == 1, "a reader sees ", seen(), " rows of 1");
    database.insert(2);
    expect(seen() == 1, "a row that was committed meanwhile is seen within a read transaction");
    reader->commit();
    expect(seen() == 2, "after the read transaction its session still sees the old rows");
}

void read_only(Bench& bench) {
    const Database database{bench};
    const Ending ending = ending_of([&] {
        database.read([](Session& s) { s.prepare("INSERT INTO {t} (id) VALUES (1)"_sql).run(); });
    });
    expect(ending.status < 0, "an INSERT with the intent to read came through");
    expect(database.count() == 0, "an INSERT with the intent to read was refused and is there");
}

// One writer, or as many as there are, hold all that can be leased: who comes then gives up.
void deadline(Bench& bench) {
    constexpr std::int64_t k_soon = 50 * k_ms;
    constexpr std::int64_t k_late = 3'000 * k_ms;
    const Database database{bench};
    const std::uint32_t limit = database.storage().stats().limit;
    std::vector<Lease> writers;
    writers.push_back(database.lease(TENON_INTENT_WRITE));
    Ending ending;
    bench.in_parallel(1, [&](std::size_t) {
        ending = ending_of([&] {
            while (writers.size() <= limit) {
                writers.push_back(
                    database.storage().lease(TENON_INTENT_WRITE, database.deadline(k_soon))
                );
            }
        });
    });
    expect_status(ending.status, TENON_TIMEOUT, text("a lease to write beyond ", writers.size()));
    std::int64_t took = 0;
    bool ran = false;
    bench.in_parallel(1, [&](std::size_t) {
        const std::int64_t before = bench.now_ns();
        ending = ending_of([&] {
            database.storage().write(database.deadline(k_soon), [&](Session&) { ran = true; });
        });
        took = bench.now_ns() - before;
    });
    expect_status(ending.status, TENON_TIMEOUT, "a write while all sessions are leased");
    expect(!ran, "a transaction that timed out ran");
    expect(
        took < k_late, "a deadline of ", k_soon / k_ms, " ms was kept after ", took / k_ms, " ms"
    );
}

void lease(Bench& bench) {
    const Database database{bench};
    const auto insert = [](Lease& lease, int id) {
        lease->prepare("INSERT INTO {t} (id) VALUES (?)"_sql).bind_all(id).run();
    };
    {
        Lease writer = database.lease(TENON_INTENT_WRITE);
        writer->begin();
        insert(writer, 1);
    }
    expect(database.count() == 0, "a lease that ended inside a transaction committed it");
    {
        Lease writer = database.lease(TENON_INTENT_WRITE);
        writer->begin();
        insert(writer, 2);
        writer->rollback();
        writer->begin();
        insert(writer, 3);
        writer->commit();
    }
    expect(
        database.numbers("SELECT id FROM {t}"_sql) == std::vector<std::int64_t>{3},
        "of one rolled back and one committed row others are there"
    );
    database.insert(4);  // the writer came back
}

void explain(Bench& bench) {
    const Database database{bench};
    database.read([](Session& s) {
        expect(!s.explain("SELECT name FROM {t} WHERE id = 7"_sql).empty(), "the plan is empty");
        const Ending ending = ending_of([&] { (void)s.explain("SELEC"); });
        expect_status(ending.status, TENON_INVALID, "explain of nonsense");
    });
}

void stats(Bench& bench) {
    const Database database{bench};
    const tenon_storage_stats before = database.storage().stats();
    for (int id = 0; id < 5; ++id) {
        database.insert(id);
    }
    const tenon_storage_stats after = database.storage().stats();
    expect(
        after.transactions >= before.transactions + 5,
        "5 transactions later stats count ",
        after.transactions - before.transactions
    );
    expect(after.limit > 0, "stats say that the pool's limit is 0");
    {
        const Lease reader = database.lease(TENON_INTENT_READ);
        const tenon_storage_stats held = database.storage().stats();
        expect(held.in_use > 0, "a session is leased, stats say that none is in use");
        expect(held.leases > before.leases, "stats do not count leases");
    }
    // The storage's own upkeep may use one for a moment.
    expect(
        bench.wait([&] { return database.storage().stats().in_use == 0; }, k_cleaning),
        "no session is leased, stats say otherwise"
    );
}

void reopen(Bench& bench) {
    const Database database{bench};
    database.insert(1, 77);
    database.instance().stop();
    database.instance().start();
    expect(
        database.numbers("SELECT amount FROM {t}"_sql) == std::vector<std::int64_t>{77},
        "after stop and start the row is not there"
    );
    database.insert(2);
    expect(database.count() == 2, "after stop and start a write is not there");
}

// Rows that were acknowledged before kill -9 are there afterwards, and no half of a transaction.
void durable(Bench& bench) {
    constexpr std::int64_t k_rows = 60;
    const std::string all_rows = "SELECT id FROM {t} ORDER BY id"_sql;  // named before the fork
    std::array<int, 2> pipe{};
    expect(::pipe2(pipe.data(), O_CLOEXEC) == 0, "cannot make a pipe");
    const pid_t child = ::fork();
    expect(child >= 0, "cannot fork");
    if (child == 0) {
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            const Database database{bench};
            for (std::int64_t id = 0;; ++id) {
                database.write([&](Session& s) {
                    auto insert = s.prepare("INSERT INTO {t} (id, amount) VALUES (?, ?)"_sql);
                    insert.bind_all(id * 2, id).run();
                    insert.bind_all(id * 2 + 1, id).run();
                });
                if (::write(pipe[1], &id, sizeof id) != static_cast<ssize_t>(sizeof id)) {
                    ::_exit(1);
                }
            }
        } catch (...) {
            ::_exit(1);
        }
    }
    ::close(pipe[1]);
    std::int64_t acknowledged = -1;
    std::int64_t id = 0;
    while (acknowledged < k_rows &&
           ::read(pipe[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id)) {
        acknowledged = id;
    }
    (void)::kill(child, SIGKILL);
    while (::read(pipe[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id)) {
        acknowledged = id;
    }
    ::close(pipe[0]);
    (void)::waitpid(child, nullptr, 0);
    expect(acknowledged >= k_rows, "the writing process ended by itself");
    const Database database{bench, Database::Tables::left_by_another};
    const auto found = database.numbers(all_rows);
    for (std::size_t i = 0; i < found.size(); ++i) {
        expect(found[i] == static_cast<std::int64_t>(i), "row ", i, " is missing after kill -9");
    }
    const auto rows = static_cast<std::int64_t>(found.size());
    expect(
        rows >= 2 * (acknowledged + 1),
        acknowledged + 1,
        " transactions of 2 rows were acknowledged before kill -9, ",
        rows,
        " rows are there"
    );
    expect(rows % 2 == 0, "half of a transaction is there after kill -9");
    database.insert(-1);
}

constexpr std::string_view k_storage = "tenon.storage/1";

constexpr Check k_checks[] = {
    {"storage.dialect", "the dialect is one of the contract's", k_storage, &checked<&dialect>},
    {"storage.commit", "a transaction is there whole or not at all", k_storage, &checked<&commit>},
    {"storage.failures-alone",
     "a failure touches no neighbour",
     k_storage,
     &checked<&failures_alone>},
    {"storage.exclusive",
     "writers do not lose each other's updates",
     k_storage,
     &checked<&exclusive>},
    {"storage.constraints", "a broken constraint is a CONFLICT", k_storage, &checked<&constraints>},
    {"storage.not-retryable",
     "what will fail again is not retryable",
     k_storage,
     &checked<&not_retryable>},
    {"storage.bad-sql", "bad SQL is INVALID, with a message", k_storage, &checked<&bad_sql>},
    {"storage.bad-parameters",
     "a parameter that is not there is INVALID",
     k_storage,
     &checked<&bad_parameters>},
    {"storage.snapshot", "a read transaction keeps its snapshot", k_storage, &checked<&snapshot>},
    {"storage.read-only", "the intent to read does not write", k_storage, &checked<&read_only>},
    {"storage.deadline", "who waits gives up at the deadline", k_storage, &checked<&deadline>},
    {"storage.lease", "a lease that ends rolls back", k_storage, &checked<&lease>},
    {"storage.explain", "explain prints a plan", k_storage, &checked<&explain>},
    {"storage.stats", "stats count", k_storage, &checked<&stats>},
    {"storage.reopen", "the data is there after stop and start", k_storage, &checked<&reopen>},
    {"storage.durable", "what was acknowledged survives kill -9", k_storage, &checked<&durable>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> storage_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
