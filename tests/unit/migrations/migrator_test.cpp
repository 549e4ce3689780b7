// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migrator.hpp"

#include "tests/unit/migrations/migrations_folder.hpp"

#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using Catch::Contains;
using tenon::Session;
using tenon::migrations::Migrator;
using tenon::migrations::MigratorOptions;
using tenon::test::MigrationsFolder;
using tenon::test::put_three;
using tenon::test::SqliteBackend;

namespace {

std::unique_ptr<Migrator>
make_migrator(SqliteBackend& backend, std::vector<tenon::migrations::Migration> migrations) {
    const tenon::Host host{backend.host.raw()};
    MigratorOptions options;
    options.app_version = "1.2.3";
    options.host = "here";
    return std::make_unique<Migrator>(
        backend.storage(),
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        std::move(migrations),
        options
    );
}

// The schema as text, without the history's own table.
std::string schema(SqliteBackend& backend) {
    std::string all;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND "
            "tbl_name <> 'schema_history' ORDER BY type, name"
        );
        while (q.step()) {
            all.append(q.text(0)).append(" ").append(q.text(2)).append("\n");
        }
    });
    return all;
}

std::int64_t scalar(SqliteBackend& backend, std::string_view sql) {
    std::int64_t value = -1;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare(sql);
        if (q.step()) {
            value = q.integer(0);
        }
    });
    return value;
}

}  // namespace

TEST_CASE("up, down and up again give the same schema", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    auto migrator = make_migrator(backend, folder.load());
    migrator->up();
    CHECK(migrator->version() == 3);
    const std::string first = schema(backend);
    CHECK_THAT(first, Contains("CREATE TABLE three"));
    migrator->up();
    CHECK(scalar(backend, "SELECT count(*) FROM one") == 1);

    CHECK_THROWS_WITH(migrator->down(0, false), Contains("0002_two destroys data"));
    CHECK(migrator->version() == 3);
    migrator->down(2, false);
    CHECK(migrator->version() == 2);
    migrator->down(0, true);
    CHECK(migrator->version() == 0);
    CHECK(schema(backend).empty());
    migrator->up();
    CHECK(schema(backend) == first);
    CHECK_THAT(
        migrator->report(),
        Contains(R"("current":3,"latest":3)") && Contains(R"("name":"two","state":"applied")")
    );
}

TEST_CASE("a failing migration leaves nothing of itself", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    folder.put_pair(
        "0004_bad", "CREATE TABLE four (id INTEGER);\nINSERT INTO nothing_here VALUES (1);\n", ""
    );
    folder.write_chain();
    SqliteBackend backend;
    auto migrator = make_migrator(backend, folder.load());
    CHECK_THROWS_WITH(migrator->up(), Contains("migration 0004_bad") && Contains("nothing_here"));
    CHECK(migrator->version() == 3);
    CHECK_THAT(schema(backend), !Contains("four"));
    folder.put("0004_bad.up.sql", "CREATE TABLE four (id INTEGER);\n");
    folder.write_chain();
    migrator = make_migrator(backend, folder.load());
    migrator->up();
    CHECK(migrator->version() == 4);
}

TEST_CASE("a migration may not end its transaction", "[migrations][S12]") {
    MigrationsFolder folder;
    folder.put_pair("0001_one", "CREATE TABLE a (id INTEGER);\nCOMMIT;\n", "");
    folder.write_chain();
    SqliteBackend backend;
    auto migrator = make_migrator(backend, folder.load());
    CHECK_THROWS_AS(migrator->up(), tenon::Error);
    CHECK(schema(backend).empty());
}

