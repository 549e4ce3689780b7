// SPDX-License-Identifier: Apache-2.0
// What the PostgreSQL backend does beyond the contract suite.
#include "tests/integration/storage/postgres_questions.hpp"

#include <catch2/catch.hpp>

#include <thread>

using tenon::Failure;
using tenon::Session;
using tenon::StorageError;
using tenon::test::failure_of;
using tenon::test::make_table;
using tenon::test::number;
using tenon::test::PostgresBackend;

namespace {

// Ends every session but the one that asks.
void end_sessions(PostgresBackend& backend) {
    PostgresBackend::server().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + backend.name +
        "'"
    );
}

tenon_transaction_options write_options(PostgresBackend& backend, std::string_view key = {}) {
    auto options = tenon::sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_WRITE;
    options.deadline_ns = backend.deadline();
    options.key = tenon::str(key);
    return options;
}

}  // namespace

TEST_CASE(
    "a session that the server ended is replaced and the work done again",
    "[postgres][S3][S11]"
) {
    PostgresBackend backend;
    make_table(backend);
    int runs = 0;
    backend.storage().write(backend.deadline(), [&](Session& s) {
        s.prepare("INSERT INTO t (id) VALUES (1)").run();
        if (++runs == 1) {
            end_sessions(backend);
        }
        s.prepare("INSERT INTO t (id) VALUES (2)").run();
    });
    CHECK(runs == 2);
    CHECK(number(backend, "SELECT count(*) FROM t") == 2);
}

TEST_CASE("a key that is found done still tells a place in the log", "[postgres][S6][S11]") {
    PostgresBackend backend;
    make_table(backend);
    int runs = 0;
    auto told = write_options(backend, "order-1");
    told.durability = TENON_DURABILITY_REPLICA;
    for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(backend.storage().transact(told, [&](Session&) { ++runs; }).empty());
    }
    CHECK(runs == 1);
}

TEST_CASE("a commit tells its place in the log, growing and readable", "[postgres][S6]") {
    PostgresBackend backend;
    make_table(backend);
    const auto place = [&](std::uint32_t durability) {
        auto options = write_options(backend);
        options.durability = durability;
        return backend.storage().transact(options, [](Session& s) {
            s.prepare("INSERT INTO t (id) SELECT coalesce(max(id), 0) + 1 FROM t").run();
        });
    };
    for (const auto durability :
         {TENON_DURABILITY_DEFAULT, TENON_DURABILITY_LOCAL, TENON_DURABILITY_REPLICA}) {
        const std::string first = place(durability);
        const std::string second = place(durability);
        INFO(first << " " << second);
        REQUIRE(first.substr(0, 2) == "1:");
        CHECK(
            PostgresBackend::server().execute(
                "SELECT '" + second.substr(2) + "'::pg_lsn > '" + first.substr(2) + "'::pg_lsn"
            ) == "t"
        );
    }
    CHECK(backend.storage().transact(write_options(backend), [](Session&) {}).empty());
}

TEST_CASE(
    "a statement gives the same rows when they are few, many and few again",
    "[postgres][S5]"
) {
    PostgresBackend backend;
    auto session = backend.storage().lease(TENON_INTENT_READ, backend.deadline());
    const auto rows_of = [&](std::int64_t count) {
        auto q =
            session->prepare("SELECT i, 'x' || i FROM generate_series(1, CAST(? AS INT)) s(i)");
        q.bind(1, count);
        std::int64_t rows = 0;
        while (q.step()) {
            ++rows;
            REQUIRE(q.integer(0) == rows);
            REQUIRE(q.text(1) == "x" + std::to_string(rows));
            if (rows == 2) {  // what runs meanwhile takes nothing away
                auto other = session->prepare("SELECT CAST(? AS BIGINT)");
                REQUIRE(other.bind(1, count).step());
                REQUIRE(other.integer(0) == count);
            }
        }
        CHECK_THROWS_AS(q.integer(0), tenon::Error);
        return rows;
    };
    for (const std::int64_t count : {3, 3, 0, 200, 2000, 3, 1, 300}) {
        CHECK(rows_of(count) == count);
    }
    auto half = session->prepare("SELECT i FROM generate_series(1, 5) s(i)");
    for (int i = 0; i < 3; ++i) {  // left half read, and begun anew
        REQUIRE(half.step());
        REQUIRE(half.step());
        CHECK(half.integer(0) == 2);
        half = session->prepare("SELECT i FROM generate_series(1, 5) s(i)");
    }
    auto wrong = session->prepare("SELECT 1 / CAST(? AS INT)");
    for (const int by : {1, 1, 0, 1}) {
        wrong.bind(1, by);
        if (by == 0) {
            CHECK_THROWS_AS(wrong.step(), StorageError);
        } else {
            CHECK(wrong.step());
        }
    }
}

