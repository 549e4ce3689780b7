// SPDX-License-Identifier: Apache-2.0
// Daily results and what news say, as the native API shows them.
#include "tests/unit/records/records_fixture.hpp"

#include <catch2/catch.hpp>

using tenon::Session;
using tenon::test::RecordsFixture;

namespace json = boost::json;

namespace {

constexpr std::int64_t k_day = 86'400'000'000'000;

struct Fixture : RecordsFixture {
    Fixture() {
        run("INSERT INTO assets (id, name, scale) VALUES (2, 'E.UR', 2);"
            "INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale) VALUES "
            "(1, 'ETHUSDT', 0, 1, 2, 5), (2, 'BTCEUR', 0, 2, 0, 0)");
    }

    void run(const std::string& sql) {
        backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(sql); });
    }

    // Bought at 100 and sold for `exit`.
    void close(
        std::int64_t user,
        int instrument,
        const char* type,
        int day,
        int exit,
        std::int64_t pnl
    ) {
        backend.storage().write(backend.deadline(), [&](Session& s) {
            s.prepare(
                 "INSERT INTO trade_logs (user_id, exchange, account_type, instrument, side, "
                 "quantity, entry_price, entry_real_ns, exit_price, exit_real_ns, pnl, "
                 "exit_reason) VALUES (?, 'x', ?, ?, 0, 5, 100, 0, ?, ?, ?, 'signal')"
            )
                .bind_all(user, type, instrument, exit, day * k_day + 5, pnl)
                .run();
        });
    }

    void news(const char* id, const char* symbol, int day, int score) {
        backend.storage().write(backend.deadline(), [&](Session& s) {
            s.prepare(
                 "INSERT INTO news_items (source, external_id, symbol, title, "
                 "sentiment_score, published_real_ns, fetched_real_ns) VALUES "
                 "('s', ?, ?, 't', ?, ?, 0)"
            )
                .bind_all(id, symbol, score, day * k_day)
                .run();
        });
    }
};

std::string row(const json::value& answer, std::size_t index) {
    return json::serialize(answer.at("data").at(index));
}

}  // namespace

TEST_CASE("a user sees each day's results by kind of account and currency", "[records][S10]") {
    Fixture f;
    f.close(16, 0, "real", 1, 110, 300'000'000);
    f.close(16, 1, "real", 1, 95, -100'000'001);
    f.close(16, 2, "real", 1, 101, -1);
    f.close(16, 0, "demo", 1, 100, INT64_MAX);
    f.close(16, 0, "demo", 1, 100, INT64_MAX);
    f.close(16, 0, "real", 2, 50, 0);
    f.close(17, 0, "real", 1, 110, 5);
    const json::value all = f.ask(RecordsFixture::k_ann, "GET /api/performance");
    REQUIRE(all.at("data").as_array().size() == 4);
    CHECK(all.at("next_cursor").is_null());
    CHECK(
        row(all, 0) ==
        R"({"user_id":16,"day_us":172800000000,"account_type":"real","currency":"USDT",)"
        R"("trade_count":1,"pnl":"0.00000000","average_pnl":"0.00000000",)"
        R"("average_return":"-0.500000"})"
    );
    CHECK(
        row(all, 1) ==
        R"({"user_id":16,"day_us":86400000000,"account_type":"demo","currency":"USDT",)"
        R"("trade_count":2,"pnl":"184467440737.09551614","average_pnl":"92233720368.54775807",)"
        R"("average_return":"0.000000"})"
    );
    CHECK(
        row(all, 2) ==
        R"({"user_id":16,"day_us":86400000000,"account_type":"real","currency":"E.UR",)"
        R"("trade_count":1,"pnl":"-0.01","average_pnl":"-0.01","average_return":"0.010000"})"
    );
    CHECK(
        row(all, 3) ==
        R"({"user_id":16,"day_us":86400000000,"account_type":"real","currency":"USDT",)"
        R"("trade_count":2,"pnl":"1.99999999","average_pnl":"0.99999999",)"
        R"("average_return":"0.025000"})"
    );
}

TEST_CASE("results are a user's own but for administrators", "[records][S10][T7]") {
    Fixture f;
    f.close(16, 0, "real", 1, 110, 3);
    CHECK(f.ask(RecordsFixture::k_bob, "GET /api/performance").at("data").as_array().empty());
    CHECK(
        f.refusal(RecordsFixture::k_bob, "GET /api/performance?user_id=16") == "forbidden ?user_id"
    );
    CHECK(
        f.ask(RecordsFixture::k_ops, "GET /api/performance?user_id=16")
            .at("data")
            .as_array()
            .size() == 1
    );
    CHECK(f.ask(RecordsFixture::k_new, "GET /api/performance").at("data").as_array().empty());
    f.may_read = false;
    CHECK(f.refusal(RecordsFixture::k_ann, "GET /api/performance") == "forbidden ");
}

