// SPDX-License-Identifier: Apache-2.0
// kill -9 at every point of a run, up and down: the next run ends it, and the schema is the same.
#include "tests/unit/migrations/migrations_folder.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using tenon::migrations::MigratorOptions;
using tenon::migrations::schema_hash;
using tenon::test::make_migrator;
using tenon::test::MigrationsFolder;
using tenon::test::scalar;
using tenon::test::schema_of;
using tenon::test::SqliteBackend;

namespace {

// A transaction, one statement by statement, and both with rows.
void put_mixed(MigrationsFolder& folder) {
    folder.put_pair(
        "0001_one",
        "CREATE TABLE one (id INTEGER PRIMARY KEY, a TEXT);\nINSERT INTO one VALUES (1, 'x;');\n"
        "CREATE TRIGGER t AFTER INSERT ON one BEGIN SELECT 1; SELECT 2; END;\n",
        "-- tenon: destructive=true\nDROP TABLE one;\n"
    );
    folder.put_pair(
        "0002_two",
        "-- tenon: transaction=none phase=backfill\nALTER TABLE one ADD COLUMN b TEXT;\n"
        "UPDATE one SET b = a || a;\nINSERT INTO one VALUES (2, 'y', 'yy');\n"
        "CREATE INDEX one_b ON one (b);\n",
        "-- tenon: transaction=none\nDROP INDEX one_b;\nDELETE FROM one WHERE id = 2;\n"
        "ALTER TABLE one DROP COLUMN b;\n"
    );
    folder.put_pair("0003_three", "CREATE TABLE three (id INTEGER);\n", "DROP TABLE three;\n");
    folder.write_chain();
}

using Files = std::vector<tenon::migrations::Migration>;

// In a child: runs to version `to`, killed at the n-th point. False when it came to its end.
template <class Tweak>
bool killed_at(const Tweak& on_file, const Files& files, std::uint32_t to, int n) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int result = 1;
        try {
            SqliteBackend own{on_file};
            MigratorOptions options;
            options.run.hook = [&n](std::string_view) {
                if (--n == 0) {
                    (void)::kill(::getpid(), SIGKILL);
                }
            };
            auto migrator = make_migrator(own, files, options);
            if (to == 0) {
                migrator->down(0, true);
            } else {
                migrator->up();
            }
            result = 0;
        } catch (...) {}
        ::_exit(result);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        REQUIRE(WTERMSIG(status) == SIGKILL);
        return true;
    }
    REQUIRE(WEXITSTATUS(status) == 0);
    return false;
}

}  // namespace

TEST_CASE("a run killed at any point is ended by the next", "[migrations][S12]") {
    MigrationsFolder folder;
    put_mixed(folder);
    const Files files = folder.load();
    std::string wanted;
    {
        SqliteBackend whole;
        make_migrator(whole, files)->up();
        wanted = schema_hash(schema_of(whole));
    }
    int points = 0;
    for (bool more = true; more; ++points) {
        const tenon::test::TemporaryFolder data;
        const auto on_file = [&](auto& s) { s.file = (data.path() / "x.db").string(); };
        more = killed_at(on_file, files, 3, points + 1);
        CAPTURE(points);
        SqliteBackend backend{on_file};
        auto migrator = make_migrator(backend, files);
        migrator->up();
        CHECK(schema_hash(schema_of(backend)) == wanted);
        CHECK(scalar(backend, "SELECT count(*) FROM one WHERE b IN ('x;x;', 'yy')") == 2);
        CHECK(scalar(backend, "SELECT count(*) FROM schema_statement") == 0);
        CHECK(scalar(backend, "SELECT count(*) FROM schema_history") == 3);
    }
    CHECK(points > 25);  // each statement, each record, each commit
}

TEST_CASE("a way back killed at any point is ended by the next run", "[migrations][S12]") {
    MigrationsFolder folder;
    put_mixed(folder);
    const Files files = folder.load();
    std::string wanted;
    {
        SqliteBackend whole;
        make_migrator(whole, files)->up();
        wanted = schema_hash(schema_of(whole));
    }
    int points = 0;
    for (bool more = true; more; ++points) {
        const tenon::test::TemporaryFolder data;
        const auto on_file = [&](auto& s) { s.file = (data.path() / "x.db").string(); };
        REQUIRE_FALSE(killed_at(on_file, files, 3, 0));
        more = killed_at(on_file, files, 0, points + 1);
        CAPTURE(points);
        SqliteBackend backend{on_file};
        auto migrator = make_migrator(backend, files);
        if (points % 2 == 0) {
            migrator->down(0, true);
            CHECK(schema_of(backend).empty());
        }
        migrator->up();
        CHECK(schema_hash(schema_of(backend)) == wanted);
        CHECK(scalar(backend, "SELECT count(*) FROM one WHERE b IN ('x;x;', 'yy')") == 2);
        CHECK(scalar(backend, "SELECT count(*) FROM schema_statement") == 0);
    }
    CHECK(points > 20);
}

TEST_CASE("a statement that ran may not be another one afterwards", "[migrations][S12]") {
    MigrationsFolder folder;
    put_mixed(folder);
    SqliteBackend backend;
    MigratorOptions options;
    int left = 14;
    options.run.hook = [&](std::string_view point) {
        if (point == "committed" && --left <= 10) {
            throw tenon::Error{TENON_INTERNAL, "enough"};
        }
    };
    CHECK_THROWS_WITH(make_migrator(backend, folder.load(), options)->up(), "enough");
    REQUIRE(scalar(backend, "SELECT count(*) FROM schema_statement WHERE done_real_ns > 0") > 0);
    const auto with_up = [&](const std::string& up) {
        folder.put("0002_two.up.sql", up);
        folder.write_chain();
        return make_migrator(backend, folder.load());
    };
    auto other = with_up("-- tenon: transaction=none\nALTER TABLE one ADD COLUMN c TEXT;\n");
    CHECK_THROWS_WITH(other->up(), Catch::Contains("statement 1 is not what ran"));
    other->repair("forget", 2, "the column is dropped by hand");
    CHECK_THAT(other->report(), Catch::Contains(R"("half_done":null)"));
    CHECK_NOTHROW(other->repair("accept", 1, "nothing to do, but harmless"));
}
