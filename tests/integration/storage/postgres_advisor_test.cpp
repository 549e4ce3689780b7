// SPDX-License-Identifier: Apache-2.0
// Planted needs on PostgreSQL: what the advisor finds, what it leaves alone, and whether what it
// promised comes true.
#include "plugins/storage/advisor/answer.hpp"
#include "tests/integration/storage/postgres_backend.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <future>
#include <thread>

using tenon::Json;
using tenon::Session;
using tenon::advisor::Advice;
using tenon::advisor::Advisor;
using tenon::advisor::Index;
using tenon::advisor::Limits;
using tenon::test::PostgresBackend;

namespace {

constexpr auto k_schema =
    "CREATE TABLE a (id BIGINT PRIMARY KEY, x BIGINT, y BIGINT, pad TEXT);"
    "CREATE TABLE b (id BIGINT PRIMARY KEY, u BIGINT, g BIGINT, ts BIGINT, pad TEXT);"
    "CREATE TABLE c (id BIGINT PRIMARY KEY, k BIGINT, v BIGINT, pad TEXT);"
    "CREATE TABLE d (id BIGINT PRIMARY KEY, status TEXT, created BIGINT, pad TEXT);"
    "CREATE TABLE e (id BIGINT PRIMARY KEY, m BIGINT, n BIGINT);"
    "CREATE TABLE f (id BIGINT PRIMARY KEY, a BIGINT REFERENCES a(id));"
    "CREATE TABLE w (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sym TEXT, px BIGINT);"
    "CREATE INDEX a_pad ON a(pad);"
    "CREATE INDEX e_m ON e(m);"
    "CREATE INDEX e_mn ON e(m, n);"
    "CREATE INDEX f_a ON f(a);"
    "INSERT INTO a SELECT i, i % 100, (i / 100) % 100, 'pad' FROM generate_series(0, 9999) r(i);"
    "INSERT INTO b SELECT i, i % 20, i % 7, i * 31 % 10007, 'pad' FROM generate_series(0, 9999) "
    "r(i);"
    "INSERT INTO c SELECT i, i % 10, i * 17 % 1000, 'pad' FROM generate_series(0, 9999) r(i);"
    "INSERT INTO d SELECT i, CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END, i * 13 % 5003, "
    "'pad' FROM generate_series(0, 9999) r(i);"
    "INSERT INTO e SELECT i, i % 50, i FROM generate_series(0, 1999) r(i);";

constexpr auto k_composite = "SELECT pad FROM a WHERE x = ? AND y = ?";
constexpr auto k_descending = "SELECT pad FROM b WHERE u = ? ORDER BY g, ts DESC LIMIT 10";
constexpr auto k_covering = "SELECT v FROM c WHERE k = ?";
constexpr auto k_partial = "SELECT id FROM d WHERE status = 'open' ORDER BY created LIMIT 50";
constexpr auto k_indexed = "SELECT n FROM e WHERE m = ? AND n > ?";
constexpr auto k_rare = "SELECT px FROM w WHERE sym = ?";

struct Fixture : PostgresBackend {
    Fixture() {
        storage().write(deadline(), [](Session& s) { s.execute(k_schema); });
        storage().lease(TENON_INTENT_WRITE, deadline())->execute("VACUUM ANALYZE");
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
        wait_for_plans();
    }

    // They are looked up beside the work.
    void wait_for_plans(std::size_t least = 7) {
        const std::int64_t until_ns = deadline();
        for (bool all = false; !all;) {
            REQUIRE(host.reactor().now_ns() < until_ns);
            const Json told = Json::parse(storage().statements());
            std::size_t planned = 0;
            for (const Json& one : told.find("statements")->items()) {
                const std::string& sql = one.find("sql")->text();
                const bool is_ours = sql.find("pg_") == std::string::npos;
                planned += is_ours && one.find("plan")->is(Json::Kind::object) &&
                                   !one.find("tables")->items().empty()
                               ? 1U
                               : 0U;
            }
            all = planned >= least;
            std::this_thread::yield();
        }
    }

    Advisor advisor() {
        return Advisor{storage(), [this] { return host.reactor().now_ns(); }};
    }

    Advice advise() {
        Limits limits;
        limits.deadline_ns = deadline();
        return advisor().indexes(limits);
    }

    std::int64_t count(const std::string& sql) {
        std::int64_t count = -1;
        storage().read(deadline(), [&](Session& s) {
            auto row = s.prepare(sql);
            REQUIRE(row.step());
            count = row.integer(0);
        });
        return count;
    }

