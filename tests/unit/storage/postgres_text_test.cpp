// SPDX-License-Identifier: Apache-2.0
// What of the PostgreSQL backend needs no server: its SQL text, its errors, its plans.
#include "plugins/storage/postgres/error.hpp"
#include "plugins/storage/postgres/host_pool.hpp"
#include "plugins/storage/postgres/placeholder.hpp"
#include "plugins/storage/postgres/plan.hpp"
#include "plugins/storage/postgres/table_map.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>

using namespace tenon::postgres;
using tenon::Failure;

namespace {

std::string rewritten(std::string_view sql) {
    return scan(sql).text;
}

}  // namespace

TEST_CASE("question marks become numbered parameters", "[postgres][S5]") {
    CHECK(
        rewritten("SELECT a FROM t WHERE b = ? AND c = ?") ==
        "SELECT a FROM t WHERE b = $1 AND c = $2"
    );
    CHECK(scan("VALUES (?,?,?)").parameters == 3);
    CHECK(rewritten("SELECT ?and ?") == "SELECT $1 and $2");
    CHECK(
        rewritten("SELECT a ?? 'b', a ??| c WHERE x = ?") == "SELECT a ? 'b', a ?| c WHERE x = $1"
    );
    CHECK(rewritten("") == "");
}

TEST_CASE("what is text, a name or a comment stays as it is", "[postgres][S5]") {
    for (const char* sql : {
             "SELECT 'a?''b?' || E'\\'?' || \"c?\"\"?\" -- ?\n",
             "/* ? /* ? */ ? */ SELECT 1",
             "SELECT $$ ? $$, $tag$ ? $$ ? $tag$, U&'?', B'1', X'?'",
             "SELECT 'not closed ?",
             "SELECT \"not closed ?",
             "/* not closed ?",
             "SELECT $x$ not closed ?",
             "SELECT a$b$ FROM t$ WHERE c[1:2] = $1 AND d::text = ':x'",
         }) {
        INFO(sql);
        CHECK(rewritten(sql) == sql);
        CHECK(scan(sql).parameters == 0);
    }
    CHECK(rewritten("SELECT '?', ? -- ?\n, ?") == "SELECT '?', $1 -- ?\n, $2");
    CHECK(rewritten("SELECT e'\\'', ?") == "SELECT e'\\'', $1");
    CHECK(rewritten("SELECT 'a\\', ?") == "SELECT 'a\\', $1");
}

TEST_CASE("scanning any bytes ends and keeps those that are no parameter", "[postgres][S5]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    static constexpr std::string_view k_alphabet = "?'\"$-/*\\;eE aU&1_\n\xc5\xbc";
    for (int i = 0; i < 5000; ++i) {
        std::string sql;
        for (std::size_t n = random() % 24; n > 0; --n) {
            sql.push_back(k_alphabet[random() % k_alphabet.size()]);
        }
        INFO(sql);
        const ScannedSql scanned = scan(sql);
        if (sql.find('?') == std::string::npos) {
            REQUIRE(scanned.text == sql);
        }
        REQUIRE(scanned.parameters <= sql.size());
    }
}

TEST_CASE("SQL text does not begin or end transactions", "[postgres][S11]") {
    for (const char* sql :
         {"BEGIN",
          "begin work",
          "/* x */ Commit",
          "SELECT 1; ROLLBACK",
          "END",
          "abort;",
          "START TRANSACTION",
          "PREPARE TRANSACTION 'x'",
          "DISCARD ALL",
          "DEALLOCATE ALL",
          "PREPARE x AS SELECT 1",
          "SELECT $$a$$;commit"}) {
        INFO(sql);
        CHECK_FALSE(refused(scan(sql)).empty());
    }
    for (const char* sql :
         {"SAVEPOINT a",
          "ROLLBACK TO a",
          "ROLLBACK TO SAVEPOINT a",
          "ROLLBACK WORK TO a",
          "RELEASE a",
          "SELECT 'commit'",
          "CREATE FUNCTION f() RETURNS int AS $$ BEGIN COMMIT; END $$ LANGUAGE plpgsql",
          ";;"}) {
        INFO(sql);
        CHECK(refused(scan(sql)).empty());
    }
}

TEST_CASE("text that sets something on the session is noticed", "[postgres][S3]") {
    for (const char* sql :
         {"SET work_mem = '1MB'",
          "SET SESSION a.b = 1",
          "select SET_CONFIG('a.b', '1', false)",
          "SELECT pg_advisory_lock(1)",
          "CREATE TEMP TABLE t (a int)",
          "LISTEN x",
          "RESET ALL"}) {
        INFO(sql);
        CHECK(scan(sql).touches_session);
    }
    for (const char* sql :
         {"SET LOCAL work_mem = '1MB'",
          "SET CONSTRAINTS ALL DEFERRED",
          "SELECT pg_advisory_xact_lock(1)",
          "UPDATE t SET a = 1"}) {
        INFO(sql);
        CHECK_FALSE(scan(sql).touches_session);
    }
}

