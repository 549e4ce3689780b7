// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/lint.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using tenon::migrations::Dialect;
using tenon::migrations::Direction;

namespace {

// "rule!" for an error, "rule" for a warning, in the order of the text.
std::string found(
    const std::string& sql,
    Dialect dialect = Dialect::postgres,
    Direction direction = Direction::up
) {
    std::string all;
    const auto script = tenon::migrations::make_script("x.sql", sql, dialect);
    for (const auto& finding : tenon::migrations::lint(script, direction)) {
        all.append(all.empty() ? "" : " ").append(finding.rule).append(finding.error ? "!" : "");
    }
    return all;
}

}  // namespace

TEST_CASE("money as a float and times in 32 bits are errors", "[migrations][S12]") {
    CHECK(
        found("CREATE TABLE t (id BIGINT, fee_amount DOUBLE PRECISION, p REAL)") == "float-money!"
    );
    CHECK(found("ALTER TABLE t ADD price REAL", Dialect::sqlite) == "float-money!");
    CHECK(found("CREATE TABLE t (a INTEGER, created_ns INTEGER NOT NULL)") == "int32-time!");
    CHECK(found("CREATE TABLE t (created_ns INTEGER NOT NULL)", Dialect::sqlite).empty());
    CHECK(found("CREATE TABLE t (price BIGINT, created_ns BIGINT, CHECK (price > 0))").empty());
}

TEST_CASE("a column that fails or locks where rows are is found", "[migrations][S12]") {
    CHECK(found("ALTER TABLE t ADD COLUMN a BIGINT NOT NULL") == "add-not-null!");
    CHECK(found("ALTER TABLE t ADD COLUMN IF NOT EXISTS a BIGINT NOT NULL DEFAULT 0").empty());
    CHECK(found("CREATE TABLE t (b BIGINT); ALTER TABLE t ADD a BIGINT NOT NULL").empty());
    CHECK(found("ALTER TABLE t ADD a UUID DEFAULT gen_random_uuid()") == "rewrites-table");
    CHECK(
        found("ALTER TABLE t ALTER COLUMN a TYPE TEXT, ALTER b SET NOT NULL") ==
        "rewrites-table scans-table"
    );
    CHECK(found("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)") == "scans-table");
    CHECK(found("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID").empty());
    CHECK(found("ALTER TABLE t ADD COLUMN a BIGINT CHECK (a > 0)") == "scans-table");
    CHECK(found("ALTER TABLE t ADD a BIGINT REFERENCES u (id)") == "scans-table");
    CHECK(found("ALTER TABLE t ADD a BIGINT CHECK (a > 0)", Dialect::sqlite).empty());
    CHECK(found("ALTER TABLE t RENAME COLUMN a TO b") == "rename");
    CHECK(found("-- tenon: allow=rename\nALTER TABLE t RENAME COLUMN a TO b").empty());
}

TEST_CASE("an index on a table in use is to be built beside", "[migrations][S12]") {
    CHECK(found("CREATE INDEX i ON t (a)") == "index-blocks-writes");
    CHECK(found("CREATE TABLE t (a BIGINT); CREATE INDEX i ON public.t (a)").empty());
    CHECK(found("-- tenon: transaction=none\nCREATE INDEX CONCURRENTLY i ON t (a)").empty());
    CHECK(found("CREATE INDEX i ON t (a)", Dialect::sqlite).empty());
}

TEST_CASE("what loses rows has to say so", "[migrations][S12]") {
    CHECK(found("DROP TABLE t") == "not-destructive! drop-in-expand");
    CHECK(found("DROP TABLE t", Dialect::sqlite, Direction::down) == "not-destructive!");
    CHECK(found("-- tenon: destructive=true phase=contract\nALTER TABLE t DROP COLUMN a").empty());
    CHECK(found("DELETE FROM t") == "not-destructive! drop-in-expand");
    CHECK(found("DELETE FROM t WHERE a = 1; DROP INDEX i; ALTER TABLE t DROP CONSTRAINT c").empty()
    );
}

TEST_CASE("the shipped migrations have no finding that is an error", "[migrations][S12]") {
    const char* source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    for (const char* dialect : {"sqlite", "postgres"}) {
        const auto all =
            tenon::migrations::load_migrations(std::string{source} + "/migrations", dialect);
        for (const auto& finding : tenon::migrations::lint(all)) {
            CAPTURE(dialect, finding.file, finding.line, finding.rule, finding.message);
            CHECK_FALSE(finding.error);
        }
    }
}