    std::int64_t indexes() {
        return count("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'");
    }
};

std::string definition(const Index& index) {
    std::string out = index.table + "(";
    for (const auto& column : index.columns) {
        out += (out.back() == '(' ? "" : ",") + column.name + (column.descending ? " desc" : "");
    }
    out += ")";
    for (const auto& column : index.included) {
        out += " include " + column;
    }
    return out + (index.where.empty() ? "" : " where " + index.where);
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

TEST_CASE(
    "every need planted on PostgreSQL is found and nothing harmful proposed",
    "[postgres][advisor][S9]"
) {
    Fixture f;
    const std::int64_t before = f.indexes();
    const Advice advice = f.advise();
    CHECK(advice.complete);
    INFO(tenon::advisor::json_of(advice, false));
    const auto found = proposed(advice);
    REQUIRE(found.size() == 4);
    CHECK((found[0] == "a(x,y)" || found[0] == "a(y,x)"));
    CHECK(found[1] == "b(u,g,ts desc)");
    CHECK(found[2] == "c(k) include v");
    CHECK(found[3] == "d(created) include id where \"status\" = 'open'");
    for (const auto& proposal : advice.proposals) {
        CHECK(proposal.read_work_after + proposal.write_work < proposal.read_work_before);
        CHECK(proposal.gain_ns > 0);
        CHECK(proposal.fingerprints.size() == 1);
    }
    CHECK(advice.unused == std::vector<std::string>{"a_pad"});
    REQUIRE(advice.redundant.size() == 1);
    CHECK(advice.redundant[0].name == "e_m");
    CHECK(advice.redundant[0].by == "e_mn");
    CHECK(f.indexes() == before);
    CHECK(
        PostgresBackend::server().execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE '%clone%'"
        ) == "0"
    );
}

TEST_CASE("what is applied on PostgreSQL gains what was predicted", "[postgres][advisor][S9]") {
    Fixture f;
    const Advice advice = f.advise();
    const auto applied = f.advisor().apply(advice.proposals, 5, f.deadline());
    REQUIRE(applied.size() == 4);
    for (std::size_t i = 0; i < applied.size(); ++i) {
        INFO(definition(advice.proposals[i].candidate.index));
        CAPTURE(applied[i].work_before, applied[i].work_after, advice.proposals[i].sample_work);
        CHECK(applied[i].is_kept);
        CHECK(applied[i].work_after <= 2 * advice.proposals[i].sample_work);
        CHECK(advice.proposals[i].sample_work <= 2 * applied[i].work_after);
    }
    f.storage().read(f.deadline(), [](Session& s) {
        for (const char* sql : {k_composite, k_descending, k_covering, k_partial}) {
            const std::string plan = s.plan(sql);
            INFO(plan);
            CHECK(plan.find("advised_") != std::string::npos);
            CHECK(plan.find("\"sort\"") == std::string::npos);
        }
    });
    CHECK(f.advise().proposals.empty());
    const std::string name = advice.proposals[0].candidate.index.name;
    CHECK_THROWS_AS(f.advisor().withdraw("nonsense", 6, f.deadline()), tenon::Error);
    const std::int64_t before = f.indexes();
    f.advisor().withdraw(name, 6, f.deadline());
    CHECK(f.indexes() == before - 1);
    CHECK_THROWS_AS(f.advisor().withdraw(name, 7, f.deadline()), tenon::Error);
}

TEST_CASE("an index that does not gain on PostgreSQL is gone again", "[postgres][advisor][S9]") {
    Fixture f;
    Advice advice = f.advise();
    REQUIRE(advice.proposals.size() == 4);
    advice.proposals.resize(1);
    // Another column than the one that was tried.
    Index& index = advice.proposals[0].candidate.index;
    index.name = "tenon_advised_0123456789abcdef";
    index.columns = {{"id", true}};
    index.included.clear();
    index.where.clear();
    advice.proposals[0].sql = tenon::advisor::postgres_dialect().create_sql(index, true);
    const std::int64_t before = f.indexes();
    const auto applied = f.advisor().apply(advice.proposals, 5, f.deadline());
    REQUIRE(applied.size() == 1);
    CHECK_FALSE(applied[0].is_kept);
    CHECK(f.indexes() == before + 3);  // the primary keys of what is noted of applied ones
    CHECK_THROWS_AS(
        f.advisor().withdraw("tenon_advised_0123456789abcdef", 6, f.deadline()), tenon::Error
    );
    CHECK_THAT(
        tenon::advisor::json_of(advice, true, applied),
        Catch::Contains("tenon_advised_0123456789abcdef")
    );
}

TEST_CASE(
    "servers that apply at once leave every index that gains, noted",
    "[postgres][advisor][S9]"
) {
    Fixture f;
    const Advice advice = f.advise();
    REQUIRE(advice.proposals.size() == 4);
    const auto apply = [&] {
        for (const std::int64_t until_ns = f.deadline(); f.host.reactor().now_ns() < until_ns;) {
            try {
                return f.advisor().apply(advice.proposals, 5, f.deadline());
            } catch (const tenon::Error& e) {
                if (e.code() != TENON_UNAVAILABLE) {
                    throw;
                }
            }
            std::this_thread::yield();
        }
        return std::vector<tenon::advisor::Applied>{};
    };
    auto other = std::async(std::launch::async, apply);
    const auto mine = apply();
    const auto theirs = other.get();
    REQUIRE(mine.size() == 4);
    REQUIRE(theirs.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(mine[i].is_kept);
        CHECK(theirs[i].is_kept);
    }
    CHECK(
        f.count("SELECT count(*) FROM pg_indexes WHERE indexname ~ '^tenon_advised_[0-9a-f]{16}$'"
        ) == 4
    );
    CHECK(
        f.count("SELECT count(*) FROM tenon_advised_indexes WHERE withdrawn_real_ns IS NULL") == 4
    );
}

TEST_CASE("a server that applies keeps another one from it", "[postgres][advisor][S9]") {
    Fixture f;
    tenon::Lease busy = f.storage().lease(TENON_INTENT_WRITE, f.deadline());
    REQUIRE(tenon::advisor::postgres_dialect().try_lock(*busy));
    CHECK_THROWS_WITH(f.advisor().apply({}, 5, f.deadline()), Catch::Contains("another server"));
    tenon::advisor::postgres_dialect().unlock(*busy);
    CHECK_NOTHROW(f.advisor().apply({}, 5, f.deadline()));
}

TEST_CASE("what a killed server left is noted, or goes", "[postgres][advisor][S9]") {
    Fixture f;
    Advice advice = f.advise();
    REQUIRE(advice.proposals.size() == 4);
    const std::string good = advice.proposals[0].candidate.index.name;
    const std::string useless = "tenon_advised_0123456789abcdef";
    const std::string broken = "tenon_advised_fedcba9876543210";
    f.storage().write(f.deadline(), [&](Session& s) {
        // The same index, not built beside running work.
        s.execute(tenon::advisor::postgres_dialect().create_sql(
            advice.proposals[0].candidate.index, false
        ));
        s.execute("CREATE INDEX " + useless + " ON a(pad DESC, id)");
        s.execute("CREATE INDEX " + broken + " ON b(pad)");
        s.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '" + broken + "'::regclass"
        );
    });
    const auto applied = f.advisor().apply({}, 5, f.deadline());
    REQUIRE(applied.size() == 2);
    for (const auto& one : applied) {
        CAPTURE(one.name, one.work_before, one.work_after);
        CHECK(one.is_adopted);
        CHECK(one.is_kept == (one.name == good));
    }
    CHECK_THAT(
        tenon::advisor::json_of(advice, true, applied), Catch::Contains("\"adopted\":[\"" + good)
    );
    CHECK(
        f.count("SELECT count(*) FROM pg_indexes WHERE indexname ~ '^tenon_advised_[0-9a-f]{16}$'"
        ) == 1
    );
    CHECK(f.advisor().apply({}, 5, f.deadline()).empty());
    CHECK_NOTHROW(f.advisor().withdraw(good, 6, f.deadline()));
    CHECK(f.count("SELECT count(*) FROM pg_indexes WHERE indexname = '" + good + "'") == 0);
}

