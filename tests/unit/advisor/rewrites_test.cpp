// SPDX-License-Identifier: Apache-2.0
// Statements that could be written better, and rewritings that are wrong: what is told as advice,
// and what the comparison catches. Runs over every backend.
#include "plugins/storage/advisor/rewrites.hpp"

#include "tests/unit/storage/backend.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using tenon::Json;
using tenon::Session;
using tenon::advisor::Captured;
using tenon::advisor::Catalog;
using tenon::advisor::dialect_of;
using tenon::advisor::Evidence;
using tenon::advisor::Proof;
using tenon::advisor::read_rewritable;
using tenon::advisor::Rewritable;
using tenon::advisor::RewriteAdvice;
using tenon::advisor::RewriteAdvisor;
using tenon::advisor::RewriteLimits;
using tenon::advisor::rewrites_of;

namespace {

constexpr auto k_schema =
    "CREATE TABLE acc (id BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL, kind BIGINT);"
    "CREATE TABLE ord (id BIGINT PRIMARY KEY NOT NULL, acc BIGINT NOT NULL, other BIGINT NOT NULL, "
    "sym TEXT NOT NULL, px BIGINT, ref BIGINT);"
    "CREATE INDEX acc_name ON acc(name);"
    "CREATE INDEX ord_acc ON ord(acc);"
    "CREATE INDEX ord_ref ON ord(ref);"
    "CREATE INDEX ord_sym ON ord(sym);"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 399) "
    "INSERT INTO acc SELECT i, 'n' || i, i % 7 FROM r;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 3999) "
    "INSERT INTO ord SELECT i, i * 7 % 300, i * 13 % 400, 's' || (i % 90), i * 31 % 1009, i % 250 "
    "FROM r;";

// So often that a literal counts as the program's.
constexpr int k_calls = 20;

// What each rule is for.
constexpr auto k_union =
    "SELECT o.id, o.px FROM ord AS o JOIN acc AS a ON a.id = o.acc WHERE o.sym = ? OR a.name = ? "
    "ORDER BY o.px DESC LIMIT 10";
constexpr auto k_subquery =
    "SELECT a.id, (SELECT count(*) FROM ord o WHERE o.other = a.id AND o.px > ?) AS n FROM acc AS "
    "a WHERE a.kind < ?";
constexpr auto k_count =
    "SELECT a.id FROM acc a WHERE (SELECT count(*) FROM ord o WHERE o.acc = a.id) > 0";
constexpr auto k_not_in =
    "SELECT id FROM acc WHERE name = ? AND id NOT IN (SELECT acc FROM ord WHERE px > ?)";
constexpr auto k_not_in_null =
    "SELECT id FROM acc WHERE name = ? AND id NOT IN (SELECT ref FROM ord WHERE px > ?)";
constexpr auto k_inlined =
    "WITH r AS MATERIALIZED (SELECT acc, px FROM ord) SELECT px FROM r WHERE acc = ?";
constexpr auto k_repeated =
    "SELECT id FROM acc WHERE id < (SELECT avg(px) FROM ord) AND id > (SELECT avg(px) FROM ord) - "
    "900";

template <class Backend>
struct Fixture : Backend {
    Fixture() {
        this->storage().write(this->deadline(), [](Session& s) { s.execute(k_schema); });
        this->storage().lease(TENON_INTENT_WRITE, this->deadline())->execute("ANALYZE");
        this->open();
        for (const char* sql :
             {k_union, k_subquery, k_count, k_not_in, k_not_in_null, k_inlined, k_repeated}) {
            for (int i = 0; i < k_calls; ++i) {
                run(sql);
            }
        }
        this->storage().read(this->deadline(), [&](Session& session) {
            catalog = dialect_of(this->storage().dialect()).read_catalog(session);
        });
    }

    void run(const std::string& sql) {
        const auto marks = static_cast<std::uint32_t>(std::count(sql.begin(), sql.end(), '?'));
        const bool is_text_first =
            sql.find("= ?") != std::string::npos && sql.find("acc = ?") == std::string::npos;
        this->storage().read(this->deadline(), [&](Session& s) {
            auto statement = s.prepare(sql);
            for (std::uint32_t i = 1; i <= marks; ++i) {
                const bool is_text = is_text_first && (i == 1 || sql == k_union);
                statement.bind(i, is_text ? tenon::value_of("n7") : tenon::value_of(5));
            }
            statement.run();
        });
    }

    RewriteAdvice advise() {
        RewriteLimits limits;
        limits.seed = Catch::rngSeed() + 1;
        limits.deadline_ns = this->deadline();
        return RewriteAdvisor{this->storage(), [this] { return this->host.reactor().now_ns(); }}
            .rewrites(limits);
    }

