// SPDX-License-Identifier: Apache-2.0
// The look at the database itself.
#include "plugins/storage/upkeep/rounds.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <fstream>

using Catch::Contains;
using tenon::Session;
using tenon::test::SqliteBackend;
using tenon::upkeep::IntegrityRound;

namespace {

IntegrityRound look(SqliteBackend& backend, bool full) {
    IntegrityRound round{
        {backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }}, full};
    while (round.step()) {}
    return round;
}

}  // namespace

TEST_CASE("a whole database has nothing to tell", "[upkeep][S10]") {
    SqliteBackend backend;
    tenon::test::shipped_schema(backend)->up();
    const IntegrityRound round = look(backend, true);
    CHECK(round.is_ok());
    CHECK_THAT(round.json(), Contains("{\"ok\":true,\"steps\":") && Contains("\"problems\":[]"));
}

TEST_CASE("rows that refer to nothing are named with their table", "[upkeep][S10]") {
    SqliteBackend backend;
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute(
            "CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT;"
            "CREATE TABLE \"it's\" (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id)) STRICT;"
            "INSERT INTO \"it's\" VALUES (4, NULL)"
        );
    });
    CHECK(look(backend, false).is_ok());
    // As a program that does not switch foreign keys on. Nobody else has the file open.
    backend.close();
    sqlite3* foreign = nullptr;
    REQUIRE(sqlite3_open(backend.settings.file.c_str(), &foreign) == SQLITE_OK);
    const char* const orphan = "INSERT INTO \"it's\" VALUES (5, 77)";
    CHECK(sqlite3_exec(foreign, orphan, nullptr, nullptr, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_close(foreign) == SQLITE_OK);
    backend.open();
    const IntegrityRound round = look(backend, false);
    CAPTURE(round.json());
    REQUIRE(round.problems().size() == 1);
    CHECK(round.problems().front() == "table it's: a row of it's (rowid 5) refers to no row of a");
}

TEST_CASE("a damaged page is found, and the look goes on", "[upkeep][S10]") {
    SqliteBackend backend;
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT) STRICT;"
            "CREATE TABLE z (id INTEGER PRIMARY KEY) STRICT;"
            "CREATE INDEX a_x ON a (x)"
        );
        for (int i = 0; i < 2000; ++i) {
            s.prepare("INSERT INTO a (x) VALUES (?)").bind_all("row " + std::to_string(i)).run();
        }
    });
    backend.close();
    {
        std::fstream file{backend.settings.file, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(0, std::ios::end);
        const auto size = static_cast<std::int64_t>(file.tellg());
        REQUIRE(size > 8 * 8192);
        // The leaves behind the schema's page: their headers become nonsense.
        for (std::int64_t at = 4 * 8192; at + 8192 <= size; at += 8192) {
            file.seekp(at);
            file.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
        }
    }
    backend.open();
    const IntegrityRound round = look(backend, false);
    CAPTURE(round.json());
    CHECK_FALSE(round.problems().empty());
    CHECK_THAT(round.problems().front(), Contains("table a"));
}
