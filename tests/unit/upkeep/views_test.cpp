// SPDX-License-Identifier: Apache-2.0
// The daily summaries, kept by triggers: against a model, over random writes.
#include "plugins/storage/upkeep/rounds.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"
#include "tests/unit/upkeep/summaries.hpp"

#include <catch2/catch.hpp>

using Catch::Contains;
using tenon::Session;
using tenon::test::SchemaBackend;
using tenon::test::shipped_schema;
using tenon::test::Summaries;
using tenon::test::SummaryModel;
using tenon::upkeep::RoundContext;
using tenon::upkeep::ViewsRound;

namespace {

constexpr std::int64_t k_day = tenon::upkeep::k_day_ns;

struct Fixture : SchemaBackend {
    Fixture() {
        shipped_schema(*this)->up();
        storage().write(deadline(), SummaryModel::prepare);
    }

    void run(const std::string& sql) {
        storage().write(deadline(), [&](Session& s) { s.execute(sql); });
    }

    Summaries summaries() {
        Summaries found;
        storage().read(deadline(), [&](Session& s) { found = tenon::test::kept(s); });
        return found;
    }

    RoundContext context() {
        return {storage(), [this] { return host.reactor().now_ns(); }};
    }

    ViewsRound check() {
        ViewsRound round{context()};
        while (round.step()) {}
        return round;
    }
};

constexpr const char* k_closed_trade =
    "INSERT INTO trade_logs (user_id, exchange, account_type, instrument, side, quantity, "
    "entry_price, entry_real_ns, exit_price, exit_real_ns, pnl, exit_reason) VALUES "
    "(1, 'x', 'real', 0, 0, 5, 100, 0, 110, 86400000000005, 77, 'signal')";

}  // namespace

TEST_CASE("after every write the summaries are the sums of their rows", "[upkeep][S10]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    Fixture f;
    SummaryModel model{seed};
    for (int i = 0; i < 400; ++i) {
        const std::string sql = model.next();
        CAPTURE(i, sql);
        f.run(sql);
        REQUIRE(f.summaries() == model.sums());
        if (i % 50 == 0) {
            REQUIRE(f.check().findings().different == 0);
        }
    }
    CHECK(f.check().findings().keys > 10);
}

TEST_CASE("a write that is taken back leaves the summaries as they were", "[upkeep][S10]") {
    Fixture f;
    f.run(k_closed_trade);
    const Summaries before = f.summaries();
    CHECK(before.performance.size() == 1);
    CHECK_THROWS(f.storage().write(f.deadline(), [](Session& s) {
        s.execute(k_closed_trade);
        s.execute("DELETE FROM trade_logs WHERE id = 1");
        throw tenon::Error{TENON_INVALID, "no"};
    }));
    CHECK(f.summaries() == before);
}

TEST_CASE("rows from before the summaries are in them", "[upkeep][S10]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    Fixture f;
    SummaryModel model{seed};
    auto migrator = shipped_schema(f);
    const std::uint32_t latest = migrator->latest();
    migrator->down(2, true);
    CHECK_THROWS(f.summaries());
    for (int i = 0; i < 200; ++i) {
        f.run(model.next());
    }
    migrator->up();
    CHECK(migrator->version() == latest);
    CHECK(f.summaries() == model.sums());
    f.run(k_closed_trade);
    CHECK(f.check().is_ok());
}

TEST_CASE("a check names what differs, a rebuild mends it", "[upkeep][S10]") {
    Fixture f;
    f.run(k_closed_trade);
    f.run(
        "INSERT INTO news_items (source, external_id, symbol, title, sentiment_score, "
        "published_real_ns, fetched_real_ns) VALUES ('s', '1', 'BTC', 't', -30, 5, 5)"
    );
    const Summaries right = f.summaries();
    CHECK(
        f.check().json() ==
        R"({"ok":true,"days":2,"keys":2,"different":0,"unchecked":0,"differences":[]})"
    );
    f.run("UPDATE mv_portfolio_performance SET pnl_lo = pnl_lo + 1");
    f.run(
        "INSERT INTO mv_news_sentiment (symbol, day_real_ns, slot, news_count, score_sum) VALUES "
        "('ETH', 172800000000000, 3, 1, 4)"
    );
    const ViewsRound round = f.check();
    CHECK_FALSE(round.is_ok());
    REQUIRE(round.findings().different == 2);
    CHECK(round.findings().told[0].view == "mv_portfolio_performance");
    CHECK(round.findings().told[0].key == "day=1 user_id=1 account_type=real instrument=0");
    CHECK(round.findings().told[0].kept == "trade_count=1 pnl_hi=0 pnl_lo=78 return_sum=100000");
    CHECK(round.findings().told[0].rows == "trade_count=1 pnl_hi=0 pnl_lo=77 return_sum=100000");
    CHECK(round.findings().told[1].key == "day=2 symbol=ETH");
    CHECK_THAT(round.json(), Contains(R"("kept":"news_count=1 score_sum=4")"));
    CHECK(tenon::upkeep::rebuild_views(f.context(), [] { return false; }) == 3);
    CHECK(f.check().is_ok());
    CHECK(f.summaries() == right);
    f.run(k_closed_trade);  // what a rebuild wrote is added to as before
    CHECK(f.check().is_ok());
}

TEST_CASE("a check looks at a day by its indexes", "[upkeep][S10]") {
    Fixture f;
    if (f.storage().dialect() != "sqlite") {
        return;  // PostgreSQL chooses by size, and these tables are empty
    }
    f.storage().read(f.deadline(), [](Session& s) {
        const std::string plan = s.explain(
            "SELECT user_id FROM (SELECT user_id, 0 AS n FROM mv_portfolio_performance "
            "WHERE day_real_ns = ? UNION ALL SELECT user_id, return_sum "
            "FROM mv_portfolio_performance_rows WHERE exit_real_ns BETWEEN ? AND ?) GROUP BY "
            "user_id"
        );
        CAPTURE(plan);
        CHECK_THAT(plan, Contains("mv_portfolio_performance_day"));
        CHECK_THAT(plan, Contains("trade_logs_exit"));
        CHECK_THAT(plan, !Contains("SCAN trade_logs"));
    });
}

TEST_CASE("the last day of time has its summary too", "[upkeep][S10]") {
    Fixture f;
    f.run(
        "INSERT INTO news_items (source, external_id, title, sentiment_score, published_real_ns, "
        "fetched_real_ns) VALUES ('s', '1', 't', 7, 9223372036854775807, 5)"
    );
    const ViewsRound round = f.check();
    CHECK(round.is_ok());
    CHECK(round.findings().days == 1);
    CHECK(
        f.summaries().sentiment.begin()->first ==
        "|" + std::to_string(INT64_MAX / k_day * k_day) + "|"
    );
}

TEST_CASE("a summary whose sums leave 64 bits refuses the write", "[upkeep][S10]") {
    Fixture f;
    f.run(k_closed_trade);
    bool was_full = false;
    // On one session, as each has a row of its own on PostgreSQL.
    CHECK_THROWS(f.storage().write(f.deadline(), [&](Session& s) {
        s.execute(k_closed_trade);
        s.execute("UPDATE mv_portfolio_performance SET trade_count = 9223372036854775807");
        was_full = true;
        s.execute(k_closed_trade);
    }));
    CHECK(was_full);
    CHECK(f.summaries().performance.begin()->second.front() == 1);
}