    Captured captured(const std::string& sql) const {
        Captured out;
        const auto normal = tenon::normalise_sql(sql);
        out.sql = normal.text;
        out.calls = 1;
        for (const auto& constant : normal.constants) {
            out.constants.emplace(constant.at, constant.value);
        }
        return out;
    }

    // Rules and texts that a statement gives.
    std::vector<std::string> rules(const std::string& sql) const {
        std::vector<std::string> out;
        const auto statement = read_rewritable(captured(sql), catalog);
        if (statement) {
            for (const auto& one : rewrites_of(*statement, catalog)) {
                out.push_back(one.rule + ": " + tenon::advisor::print(one.text).sql);
            }
        }
        return out;
    }

    // `after` is written with '?' in the order of `before`.
    Evidence compare(const std::string& before, const std::string& after) {
        const auto statement = read_rewritable(captured(before), catalog);
        REQUIRE(statement);
        const auto other = tenon::advisor::read_words(captured(after));
        const tenon::StorageClone copy = this->storage().clone(true, this->deadline());
        const Proof proof{
            *copy,
            catalog,
            dialect_of(this->storage().dialect()),
            Catch::rngSeed() + 1,
            this->deadline()};
        return proof.compare(*statement, other);
    }

    Catalog catalog;
};

}  // namespace

TEMPLATE_TEST_CASE(
    "statements that could be written better are told with their proof",
    "[advisor][rewrite][S9]",
    TENON_STORAGE_BACKENDS
) {
    Fixture<TestType> f;
    INFO("seed " << Catch::rngSeed());
    const RewriteAdvice advice = f.advise();
    INFO(tenon::advisor::json_of(advice));
    CHECK(advice.complete);
    std::set<std::string> rules;
    for (const auto& one : advice.proven) {
        rules.insert(one.rule);
        CHECK(one.work_after < one.work_before);
        CHECK(one.evidence.holds);
        CHECK(one.evidence.data_sets == Proof::k_data_sets);
        CHECK(one.evidence.added > 0);
        CHECK(one.gain_ns > 0);
        CHECK(
            one.parameters.size() ==
            static_cast<std::size_t>(std::count(one.after.begin(), one.after.end(), '?'))
        );
    }
    std::set<std::string> expected{
        "or_to_union", "count_to_exists", "not_in_to_not_exists", "cte_inlined"};
    if (f.storage().dialect() == "postgres") {
        expected.insert({"subquery_to_cte", "repeated_to_cte"});  // SQLite is as good itself
    }
    // There may be more where the data make it so.
    CHECK(std::includes(rules.begin(), rules.end(), expected.begin(), expected.end()));
    // The text of the wrong one is the right one's but for a column that may be NULL.
    for (const auto& one : advice.proven) {
        CHECK(one.after.find("\"ref\"") == std::string::npos);
    }
    const auto wrong =
        std::find_if(advice.refused.begin(), advice.refused.end(), [](const auto& r) {
            return r.rule == "not_in_to_not_exists" && r.after.find("\"ref\"") != std::string::npos;
        });
    REQUIRE(wrong != advice.refused.end());
    CHECK(wrong->reason.find("rows before") != std::string::npos);
    CHECK_NOTHROW(Json::parse(tenon::advisor::json_of(advice)));
}