TEST_CASE("names are quoted, whatever is in them", "[postgres][S5]") {
    CHECK(quoted_name("a") == "\"a\"");
    CHECK(quoted_name("a\"; DROP TABLE t; --") == "\"a\"\"; DROP TABLE t; --\"");
}

TEST_CASE("what the server says decides what may be done", "[postgres][S11]") {
    struct Row {
        const char* state;
        tenon_status status;
        Failure failure;
    };

    for (const Row& row : {
             Row{"40001", TENON_UNAVAILABLE, Failure::retry_transaction},
             Row{"40P01", TENON_UNAVAILABLE, Failure::retry_transaction},
             Row{"55P03", TENON_UNAVAILABLE, Failure::retry_transaction},
             Row{"08006", TENON_UNAVAILABLE, Failure::other_host},
             Row{"57P01", TENON_UNAVAILABLE, Failure::other_host},
             Row{"57P02", TENON_UNAVAILABLE, Failure::other_host},
             Row{"57P03", TENON_UNAVAILABLE, Failure::other_host},
             Row{"25006", TENON_UNAVAILABLE, Failure::other_host},
             Row{"53300", TENON_UNAVAILABLE, Failure::other_host},
             Row{"", TENON_UNAVAILABLE, Failure::other_host},
             Row{"57014", TENON_TIMEOUT, Failure::timeout},
             Row{"23505", TENON_CONFLICT, Failure::constraint},
             Row{"23514", TENON_CONFLICT, Failure::constraint},
             Row{"P0001", TENON_CONFLICT, Failure::constraint},
             Row{"42601", TENON_INVALID, Failure::permanent},
             Row{"42P01", TENON_INVALID, Failure::permanent},
             Row{"22003", TENON_INVALID, Failure::permanent},
             Row{"42501", TENON_DENIED, Failure::permanent},
             Row{"53100", TENON_UNAVAILABLE, Failure::permanent},
             Row{"XX001", TENON_CORRUPT, Failure::permanent},
             Row{"99999", TENON_INTERNAL, Failure::permanent},
         }) {
        INFO(row.state);
        CHECK(meaning_of(row.state).status == row.status);
        CHECK(meaning_of(row.state).failure == row.failure);
    }
    CHECK(ends_session("57P01"));
    CHECK_FALSE(ends_session("40001"));
}

TEST_CASE("a plan is flattened, and its hash and texts hold no values", "[postgres][S9]") {
    const auto plan = [](const std::string& value, int rows) {
        return plan_from_json(
            R"j([{"Plan":{"Node Type":"Limit","Plan Rows":)j" + std::to_string(rows) +
            R"j(,"Total Cost":8.5,"Plans":[{"Node Type":"Index Only Scan",)j"
            R"j("Relation Name":"orders","Index Name":"orders_open","Index Cond":"(account = )j" +
            value + R"j()","Filter":"(note <> 'it''s secret'::text)"}]}}])j"
        );
    };
    const std::string one = plan("'17'::bigint", 10);
    const std::string other = plan("42", 99);
    CHECK_THAT(one, Catch::Contains("\"dialect\":\"postgres\""));
    CHECK_THAT(one, !Catch::Contains("secret") && !Catch::Contains("17"));
    CHECK_THAT(
        one,
        Catch::Contains(
            R"j("operation":"search","table":"orders","index":"orders_open","covering":true)j"
        )
    );
    const auto hash = [](const std::string& text) {
        return text.substr(text.find("\"hash\":\"") + 8, 16);
    };
    CHECK(hash(plan("43", 1)) == hash(other));
    CHECK(hash(one).find_first_not_of("0123456789abcdef") == std::string::npos);
}

