// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server as the importer reads it: values, passwords, what it refuses, how it ends.
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/unit/migrations/source_reading.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <future>
#include <random>

using namespace tenon::importer;
using Catch::Contains;
using tenon::test::all_rows;
using tenon::test::PostgresServer;
using tenon::test::server;
using tenon::test::source_table;

namespace {

std::string literal(double value) {
    return "'" + (std::isinf(value) ? std::string{value < 0 ? "-Infinity" : "Infinity"}
                                    : [value] {
                                          std::array<char, 64> text{};
                                          (void)std::snprintf(
                                              text.data(), text.size(), "%.17g", value
                                          );
                                          return std::string{text.data()};
                                      }()) +
           "'::float8";
}

}  // namespace

TEST_CASE("values of PostgreSQL are read without loss", "[import][S12]") {
    const std::string database = server().create_database();
    const auto seed = Catch::rngSeed();
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    (void)server().execute(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE t (id BIGINT PRIMARY KEY, n "
        "NUMERIC, d FLOAT8, f FLOAT4, s SMALLINT, i INTEGER, b BOOLEAN, x BYTEA, m mood, u UUID, "
        "a INTEGER[], j JSONB, \"a:b\" TEXT, at TIMESTAMPTZ)",
        database
    );
    (void)server().execute(
        "INSERT INTO t (id, n, d, f, s, i, b, x, m, u, a, j, \"a:b\", at) VALUES "
        "(-9223372036854775808, 12345678901234567890123456789.000000000000000001, 'NaN', 0.1, "
        "-32768, 2147483647, true, '\\x00ff', 'glad', '00000000-0000-0000-0000-00000000000a', "
        "'{1,2}', '{\"k\": 1}', ':no', '2024-07-01 12:00:00.123456+02'),"
        "(9223372036854775807, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, "
        "'', NULL)",
        database
    );
    std::vector<double> reals;
    for (std::int64_t i = 1; i <= 300; ++i) {
        double real = std::bit_cast<double>(random());
        real = std::isnan(real) ? 0.1 : real;
        reals.push_back(real);
        (void)server().execute(
            "INSERT INTO t (id, d) VALUES (" + std::to_string(i) + ", " + literal(real) + ")",
            database
        );
    }
    const auto source = open_postgres(server().conninfo(database), "");
    const TableMap table = source_table("t");
    CHECK(source->columns(table).size() == 14);
    CHECK(source->rows(table) == 302);
    CHECK(source->bad_key(table).empty());
    const auto rows = all_rows(
        *source, table, {"id", "n", "d", "f", "s", "i", "b", "x", "m", "u", "a", "j", "at"}, 7
    );
    REQUIRE(rows.size() == 302);
    const SourceRow& first = rows.front();
    CHECK(first[0].integer == INT64_MIN);
    CHECK(first[1].kind == TENON_VALUE_TEXT);
    CHECK(first[1].bytes == "12345678901234567890123456789.000000000000000001");
    CHECK(std::isnan(first[2].real));
    CHECK(first[3].real == 0.1);  // what was meant, and not the float's own digits
    CHECK(first[4].integer == -32768);
    CHECK(first[5].integer == 2'147'483'647);
    CHECK(first[6].integer == 1);
    CHECK(first[7].kind == TENON_VALUE_BLOB);
    CHECK(first[8].bytes == "glad");
    CHECK(first[9].bytes == "00000000-0000-0000-0000-00000000000a");
    CHECK(first[10].bytes == "{1,2}");
    CHECK(first[11].bytes == "{\"k\": 1}");
    CHECK(first[12].bytes == "2024-07-01 10:00:00.123456+00");
    for (std::size_t i = 0; i < reals.size(); ++i) {
        CAPTURE(i, reals[i]);
        CHECK(rows[i + 1][2].kind == TENON_VALUE_REAL);
        CHECK(
            std::bit_cast<std::uint64_t>(rows[i + 1][2].real) ==
            std::bit_cast<std::uint64_t>(reals[i])
        );
    }
    CHECK(rows.back()[0].integer == INT64_MAX);
    CHECK(rows.back()[6].integer == 0);
    CHECK(rows.back()[1].is_null());
}

TEST_CASE(
    "a PostgreSQL source is as it was, is not written to, and a refusal is no end",
    "[import][S12]"
) {
    const std::string database = server().create_database();
    (void)server().execute(
        "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('a', 1), ('b', 1); "
        "CREATE FUNCTION writes() RETURNS INTEGER LANGUAGE sql AS 'DELETE FROM t RETURNING 1'",
        database
    );
    const auto source = open_postgres(server().conninfo(database), "");
    const TableMap table = source_table("t");
    (void)server().execute("INSERT INTO t VALUES ('c', 2)", database);
    CHECK(source->rows(table) == 2);
    CHECK(source->bad_key(source_table("", "SELECT v AS id FROM t")) == "(1)");
    const auto told = [&](const std::string& select) {
        try {
            const TableMap map = source_table("", select);
            (void)source->columns(map);
            (void)source->page(map, {"id"}, {}, 1);
        } catch (const tenon::Error& e) {
            return std::string{e.what()};
        }
        return std::string{"taken"};
    };
    CHECK_THAT(told("SELECT writes() AS id"), Contains("read-only transaction"));
    CHECK_THAT(
        told("SELECT 1 AS id) AS x; DELETE FROM t; SELECT (1"), Contains("multiple commands")
    );
    CHECK_THAT(told("SELECT nothing AS id FROM t"), Contains("nothing") && Contains("dbname="));
    CHECK_THAT(told("SELECT (ARRAY[7,8])[1:v] AS id FROM t"), Contains("into a view"));
    CHECK_THAT(told("SELECT v AS id FROM t WHERE v = :other"), Contains("into a view"));
    CHECK(told("SELECT '12:30 :x'::text AS id") == "taken");
    // The transaction that was begun anew sees what is there now.
    CHECK(source->rows(table) == 3);
    CHECK(all_rows(*source, table, {"id", "v"}, 1).size() == 3);
}

TEST_CASE("the password of a source is asked for, and in no message", "[import][S12]") {
    PostgresServer guarded{
        {.fsync = false,
         .tcp = true,
         .host_access = {"host all reader 127.0.0.1/32 scram-sha-256"}}};
    const std::string database = guarded.create_database();
    (void)guarded.execute(
        "CREATE ROLE reader LOGIN PASSWORD 'it''s \\ \"hunter2\"'; CREATE TABLE t (id INTEGER "
        "PRIMARY "
        "KEY); GRANT SELECT ON t TO reader",
        database
    );
    const std::string place = "postgresql:host=127.0.0.1 user=reader dbname=" + database +
                              " port=" + std::to_string(guarded.port());
    CHECK(open_source(place, "it's \\ \"hunter2\"")->rows(source_table("t")) == 0);
    CHECK_THROWS_WITH(
        open_source(place, "hunter2 wrong"),
        Contains("cannot open postgresql:host=127.0.0.1") && Contains("password") &&
            !Contains("hunter2")
    );
    guarded.stop();
    CHECK_THROWS_WITH(
        open_source(place, "hunter2"), Contains("cannot open") && !Contains("hunter2")
    );
}

TEST_CASE("a server that does not answer keeps no import from ending", "[import][S12]") {
    const std::string database = server().create_database();
    std::atomic<bool> stops{false};
    const auto source =
        open_postgres(server().conninfo(database), "", [&] { return stops.load(); });
    const TableMap slow = source_table("", "SELECT 1 AS id, CAST(pg_sleep(600) AS text) AS v");
    std::future<void> reading = std::async(std::launch::async, [&] {
        (void)source->page(slow, {"id", "v"}, {}, 1);
    });
    while (server().execute(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", database
           ) != "1") {}
    stops = true;
    CHECK_THROWS_WITH(reading.get(), Contains("interrupted"));
    (void)server().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        database
    );
}
