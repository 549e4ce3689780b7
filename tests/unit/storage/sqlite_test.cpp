// SPDX-License-Identifier: Apache-2.0
// What is particular to SQLite: settings, group commit, timeouts, the WAL, refused SQL.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>

using tenon::Session;
using tenon::StorageError;
using tenon::test::SqliteBackend;

namespace {

std::int64_t scalar(Session& s, std::string_view sql) {
    auto q = s.prepare(sql);
    REQUIRE(q.step());
    return q.integer(0);
}

tenon_status status_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const tenon::Error& e) {
        return e.code();
    }
    return TENON_OK;
}

std::uintmax_t wal_size(const SqliteBackend& backend) {
    std::error_code ignored;
    const auto size = std::filesystem::file_size(backend.settings.file + "-wal", ignored);
    return ignored ? 0 : size;
}

constexpr auto k_endless =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";

}  // namespace

TEST_CASE("the file is private, in WAL mode and of the page size asked for", "[sqlite][S1]") {
    SqliteBackend backend;
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
        CHECK(scalar(s, "PRAGMA page_size") == 8192);
    });
    namespace fs = std::filesystem;
    CHECK(
        fs::status(backend.settings.file).permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write)
    );
    CHECK(fs::exists(backend.settings.file + "-wal"));
    backend.close();
    CHECK_FALSE(fs::exists(backend.settings.file + "-wal"));
}

TEST_CASE("foreign keys hold, also deferred ones inside a group", "[sqlite][S1][S8]") {
    SqliteBackend backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute(
            "CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT;"
            "CREATE TABLE b (a INTEGER REFERENCES a(id) DEFERRABLE INITIALLY DEFERRED) STRICT;"
            "CREATE TABLE c (a INTEGER REFERENCES a(id)) STRICT"
        );
    });
    CHECK(status_of([&] {
              storage.write(backend.deadline(), [](Session& s) {
                  s.execute("INSERT INTO c VALUES (1)");
              });
          }) == TENON_CONFLICT);
    std::vector<std::thread> threads;
    std::atomic<int> conflicts{0};
    std::atomic<int> good{0};
    for (int t = 0; t < 16; ++t) {
        threads.emplace_back([&, t] {
            const auto status = status_of([&] {
                storage.write(backend.deadline(), [&](Session& s) {
                    s.prepare("INSERT INTO b VALUES (?)").bind(1, t).run();
                    if (t % 2 == 0) {
                        s.prepare("INSERT INTO a VALUES (?)").bind(1, t).run();
                    }
                });
            });
            (status == TENON_OK ? good : conflicts) += 1;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(good == 8);
    CHECK(conflicts == 8);
    storage.read(backend.deadline(), [](Session& s) {
        CHECK(scalar(s, "SELECT count(*) FROM b") == 8);
    });
}

TEST_CASE("SQL text may not end transactions, attach files or set pragmas", "[sqlite][S1]") {
    SqliteBackend backend;
    backend.storage().write(backend.deadline(), [](Session& s) {
        for (const char* sql :
             {"COMMIT",
              "ROLLBACK",
              "BEGIN",
              "ATTACH 'x.db' AS x",
              "PRAGMA journal_mode=DELETE",
              "PRAGMA synchronous=OFF",
              "PRAGMA wal_checkpoint",
              "RELEASE tenon_request",
              "PRAGMA query_only=OFF"}) {
            CAPTURE(sql);
            CHECK(status_of([&] { s.execute(sql); }) == TENON_DENIED);
        }
        CHECK_NOTHROW(s.execute("SAVEPOINT mine; RELEASE mine"));
        CHECK(scalar(s, "SELECT 1") == 1);
    });
}

TEST_CASE("a statement over its time is interrupted and the connection lives on", "[sqlite][S1]") {
    SqliteBackend backend{[](auto& s) { s.query_timeout_ms = 50; }};
    auto storage = backend.storage();
    CHECK(status_of([&] {
              storage.read(backend.deadline(), [](Session& s) { s.prepare(k_endless).run(); });
          }) == TENON_TIMEOUT);
    storage.read(backend.deadline(), [](Session& s) { CHECK(scalar(s, "SELECT 1") == 1); });
}

TEST_CASE("an interrupted write takes nobody else of its group along", "[sqlite][S1][S11]") {
    SqliteBackend backend{[](auto& s) { s.query_timeout_ms = 50; }};
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    });
    // A lease keeps the writer busy until all are queued, so that they form one group.
    auto lease =
        std::make_unique<tenon::Lease>(storage.lease(TENON_INTENT_WRITE, backend.deadline()));
    std::vector<std::thread> threads;
    std::vector<tenon_status> found(5);
    for (std::size_t t = 0; t < found.size(); ++t) {
        threads.emplace_back([&, t] {
            found[t] = status_of([&] {
                storage.write(backend.deadline(), [&](Session& s) {
                    s.prepare("INSERT INTO t VALUES (?)").bind(1, std::int64_t(t)).run();
                    if (t == 2) {
                        s.execute(
                            "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 100 UNION ALL SELECT x + "
                            "1 "
                            "FROM c) SELECT x FROM c"
                        );
                    }
                });
            });
        });
    }
    while (storage.stats().waiting < found.size()) {
        std::this_thread::yield();
    }
    lease.reset();
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(
        found == std::vector<tenon_status>{TENON_OK, TENON_OK, TENON_TIMEOUT, TENON_OK, TENON_OK}
    );
    storage.read(backend.deadline(), [](Session& s) {
        CHECK(scalar(s, "SELECT count(*) FROM t") == 4);
    });
}