TEST_CASE("pages of results follow each other without a gap", "[records][S10]") {
    Fixture f;
    for (int day = 0; day < 4; ++day) {
        f.close(16, 0, "real", day, 110, 3);
        f.close(16, 2, "real", day, 110, 3);
        f.close(16, 0, "demo", day, 110, 3);
    }
    const json::value all = f.ask(RecordsFixture::k_ann, "GET /api/performance");
    REQUIRE(all.at("data").as_array().size() == 12);
    json::array paged;
    std::string cursor;
    int pages = 0;
    do {
        const json::value page = f.ask(
            RecordsFixture::k_ann,
            "GET /api/performance?limit=5" + (cursor.empty() ? "" : "&cursor=" + cursor)
        );
        for (const json::value& one : page.at("data").as_array()) {
            paged.push_back(one);
        }
        cursor =
            page.at("next_cursor").is_null() ? "" : std::string{page.at("next_cursor").as_string()};
        ++pages;
    } while (!cursor.empty());
    CHECK(pages == 3);
    CHECK(paged == all.at("data").as_array());
    CHECK(f.refusal(RecordsFixture::k_ann, "GET /api/performance?cursor=5") == "invalid ?cursor");
    CHECK(
        f.refusal(RecordsFixture::k_ann, "GET /api/performance?cursor=x.y.z") == "invalid ?cursor"
    );
    CHECK(f.refusal(RecordsFixture::k_ann, "GET /api/performance?limit=0") == "invalid ?limit");
    CHECK(
        f.refusal(RecordsFixture::k_ann, "GET /api/performance?symbol=BTCUSDT") == "invalid ?symbol"
    );
}

TEST_CASE("results are filtered by time, kind of account and currency", "[records][S10]") {
    Fixture f;
    for (int day = 0; day < 4; ++day) {
        f.close(16, 0, "real", day, 110, 3);
        f.close(16, 2, "demo", day, 110, 3);
    }
    const auto count = [&](const std::string& query) {
        return f.ask(RecordsFixture::k_ann, "GET /api/performance?" + query)
            .at("data")
            .as_array()
            .size();
    };
    CHECK(count("from_us=86400000000&to_us=172799999999") == 2);
    CHECK(count("account_type=demo") == 4);
    CHECK(count("currency=USDT&from_us=86400000000") == 3);
    CHECK(count("currency=USDT&account_type=demo") == 0);
    CHECK(
        f.refusal(RecordsFixture::k_ann, "GET /api/performance?account_type=none") ==
        "invalid ?account_type"
    );
    CHECK(count("currency=%27%20OR%201%3D1%20--") == 0);
}

TEST_CASE("everybody sees what news say of a symbol", "[records][S10]") {
    Fixture f;
    f.news("1", "BTC", 1, 100);
    f.news("2", "BTC", 1, -301);
    f.news("3", "BTC", 1, 0);
    f.news("4", "", 1, 10'000);
    f.news("5", "BTC", 2, -10'000);
    const json::value all = f.ask(RecordsFixture::k_bob, "GET /api/news-sentiment");
    REQUIRE(all.at("data").as_array().size() == 3);
    CHECK(
        row(all, 0) ==
        R"({"day_us":172800000000,"symbol":"BTC","news_count":1,"average_score":"-1.000000"})"
    );
    CHECK(
        row(all, 1) ==
        R"({"day_us":86400000000,"symbol":"","news_count":1,"average_score":"1.000000"})"
    );
    CHECK(
        row(all, 2) ==
        R"({"day_us":86400000000,"symbol":"BTC","news_count":3,"average_score":"-0.006700"})"
    );
    CHECK(
        f.ask(RecordsFixture::k_bob, "GET /api/news-sentiment?symbol=BTC&limit=1")
            .at("next_cursor")
            .as_string() == "172800000000000.BTC"
    );
    CHECK(
        f.ask(
             RecordsFixture::k_bob, "GET /api/news-sentiment?symbol=BTC&cursor=172800000000000.BTC"
        )
            .at("data")
            .as_array()
            .size() == 1
    );
    f.run("DELETE FROM news_items WHERE symbol = 'BTC'");
    CHECK(
        f.ask(RecordsFixture::k_bob, "GET /api/news-sentiment").at("data").as_array().size() == 1
    );
}
