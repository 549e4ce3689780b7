// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/migrations/migrations_folder.hpp"

#include <catch2/catch.hpp>

#include <iostream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using Catch::Contains;
using tenon::Session;
using tenon::migrations::UpRequest;
using tenon::test::make_migrator;
using tenon::test::MigrationsFolder;
using tenon::test::put_three;
using tenon::test::scalar;
using tenon::test::SqliteBackend;

namespace {

// The schema as text, without the history's own table.
std::string schema(SqliteBackend& backend) {
    std::string all;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND "
            "tbl_name NOT LIKE 'schema@_%' ESCAPE '@' ORDER BY type, name"
        );
        while (q.step()) {
            all.append(q.text(0)).append(" ").append(q.text(2)).append("\n");
        }
    });
    return all;
}

}  // namespace

TEST_CASE("up, down and up again give the same schema", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    auto migrator = make_migrator(backend, folder.load());
    migrator->up();
    CHECK(migrator->version() == 3);
    CHECK_THAT(migrator->report(), Catch::Matches(R"(.*"applied_at":\d+,.*)"));
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
    CHECK_THROWS_WITH(
        folder.load(),
        Contains("0001_one.up.sql: line 2: a migration may not begin or end transactions")
    );
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
        const auto phase = [&](const std::string& name) {
            backend.storage().write(backend.deadline(), [&](Session& s) {
                s.prepare("UPDATE schema_history SET phase = ? WHERE version = 4")
                    .bind_all(name)
                    .run();
            });
        };
        std::vector<std::string> warnings;
        CHECK_NOTHROW(older->up());  // it only adds: servers of both versions work
        CHECK(older->faults(warnings).empty());
        REQUIRE(warnings.size() == 1);
        CHECK_THAT(warnings.front(), Contains("the database is at 0004_four, newer than this"));
        CHECK(older->version() == 4);
        for (const char* unsafe : {"contract", ""}) {
            phase(unsafe);
            CHECK_THROWS_WITH(
                older->up(), Contains("the database is at 0004_four, newer than this server")
            );
        }
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
    for (int i = 0; i < 32; ++i) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int result = 1;
            try {
                SqliteBackend own{on_file};
                make_migrator(own, migrations)->up();
                result = 0;
            } catch (const std::exception& e) {
                std::cerr << "process " << i << ": " << e.what() << '\n';
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

TEST_CASE("what was applied may change in layout, not in meaning", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    make_migrator(backend, folder.load())->up();
    folder.put("0001_one.up.sql", "-- said better\nCREATE TABLE one\n(id   INTEGER) ;\n");
    folder.write_chain();
    auto migrator = make_migrator(backend, folder.load());
    CHECK_NOTHROW(migrator->up());
    std::vector<std::string> warnings;
    CHECK(migrator->faults(warnings).empty());
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], Contains("0001_one was changed in layout"));

    folder.put("0001_one.down.sql", "DROP TABLE IF EXISTS one;\n");
    folder.write_chain();
    migrator = make_migrator(backend, folder.load());
    CHECK_THROWS_WITH(migrator->up(), Contains("of the file for the way down"));
}

TEST_CASE("a repair needs a reason, which stays", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    make_migrator(backend, folder.load())->up();
    folder.put("0002_two.up.sql", "CREATE TABLE two (id TEXT);\n");
    folder.write_chain();
    auto migrator = make_migrator(backend, folder.load());
    CHECK_THROWS_AS(migrator->up(), tenon::Error);
    CHECK_THROWS_WITH(migrator->repair("accept", 2, "  "), Contains("/reason"));
    CHECK_THROWS_WITH(migrator->repair("mend", 2, "why"), Contains("/action"));
    CHECK_THROWS_WITH(migrator->repair("forget", 2, "why"), Contains("not half done"));
    CHECK_THROWS_WITH(migrator->repair("accept", 9, "why"), Contains("not applied"));
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("UPDATE schema_history SET version = 20 WHERE version = 2");
    });
    CHECK_THROWS_WITH(migrator->repair("accept", 2, "why"), Contains("not applied"));
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("UPDATE schema_history SET version = 2 WHERE version = 20");
    });
    CHECK(scalar(backend, "SELECT count(*) FROM schema_event") == 0);
    migrator->repair("accept", 2, "the column was never used");
    CHECK_NOTHROW(migrator->up());
    CHECK_THAT(
        migrator->report(),
        Contains(R"("action":"accept","version":2,"reason":"the column was never used")")
    );
    for (const char* sql :
         {"DELETE FROM schema_event", "UPDATE schema_event SET reason = 'another'"}) {
        CHECK_THROWS_WITH(
            backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(sql); }),
            Contains("append only")
        );
    }
}

