// SPDX-License-Identifier: Apache-2.0
// kill -9 at every point of a run on PostgreSQL, CREATE INDEX CONCURRENTLY included, and many
// runners at once.
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/support/in_child.hpp"
#include "tests/unit/migrations/migrations_folder.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using tenon::migrations::MigratorOptions;
using tenon::migrations::schema_hash;
using tenon::test::in_child;
using tenon::test::make_migrator;
using tenon::test::MigrationsFolder;
using tenon::test::PostgresBackend;
using tenon::test::put_three;
using tenon::test::scalar;
using tenon::test::schema_of;
using tenon::test::server;

namespace {

using Files = std::vector<tenon::migrations::Migration>;

void put_mixed(MigrationsFolder& folder) {
    folder.put_pair(
        "0001_one",
        "CREATE TABLE one (id BIGINT PRIMARY KEY, a TEXT);\n"
        "INSERT INTO one SELECT i, 'x' || i FROM generate_series(1, 1000) i;\n",
        "-- tenon: destructive=true\nDROP TABLE one;\n"
    );
    folder.put_pair(
        "0002_two",
        "-- tenon: transaction=none phase=backfill\nALTER TABLE one ADD COLUMN b TEXT;\n"
        "UPDATE one SET b = a || a;\nCREATE UNIQUE INDEX CONCURRENTLY one_b ON one (b);\n"
        "INSERT INTO one VALUES (0, 'y', 'yy');\n",
        "-- tenon: transaction=none\nDELETE FROM one WHERE id = 0;\n"
        "DROP INDEX CONCURRENTLY one_b;\nALTER TABLE one DROP COLUMN b;\n"
    );
    folder.put_pair("0003_three", "CREATE TABLE three (id BIGINT);\n", "DROP TABLE three;\n");
    folder.write_chain();
}

void run_to(const std::string& database, const Files& files, std::uint32_t to, int kill_at = 0) {
    PostgresBackend backend{database};
    MigratorOptions options;
    options.run.hook = [&kill_at](std::string_view) {
        if (--kill_at == 0) {
            (void)::kill(::getpid(), SIGKILL);
        }
    };
    auto migrator = make_migrator(backend, files, options);
    if (to == 0) {
        migrator->down(0, true);
    } else {
        migrator->up();
    }
}

std::string hash_after_up(const Files& files) {
    const std::string database = server().create_database();
    REQUIRE(in_child([&] { run_to(database, files, 3); }) == 0);
    std::string wanted;
    {
        PostgresBackend whole{database};
        wanted = schema_hash(schema_of(whole));
    }
    server().drop_database(database);
    return wanted;
}

void check_whole(const std::string& database, const std::string& wanted) {
    PostgresBackend backend{database};
    CHECK(schema_hash(schema_of(backend)) == wanted);
    CHECK(scalar(backend, "SELECT count(*) FROM one WHERE b = a || a") == 1001);
    CHECK(scalar(backend, "SELECT count(*) FROM schema_statement") == 0);
    CHECK(scalar(backend, "SELECT count(*) FROM schema_history") == 3);
}

}  // namespace

TEST_CASE("a run on PostgreSQL killed at any point is ended by the next", "[migrations][S12]") {
    MigrationsFolder folder;
    put_mixed(folder);
    const Files files = folder.load("postgres");
    const std::string wanted = hash_after_up(files);
    const std::string database = server().create_database();
    int points = 0;
    for (bool more = true; more; ++points) {
        CAPTURE(points);
        const int status = in_child([&] { run_to(database, files, 3, points + 1); });
        more = WIFSIGNALED(status);
        CHECK((more || status == 0));
        CHECK(in_child([&] { run_to(database, files, 3); }) == 0);
        check_whole(database, wanted);
        server().clear_database(database);
    }
    CHECK(points > 25);
    server().drop_database(database);
}

TEST_CASE("a way back on PostgreSQL killed at any point is ended too", "[migrations][S12]") {
    MigrationsFolder folder;
    put_mixed(folder);
    const Files files = folder.load("postgres");
    const std::string wanted = hash_after_up(files);
    const std::string database = server().create_database();
    int points = 0;
    for (bool more = true; more; ++points) {
        CAPTURE(points);
        REQUIRE(in_child([&] { run_to(database, files, 3); }) == 0);
        const int status = in_child([&] { run_to(database, files, 0, points + 1); });
        more = WIFSIGNALED(status);
        CHECK((more || status == 0));
        CHECK(in_child([&] { run_to(database, files, 3); }) == 0);
        check_whole(database, wanted);
        server().clear_database(database);
    }
    CHECK(points > 20);
    server().drop_database(database);
}

TEST_CASE("an INVALID index that a build left is built again", "[migrations][S12]") {
    MigrationsFolder folder;
    put_mixed(folder);
    const Files files = folder.load("postgres");
    const std::string wanted = hash_after_up(files);
    const std::string database = server().create_database();
    // Killed at the first alone_started, after which a build is made to fail.
    REQUIRE(WIFSIGNALED(in_child([&] {
        PostgresBackend backend{database};
        MigratorOptions options;
        options.run.hook = [](std::string_view point) {
            if (point == "alone_started") {
                (void)::kill(::getpid(), SIGKILL);
            }
        };
        make_migrator(backend, files, options)->up();
    })));
    (void)server().execute("INSERT INTO one SELECT 5000, a, b FROM one WHERE id = 1", database);
    CHECK_THROWS(server().execute("CREATE UNIQUE INDEX CONCURRENTLY one_b ON one (b)", database));
    REQUIRE(
        server().execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid", database) == "1"
    );
    (void)server().execute("DELETE FROM one WHERE id = 5000", database);
    CHECK(in_child([&] { run_to(database, files, 3); }) == 0);
    check_whole(database, wanted);
    server().drop_database(database);
}

TEST_CASE("of 32 processes at once, one applies each migration", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const Files files = folder.load("postgres");
    const std::string database = server().create_database();
    std::vector<pid_t> children;
    for (int i = 0; i < 32; ++i) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int result = 1;
            try {
                run_to(database, files, 3);
                result = 0;
            } catch (const std::exception& e) {
                (void)std::fprintf(stderr, "child: %s\n", e.what());
            }
            ::_exit(result);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    PostgresBackend backend{database};
    CHECK(scalar(backend, "SELECT count(*) FROM schema_history") == 3);
    CHECK(scalar(backend, "SELECT count(*) FROM one") == 1);
}