TEST_CASE("rows that refer to nothing stop a migration", "[migrations][S12]") {
    MigrationsFolder folder;
    folder.put_pair(
        "0001_one",
        "PRAGMA defer_foreign_keys=ON;\nCREATE TABLE a (id INTEGER PRIMARY KEY);\n"
        "CREATE TABLE b (a INTEGER REFERENCES a(id));\nINSERT INTO b VALUES (7);\n",
        ""
    );
    folder.write_chain();
    SqliteBackend backend;
    CHECK_THROWS_WITH(
        make_migrator(backend, folder.load())->up(), Contains("a row of b refers to nothing in a")
    );
}

TEST_CASE("history and files that do not fit are refused, each fault named", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    make_migrator(backend, folder.load())->up();
    folder.put_pair("0004_four", "CREATE TABLE four (id INTEGER);\n", "DROP TABLE four;\n");
    SECTION("an applied file was changed") {
        folder.put("0002_two.up.sql", "CREATE TABLE two (id TEXT);\n");
        folder.write_chain();
        auto migrator = make_migrator(backend, folder.load());
        CHECK_THROWS_WITH(
            migrator->up(), Contains("0002_two was changed after it was applied: SHA-256")
        );
        CHECK_THROWS_AS(migrator->verify(), tenon::Error);
        CHECK_THAT(migrator->report(), Contains(R"("state":"changed")"));
    }
    SECTION("an applied file has another name") {
        folder.remove("0003_three.up.sql");
        folder.remove("0003_three.down.sql");
        folder.put_pair("0003_third", "CREATE TABLE three (id INTEGER);\n", "DROP TABLE three;\n");
        folder.write_chain();
        CHECK_THROWS_WITH(
            make_migrator(backend, folder.load())->up(),
            Contains("version 3 was applied as three, the file says third")
        );
    }
    SECTION("the history has a hole") {
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.execute("DELETE FROM schema_history WHERE version = 2");
        });
        folder.write_chain();
        CHECK_THROWS_WITH(
            make_migrator(backend, folder.load())->up(), Contains("the history has no version 2")
        );
    }
    SECTION("the database is newer than the server, which can take it back") {
        folder.write_chain();
        make_migrator(backend, folder.load())->up();
        folder.remove("0004_four.up.sql");
        folder.remove("0004_four.down.sql");
        folder.write_chain();
        auto older = make_migrator(backend, folder.load());
        CHECK_THROWS_WITH(
            older->up(), Contains("the database is at 0004_four, newer than this server")
        );
        older->down(3, false);
        CHECK_NOTHROW(older->up());
        CHECK_THAT(schema(backend), !Contains("four"));
        return;
    }
    CHECK_THAT(schema(backend), !Contains("four"));
}

TEST_CASE("down SQL that was tampered with in the database is refused", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    auto migrator = make_migrator(backend, folder.load());
    migrator->up();
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("UPDATE schema_history SET down_sql = 'DROP TABLE one' WHERE version = 3");
    });
    CHECK_THROWS_WITH(migrator->down(2, true), Contains("does not fit its checksum"));
    CHECK(migrator->version() == 3);
}

TEST_CASE("of many processes at once, one applies each migration", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const auto migrations = folder.load();
    const tenon::test::TemporaryFolder data;
    const auto on_file = [&](auto& settings) { settings.file = (data.path() / "x.db").string(); };
    // This process has one thread until the children are made.
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int result = 1;
            try {
                SqliteBackend own{on_file};
                make_migrator(own, migrations)->up();
                result = 0;
            } catch (...) {}
            ::_exit(result);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    SqliteBackend backend{on_file};
    CHECK(scalar(backend, "SELECT count(*) FROM schema_history") == 3);
    CHECK(scalar(backend, "SELECT count(*) FROM one") == 1);
}

TEST_CASE("of many threads at once, one applies each migration", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const auto migrations = folder.load();
    SqliteBackend backend;
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            try {
                make_migrator(backend, migrations)->up();
            } catch (const tenon::Error&) {
                ++failures;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(failures == 0);
    CHECK(scalar(backend, "SELECT count(*) FROM schema_history") == 3);
    CHECK(scalar(backend, "SELECT count(*) FROM one") == 1);
}