TEST_CASE("what is half applied is not taken back destructively unasked", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    folder.put_pair(
        "0004_four",
        "-- tenon: transaction=none phase=backfill\nCREATE TABLE four (id INTEGER);\n"
        "INSERT INTO four VALUES (1);\nINSERT INTO later VALUES (1);\n",
        "-- tenon: destructive=true\nDROP TABLE four;\n"
    );
    folder.write_chain();
    SqliteBackend backend;
    auto migrator = make_migrator(backend, folder.load());
    CHECK_THROWS_AS(migrator->up(), tenon::Error);
    REQUIRE(migrator->state().half);
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE later (id INTEGER)");
    });
    CHECK_THROWS_WITH(migrator->down(3, false), Contains("destroys data"));
    CHECK(scalar(backend, "SELECT count(*) FROM four") == 1);
    CHECK(scalar(backend, "SELECT count(*) FROM later") == 0);
    migrator->down(3, true);
    CHECK(migrator->version() == 3);
    CHECK_THAT(schema(backend), !Contains("four"));
}

TEST_CASE("a contract is refused until it is allowed", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    make_migrator(backend, folder.load())->up();
    folder.put_pair("0004_four", "CREATE TABLE four (id INTEGER);\n", "DROP TABLE four;\n");
    folder.put_pair(
        "0005_less",
        "-- tenon: phase=contract destructive=true\nDROP TABLE three;\n",
        "CREATE TABLE three (id INTEGER);\n"
    );
    folder.put_pair("0006_six", "CREATE TABLE six (id INTEGER);\n", "DROP TABLE six;\n");
    folder.write_chain();
    auto migrator = make_migrator(backend, folder.load());
    CHECK_THROWS_WITH(migrator->up(), Contains("0005_less is of the phase contract"));
    CHECK(scalar(backend, "SELECT max(version) FROM schema_history") == 3);
    SECTION("a start stops before it") {
        UpRequest at_start;
        at_start.stop_at_contract = true;
        migrator->up(at_start);
        CHECK(migrator->version() == 4);
    }
    SECTION("a version before it may be asked for") {
        UpRequest before;
        before.to = 4;
        migrator->up(before);
        CHECK(migrator->version() == 4);
        before.to = 7;
        CHECK_THROWS_WITH(migrator->up(before), Contains("there is no version 7"));
    }
    SECTION("it is allowed by word") {
        UpRequest allowed;
        allowed.allow_contract = true;
        migrator->up(allowed);
        CHECK(migrator->version() == 6);
    }
    SECTION("an empty database needs no leave") {
        SqliteBackend fresh;
        auto all = make_migrator(fresh, folder.load());
        all->up();
        CHECK(all->version() == 6);
    }
}

TEST_CASE("a history of an older server is taken over", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SqliteBackend backend;
    const auto files = folder.load();
    backend.storage().write(backend.deadline(), [&](Session& s) {
        s.execute(
            "CREATE TABLE one (id INTEGER);"
            "CREATE TABLE schema_history (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
            "up_sha256 TEXT NOT NULL, down_sha256 TEXT NOT NULL, down_sql TEXT NOT NULL, "
            "applied_real_ns BIGINT NOT NULL, duration_ns BIGINT NOT NULL, "
            "app_version TEXT NOT NULL, host TEXT NOT NULL)"
        );
        s.prepare("INSERT INTO schema_history VALUES (1, 'one', ?, ?, ?, 5, 5, '0.1', 'h')")
            .bind_all(files[0].up.sha256, files[0].down.sha256, files[0].down.sql)
            .run();
    });
    auto migrator = make_migrator(backend, files);
    CHECK_THAT(migrator->report(), Contains(R"("current":1,"latest":3)"));
    migrator->up();
    CHECK(migrator->version() == 3);
    migrator->down(0, true);
    CHECK(migrator->version() == 0);
}