TEST_CASE("a full writer's queue refuses with a reason", "[sqlite][S1][S3]") {
    SqliteBackend backend{[](auto& s) { s.queue_max = 2; }};
    auto storage = backend.storage();
    auto lease =
        std::make_unique<tenon::Lease>(storage.lease(TENON_INTENT_WRITE, backend.deadline()));
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] { storage.write(backend.deadline(), [](Session&) {}); });
    }
    while (storage.stats().waiting < 2) {
        std::this_thread::yield();
    }
    std::thread third{[&] {
        try {
            storage.write(backend.deadline(), [](Session&) {});
            FAIL("no error");
        } catch (const StorageError& e) {
            CHECK(e.code() == TENON_UNAVAILABLE);
            CHECK(e.retryable());
        }
    }};
    third.join();
    lease.reset();
    for (auto& thread : threads) {
        thread.join();
    }
}

TEST_CASE("the WAL stays bounded, and shrinks once the last reader left", "[sqlite][S1]") {
    SqliteBackend backend{[](auto& s) { s.wal_checkpoint_mb = 1; }};
    auto storage = backend.storage();
    const std::string filling(4000, 'x');
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT) STRICT");
    });
    const auto write_rows = [&](int from, int count) {
        for (int i = from; i < from + count; ++i) {
            storage.write(backend.deadline(), [&](Session& s) {
                s.prepare("INSERT INTO t VALUES (?, ?)").bind_all(i, filling).run();
            });
        }
    };
    write_rows(0, 1000);
    CHECK(wal_size(backend) < 3U << 20U);
    {
        auto reader = storage.lease(TENON_INTENT_READ, backend.deadline());
        reader->begin();
        CHECK(scalar(*reader, "SELECT count(*) FROM t") == 1000);
        write_rows(1000, 500);
        CHECK(wal_size(backend) > 3U << 20U);
        CHECK(scalar(*reader, "SELECT count(*) FROM t") == 1000);
    }
    const auto patience = backend.deadline();
    while (wal_size(backend) != 0 && backend.host.reactor().now_ns() < patience) {
        std::this_thread::yield();
    }
    CHECK(wal_size(backend) == 0);
    storage.read(backend.deadline(), [](Session& s) {
        CHECK(scalar(s, "SELECT count(*) FROM t") == 1500);
    });
}

TEST_CASE("slow statements are logged by text, without their values", "[sqlite][S9]") {
    SqliteBackend backend{[](auto& s) { s.slow_query_ms = 1; }};
    backend.storage().read(backend.deadline(), [](Session& s) {
        auto q = s.prepare(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) "
            "SELECT count(*), ? FROM c"
        );
        q.bind(1, "hidden-value").run();
    });
    std::string all;
    for (const auto& line : backend.host.log_lines()) {
        all += line + "\n";
    }
    CHECK_THAT(all, Catch::Contains("slow_query") && Catch::Contains("WITH RECURSIVE"));
    CHECK_THAT(all, !Catch::Contains("hidden-value"));
}

TEST_CASE("stopping finishes what is queued and refuses the rest", "[sqlite][S1]") {
    SqliteBackend backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    });
    auto lease =
        std::make_unique<tenon::Lease>(storage.lease(TENON_INTENT_WRITE, backend.deadline()));
    std::thread queued{[&] {
        CHECK_NOTHROW(storage.write(backend.deadline(), [](Session& s) {
            s.execute("INSERT INTO t VALUES (1)");
        }));
    }};
    while (storage.stats().waiting < 1) {
        std::this_thread::yield();
    }
    std::thread stopping{[&] { backend.holder.database->stop(); }};
    tenon_status refused = TENON_OK;
    while (refused != TENON_UNAVAILABLE) {
        refused = status_of([&] { (void)storage.lease(TENON_INTENT_READ, backend.deadline()); });
    }
    lease.reset();
    queued.join();
    stopping.join();
    backend.open();
    storage.read(backend.deadline(), [](Session& s) {
        CHECK(scalar(s, "SELECT count(*) FROM t") == 1);
    });
}