TEST_CASE("an UPDATE is a write wherever it stands, and a clause is none", "[postgres][S4]") {
    const auto map_of = [](std::string_view body) {
        TableMap map;
        map.add_relation(1, "orders", 'r');
        map.add_relation(2, "totals", 'r');
        map.add_trigger(1, body, "plpgsql");
        return map;
    };
    const auto insert = "INSERT INTO orders VALUES (?)";
    for (const char* body : {
             "BEGIN IF NEW.qty > 0 THEN UPDATE totals SET n = n + 1; END IF; END",
             "BEGIN IF NEW.qty > 0 THEN NULL; ELSE UPDATE ONLY totals SET n = 0; END IF; END",
             "BEGIN CASE WHEN NEW.qty > 0 THEN UPDATE public.totals t SET n = 1; END CASE; END",
             "BEGIN OPEN c FOR UPDATE totals SET n = 1 RETURNING n; END",
         }) {
        INFO(body);
        const WriteUse use = map_of(body).writes_of(insert);
        CHECK(use.tables == std::set<std::string>{"orders", "totals"});
        CHECK_FALSE(use.everything);
    }
    CHECK(map_of("BEGIN IF true THEN UPDATE strange SET n = 1; END IF; END")
              .writes_of(insert)
              .everything);
    TableMap named_set = map_of("");
    named_set.add_relation(3, "set", 'r');
    CHECK(named_set.writes_of("UPDATE set SET n = 1").tables.count("set") == 1);

    const TableMap map = map_of("");
    for (const char* sql : {
             "SELECT n FROM totals FOR UPDATE",
             "SELECT n FROM totals FOR NO KEY UPDATE OF totals SKIP LOCKED",
             "SELECT n FROM totals WHERE n IN (SELECT n FROM totals FOR UPDATE) LIMIT 1",
         }) {
        INFO(sql);
        CHECK(map.writes_of(sql).empty());
    }
    for (const char* sql : {
             "INSERT INTO totals VALUES (1) ON CONFLICT (n) DO UPDATE SET n = 2",
             "MERGE INTO totals t USING orders o ON t.n = o.n WHEN MATCHED THEN UPDATE SET n = 2",
         }) {
        INFO(sql);
        CHECK(map.writes_of(sql).tables == std::set<std::string>{"totals"});
        CHECK_FALSE(map.writes_of(sql).everything);
    }
}

TEST_CASE("a plan of many levels is read", "[postgres][S4]") {
    std::string plan =
        R"({"Node Type": "Seq Scan", "Relation Name": "totals", "Schema": "public"})";
    for (int i = 0; i < 60; ++i) {
        plan = R"({"Node Type": "Nested Loop", "Plans": [)" + plan + "]}";
    }
    plan = R"([{"Plan": )" + plan + "}]";
    TableMap map;
    map.add_relation(1, "totals", 'r');
    const ReadUse use = map.reads_of(plan);
    CHECK(use.repeatable);
    CHECK(use.tables == std::vector<std::string>{"totals"});
    CHECK_NOTHROW(plan_from_json(plan));
}

TEST_CASE("hosts are told apart from ports, and a bad one is refused", "[postgres][S2]") {
    Settings settings;
    settings.hosts = {"db1", "db2:5433", "[::1]:6000", "/var/run/postgresql", "fe80::1"};
    settings.password = "secret";
    const auto all = keywords_of(settings);
    REQUIRE(all.size() == 5);
    const auto value = [&](std::size_t host, std::string_view name) {
        std::string found;
        for (const auto& [key, text] : all[host]) {
            found = key == name ? text : found;
        }
        return found;
    };
    CHECK(value(0, "host") == "db1");
    CHECK(value(0, "port").empty());
    CHECK(value(1, "host") == "db2");
    CHECK(value(1, "port") == "5433");
    CHECK(value(2, "host") == "::1");
    CHECK(value(3, "host") == "/var/run/postgresql");
    CHECK(value(4, "host") == "fe80::1");
    CHECK(value(4, "password") == "secret");
    settings.hosts = {":5432"};
    CHECK_THROWS_WITH(keywords_of(settings), Catch::Contains("/hosts"));
    settings.hosts.clear();
    settings.conninfo = "password='hunter2 oops";
    try {
        (void)keywords_of(settings);
        FAIL("no error");
    } catch (const tenon::Error& e) {
        CHECK(std::string{e.what()}.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("several servers in the environment are refused as in the settings", "[postgres][S6]") {
    struct Variable {
        Variable(const char* n, const char* value) : name{n} { ::setenv(name, value, 1); }

        ~Variable() { ::unsetenv(name); }

        const char* name;
    };

    Settings settings;
    CHECK(keywords_of(settings).size() == 1);
    for (const char* name : {"PGHOST", "PGHOSTADDR"}) {
        const Variable several{name, "127.0.0.1,127.0.0.2"};
        INFO(name);
        settings.hosts.clear();
        settings.conninfo.clear();
        CHECK_THROWS_WITH(
            keywords_of(settings), Catch::Contains("environment") && Catch::Contains("/hosts")
        );
    }
    {
        const Variable several{"PGHOST", "a,b"};
        settings.conninfo = "host=c";
        CHECK(keywords_of(settings).size() == 1);
        settings.hosts = {"d", "e"};
        CHECK(keywords_of(settings).size() == 2);
    }
    const Variable one{"PGHOSTADDR", "127.0.0.1"};
    CHECK_THROWS_WITH(keywords_of(settings), Catch::Contains("PGHOSTADDR"));
}

TEST_CASE("what cannot be looked into leaves a session to be cleaned", "[postgres][S3]") {
    CHECK(scan("DO $$ BEGIN PERFORM set_config('work_mem', '9MB', false); END $$").touches_session);
    CHECK(scan("CALL anything()").touches_session);
    CHECK(scan("SELECT set_config(?, ?, false)").sets_config);
    CHECK_FALSE(scan("SELECT 'set_config(1)', do_it FROM calls").touches_session);
}