TEMPLATE_TEST_CASE(
    "rewritings that are wrong are caught by the comparison",
    "[advisor][rewrite][S9]",
    TENON_STORAGE_BACKENDS
) {
    Fixture<TestType> f;
    INFO("seed " << Catch::rngSeed());
    const std::vector<std::pair<std::string, std::string>> wrong{
        // NULL in the list.
        {"SELECT id FROM acc WHERE id NOT IN (SELECT ref FROM ord)",
         "SELECT id FROM acc WHERE NOT EXISTS (SELECT 1 FROM ord WHERE ord.ref = acc.id)"},
        // NULL on the left.
        {"SELECT id FROM acc WHERE kind NOT IN (SELECT other FROM ord)",
         "SELECT id FROM acc WHERE NOT EXISTS (SELECT 1 FROM ord WHERE ord.other = acc.kind)"},
        // Rows of both branches twice.
        {"SELECT id FROM ord WHERE sym = ? OR px = ?",
         "SELECT id FROM ord WHERE sym = ? UNION ALL SELECT id FROM ord WHERE px = ?"},
        // Rows that are equal, once.
        {"SELECT sym FROM ord WHERE acc = ? OR other = ?",
         "SELECT sym FROM ord WHERE acc = ? UNION SELECT sym FROM ord WHERE other = ?"},
        // NULL in the first branch's condition.
        {"SELECT id FROM ord WHERE px = ? OR sym = ?",
         "SELECT id FROM ord WHERE px = ? UNION ALL SELECT id FROM ord WHERE sym = ? AND NOT (px = "
         "7)"},
        {"SELECT DISTINCT kind FROM acc", "SELECT kind FROM acc"},
        // A group that is not there counts nothing, not NULL.
        {"SELECT a.id, (SELECT count(*) FROM ord o WHERE o.acc = a.id) FROM acc a",
         "WITH r AS (SELECT acc AS k, count(*) AS v FROM ord GROUP BY acc) SELECT a.id, r.v FROM "
         "acc "
         "a LEFT JOIN r ON r.k = a.id"},
        {"SELECT a.id, (SELECT sum(o.px) FROM ord o WHERE o.acc = a.id) FROM acc a",
         "WITH r AS (SELECT acc AS k, sum(px) AS v FROM ord GROUP BY acc) SELECT a.id, r.v FROM "
         "acc "
         "a JOIN r ON r.k = a.id"},
        {"SELECT id, px FROM ord ORDER BY px", "SELECT id, px FROM ord ORDER BY px DESC"},
        {"SELECT id FROM ord WHERE px <> 3", "SELECT id FROM ord WHERE px < 3 OR px > 4"},
    };
    for (const auto& [before, after] : wrong) {
        INFO(before << " -> " << after);
        const Evidence evidence = f.compare(before, after);
        CHECK_FALSE(evidence.holds);
        CHECK_FALSE(evidence.counterexample.empty());
    }
}

TEMPLATE_TEST_CASE(
    "rewritings that are right stand the comparison and leave the copy as it was",
    "[advisor][rewrite][S9]",
    TENON_STORAGE_BACKENDS
) {
    Fixture<TestType> f;
    INFO("seed " << Catch::rngSeed());
    const std::vector<std::pair<std::string, std::string>> right{
        {"SELECT id FROM acc WHERE id NOT IN (SELECT acc FROM ord)",
         "SELECT id FROM acc WHERE NOT EXISTS (SELECT 1 FROM ord WHERE ord.acc = acc.id)"},
        {"SELECT id, px FROM ord WHERE px = ? OR sym = ? ORDER BY px",
         "SELECT id, px FROM ord WHERE px = ? UNION ALL SELECT id, px FROM ord WHERE sym = ? AND "
         "px "
         "IS NULL ORDER BY 2"},
        {"SELECT sym, count(*) FROM ord GROUP BY sym ORDER BY sym",
         "SELECT o.sym, count(o.id) FROM ord o GROUP BY o.sym ORDER BY o.sym"},
    };
    const Evidence not_in = f.compare(right[0].first, right[0].second);
    CHECK(not_in.holds);
    CHECK(not_in.is_enough());
    // Looks right, and is not: a row with both.
    CHECK_FALSE(f.compare(right[1].first, right[1].second).holds);
    CHECK(f.compare(right[2].first, right[2].second).holds);
    std::int64_t rows = 0;
    f.storage().read(f.deadline(), [&](Session& s) {
        auto row = s.prepare("SELECT (SELECT count(*) FROM acc) + (SELECT count(*) FROM ord)");
        REQUIRE(row.step());
        rows = row.integer(0);
    });
    CHECK(rows == 4400);
}

TEMPLATE_TEST_CASE(
    "each rule gives the text that it is for",
    "[advisor][rewrite][S9]",
    TENON_STORAGE_BACKENDS
) {
    const Fixture<TestType> f;
    using Rules = std::vector<std::string>;
    CHECK(
        f.rules("SELECT id FROM ord WHERE px = 1 AND (sym = ? OR sym = ?)") ==
        Rules{"or_to_in: SELECT id FROM ord WHERE px = 1 AND sym IN (?, ?)"}
    );
    CHECK(
        f.rules("SELECT id, px FROM ord WHERE acc = ? OR sym = ? ORDER BY px DESC, id LIMIT 5") ==
        Rules{"or_to_union: SELECT id, px FROM ord WHERE (acc = ?) UNION ALL SELECT id, px FROM "
              "ord WHERE (sym = "
              "?) "
              "AND (acc = ?) IS NOT TRUE ORDER BY 2 DESC, 1"}
    );
    CHECK(
        f.rules("SELECT DISTINCT id, px FROM ord WHERE px > ?") ==
        Rules{"distinct_of_unique: SELECT id, px FROM ord WHERE px > ?"}
    );
    CHECK(
        f.rules("SELECT id FROM acc a WHERE (SELECT count(*) FROM ord WHERE ord.acc = a.id) = 0") ==
        Rules{"count_to_exists: SELECT id FROM acc a WHERE NOT EXISTS (SELECT 1 FROM ord WHERE "
              "ord.acc = a.id)"}
    );
    CHECK(
        f.rules(k_subquery) ==
        Rules{"subquery_to_cte: WITH tenon_r AS (SELECT o.other AS tenon_k, count(*) AS tenon_v "
              "FROM ord o WHERE "
              "o.px > ? "
              "GROUP BY o.other) SELECT a.id, coalesce(tenon_r.tenon_v, 0) AS n FROM acc AS a LEFT "
              "JOIN tenon_r ON tenon_r.tenon_k = \"a\".\"id\" WHERE a.kind < ?"}
    );
    CHECK(
        f.rules(k_repeated) ==
        Rules{
            "repeated_to_cte: WITH tenon_r(tenon_v) AS MATERIALIZED (SELECT avg(px) FROM ord) "
            "SELECT id FROM acc "
            "WHERE id < (SELECT tenon_v FROM tenon_r) AND id > (SELECT tenon_v FROM tenon_r) - 900"}
    );
    const auto hints = f.rules("WITH r AS (SELECT acc FROM ord) SELECT acc FROM r WHERE acc = ?");
    REQUIRE(hints.size() == 2);
    CHECK(hints[0].rfind("cte_materialized: WITH r AS MATERIALIZED (", 0) == 0);
    CHECK(hints[1].rfind("cte_inlined: WITH r AS NOT MATERIALIZED (", 0) == 0);
}