TEST_CASE("serialisation failures are retried, constraints are not", "[postgres][S11]") {
    PostgresBackend backend;
    make_table(backend);
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute("INSERT INTO t VALUES (1, 0)"); });
    int runs = 0;
    storage.write(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT v FROM t WHERE id = 1");
        REQUIRE(q.step());
        const auto before = q.integer(0);
        if (++runs == 1) {
            std::thread{[&] {
                storage.write(backend.deadline(), [](Session& other) {
                    other.execute("UPDATE t SET v = 10 WHERE id = 1");
                });
            }}.join();
        }
        s.prepare("UPDATE t SET v = ? WHERE id = 1").bind(1, before + 1).run();
    });
    CHECK(runs == 2);
    CHECK(number(backend, "SELECT v FROM t WHERE id = 1") == 11);
    runs = 0;
    CHECK(failure_of([&] {
              storage.write(backend.deadline(), [&](Session& s) {
                  ++runs;
                  s.execute("INSERT INTO t VALUES (1, 0)");
              });
          }) == Failure::constraint);
    CHECK(runs == 1);
}

TEST_CASE("a failure that is swallowed does not look like a commit", "[postgres][S11]") {
    PostgresBackend backend;
    make_table(backend);
    CHECK_THROWS_WITH(
        backend.storage().write(
            backend.deadline(),
            [](Session& s) {
                s.execute("INSERT INTO t VALUES (1, 0)");
                CHECK_THROWS(s.execute("INSERT INTO t VALUES (1, 0)"));
            }
        ),
        Catch::Contains("not committed")
    );
    CHECK(number(backend, "SELECT count(*) FROM t") == 0);
}

TEST_CASE("statements run while the rows of another are read", "[postgres][S5]") {
    PostgresBackend backend;
    make_table(backend);
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g");
        auto all = s.prepare("SELECT id FROM t ORDER BY id");
        auto change = s.prepare("UPDATE t SET v = ? WHERE id = ?");
        std::int64_t seen = 0;
        while (all.step()) {
            REQUIRE(all.integer(0) == ++seen);
            change.bind_all(seen * 2, seen).run();
        }
        CHECK(seen == 1000);
        CHECK(s.changes() == 1);
    });
    CHECK(number(backend, "SELECT count(*) FROM t WHERE v = 2 * id") == 1000);
}

TEST_CASE("a statement by itself reads without a transaction, and cannot write", "[postgres][S4]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.pool_size = 1; }};
    make_table(backend);
    auto storage = backend.storage();
    const auto ask = [&](std::string_view sql) {
        std::int64_t found = -1;
        storage.query(backend.deadline(), sql, {}, [&](std::span<const tenon_value> row) {
            found = row[0].i;
        });
        return found;
    };
    CHECK(ask("SELECT count(*) FROM t") == 0);
    CHECK(failure_of([&] {
              (void)ask("INSERT INTO t (id) VALUES (1) RETURNING id");
          }) == Failure::permanent);
    CHECK(failure_of([&] { (void)ask("SELECT nextval('nothing')"); }) == Failure::permanent);
    {
        // Who leases to write does, one by one, and the next who reads cannot.
        auto lease = storage.lease(TENON_INTENT_WRITE, backend.deadline());
        lease->prepare("INSERT INTO t (id) VALUES (1)").run();
        lease->execute("INSERT INTO t (id) VALUES (2)");
        const tenon_str column = tenon::str("id");
        const tenon_value three = tenon::value_of(3);
        lease->bulk_insert("t", {&column, 1}, {&three, 1});
        lease->execute("CREATE INDEX CONCURRENTLY t_v ON t (v)");
    }
    for (int i = 0; i < 3; ++i) {
        // The end of a transaction that reads is left behind, and what comes next has its rows.
        CHECK(number(backend, "SELECT count(*) FROM t") == 3);
        CHECK(ask("SELECT " + std::to_string(i) + " + count(*) FROM t") == 3 + i);
    }
    CHECK(failure_of([&] {
              (void)ask("INSERT INTO t (id) VALUES (4) RETURNING id");
          }) == Failure::permanent);
    auto reading = storage.lease(TENON_INTENT_READ, backend.deadline());
    CHECK(failure_of([&] {
              reading->execute("INSERT INTO t (id) VALUES (5)");
          }) == Failure::permanent);
    CHECK(storage.stats().connects == 1);
}

TEST_CASE("a body's refusal stands when the session is lost with it", "[postgres][S11]") {
    PostgresBackend backend;
    make_table(backend);
    int runs = 0;
    CHECK_THROWS_WITH(
        backend.storage().write(
            backend.deadline(),
            [&](Session& s) {
                ++runs;
                s.prepare("INSERT INTO t (id) VALUES (1)").run();
                end_sessions(backend);
                throw tenon::Error{TENON_INVALID, "refused by its body"};
            }
        ),
        Catch::Contains("refused by its body")
    );
    CHECK(runs == 1);
}