TEST_CASE(
    "what an index carries along costs the writes that change it",
    "[postgres][advisor][S9]"
) {
    Fixture f;
    f.storage().write(f.deadline(), [](Session& s) {
        for (int i = 0; i < 4000; ++i) {
            s.prepare("UPDATE c SET v = ? WHERE id = ?").bind_all(i, i).run();
        }
    });
    const Advice advice = f.advise();
    INFO(tenon::advisor::json_of(advice, false));
    const auto found = proposed(advice);
    CHECK(std::count(found.begin(), found.end(), "c(k) include v") == 0);
    CHECK(std::count(found.begin(), found.end(), "c(k)") == 1);
}

TEST_CASE("columns that no index can hold do not end the advice", "[postgres][advisor][S9]") {
    Fixture f;
    f.storage().write(f.deadline(), [](Session& s) {
        s.execute(
            "CREATE TABLE news (id BIGINT PRIMARY KEY, source BIGINT, title TEXT, body TEXT, doc "
            "JSON);"
            "INSERT INTO news SELECT i, i % 100, 'title', repeat(md5(i::text), 20), '{}' FROM "
            "generate_series(0, 4999) r(i)"
        );
    });
    f.storage().lease(TENON_INTENT_WRITE, f.deadline())->execute("VACUUM ANALYZE news");
    f.open();
    f.storage().read(f.deadline(), [](Session& s) {
        for (int i = 0; i < 20; ++i) {
            s.prepare("SELECT title FROM news WHERE source = ?").bind_all(i).run();
            s.prepare("SELECT id FROM news WHERE body = ?").bind_all("none").run();
            s.prepare("SELECT id FROM news WHERE doc IS NULL").run();
        }
    });
    f.wait_for_plans(3);
    const Advice advice = f.advise();
    INFO(tenon::advisor::json_of(advice, false));
    CHECK(advice.complete);
    CHECK(advice.skipped >= 1);
    // Not with the title, which may be long one day, nor on the body, which is.
    CHECK(proposed(advice) == std::vector<std::string>{"news(source)"});
}
