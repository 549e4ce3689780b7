// SPDX-License-Identifier: Apache-2.0
// What a lessee leaves on a session of PostgreSQL the next one does not find.
#include "tests/integration/storage/postgres_questions.hpp"

#include <catch2/catch.hpp>

using tenon::Failure;
using tenon::Session;
using tenon::test::failure_of;
using tenon::test::make_table;
using tenon::test::number;
using tenon::test::PostgresBackend;

TEST_CASE("what one lessee sets on a session the next does not see", "[postgres][S3]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.pool_size = 1; }};
    auto storage = backend.storage();
    {
        auto lease = storage.lease(TENON_INTENT_WRITE, backend.deadline());
        lease->execute("SET work_mem = '17MB'; SET ROLE NONE; CREATE TEMP TABLE mine (a int)");
        lease->prepare("SELECT pg_advisory_lock(7)::text").run();
        lease->begin();
        lease->execute("CREATE TABLE never (a int)");
    }
    storage.write(backend.deadline(), [](Session& s) {
        s.prepare("SELECT set_config('work_mem', '18MB', false)").run();
    });
    storage.read(backend.deadline(), [](Session& s) {
        auto q = s.prepare(
            "SELECT current_setting('work_mem'), to_regclass('mine') IS NULL, "
            "to_regclass('never') IS NULL, current_setting('statement_timeout'), "
            "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
            "pid = pg_backend_pid())"
        );
        REQUIRE(q.step());
        CHECK(q.text(0) == "4MB");
        CHECK(q.integer(1) == 1);
        CHECK(q.integer(2) == 1);
        CHECK(q.text(3) == "30s");
        CHECK(q.integer(4) == 0);
    });
    CHECK(storage.stats().resets >= 2);
}

TEST_CASE("of what a lessee can leave on a session the next finds nothing", "[postgres][S3]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.pool_size = 1; }};
    auto storage = backend.storage();
    make_table(backend);
    std::int64_t session = 0;
    {
        auto lease = storage.lease(TENON_INTENT_WRITE, backend.deadline());
        lease->execute("CREATE SEQUENCE numbers");
        for (const char* sql :
             {"SET enable_seqscan = off",
              "SET application_name = 'mine'",
              "SET tenon_test.own = 'mine'",
              "SET search_path = pg_catalog",
              "RESET search_path",
              "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
              "SET ROLE pg_monitor",
              "RESET ROLE",
              "SET SESSION AUTHORIZATION pg_monitor",
              "RESET SESSION AUTHORIZATION",
              "LISTEN channel",
              "CREATE TEMP TABLE mine (a int)",
              "CREATE TEMP VIEW of_mine AS SELECT a FROM mine",
              "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
              "DO $$ BEGIN EXECUTE 'PREPARE hidden AS SELECT 1'; END $$",
              "DO $$ BEGIN EXECUTE 'PREPARE \"hid\"\"den \" AS SELECT 2'; END $$",
              "DO $$ BEGIN PERFORM nextval('numbers'); END $$",
              "DO $$ BEGIN PERFORM pg_advisory_lock(1), pg_advisory_lock_shared(2), "
              "pg_try_advisory_lock(3, 4); END $$",
              "LOCK TABLE t"}) {
            const bool alone = std::string_view{sql} != "LOCK TABLE t";
            if (!alone) {
                lease->begin();
            }
            lease->execute(sql);
        }
        auto q = lease->prepare("SELECT pg_backend_pid()");
        REQUIRE(q.step());
        session = q.integer(0);
    }
    const auto found = [&](const char* sql) {
        std::string text;
        storage.read(backend.deadline(), [&](Session& s) {
            auto q = s.prepare(sql);
            REQUIRE(q.step());
            text = q.text(0);
        });
        return text;
    };
    CHECK(number(backend, "SELECT pg_backend_pid()") == session);  // the same, cleaned
    CHECK(
        found("SELECT concat_ws(' ', current_setting('enable_seqscan'), "
              "current_setting('application_name'), current_setting('tenon_test.own', true), "
              "current_setting('default_transaction_isolation'), "
              "current_user = session_user)") == "on tenon  read committed t"
    );
    CHECK(number(backend, "SELECT count(*) FROM pg_listening_channels()") == 0);
    CHECK(number(backend, "SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == 0);
    CHECK(number(backend, "SELECT count(*) FROM pg_cursors WHERE is_holdable") == 0);
    CHECK(number(backend, "SELECT count(*) FROM pg_prepared_statements WHERE from_sql") == 0);
    CHECK(number(backend, "SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql") > 0);
    CHECK(
        number(
            backend,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        ) == 0
    );
    CHECK(number(backend, "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'") == 0);
    CHECK(failure_of([&] {
              storage.read(backend.deadline(), [](Session& s) {
                  (void)s.prepare("SELECT lastval()").step();
              });
          }) == Failure::permanent);
}

TEST_CASE("what a function sets on a session the next does not see", "[postgres][S3]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.pool_size = 1; }};
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute(
            "CREATE FUNCTION slow_down(name text, value text) RETURNS text LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN set_config(name, value, false); END $$"
        );
    });
    for (const char* name : {"statement_timeout", "lock_timeout", "search_path"}) {
        const auto setting = [&] {
            std::string found;
            storage.write(backend.deadline(), [&](Session& s) {
                auto q = s.prepare("SELECT current_setting(?)").bind(1, name);
                REQUIRE(q.step());
                found = q.text(0);
            });
            return found;
        };
        const std::string before = setting();
        storage.write(backend.deadline(), [&](Session& s) {
            s.prepare("SELECT public.slow_down(?, ?)").bind(1, name).bind(2, "77").run();
        });
        INFO(name);
        CHECK(setting() == before);
    }
    CHECK(storage.stats().resets >= 3);
    CHECK(storage.stats().connects == 1);
}

TEST_CASE("a session is cleaned also after a statement from its cache", "[postgres][S3]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.pool_size = 1; }};
    for (int i = 0; i < 2; ++i) {  // the second run finds the statement prepared
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.prepare("SELECT pg_advisory_lock(7)::text").run();
        });
        CHECK(
            number(
                backend,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = "
                "pg_backend_pid()"
            ) == 0
        );
    }
}

TEST_CASE("a lessee's own bound on statements is the one that counts", "[postgres][S3]") {
    PostgresBackend backend{[](tenon::postgres::Settings& s) { s.command_timeout_ms = 100; }};
    for (const char* sql :
         {"SET statement_timeout = 0", "SELECT set_config('statement_timeout', '0', false)"}) {
        auto lease = backend.storage().lease(TENON_INTENT_WRITE, backend.deadline());
        lease->prepare(sql).run();
        // Longer than the time that is given to a server that does not answer.
        lease->prepare("SELECT pg_sleep(2.5)::text").run();
    }
}