TEST_CASE("a statement that runs too long is cancelled", "[postgres][S2]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.command_timeout_ms = 100; }};
    CHECK(failure_of([&] {
              backend.storage().read(backend.deadline(), [](Session& s) {
                  s.prepare("SELECT pg_sleep(60)::text").run();
              });
          }) == Failure::timeout);
}

TEST_CASE("errors tell the rule and never the values", "[postgres][S2][S8]") {
    PostgresBackend backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE p (name TEXT CONSTRAINT known_name UNIQUE, n INT, d NUMERIC(10, 2))"
        );
        s.prepare("INSERT INTO p VALUES (?, 1, 1)").bind(1, "hunter2").run();
    });
    const auto message = [&](const std::function<void(Session&)>& body) {
        try {
            storage.write(backend.deadline(), body);
        } catch (const StorageError& e) {
            return std::string{e.what()};
        }
        return std::string{"no error"};
    };
    const std::string twice = message([](Session& s) {
        s.prepare("INSERT INTO p VALUES (?, 1, 1)").bind(1, "hunter2").run();
    });
    CHECK_THAT(twice, Catch::Contains("known_name") && !Catch::Contains("hunter2"));
    const std::string bad = message([](Session& s) {
        s.prepare("INSERT INTO p VALUES ('x', CAST(CAST(? AS TEXT) AS INT), 1)")
            .bind(1, "hunter2")
            .run();
    });
    CHECK_THAT(bad, Catch::Contains("22P02") && !Catch::Contains("hunter2"));
    const tenon_str columns[]{tenon::str("name"), tenon::str("n")};
    const std::vector<tenon_value> rows{
        tenon::value_of("a"), tenon::value_of(1), tenon::value_of("b"), tenon::value_of("hunter2")};
    const std::string copied = message([&](Session& s) { s.bulk_insert("p", columns, rows); });
    CHECK_THAT(copied, Catch::Contains("row 2") && !Catch::Contains("hunter2"));
    const std::string wide = message([](Session& s) {
        s.prepare("INSERT INTO p VALUES ('y', ?, 1)").bind(1, std::int64_t{1} << 40).run();
    });
    CHECK_THAT(wide, Catch::Contains("32 bits"));
    const std::string quoted = message([](Session& s) {
        s.prepare("SELECT CAST(CAST(? AS TEXT) AS INT)").bind(1, "a\" hunter2 \"b").run();
    });
    CHECK_THAT(quoted, Catch::Contains("22P02") && !Catch::Contains("hunter2"));
    const std::string raised = message([](Session& s) {
        s.execute("DO $$ BEGIN RAISE 'hunter2 is wrong' USING ERRCODE = '22023'; END $$");
    });
    CHECK_THAT(raised, Catch::Contains("22023") && !Catch::Contains("hunter2"));
    for (const char* code : {"P0001", "23514", "99999"}) {
        INFO(code);
        const std::string rule = message([&](Session& s) {
            s.execute(
                "CREATE FUNCTION check_it() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE "
                "'owner hunter2 owes 500' USING ERRCODE = '" +
                std::string{code} +
                "', TABLE = 'p', CONSTRAINT = 'may_owe', DETAIL = 'hunter2', HINT = 'hunter2'; "
                "END $$"
            );
            s.prepare("SELECT check_it()").run();
        });
        CHECK_THAT(rule, Catch::Contains(code) && !Catch::Contains("hunter2"));
        CHECK_THAT(
            rule,
            Catch::Contains("check_it") && Catch::Contains("may_owe") && Catch::Contains("table p")
        );
    }
    const std::string words = message([](Session& s) {
        s.execute("DO $$ BEGIN RAISE 'a ledger is append only'; END $$");
    });
    CHECK_THAT(words, Catch::Contains("a ledger is append only") && Catch::Contains("P0001"));
    const std::string zero = message([](Session& s) { s.prepare("SELECT 1 / 0").run(); });
    CHECK_THAT(zero, Catch::Contains("division by zero"));
}

