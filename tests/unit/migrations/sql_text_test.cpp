// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/script.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

using Catch::Contains;
using tenon::migrations::Alone;
using tenon::migrations::Dialect;
using tenon::migrations::make_script;
using tenon::migrations::normalised;
using tenon::migrations::split_statements;

namespace {

std::vector<std::string> split(std::string_view sql, Dialect dialect) {
    std::vector<std::string> texts;
    for (const auto& statement : split_statements(sql, dialect)) {
        texts.push_back(statement.text);
    }
    return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("statements end at semicolons outside quotes and comments", "[migrations][S12]") {
    for (const Dialect dialect : {Dialect::sqlite, Dialect::postgres}) {
        CHECK(
            split("-- a;\nSELECT ';--' , 'it''s;' /* ; */ ;;\n ; SELECT \"a;\"\"b\"\n", dialect) ==
            Texts{"SELECT ';--' , 'it''s;'", "SELECT \"a;\"\"b\""}
        );
        CHECK(split(" \n-- nothing\n", dialect).empty());
        CHECK(
            split("CREATE RULE r AS (a; b); x", dialect) == Texts{"CREATE RULE r AS (a; b)", "x"}
        );
    }
}

TEST_CASE("what one dialect alone has is read in it alone", "[migrations][S12]") {
    CHECK(split("SELECT `;`; SELECT [;]", Dialect::sqlite) == Texts{"SELECT `;`", "SELECT [;]"});
    CHECK(split("SELECT a[1:2]; b", Dialect::postgres) == Texts{"SELECT a[1:2]", "b"});
    CHECK(
        split("DO $$ a; $x$ $$; SELECT $t1$ ; $$ $t1$, $1; c", Dialect::postgres) ==
        Texts{"DO $$ a; $x$ $$", "SELECT $t1$ ; $$ $t1$, $1", "c"}
    );
    CHECK(split(R"(SELECT E'\';'; x)", Dialect::postgres) == Texts{R"(SELECT E'\';')", "x"});
    CHECK(split(R"(SELECT '\'; x)", Dialect::postgres) == Texts{R"(SELECT '\')", "x"});
    CHECK(split("/* /* ; */ ; */ a", Dialect::postgres) == Texts{"a"});
    CHECK(split("/* /* ; */ b; a", Dialect::sqlite) == Texts{"b", "a"});
    CHECK(split("SELECT a$b; c", Dialect::postgres) == Texts{"SELECT a$b", "c"});
}

TEST_CASE("the body of a trigger or function is part of its statement", "[migrations][S12]") {
    const std::string trigger =
        "CREATE TEMP TRIGGER t AFTER INSERT ON a WHEN new.x = CASE WHEN 1 THEN 2 END BEGIN "
        "UPDATE a SET x = CASE x WHEN 1 THEN 2 ELSE 3 END; DELETE FROM b; END";
    CHECK(split(trigger + "; SELECT 1", Dialect::sqlite) == Texts{trigger, "SELECT 1"});
    const std::string function =
        "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC "
        "SELECT CASE a WHEN 1 THEN 2 END; SELECT 3; END";
    CHECK(split(function + ";\nx;", Dialect::postgres) == Texts{function, "x"});
    CHECK_THROWS_WITH(
        split("x;\nCREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;", Dialect::sqlite),
        Contains("line 2") && Contains("does not end")
    );
}

TEST_CASE("a quote that does not end is refused with its line", "[migrations][S12]") {
    CHECK_THROWS_WITH(split("a;\n\n'b", Dialect::sqlite), Contains("line 3: a string"));
    CHECK_THROWS_WITH(split("/* a", Dialect::sqlite), Contains("line 1: a comment"));
    CHECK_THROWS_WITH(split("a $x$ b", Dialect::postgres), Contains("dollar-quoted"));
    CHECK_THROWS_WITH(split("(a; b", Dialect::postgres), Contains("parenthesis"));
}

TEST_CASE("layout and comments do not matter to normalised text", "[migrations][S12]") {
    const auto same = [](std::string_view a, std::string_view b) {
        return normalised(a, Dialect::sqlite) == normalised(b, Dialect::sqlite);
    };
    CHECK(same("CREATE TABLE a(b);\n", "-- x\r\nCREATE  TABLE a (\n b ) ; "));
    CHECK_FALSE(same("SELECT 'a b'", "SELECT 'a  b'"));
    CHECK_FALSE(same("SELECT a", "SELECT b"));
    CHECK_FALSE(same("SELECT \"A\"", "SELECT \"a\""));
}

TEST_CASE("metadata is read, and what cannot be run so is refused", "[migrations][S12]") {
    const auto script = make_script(
        "x.sql",
        "-- tenon: phase=contract transaction=none destructive=true\n-- tenon: allow=rename,x\n"
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS s.\"I\" ON t (a);\n"
        "DROP INDEX CONCURRENTLY IF EXISTS j; VACUUM t; SELECT 1;",
        Dialect::postgres
    );
    CHECK(script.metadata.phase == "contract");
    CHECK_FALSE(script.metadata.transaction);
    CHECK(script.metadata.destructive);
    CHECK(script.metadata.allow.count("rename") == 1);
    REQUIRE(script.statements.size() == 4);
    CHECK(script.statements[0].alone == Alone::create_index);
    CHECK(script.statements[0].index == "s.\"I\"");
    CHECK(script.statements[1].index == "j");
    CHECK(script.statements[2].alone == Alone::repeatable);
    CHECK(script.statements[3].alone == Alone::no);

    const auto refused = [](const char* sql) {
        try {
            (void)make_script("x.sql", sql, Dialect::postgres);
        } catch (const tenon::Error& e) {
            return std::string{e.what()};
        }
        return std::string{};
    };
    CHECK_THAT(refused("CREATE INDEX CONCURRENTLY i ON t (a)"), Contains("transaction=none"));
    CHECK_THAT(
        refused("-- tenon: transaction=none\nCREATE INDEX CONCURRENTLY ON t (a)"),
        Contains("needs a name")
    );
    CHECK_THAT(refused("BEGIN; SELECT 1; COMMIT"), Contains("begin or end transactions"));
    CHECK_THAT(refused("ALTER SYSTEM SET a = 1"), Contains("not supported"));
    CHECK_THAT(refused("-- tenon: transaction=maybe\n"), Contains("unknown metadata"));
}
