// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/rehearsal.hpp"

#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/unit/migrations/migrations_folder.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

namespace json = boost::json;
using Catch::Contains;
using tenon::migrations::UpRequest;
using tenon::test::make_migrator;
using tenon::test::MigrationsFolder;
using tenon::test::PostgresBackend;
using tenon::test::put_three;
using tenon::test::schema_of;
using tenon::test::server;

TEST_CASE("a dry run tells locks and rewrites, and changes nothing", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    folder.put_pair(
        "0004_four",
        "ALTER TABLE one ALTER COLUMN id TYPE TEXT;\nCREATE INDEX i ON two (id);\n",
        "DROP INDEX i;\nALTER TABLE one ALTER COLUMN id TYPE INTEGER USING CAST(id AS INTEGER);\n"
    );
    folder.write_chain();
    PostgresBackend backend{server().create_database()};
    auto migrator = make_migrator(backend, folder.load("postgres"));
    UpRequest three;
    three.to = 3;
    migrator->up(three);
    const auto before = schema_of(backend);
    const json::value report = json::parse(tenon::migrations::dry_run(*migrator, {}));
    CAPTURE(json::serialize(report));
    CHECK(report.at("ok").as_bool());
    const json::array& statements = report.at("statements").as_array();
    REQUIRE(statements.size() == 4);
    CHECK(statements[0].at("rewrites") == json::array{"one"});
    CHECK_THAT(
        json::serialize(statements[0].at("locks")),
        Contains(R"({"table":"one","mode":"AccessExclusiveLock"})") && !Contains("SIReadLock")
    );
    CHECK(statements[1].at("rewrites").as_array().empty());
    CHECK_THAT(
        json::serialize(statements[1].at("locks")),
        Contains(R"({"table":"two","mode":"ShareLock"})")
    );
    CHECK(tenon::migrations::difference(before, schema_of(backend)).empty());
    CHECK(server().execute("SELECT count(*) FROM pg_database WHERE datname LIKE '%clone%'") == "0");
}

TEST_CASE("drift on PostgreSQL is told by object", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    PostgresBackend backend{server().create_database()};
    auto migrator = make_migrator(backend, folder.load("postgres"));
    migrator->up();
    CHECK(json::parse(tenon::migrations::drift(*migrator)).at("ok").as_bool());
    backend.run(
        "DROP TABLE three; CREATE INDEX extra ON one (id);"
        "ALTER TABLE two ALTER COLUMN id SET NOT NULL"
    );
    const json::value report = json::parse(tenon::migrations::drift(*migrator));
    CHECK_FALSE(report.at("ok").as_bool());
    std::map<std::string, std::string> states;
    for (const json::value& d : report.at("differences").as_array()) {
        states[std::string{d.at("object").as_string()}] = std::string{d.at("state").as_string()};
    }
    CHECK(
        states ==
        std::map<std::string, std::string>{
            {"table three", "missing"},
            {"column three.id", "missing"},
            {"index extra", "unexpected"},
            {"column two.id", "different"}}
    );
}

TEST_CASE("a baseline on PostgreSQL is taken of the files' schema", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    PostgresBackend backend{server().create_database()};
    backend.run("CREATE TABLE one (id INTEGER); INSERT INTO one VALUES (7)");
    auto migrator = make_migrator(backend, folder.load("postgres"));
    const auto take = [&](std::uint32_t to) {
        migrator->baseline(to, tenon::migrations::expected_schema(*migrator, to), "made by hand");
    };
    CHECK_THROWS_WITH(take(2), Contains("table two is missing"));
    take(1);
    migrator->up();
    CHECK(migrator->version() == 3);
}
