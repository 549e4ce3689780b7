// SPDX-License-Identifier: Apache-2.0
// Normalised SQL, the latency histogram and the log of statements.
#include <tenon/statement_log.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <thread>

using tenon::Json;
using tenon::LatencyHistogram;
using tenon::normalise_sql;
using tenon::StatementLog;

namespace {

std::string text_of(std::string_view sql) {
    return normalise_sql(sql).text;
}

Json statements_of(const StatementLog& log) {
    return Json::parse(log.to_json());
}

const Json& first_of(const Json& answer) {
    return answer.find("statements")->items().at(0);
}

std::uint64_t number(const Json& statement, std::string_view key) {
    return statement.find(key)->integer<std::uint64_t>();
}

}  // namespace

TEST_CASE("texts that differ in values, space, comments and case are one", "[statements][S9]") {
    const auto one = normalise_sql("SELECT a, b FROM t WHERE id = 7 AND name = 'x''y'");
    for (const char* other :
         {"select a,b from T where id=? and name=?",
          "SELECT a , b\n\tFROM t -- why\n WHERE id=-12.5e-3 AND name=E'a\\'b'",
          "SELECT a, b /* all /* of */ it */ FROM t WHERE id = $1 AND name = $$it's$$;",
          "SELECT a, b FROM t WHERE id = :id AND name = @name",
          "SELECT a, b FROM t WHERE id = ?1 AND name = X'00ff' ;"}) {
        INFO(other);
        CHECK(normalise_sql(other).fingerprint == one.fingerprint);
    }
    CHECK(one.text == "SELECT a, b FROM t WHERE id = ? AND name = ?");
    for (const char* other :
         {"SELECT a, c FROM t WHERE id = 7 AND name = 'x'",
          "SELECT a, b FROM t WHERE id > 7 AND name = 'x'",
          "SELECT a, b FROM \"T\" WHERE id = 7 AND name = 'x'"}) {
        INFO(other);
        CHECK(normalise_sql(other).fingerprint != one.fingerprint);
    }
}

TEST_CASE("lists and rows of values have one length", "[statements][S9]") {
    CHECK(text_of("select 1 from t where a in (1, 2,3)") == "select ? from t where a in (?)");
    CHECK(
        text_of("INSERT INTO t(a,b) VALUES (1,'x'), (2,'y'), (?,?)") ==
        "INSERT INTO t(a, b) VALUES (?, ?)"
    );
    // A call is no list, and rows of another length stay.
    CHECK(text_of("select f(1,2), f(3)") == "select f(?, ?), f(?)");
    CHECK(text_of("VALUES (1,2), (3)") == "VALUES (?, ?), (?)");
}

TEST_CASE("operators, casts, quotes and signs keep their meaning", "[statements][S9]") {
    CHECK(text_of("a->>'k'||b::int<>-1") == "a ->> ? || b::int <> ?");
    CHECK(
        text_of("select -1, a-1, a - -1, count(*), t.*") == "select ?, a - ?, a - ?, count(*), t.*"
    );
    CHECK(
        text_of("select \"a ' b\", `c`, x'01' from \"o\"\"k\"") ==
        "select \"a ' b\", `c`, ? from \"o\"\"k\""
    );
    CHECK(text_of("a1 = 1 and b = .5 and c=0x1F") == "a1 = ? and b = ? and c = ?");
    CHECK(text_of("x = $tag$ $1 ' $tag$ and y") == "x = ? and y");
}

TEST_CASE("no text brings the normaliser out of step", "[statements][S9]") {
    for (const char* odd :
         {"",  "'",  "\"",  "/*",   "--", "$",    "$a", "$$", "?",        ":",
          "(", "(?", "(?,", "e'\\", "x'", "in (", "1e", "-",  "\x01\x7f", "\xff\xfe"}) {
        INFO(odd);
        CHECK(text_of(odd).size() <= 8);
    }
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    constexpr std::string_view k_pieces = "aZ_09 '\"`$?:.,;()[]-+*/<>=|!@#\n\\xeE\xc3\xa4";
    for (int round = 0; round < 20'000; ++round) {
        std::string sql;
        for (auto i = random() % 40; i > 0; --i) {
            sql.push_back(k_pieces[random() % k_pieces.size()]);
        }
        const auto once = normalise_sql(sql);
        INFO(sql);
        REQUIRE(normalise_sql(sql).text == once.text);
        for (const char c : once.text) {
            REQUIRE(static_cast<unsigned char>(c) < 0x80);
        }
    }
}