TEMPLATE_TEST_CASE(
    "what is not surely understood is not rewritten",
    "[advisor][rewrite][S9]",
    TENON_STORAGE_BACKENDS
) {
    const Fixture<TestType> f;
    for (const char* sql :
         {// Without an order, LIMIT gives any rows.
          "SELECT id FROM ord WHERE acc = ? OR sym = ? LIMIT 5",
          // Not the same for the same arguments.
          "SELECT id FROM ord WHERE acc = ? OR px = random()",
          "SELECT id FROM ord WHERE acc = nextval('x') OR sym = ?",
          "SELECT DISTINCT sym FROM ord",
          "SELECT DISTINCT id FROM ord, acc",
          "SELECT count(*) FROM ord WHERE acc = ? OR sym = ?",
          "SELECT id FROM ord WHERE acc = ? OR sym = ? UNION SELECT 1",
          "SELECT id, row_number() OVER (ORDER BY px) FROM ord WHERE acc = ? OR sym = ?",
          "UPDATE ord SET px = 1 WHERE acc = ? OR sym = ?",
          "DELETE FROM ord WHERE acc NOT IN (SELECT id FROM acc)",
          "SELECT id FROM ord WHERE acc = ? OR sym = ? FOR UPDATE",
          "SELECT id FROM acc WHERE id IN (SELECT acc FROM ord LIMIT 1)",
          // The inner table's name is the outer one's.
          "SELECT id FROM acc WHERE id NOT IN (SELECT id FROM acc WHERE kind = 1)",
          // Two columns outside of it.
          "SELECT a.id, (SELECT count(*) FROM ord o WHERE o.acc = a.id AND o.px = a.kind) FROM acc "
          "a",
          "SELECT *, (SELECT count(*) FROM ord o WHERE o.acc = a.id) FROM acc a",
          "WITH ord AS (SELECT 1 AS id) SELECT DISTINCT id FROM ord",
          "WITH RECURSIVE r(i) AS (SELECT 1) SELECT i FROM r",
          "SELECT",
          "SELECT (",
          ")",
          "",
          "SELECT id FROM",
          "WITH x AS ("}) {
        INFO(sql);
        const auto rules = f.rules(sql);
        for (const auto& rule : rules) {
            UNSCOPED_INFO(rule);
        }
        CHECK(rules.empty());
    }
}

TEMPLATE_TEST_CASE(
    "an unknown statement is refused, a known one is looked at alone",
    "[advisor][rewrite][S9]",
    TENON_STORAGE_BACKENDS
) {
    Fixture<TestType> f;
    RewriteLimits limits;
    limits.deadline_ns = f.deadline();
    limits.fingerprint = "0123456789abcdef";
    const RewriteAdvisor advisor{f.storage(), [&] { return f.host.reactor().now_ns(); }};
    CHECK_THROWS_AS(advisor.rewrites(limits), tenon::Error);
    limits.fingerprint = tenon::hex_of(tenon::normalise_sql(k_count).fingerprint);
    const RewriteAdvice one = advisor.rewrites(limits);
    CHECK(one.statements == 1);
    const RewriteAdvisor late{f.storage(), [] { return INT64_MAX; }};
    const RewriteAdvice none = late.rewrites(limits);
    CHECK_FALSE(none.complete);
    CHECK(none.proven.empty());
}
