// SPDX-License-Identifier: Apache-2.0
// Planted needs, and needs that only seem so: what the advisor finds, and what it leaves alone.
#include "plugins/storage/advisor/answer.hpp"
#include "tests/unit/storage/backend.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

using tenon::Json;
using tenon::Session;
using tenon::advisor::Advice;
using tenon::advisor::Advisor;
using tenon::advisor::Catalog;
using tenon::advisor::Index;
using tenon::advisor::Limits;
using tenon::advisor::read_shape;
using tenon::advisor::Shape;
using tenon::advisor::Table;
using tenon::advisor::Test;
using tenon::test::SqliteBackend;

namespace {

constexpr auto k_schema =
    "CREATE TABLE a (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, pad TEXT) STRICT;"
    "CREATE TABLE b (id INTEGER PRIMARY KEY, u INTEGER, g INTEGER, ts INTEGER, pad TEXT) STRICT;"
    "CREATE TABLE c (id INTEGER PRIMARY KEY, k INTEGER, v INTEGER, pad TEXT) STRICT;"
    "CREATE TABLE d (id INTEGER PRIMARY KEY, status TEXT, created INTEGER, pad TEXT) STRICT;"
    "CREATE TABLE e (id INTEGER PRIMARY KEY, m INTEGER, n INTEGER) STRICT;"
    "CREATE TABLE f (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a(id)) STRICT;"
    "CREATE TABLE w (id INTEGER PRIMARY KEY, sym TEXT, px INTEGER) STRICT;"
    "CREATE INDEX a_pad ON a(pad);"
    "CREATE INDEX e_m ON e(m);"
    "CREATE INDEX e_mn ON e(m, n);"
    "CREATE INDEX f_a ON f(a);"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 9999) "
    "INSERT INTO a SELECT i, i % 100, (i / 100) % 100, 'pad' FROM r;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 9999) "
    "INSERT INTO b SELECT i, i % 20, i % 7, i * 31 % 10007, 'pad' FROM r;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 9999) "
    "INSERT INTO c SELECT i, i % 10, i * 17 % 1000, 'pad' FROM r;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 9999) "
    "INSERT INTO d SELECT i, CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END, i * 13 % 5003, "
    "'pad' FROM r;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 1999) "
    "INSERT INTO e SELECT i, i % 50, i FROM r;";

constexpr auto k_composite = "SELECT pad FROM a WHERE x = ? AND y = ?";
constexpr auto k_descending = "SELECT pad FROM b WHERE u = ? ORDER BY g, ts DESC LIMIT 10";
constexpr auto k_covering = "SELECT v FROM c WHERE k = ?";
constexpr auto k_partial = "SELECT id FROM d WHERE status = 'open' ORDER BY created LIMIT 50";
constexpr auto k_indexed = "SELECT n FROM e WHERE m = ? AND n > ?";
constexpr auto k_rare = "SELECT px FROM w WHERE sym = ?";

struct Fixture : SqliteBackend {
    Fixture() {
        storage().write(deadline(), [](Session& s) { s.execute(k_schema); });
        // The log begins with what is planted, not with the planting.
        open();
        storage().write(deadline(), [](Session& s) {
            for (int i = 0; i < 4000; ++i) {
                s.prepare("INSERT INTO w(sym, px) VALUES (?, ?)")
                    .bind_all("S" + std::to_string(i % 40), i)
                    .run();
            }
        });
        storage().read(deadline(), [](Session& s) {
            for (int i = 0; i < 20; ++i) {
                s.prepare(k_composite).bind_all(i, i + 1).run();
                s.prepare(k_descending).bind_all(i).run();
                s.prepare(k_covering).bind_all(i % 10).run();
                s.prepare(k_partial).run();
                s.prepare(k_indexed).bind_all(i, i).run();
            }
            s.prepare(k_rare).bind_all("S1").run();
        });
    }

    Advisor advisor() {
        return Advisor{storage(), [this] { return host.reactor().now_ns(); }};
    }

    Advice advise() {
        Limits limits;
        limits.deadline_ns = deadline();
        return advisor().indexes(limits);
    }
};