TEST_CASE("a plan is given for values and for none, and nothing runs", "[postgres][S9]") {
    PostgresBackend backend;
    make_table(backend);
    auto lease = backend.storage().lease(TENON_INTENT_WRITE, backend.deadline());
    const std::vector<tenon_value> values{tenon::value_of(424242)};
    const std::string with = lease->plan("SELECT v FROM t WHERE id = ?", values);
    CHECK_THAT(with, Catch::Contains("\"table\":\"t\"") && !Catch::Contains("424242"));
    const std::string without = lease->plan("SELECT v FROM t WHERE id = ?");
    CHECK_THAT(without, Catch::Contains("t_pkey"));
    CHECK_THAT(lease->plan("DELETE FROM t WHERE id > ?"), Catch::Contains("\"delete\""));
    CHECK_THAT(lease->explain("SELECT v FROM t WHERE id = ?"), Catch::Contains("Index Cond"));
    CHECK_THROWS(lease->explain("SELECT 1; DROP TABLE t"));
    CHECK_THROWS(lease->explain("ANALYZE SELECT 1"));
    lease->begin();
    lease->execute("INSERT INTO t VALUES (1, 1)");
    CHECK_THROWS(lease->plan("SELEC"));
    CHECK_THROWS(lease->plan("SELECT nothing FROM t WHERE id = ?"));
    lease->commit();
    CHECK(number(backend, "SELECT count(*) FROM t") == 1);
}

TEST_CASE("a clone is another database, and goes", "[postgres][S9]") {
    PostgresBackend backend;
    make_table(backend);
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute("INSERT INTO t VALUES (1, 1)"); });
    const auto busy = storage.lease(TENON_INTENT_READ, backend.deadline());
    const auto databases = [&] {
        return PostgresBackend::server().execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE '" + backend.name + "_clone_%'"
        );
    };
    {
        const auto clone = storage.clone(true, backend.deadline());
        clone->write(backend.deadline(), [](Session& s) {
            s.execute("INSERT INTO t VALUES (2, 2)");
        });
        CHECK(databases() == "1");
        const auto empty = storage.clone(false, backend.deadline());
        empty->read(backend.deadline(), [](Session& s) {
            auto q = s.prepare("SELECT count(*) FROM t");
            REQUIRE(q.step());
            CHECK(q.integer(0) == 0);
        });
    }
    CHECK(databases() == "0");
    CHECK(number(backend, "SELECT count(*) FROM t") == 1);
}

TEST_CASE("a clone is refused where a secret would be on a command line", "[postgres][S9]") {
    PostgresBackend backend{
        [](tenon::postgres::Settings& s) { s.conninfo += " sslpassword='hunter2'"; }};
    CHECK_THROWS_WITH(
        backend.storage().clone(false, backend.deadline()),
        Catch::Contains("sslpassword") && !Catch::Contains("hunter2")
    );
}

TEST_CASE("a connection string with several hosts is refused", "[postgres][S6]") {
    for (const char* text : {"host=a,b", "hostaddr=127.0.0.1,127.0.0.2", "postgresql://a,b/x"}) {
        tenon::postgres::Settings settings;
        settings.conninfo = text;
        INFO(text);
        CHECK_THROWS_WITH(
            tenon::postgres::keywords_of(settings),
            Catch::Contains("/conninfo") && Catch::Contains("/hosts")
        );
        settings.hosts = {"a", "b"};
        CHECK(tenon::postgres::keywords_of(settings).size() == 2);
    }
}

TEST_CASE("who has no time left is told so and asks no server", "[postgres][S3]") {
    PostgresBackend backend;
    CHECK(failure_of([&] {
              (void)backend.storage().lease(TENON_INTENT_READ, backend.deadline(-1));
          }) == Failure::timeout);
    CHECK(backend.storage().stats().connects == 0);
}

TEST_CASE("a server that is away is told, waited for, and found again", "[postgres][S2][S3]") {
    PostgresBackend backend;
    make_table(backend);
    auto& server = PostgresBackend::server();
    server.stop();
    CHECK(failure_of([&] {
              (void)backend.storage().lease(TENON_INTENT_READ, backend.deadline(2'000'000'000));
          }) == Failure::other_host);
    std::thread waiting{[&] {
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.prepare("INSERT INTO t (id) VALUES (7)").run();
        });
    }};
    server.start();
    waiting.join();
    CHECK(number(backend, "SELECT count(*) FROM t") == 1);
}

TEST_CASE("nobody waits long for a server that has been away for a while", "[postgres][S2][C2]") {
    PostgresBackend backend;
    make_table(backend);
    auto& server = PostgresBackend::server();
    server.stop();
    CHECK(failure_of([&] {
              (void)backend.storage().lease(TENON_INTENT_READ, backend.deadline(2'000'000'000));
          }) == Failure::other_host);
    auto& reactor = backend.host.reactor();
    reactor.advance(10'000'000'000);
    const std::int64_t began_ns = reactor.now_ns();
    const auto insert = [&] {
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.prepare("INSERT INTO t (id) VALUES (8)").run();
        });
    };
    CHECK(failure_of(insert) == Failure::other_host);
    CHECK(reactor.now_ns() - began_ns < 20'000'000'000);  // its deadline is three times as far
    server.start();
    reactor.advance(10'000'000'000);
    while (failure_of(insert) != Failure::not_told) {}
    CHECK(number(backend, "SELECT count(*) FROM t") == 1);
}