TEST_CASE("128 clients that read and write are never told of a lock", "[sqlite][S1][S3]") {
    constexpr std::int64_t k_clients = 128;
    constexpr std::int64_t k_each = 25;
    SqliteBackend backend{[](auto& s) { s.wal_checkpoint_mb = 1; }};  // checkpoints run beside
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, client INTEGER, x TEXT) STRICT");
    });
    std::mutex mutex;
    std::vector<std::string> failures;
    std::vector<std::thread> threads;
    for (std::int64_t client = 0; client < k_clients; ++client) {
        threads.emplace_back([&, client] {
            for (std::int64_t i = 0; i < k_each; ++i) {
                try {
                    storage.write(backend.deadline(), [&](Session& s) {
                        s.prepare("INSERT INTO t VALUES (?, ?, ?)")
                            .bind_all(client * k_each + i, client, std::string(1000, 'x'))
                            .run();
                    });
                    storage.read(backend.deadline(), [&](Session& s) {
                        auto q = s.prepare("SELECT count(*) FROM t WHERE client = ?");
                        q.bind(1, client);
                        if (!q.step() || q.integer(0) != i + 1) {
                            throw tenon::Error{TENON_CORRUPT, "an acknowledged row is not there"};
                        }
                    });
                } catch (const tenon::Error& e) {
                    const std::lock_guard lock{mutex};
                    failures.emplace_back(e.what());
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(failures == std::vector<std::string>{});
    storage.read(backend.deadline(), [](Session& s) {
        CHECK(scalar(s, "SELECT count(*) FROM t") == k_clients * k_each);
    });
    const auto stats = storage.stats();
    CHECK(stats.errors == 0);
    CHECK(stats.lease_timeouts == 0);
    CHECK(stats.in_use == 0);
    CHECK(stats.resets == 0);
    CHECK(stats.connects <= backend.settings.pool_size);
}

TEST_CASE("what failed says what may be done about it", "[sqlite][S3][S11]") {
    SqliteBackend backend{[](auto& s) {
        s.query_timeout_ms = 50;
        s.pool_size = 1;
    }};
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT; INSERT INTO t VALUES (1)");
    });
    const auto failure_of_write = [&](std::string_view sql, std::int64_t deadline_ns) {
        try {
            storage.write(deadline_ns, [&](Session& s) { s.execute(sql); });
        } catch (const StorageError& e) {
            return e.failure();
        }
        return tenon::Failure::not_told;
    };
    using tenon::Failure;
    CHECK(failure_of_write("INSERT INTO t VALUES (1)", backend.deadline()) == Failure::constraint);
    CHECK(failure_of_write("SELECT nonsense", backend.deadline()) == Failure::permanent);
    CHECK(failure_of_write("DELETE FROM t", backend.deadline(-1)) == Failure::timeout);
    try {
        storage.read(backend.deadline(), [](Session& s) { s.prepare(k_endless).run(); });
        FAIL("no error");
    } catch (const StorageError& e) {
        CHECK(e.failure() == Failure::timeout);
    }
    const auto reader = storage.lease(TENON_INTENT_READ, backend.deadline());
    try {
        storage.read(backend.deadline(1), [](Session&) {});
        FAIL("no error");
    } catch (const StorageError& e) {
        CHECK(e.code() == TENON_TIMEOUT);
        CHECK(e.failure() == Failure::timeout);
        CHECK_THAT(
            e.what(), Catch::Contains("1 of 1 in use") && Catch::Contains("by lease (database.cpp")
        );
    }
}

TEST_CASE("a reader's lease that comes back in a transaction is counted", "[sqlite][S3]") {
    SqliteBackend backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    });
    {
        auto lease = storage.lease(TENON_INTENT_READ, backend.deadline());
        lease->begin();
        CHECK(scalar(*lease, "SELECT count(*) FROM t") == 0);
    }
    const auto stats = storage.stats();
    CHECK(stats.resets == 1);
    CHECK(stats.hosts == 1);
    CHECK(stats.hosts_up == 1);
    CHECK(stats.connects >= 1);
    CHECK(stats.statement_misses >= 1);
    CHECK(stats.hold_total_ns > 0);
}