std::string definition(const Index& index) {
    std::string out = index.table + "(";
    for (const auto& column : index.columns) {
        out += (out.back() == '(' ? "" : ",") + column.name + (column.descending ? " desc" : "");
    }
    return out + ")" + (index.where.empty() ? "" : " where " + index.where);
}

std::vector<std::string> proposed(const Advice& advice) {
    std::vector<std::string> out;
    for (const auto& proposal : advice.proposals) {
        out.push_back(definition(proposal.candidate.index));
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

TEST_CASE("every planted need is found and nothing harmful is proposed", "[advisor][S9]") {
    Fixture f;
    const Advice advice = f.advise();
    CHECK(advice.complete);
    const auto found = proposed(advice);
    INFO(tenon::advisor::json_of(advice, false));
    REQUIRE(found.size() == 4);
    CHECK((found[0] == "a(x,y)" || found[0] == "a(y,x)"));
    CHECK(found[1] == "b(u,g,ts desc)");
    CHECK(found[2] == "c(k,v)");
    CHECK(found[3] == "d(created) where \"status\" = 'open'");
    for (const auto& proposal : advice.proposals) {
        CHECK(proposal.read_work_after + proposal.write_work < proposal.read_work_before);
        CHECK(proposal.gain_ns > 0);
        CHECK(proposal.fingerprints.size() == 1);
    }
}

TEST_CASE("unused and redundant indexes are named, needed ones are not", "[advisor][S9]") {
    Fixture f;
    const Advice advice = f.advise();
    CHECK(advice.unused == std::vector<std::string>{"a_pad"});
    REQUIRE(advice.redundant.size() == 1);
    CHECK(advice.redundant[0].name == "e_m");
    CHECK(advice.redundant[0].by == "e_mn");
}

TEST_CASE("a search leaves the database as it was", "[advisor][S9]") {
    Fixture f;
    const auto schema = [&] {
        std::string all;
        f.storage().read(f.deadline(), [&](Session& s) {
            auto rows = s.prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name");
            while (rows.step()) {
                all += std::string{rows.text(0)} + ";";
            }
        });
        return all;
    };
    const std::string before = schema();
    (void)f.advise();
    CHECK(schema() == before);
    for (const auto& entry : std::filesystem::directory_iterator{f.folder.path()}) {
        CHECK(entry.path().string().find("clone") == std::string::npos);
    }
}

TEST_CASE("applied indexes serve their statements and can be withdrawn", "[advisor][S9]") {
    Fixture f;
    const Advice advice = f.advise();
    f.advisor().apply(advice.proposals, 5, f.deadline());
    f.storage().read(f.deadline(), [](Session& s) {
        for (const char* sql : {k_composite, k_descending, k_covering, k_partial}) {
            const std::string plan = s.plan(sql);
            INFO(plan);
            CHECK(plan.find("advised_") != std::string::npos);
            CHECK(plan.find("\"sort\"") == std::string::npos);
        }
    });
    CHECK(f.advise().proposals.empty());
    CHECK(f.advisor().weak(f.deadline()).empty());  // not enough calls since
    const std::string name = advice.proposals[0].candidate.index.name;
    CHECK_THROWS_AS(f.advisor().withdraw("nonsense", 6, f.deadline()), tenon::Error);
    f.advisor().withdraw(name, 6, f.deadline());
    f.storage().read(f.deadline(), [&](Session& s) {
        auto row = s.prepare(
            "SELECT (SELECT count(*) FROM sqlite_schema WHERE name = ?), withdrawn_real_ns FROM "
            "tenon_advised_indexes WHERE name = ?"
        );
        row.bind_all(name, name);
        REQUIRE(row.step());
        CHECK(row.integer(0) == 0);
        CHECK(row.integer(1) == 6);
    });
    CHECK_THROWS_AS(f.advisor().withdraw(name, 7, f.deadline()), tenon::Error);
}

TEST_CASE("an index without captured statements can be withdrawn", "[advisor][S9]") {
    Fixture f;
    Advice advice = f.advise();
    REQUIRE_FALSE(advice.proposals.empty());
    advice.proposals.resize(1);
    advice.proposals[0].fingerprints.clear();
    f.advisor().apply(advice.proposals, 5, f.deadline());
    CHECK_NOTHROW(f.advisor().withdraw(advice.proposals[0].candidate.index.name, 6, f.deadline()));
}

TEST_CASE("slower statements are told and their index stays", "[advisor][S9]") {
    Fixture f;
    Advice advice = f.advise();
    f.advisor().apply(advice.proposals, 5, f.deadline());
    f.storage().write(f.deadline(), [](Session& s) {
        // What another process counted, on a machine that took no time.
        s.execute("UPDATE tenon_advised_since SET since_real_ns = 1");
        s.execute("UPDATE tenon_advised_statements SET calls = 1000000, total_ns = 1");
    });
    CHECK(f.advisor().weak(f.deadline()).size() >= 1);
    f.storage().read(f.deadline(), [](Session& s) {
        CHECK(s.plan(k_covering).find("advised_") != std::string::npos);
    });
}

TEST_CASE("a search that may take no time tells that it is not complete", "[advisor][S9]") {
    Fixture f;
    Limits limits;
    limits.deadline_ns = f.deadline();
    const Advisor late{f.storage(), [] { return INT64_MAX; }};
    const Advice advice = late.indexes(limits);
    CHECK_FALSE(advice.complete);
    CHECK(advice.proposals.empty());
}

TEST_CASE("the shape of a statement is its conditions, order and columns", "[advisor][S9]") {
    Catalog catalog;
    catalog.tables.push_back({"orders", {"id", "account", "status", "price"}, "id", {}});
    catalog.tables.push_back({"users", {"id", "name"}, "id", {}});
    const Shape join = read_shape(
        "SELECT u.name, o.price FROM orders AS o JOIN users u ON u.id = o.account WHERE o.status = "
        "? AND o.price BETWEEN ? AND ? AND u.name IS NOT NULL ORDER BY o.price DESC, o.id LIMIT ?",
        catalog
    );
    REQUIRE(join.analysed);
    CHECK(join.marks == 4);
    REQUIRE(join.conditions.size() == 5);
    CHECK(join.conditions[0].table == "users");
    CHECK_FALSE(join.conditions[0].mark.has_value());
    CHECK(join.conditions[1].column == "account");
    CHECK(join.conditions[2].column == "status");
    CHECK(join.conditions[2].mark == 0U);
    CHECK(join.conditions[3].test == Test::range);
    CHECK(join.conditions[3].mark == 1U);
    CHECK(join.conditions[4].test == Test::not_null);
    REQUIRE(join.order.size() == 2);
    CHECK(join.order[0].descending);
    CHECK_FALSE(join.order[1].descending);

    const Shape update =
        read_shape("UPDATE orders SET status = ?, price = ? WHERE account = ?", catalog);
    CHECK(update.target == "orders");
    CHECK(update.changed == std::vector<std::string>{"status", "price"});
    REQUIRE(update.conditions.size() == 1);
    CHECK(update.conditions[0].mark == 2U);

    for (const char* other :
         {"SELECT id FROM orders WHERE status = ? OR price = ?",
          "SELECT id FROM strangers",
          "SELECT id FROM orders WHERE id IN (SELECT id FROM users)",
          "",
          "BEGIN",
          "WITH x AS (SELECT ?) SELECT id FROM orders"}) {
        INFO(other);
        CHECK_FALSE(read_shape(other, catalog).analysed);
    }
}

TEST_CASE("slow statements and plans are told as JSON", "[advisor][S9]") {
    Fixture f;
    const std::string statements = f.storage().statements();
    const Json slow = Json::parse(tenon::advisor::slow_of(statements));
    CHECK_FALSE(slow.find("costliest")->items().empty());
    const Json plans = Json::parse(tenon::advisor::plans_of(statements));
    CHECK(plans.find("plans")->items().size() >= 6);
    CHECK_NOTHROW(Json::parse(tenon::advisor::json_of(f.advise(), true)));
}
