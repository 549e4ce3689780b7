// SPDX-License-Identifier: Apache-2.0
// News and signals as the console shows them: on SQLite, and in tests/integration/console on
// PostgreSQL.
#include "plugins/console/records.hpp"

#include "tests/unit/storage/backend.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace tenon;
using namespace tenon::console;

namespace {

constexpr std::int64_t k_ms = 1'000'000;

template <class Backend>
struct Database {
    Database() {
        const char* const source = std::getenv("TENON_SOURCE_DIR");
        REQUIRE(source != nullptr);
        for (const char* const name : {"0001_trading", "0002_records"}) {
            std::ifstream file{
                std::string{source} + "/migrations/" + name + "." +
                std::string{backend.storage().dialect()} + ".up.sql"};
            std::ostringstream sql;
            sql << file.rdbuf();
            REQUIRE(!sql.str().empty());
            backend.storage().write(deadline(), [&](Session& session) {
                session.execute(sql.str());
            });
        }
        put("INSERT INTO instruments (id, symbol, price_scale) VALUES (1, 'BTCUSDT', 2)");
        put("INSERT INTO instruments (id, symbol, price_scale) VALUES (2, 'ETHUSDT', 3)");
    }

    void put(const std::string& sql) {
        backend.storage().write(deadline(), [&](Session& session) { session.execute(sql); });
    }

    [[nodiscard]] std::int64_t deadline() { return backend.deadline(); }

    [[nodiscard]] RecordPage page(std::string symbol = {}, std::int64_t before_ms = 0) {
        return {std::move(symbol), before_ms, deadline()};
    }

    Backend backend;
};

}  // namespace

TEMPLATE_TEST_CASE(
    "signals come newest first, with exact prices, a page at a time",
    "[console][M5]",
    TENON_STORAGE_BACKENDS
) {
    Database<TestType> db;
    for (int i = 1; i <= 103; ++i) {
        db.put(
            "INSERT INTO signals (instrument, side, strategy, source, price, confidence_bp, "
            "time_real_ns, expires_real_ns) VALUES (" +
            std::to_string(1 + i % 2) + ", " + std::to_string(i % 2) + ", 'momentum', 'x', " +
            std::to_string(6'000'000 + i) + ", 2500, " + std::to_string(i * k_ms) + ", " +
            (i == 103 ? std::to_string(200 * k_ms) : "NULL") + ")"
        );
    }
    const auto all = read_signals(db.backend.storage(), db.page()).at("signals").as_array();
    REQUIRE(all.size() == 100);
    CHECK(
        boost::json::serialize(all[0]) ==
        R"({"symbol":"ETHUSDT","side":"sell","strategy":"momentum","source":"x",)"
        R"("price":"6000.103","confidence":2.5E-1,"at_ms":103,"expires_ms":200})"
    );
    CHECK(all[1].at("symbol") == "BTCUSDT");
    CHECK(all[1].at("price") == "60001.02");
    CHECK(all[1].at("expires_ms") == 0);
    const auto rest = read_signals(db.backend.storage(), db.page("", 4)).at("signals").as_array();
    REQUIRE(rest.size() == 3);
    CHECK(rest[0].at("at_ms") == 3);
    const auto one =
        read_signals(db.backend.storage(), db.page("BTCUSDT", 5)).at("signals").as_array();
    REQUIRE(one.size() == 2);
    CHECK(one[0].at("at_ms") == 4);
}

TEMPLATE_TEST_CASE(
    "news come newest first, their texts as they are",
    "[console][M5]",
    TENON_STORAGE_BACKENDS
) {
    Database<TestType> db;
    CHECK(read_news(db.backend.storage(), db.page()).at("news").as_array().empty());
    db.put(
        "INSERT INTO news_items (source, external_id, symbol, title, sentiment_score, "
        "published_real_ns, fetched_real_ns) VALUES ('wire', '1', 'BTC', '<b>&', -5000, 7000000, 8)"
    );
    db.put(
        "INSERT INTO news_items (source, external_id, title, url, published_real_ns, "
        "fetched_real_ns) VALUES ('wire', '2', 'new', 'javascript:1', 9000000, 9)"
    );
    const auto all = read_news(db.backend.storage(), db.page()).at("news").as_array();
    REQUIRE(all.size() == 2);
    CHECK(all[0].at("title") == "new");
    CHECK(all[0].at("url") == "javascript:1");
    CHECK(all[1].at("title") == "<b>&");
    CHECK(all[1].at("sentiment") == -0.5);
    const auto one = read_news(db.backend.storage(), db.page("BTC")).at("news").as_array();
    REQUIRE(one.size() == 1);
    CHECK(one[0].at("at_ms") == 7);
    CHECK(read_news(db.backend.storage(), db.page("", 7)).at("news").as_array().empty());
}
