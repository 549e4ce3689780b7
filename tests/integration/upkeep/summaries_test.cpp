// SPDX-License-Identifier: Apache-2.0
// The daily summaries on both dialects at once, and on PostgreSQL under concurrent writers.
#include "tests/unit/upkeep/summaries.hpp"

#include "plugins/storage/upkeep/rounds.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using Catch::Contains;
using tenon::Session;
using tenon::test::PostgresBackend;
using tenon::test::SqliteBackend;
using tenon::test::Summaries;
using tenon::test::SummaryModel;

namespace {

template <class Backend>
void begin(Backend& backend) {
    tenon::test::shipped_schema(backend)->up();
    backend.storage().write(backend.deadline(), SummaryModel::prepare);
}

template <class Backend>
Summaries summaries(Backend& backend) {
    Summaries found;
    backend.storage().read(backend.deadline(), [&](Session& s) { found = tenon::test::kept(s); });
    return found;
}

template <class Backend>
tenon::upkeep::RoundContext context(Backend& backend) {
    return {backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }};
}

template <class Backend>
tenon::upkeep::Findings check(Backend& backend) {
    tenon::upkeep::ViewsRound round{context(backend)};
    while (round.step()) {}
    return round.findings();
}

// Closed trades of user 1 on one day: what every writer of the test adds to.
void insert_trades(Session& s, std::int64_t count, std::int64_t user) {
    for (std::int64_t i = 0; i < count; ++i) {
        s.prepare(
             "INSERT INTO trade_logs (user_id, exchange, account_type, instrument, side, "
             "quantity, entry_price, entry_real_ns, exit_price, exit_real_ns, pnl, "
             "exit_reason) VALUES (?, 'x', 'real', 0, 0, 5, 100, 0, 110, ?, 3, 'signal')"
        )
            .bind_all(user, 5 + i)
            .run();
    }
}

}  // namespace

TEST_CASE("both dialects keep the same summaries of the same writes", "[upkeep][S10][T7]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    SqliteBackend sqlite;
    PostgresBackend postgres;
    begin(sqlite);
    begin(postgres);
    SummaryModel model{seed};
    for (int i = 0; i < 300; ++i) {
        const std::string sql = model.next();
        CAPTURE(i, sql);
        sqlite.storage().write(sqlite.deadline(), [&](Session& s) { s.execute(sql); });
        postgres.storage().write(postgres.deadline(), [&](Session& s) { s.execute(sql); });
        const Summaries a = summaries(sqlite);
        REQUIRE(a == summaries(postgres));
        REQUIRE(a == model.sums());
    }
    CHECK(check(sqlite).different == 0);
    CHECK(check(postgres).different == 0);
}

TEST_CASE("writers of one user's day lose nothing and do not block for good", "[upkeep][S10]") {
    constexpr int k_writers = 16, k_each = 40;
    for (const char* isolation : {"serializable", "read committed"}) {
        CAPTURE(isolation);
        PostgresBackend backend{[&](tenon::postgres::Settings& s) { s.isolation = isolation; }};
        begin(backend);
        std::atomic<int> failed{0};
        std::vector<std::thread> writers;
        for (int w = 0; w < k_writers; ++w) {
            writers.emplace_back([&, w] {
                for (int i = 0; i < k_each; ++i) {
                    try {
                        // Users in different orders, as it leads to deadlocks where rows are
                        // shared.
                        backend.storage().write(backend.deadline(), [&](Session& s) {
                            insert_trades(s, 1, 1 + (w + i) % 2);
                            insert_trades(s, 1, 1 + (w + i + 1) % 2);
                        });
                    } catch (const tenon::Error&) {
                        ++failed;
                    }
                }
            });
        }
        for (std::thread& writer : writers) {
            writer.join();
        }
        CHECK(failed == 0);
        const Summaries found = summaries(backend);
        REQUIRE(found.performance.size() == 2);
        for (const auto& [key, sums] : found.performance) {
            CHECK(sums.front() == k_writers * k_each);
        }
        CHECK(check(backend).different == 0);
    }
}

TEST_CASE("a rebuild beside writers keeps what they count", "[upkeep][S10]") {
    PostgresBackend backend;
    begin(backend);
    std::atomic<bool> done{false};
    std::atomic<int> failed{0};
    std::vector<std::thread> writers;
    for (int w = 0; w < 4; ++w) {
        writers.emplace_back([&, w] {
            for (int i = 0; i < 60; ++i) {
                try {
                    backend.storage().write(backend.deadline(), [&](Session& s) {
                        insert_trades(s, 2, 1 + w % 2);
                    });
                } catch (const tenon::Error&) {
                    ++failed;
                }
            }
        });
    }
    std::thread rebuilder{[&] {
        while (!done) {
            try {
                (void)tenon::upkeep::rebuild_views(context(backend), [] { return false; });
            } catch (const tenon::Error&) {
                ++failed;
            }
        }
    }};
    for (std::thread& writer : writers) {
        writer.join();
    }
    done = true;
    rebuilder.join();
    CHECK(failed == 0);
    CHECK(check(backend).different == 0);
    CHECK(summaries(backend).performance.begin()->second.front() == 240);
}

TEST_CASE("bulk inserts and TRUNCATE are counted", "[upkeep][S10][S5]") {
    PostgresBackend backend;
    begin(backend);
    constexpr std::size_t k_rows = 1000;
    const std::vector<tenon_str> columns{
        tenon::str("source"),
        tenon::str("external_id"),
        tenon::str("title"),
        tenon::str("sentiment_score"),
        tenon::str("published_real_ns"),
        tenon::str("fetched_real_ns")};
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < k_rows; ++i) {
        ids.push_back(std::to_string(i));
    }
    std::vector<tenon_value> values;
    for (std::size_t i = 0; i < k_rows; ++i) {
        for (const tenon_value& value :
             {tenon::value_of("s"),
              tenon::value_of(ids[i]),
              tenon::value_of("t"),
              tenon::value_of(-7),
              tenon::value_of(i % 2 == 0 ? 5 : tenon::upkeep::k_day_ns),
              tenon::value_of(0)}) {
            values.push_back(value);
        }
    }
    backend.storage().write(backend.deadline(), [&](Session& s) {
        s.bulk_insert("news_items", columns, values);
    });
    const Summaries found = summaries(backend);
    CHECK(found.sentiment.size() == 2);
    CHECK(found.sentiment.at("|0|") == std::vector<std::int64_t>{500, -3500});
    CHECK(check(backend).different == 0);
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("TRUNCATE news_items");
    });
    CHECK(summaries(backend).sentiment.empty());
}
