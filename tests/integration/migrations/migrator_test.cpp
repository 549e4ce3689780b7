// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/unit/migrations/migrations_folder.hpp"

#include <catch2/catch.hpp>
#include <libpq-fe.h>

#include <cstdlib>

using Catch::Contains;
using tenon::migrations::MigratorOptions;
using tenon::migrations::schema_hash;
using tenon::migrations::UpRequest;
using tenon::test::make_migrator;
using tenon::test::MigrationsFolder;
using tenon::test::PostgresBackend;
using tenon::test::put_three;
using tenon::test::scalar;
using tenon::test::schema_of;
using tenon::test::server;

namespace {

// A session of somebody else, with a transaction open.
class OtherSession {
public:
    OtherSession(const std::string& database, const char* sql)
        : connection_{PQconnectdb(server().conninfo(database).c_str())} {
        PQclear(PQexec(connection_, "BEGIN"));
        PGresult* result = PQexec(connection_, sql);
        REQUIRE(PQresultStatus(result) == PGRES_TUPLES_OK);
        PQclear(result);
    }

    ~OtherSession() { PQfinish(connection_); }

    OtherSession(const OtherSession&) = delete;
    OtherSession& operator=(const OtherSession&) = delete;

    [[nodiscard]] std::string pid() const { return std::to_string(PQbackendPID(connection_)); }

private:
    PGconn* connection_;
};

MigratorOptions impatient() {
    MigratorOptions options;
    options.run.ddl_lock_timeout_ns = 20'000'000;
    options.run.ddl_attempts = 2;
    return options;
}

}  // namespace

TEST_CASE("the shipped schema goes up, down and up on PostgreSQL", "[migrations][S8][S12]") {
    const char* source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    const auto files =
        tenon::migrations::load_migrations(std::string{source} + "/migrations", "postgres");
    PostgresBackend backend{server().create_database()};
    auto migrator = make_migrator(backend, files);
    migrator->up();
    CHECK(migrator->version() == migrator->latest());
    const auto first = schema_of(backend);
    CHECK(first.contains("table orders"));
    CHECK(first.contains("constraint orders.has_a_quantity"));
    backend.run(
        "INSERT INTO assets VALUES (0, 'BTC', 8), (1, 'USDT', 8);"
        "INSERT INTO accounts (id, name) VALUES (16, 'demo');"
        "INSERT INTO balances VALUES (16, 1, 5, 0, 1)"
    );
    migrator->down(0, true);
    CHECK(schema_of(backend).empty());
    migrator->up();
    CHECK(tenon::migrations::difference(first, schema_of(backend)).empty());
    CHECK(schema_hash(first) == schema_hash(schema_of(backend)));
}

TEST_CASE("a way back and up again with rows gives the same schema", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    folder.put_pair(
        "0004_four",
        "ALTER TABLE one ADD COLUMN more TEXT NOT NULL DEFAULT 'x';\n"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END; $$;\n"
        "CREATE TRIGGER t BEFORE INSERT ON one EXECUTE FUNCTION f();\n"
        "CREATE TYPE mood AS ENUM ('a', 'b');\n",
        "-- tenon: destructive=true\nDROP TYPE mood;\nDROP TRIGGER t ON one;\nDROP FUNCTION f();\n"
        "ALTER TABLE one DROP COLUMN more;\n"
    );
    folder.write_chain();
    PostgresBackend backend{server().create_database()};
    auto migrator = make_migrator(backend, folder.load("postgres"));
    UpRequest three;
    three.to = 3;
    migrator->up(three);
    const auto before = schema_of(backend);
    migrator->up();
    const auto after = schema_of(backend);
    CHECK(after.contains("function f()"));
    CHECK(after.contains("trigger one.t"));
    CHECK(after.contains("type mood"));
    for (int i = 0; i < 3; ++i) {
        migrator->down(3, true);
        CHECK(tenon::migrations::difference(before, schema_of(backend)).empty());
        migrator->up();
        CHECK(tenon::migrations::difference(after, schema_of(backend)).empty());
    }
    CHECK(scalar(backend, "SELECT count(*) FROM one") == 1);
    CHECK_THROWS_WITH(backend.run("DELETE FROM schema_event"), Contains("append only"));
    CHECK_THROWS_WITH(backend.run("TRUNCATE schema_event"), Contains("append only"));
}

TEST_CASE("a migration that gets no lock names who holds it", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const std::string database = server().create_database();
    PostgresBackend backend{database};
    make_migrator(backend, folder.load("postgres"))->up();
    folder.put_pair(
        "0004_four",
        "CREATE TABLE four (id BIGINT);\nALTER TABLE one ADD COLUMN b BIGINT;\n",
        "ALTER TABLE one DROP COLUMN b;\nDROP TABLE four;\n"
    );
    folder.write_chain();
    auto migrator = make_migrator(backend, folder.load("postgres"), impatient());
    {
        const OtherSession reader{database, "SELECT count(*) FROM one"};
        CHECK_THROWS_WITH(
            migrator->up(),
            Contains("migration 0004_four, line 2 (ALTER TABLE one ADD COLUMN b BIGINT)") &&
                Contains("session " + reader.pid()) && Contains("one AccessShareLock")
        );
        CHECK_FALSE(schema_of(backend).contains("table four"));
    }
    migrator->up();
    CHECK(migrator->version() == 4);
}

TEST_CASE("a second runner waits for the lock, and says who has it", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const std::string database = server().create_database();
    PostgresBackend backend{database};
    PostgresBackend other{database};
    MigratorOptions in_between;
    std::string told;
    bool tried = false;
    in_between.run.hook = [&](std::string_view point) {
        if (point != "locked" || tried) {
            return;
        }
        tried = true;
        MigratorOptions quick;
        quick.run.lock_timeout_ns = 50'000'000;
        try {
            make_migrator(other, folder.load("postgres"), quick)->up();
        } catch (const tenon::Error& e) {
            CHECK(e.code() == TENON_TIMEOUT);
            told = e.what();
        }
    };
    make_migrator(backend, folder.load("postgres"), in_between)->up();
    CHECK_THAT(told, Contains("another run migrates this database") && Contains("session "));
    CHECK_NOTHROW(make_migrator(other, folder.load("postgres"))->up());
}

TEST_CASE("a run whose session is ended stops, and nothing is done twice", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const std::string database = server().create_database();
    PostgresBackend backend{database};
    MigratorOptions options;
    int commits = 0;
    options.run.hook = [&](std::string_view point) {
        if (point == "statement_ran" && ++commits == 2) {
            (void)server().execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = '" +
                database + "')"
            );
        }
    };
    CHECK_THROWS_AS(make_migrator(backend, folder.load("postgres"), options)->up(), tenon::Error);
    CHECK(scalar(backend, "SELECT count(*) FROM schema_history") == 1);
    auto again = make_migrator(backend, folder.load("postgres"));
    again->up();
    CHECK(again->version() == 3);
    CHECK(scalar(backend, "SELECT count(*) FROM one") == 1);
}

TEST_CASE("a run that lost its lock does nothing more", "[migrations][S12]") {
    MigrationsFolder folder;
    folder.put_pair(
        "0001_one",
        "-- tenon: transaction=none\nSELECT pg_advisory_unlock_all();\nCREATE TABLE a (id "
        "BIGINT);\n",
        "DROP TABLE a;\n"
    );
    folder.write_chain();
    PostgresBackend backend{server().create_database()};
    CHECK_THROWS_WITH(
        make_migrator(backend, folder.load("postgres"))->up(), Contains("the run lost its lock")
    );
    CHECK(schema_of(backend).empty());
}