TEST_CASE("a long text is cut and keeps its fingerprint apart", "[statements][S9]") {
    const std::string columns(20'000, 'a');
    const auto one = normalise_sql("select " + columns + " from t");
    const auto two = normalise_sql("select " + columns + " from u");
    CHECK(one.text.size() == tenon::NormalSql::k_text_max);
    CHECK(one.text == two.text);
    CHECK(one.fingerprint != two.fingerprint);
}

TEST_CASE("percentiles are within a sixteenth", "[statements][S9]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    std::vector<std::int64_t> values;
    LatencyHistogram histogram;
    for (int i = 0; i < 20'000; ++i) {
        const double exponent = 3.0 + static_cast<double>(random() % 8'000'000) / 1e6;
        values.push_back(static_cast<std::int64_t>(std::pow(10.0, exponent)));
        histogram.record(values.back());
    }
    std::sort(values.begin(), values.end());
    const auto counts = histogram.counts();
    CHECK(LatencyHistogram::total(counts) == values.size());
    for (const double share : {0.01, 0.5, 0.95, 0.99, 1.0}) {
        const auto rank = static_cast<std::size_t>(std::ceil(share * 20'000)) - 1;
        const auto truth = static_cast<double>(values[rank]);
        const auto found = static_cast<double>(LatencyHistogram::percentile_ns(counts, share));
        CHECK(found == Approx(truth).epsilon(0.0626).margin(64));
    }
    for (const std::int64_t edge : {std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
        histogram.record(edge);
    }
    CHECK(LatencyHistogram::total(histogram.counts()) == values.size() + 3);
    CHECK(LatencyHistogram::percentile_ns({}, 0.5) == 0);
}

TEST_CASE("a statement is told with all its figures", "[statements][S9]") {
    StatementLog log{42};
    const std::vector<std::string> tables{"orders", "accounts"};
    auto handle = log.open("SELECT a FROM orders WHERE id = 7", false, tables);
    handle.record({.duration_ns = 1'000'000, .rows = 3, .real_ns = 5});
    handle.record({.duration_ns = 3'000'000, .rows = 1, .real_ns = 9, .failed = true, .slow = true}
    );
    const Json answer = statements_of(log);
    CHECK(answer.find("since_real_ns")->integer<int>() == 42);
    CHECK(answer.find("dropped")->integer<int>() == 0);
    const Json& one = first_of(answer);
    CHECK(one.find("sql")->text() == "SELECT a FROM orders WHERE id = ?");
    CHECK(one.find("fingerprint")->text() == tenon::hex_of(handle.fingerprint()));
    CHECK(number(one, "calls") == 2);
    CHECK(number(one, "rows") == 4);
    CHECK(number(one, "errors") == 1);
    CHECK(number(one, "slow") == 1);
    CHECK(number(one, "total_ns") == 4'000'000);
    CHECK(number(one, "max_ns") == 3'000'000);
    CHECK(number(one, "last_real_ns") == 9);
    CHECK_FALSE(one.find("writes")->boolean());
    CHECK(one.find("tables")->items().size() == 2);
    CHECK(static_cast<double>(number(one, "p50_ns")) == Approx(1e6).epsilon(0.0626));
    CHECK(number(one, "p99_ns") <= 3'000'000);
}

TEST_CASE("the costliest come first and the least costly are dropped", "[statements][S9]") {
    StatementLog log{0, {.statements = 4, .slow = 2}};
    std::vector<StatementLog::Handle> handles;
    for (int i = 0; i < 8; ++i) {
        handles.push_back(log.open("select c" + std::to_string(i) + " from t", false, {}));
        handles.back().record({.duration_ns = 1000 * (i == 0 ? 100 : i)});
    }
    Json answer = statements_of(log);
    CHECK(answer.find("statements")->items().size() == 4);
    CHECK(answer.find("dropped")->integer<int>() == 4);
    CHECK(first_of(answer).find("sql")->text() == "select c0 from t");
    // One that was dropped comes back when it runs, with what it had.
    handles[1].record({.duration_ns = 1'000'000});
    answer = statements_of(log);
    CHECK(answer.find("statements")->items().size() == 4);
    CHECK(first_of(answer).find("sql")->text() == "select c1 from t");
    CHECK(number(first_of(answer), "calls") == 2);
    CHECK(log.dropped() == 5);
}

TEST_CASE("slow statements are kept in a ring, without values", "[statements][S9]") {
    StatementLog log{0, {.statements = 4, .slow = 2}};
    auto handle = log.open("select a from t where secret = 'hunter2'", false, {});
    for (int i = 1; i <= 3; ++i) {
        handle.note_slow(i * 1000, i);
    }
    const std::string json = log.to_json();
    CHECK(json.find("hunter2") == std::string::npos);
    const Json answer = Json::parse(json);
    const auto& slow = answer.find("slow")->items();
    REQUIRE(slow.size() == 2);
    CHECK(number(slow[0], "real_ns") == 3);
    CHECK(number(slow[1], "duration_ns") == 2000);
    CHECK(slow[0].find("sql")->text() == "select a from t where secret = ?");
}

TEST_CASE(
    "a literal is told only when it never changed and looks like a word",
    "[statements][S9]"
) {
    StatementLog log{0};
    const auto run = [](StatementLog::Handle handle, int times) {
        for (int i = 0; i < times; ++i) {
            handle.record({.duration_ns = 1});
        }
    };
    auto open = log.open("select a from o where s = 'open' and n = 'alice' and b = ?", false, {});
    run(open, 10);
    CHECK(first_of(statements_of(log)).find("constants")->items().empty());
    run(log.open("select a from o where s='open' and n='bob' and b = 5", false, {}), 10);
    const Json answer = statements_of(log);
    const auto& constants = first_of(answer).find("constants")->items();
    REQUIRE(constants.size() == 1);
    CHECK(constants[0].find("at")->integer<int>() == 0);
    CHECK(constants[0].find("value")->text() == "'open'");

    StatementLog other{0};
    run(other.open("select a from o where key = 'k:9f/xx' and n = 12345", false, {}), 100);
    CHECK(first_of(statements_of(other)).find("constants")->items().empty());
}

TEST_CASE("another plan of one text is a change, of another text it is not", "[statements][S9]") {
    StatementLog log{0};
    auto open = log.open("select a from o where s = 'open'", false, {});
    auto done = log.open("select a from o where s = 'done'", false, {});
    CHECK_FALSE(open.has_plan());
    CHECK_FALSE(open.note_plan(1, "{\"hash\":\"1\"}", 10));
    CHECK(open.has_plan());
    CHECK_FALSE(done.has_plan());
    CHECK_FALSE(done.note_plan(2, "{\"hash\":\"2\"}", 11));
    CHECK_FALSE(open.note_plan(1, "{\"hash\":\"1\"}", 12));
    CHECK(log.plan_changes() == 0);
    CHECK(open.note_plan(3, "{\"hash\":\"3\"}", 13));
    CHECK(log.plan_changes() == 1);
    const Json answer = statements_of(log);
    const Json& one = first_of(answer);
    CHECK(one.find("plan")->find("hash")->text() == "3");
    CHECK(one.find("plan_before")->find("hash")->text() == "1");
    CHECK(number(one, "plan_changed_real_ns") == 13);
}

TEST_CASE("threads record and read at once and nothing is lost", "[statements][S9]") {
    StatementLog log{0, {.statements = 8, .slow = 4}};
    constexpr int k_threads = 4;
    constexpr int k_calls = 5000;
    std::atomic<int> running{k_threads};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            auto common = log.open("select common from t", false, {});
            for (int i = 0; i < k_calls; ++i) {
                common.record({.duration_ns = 1'000'000, .rows = 1});
                if (i % 50 == 0) {
                    auto rare = log.open(
                        "select r" + std::to_string(t) + "_" + std::to_string(i), false, {}
                    );
                    rare.record({.duration_ns = 1});
                    rare.note_slow(1, i);
                    (void)rare.note_plan(static_cast<std::uint64_t>(i), "{}", i);
                }
            }
            running.fetch_sub(1);
        });
    }
    while (running.load() > 0) {
        REQUIRE(statements_of(log).find("statements")->items().size() <= 8);
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const Json answer = statements_of(log);
    CHECK(first_of(answer).find("sql")->text() == "select common from t");
    CHECK(number(first_of(answer), "calls") == k_threads * k_calls);
    CHECK(number(first_of(answer), "rows") == k_threads * k_calls);
}

TEST_CASE("while runs are not recorded, what was stays", "[statements][K8]") {
    StatementLog log{0};
    auto handle = log.open("SELECT a FROM t WHERE id = 1", false, {});
    handle.record({.duration_ns = 1000, .rows = 1});
    log.record_runs(false);
    handle.record({.duration_ns = 1000, .rows = 1});
    handle.note_slow(1000, 0);
    Json told = statements_of(log);
    CHECK(number(first_of(told), "calls") == 1);
    CHECK(told.find("slow")->items().empty());
    log.record_runs(true);
    handle.record({.duration_ns = 1000, .rows = 1});
    told = statements_of(log);
    CHECK(number(first_of(told), "calls") == 2);
}
