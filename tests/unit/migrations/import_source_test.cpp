// SPDX-License-Identifier: Apache-2.0
// A file of SQLite as the importer reads it: each value as it is there, and nothing but reading.
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/migrations/import_fixture.hpp"
#include "tests/unit/migrations/source_reading.hpp"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

using namespace tenon::importer;
using Catch::Contains;
using tenon::null_value;
using tenon::value_of;
using tenon::test::all_rows;
using tenon::test::PlainSqlite;
using tenon::test::source_table;
using tenon::test::TemporaryFolder;

namespace {

struct File {
    explicit File(const std::string& name = "a 'file' of: its own.db")
        : path{(folder.path() / name).string()}, db{path} {}

    TemporaryFolder folder;
    std::string path;
    PlainSqlite db;
};

double random_double(std::mt19937_64& random) {
    for (;;) {
        const double value = std::bit_cast<double>(random());
        if (!std::isnan(value)) {  // SQLite stores NULL for it
            return value;
        }
    }
}

}  // namespace

TEST_CASE("values of SQLite are read as they are, whatever the column says", "[import][S12]") {
    File file;
    // Declared types that a reader might believe.
    file.db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME, w NUMERIC, \"x:y\" BLOB)");
    const auto seed = Catch::rngSeed();
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    std::vector<SourceValue> written;
    const auto write = [&](const tenon_value& value) {
        file.db.insert("INSERT INTO t (\"x:y\") VALUES (?)", {value});
        SourceValue one;
        one.kind = value.kind;
        one.integer = value.i;
        one.real = value.r;
        one.bytes = value.kind == TENON_VALUE_TEXT ? std::string{tenon::view(value.b)} : "";
        written.push_back(one);
    };
    for (const std::int64_t i :
         {std::numeric_limits<std::int64_t>::min(),
          std::numeric_limits<std::int64_t>::max(),
          std::int64_t{0},
          std::int64_t{-1},
          std::int64_t{1} << 53U}) {
        write(value_of(i));
    }
    write(null_value());
    write(value_of(std::numeric_limits<double>::infinity()));
    write(value_of(-0.0));
    write(value_of(std::numeric_limits<double>::denorm_min()));
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv,
          "a\0b\0"sv,
          "12345678901234567890"sv,
          "i1"sv,
          "Straße 🚀"sv,
          "\xff\xfe"sv,
          "1e5"sv}) {
        write(value_of(text));
    }
    for (int i = 0; i < 300; ++i) {
        const double real = random_double(random);
        write(value_of(real));
        write(value_of(static_cast<std::int64_t>(random())));
    }
    const auto source = open_sqlite(file.path);
    const TableMap table = source_table("t");
    CHECK(source->columns(table) == std::vector<std::string>{"id", "v", "w", "x:y"});
    CHECK(source->rows(table) == static_cast<std::int64_t>(written.size()));
    CHECK(source->bad_key(table).empty());
    const auto rows = all_rows(*source, table, {"id", "x:y"}, 7);
    REQUIRE(rows.size() == written.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        CHECK(rows[i][0].integer == static_cast<std::int64_t>(i + 1));
        CHECK(rows[i][1].kind == written[i].kind);
        CHECK(rows[i][1].integer == written[i].integer);
        CHECK(
            std::bit_cast<std::uint64_t>(rows[i][1].real) ==
            std::bit_cast<std::uint64_t>(written[i].real)
        );
        CHECK(rows[i][1].bytes == written[i].bytes);
    }
}

TEST_CASE("a blob of SQLite is a blob, and text of another encoding is UTF-8", "[import][S12]") {
    File file;
    file.db.run(
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id TEXT PRIMARY KEY, v);"
        "INSERT INTO t VALUES ('ä', x'00ff00'), ('b', 'ö' || char(0) || 'ü'), ('c', 1.5)"
    );
    const auto source = open_sqlite(file.path);
    const auto rows = all_rows(*source, source_table("t"), {"id", "v"}, 1);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0][0].bytes == "b");
    CHECK(rows[0][1].bytes == std::string("ö\0ü", 5));
    CHECK(rows[1][1].real == 1.5);
    CHECK(rows[2][0].bytes == "ä");
    CHECK(rows[2][1].kind == TENON_VALUE_BLOB);
}

TEST_CASE("a source is as it was when reading began, and is not written to", "[import][S12]") {
    File file;
    file.db.run("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    file.db.run("INSERT INTO t VALUES (1, 'old')");
    const auto source = open_source("sqlite:" + file.path, "");
    const TableMap table = source_table("t");
    CHECK(source->rows(table) == 1);
    file.db.run("UPDATE t SET v = 'new'; INSERT INTO t VALUES (2, 'new')");
    CHECK(source->rows(table) == 1);
    CHECK(source->page(table, {"v"}, {}, 9).at(0).at(0).bytes == "old");
    CHECK(open_source(file.path, "")->rows(table) == 2);
}

TEST_CASE("only one statement that reads is taken from a mapping", "[import][S12]") {
    File file;
    file.db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 2), (2, 2)");
    const auto source = open_sqlite(file.path);
    const auto told = [&](const std::string& select) {
        try {
            (void)source->columns(source_table("", select));
        } catch (const tenon::Error& e) {
            return std::string{e.what()};
        }
        return std::string{"taken"};
    };
    CHECK_THAT(
        told("SELECT 1 AS id) AS x; DELETE FROM t; SELECT (1"), Contains("not one statement")
    );
    CHECK_THAT(told("SELECT id FROM t WHERE v = ?"), Contains("has no parameters"));
    CHECK_THAT(told("SELECT id FROM t WHERE v = :after0"), Contains("has no parameters"));
    CHECK_THAT(told("DELETE FROM t RETURNING id"), Contains("syntax error"));
    CHECK(told("SELECT id, ':after0 ?' AS v FROM t") == "taken");
    CHECK(source->rows(source_table("t")) == 2);
    TableMap twice = source_table("", "SELECT v AS id FROM t");
    CHECK(source->bad_key(twice) == "(2)");
    CHECK_THROWS_WITH(source->page(twice, {"gone"}, {}, 1), Contains("has no column gone"));
}

TEST_CASE("a source of a kind that is not read is refused by name", "[import][S12]") {
    CHECK_THROWS_WITH(
        open_source("mysql://root@db/bot", "secret"),
        Contains("not mysql:") && !Contains("secret") && !Contains("root")
    );
    CHECK_THROWS_WITH(open_source("sqlite:", ""), Contains("not empty"));
    CHECK_THROWS_WITH(open_source("/a\"b", ""), Contains("has no \""));
    for (const char* source :
         {"postgresql:host=db password=hunter2",
          "postgresql://me:hunter2@db/bot",
          "postgres://me:hunter2@db/bot",
          "postgresql:host=db password",
          "postgresql:host=db hunter2"}) {
        CAPTURE(source);
        CHECK_THROWS_WITH(
            open_source(source, ""),
            !Contains("hunter2") && (Contains("source_password") || Contains("libpq cannot read"))
        );
    }
}

TEST_CASE("a long read of SQLite ends when the import is to end", "[import][S12]") {
    File file;
    file.db.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    int left = 100;
    const auto source = open_sqlite(file.path, [&left] { return --left < 0; });
    const TableMap endless = source_table(
        "", "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n"
    );
    CHECK_THROWS_WITH(source->rows(endless), Contains("interrupted"));
}
