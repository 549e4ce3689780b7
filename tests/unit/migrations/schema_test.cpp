// SPDX-License-Identifier: Apache-2.0
// The shipped migrations themselves.
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

using tenon::Session;
using tenon::test::shipped_schema;
using tenon::test::SqliteBackend;

namespace {

tenon_status try_sql(SqliteBackend& backend, std::string_view sql) {
    try {
        backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(sql); });
    } catch (const tenon::Error& e) {
        return e.code();
    }
    return TENON_OK;
}

}  // namespace

TEST_CASE("the shipped schema goes up, down and up", "[migrations][S8][S12]") {
    SqliteBackend backend;
    auto migrator = shipped_schema(backend);
    migrator->up();
    CHECK(migrator->version() == migrator->latest());
    migrator->down(0, true);
    migrator->up();
    CHECK(migrator->version() == migrator->latest());
}

TEST_CASE("the shipped schema refuses what business rules forbid", "[migrations][S8]") {
    SqliteBackend backend;
    shipped_schema(backend)->up();
    REQUIRE(try_sql(backend, R"(
        INSERT INTO assets VALUES (0, 'BTC', 8), (1, 'USDT', 8);
        INSERT INTO instruments (id, symbol, base, quote) VALUES (0, 'BTCUSDT', 0, 1);
        INSERT INTO accounts (id, name) VALUES (16, 'demo'))") == TENON_OK);
    const char* const forbidden[]{
        "INSERT INTO accounts (id, name) VALUES (17, 'demo')",
        "INSERT INTO balances VALUES (16, 1, -1, 0, 1)",
        "INSERT INTO balances VALUES (99, 1, 1, 0, 1)",
        "INSERT INTO ledger_entries VALUES (1, 0, 16, 16, 1, 5, '', 0)",
        "INSERT INTO ledger_entries VALUES (1, 0, 1, 16, 1, 0, '', 0)",
        "INSERT INTO instruments (id, symbol, base, quote) VALUES (1, 'BTCBTC', 0, 0)",
        "INSERT INTO orders VALUES (1, 16, 0, 0, 1, 1, 2, 5, 10, 0, 11, 0, 0, 0, 1, 0, '', '', 0, "
        "0, 0, 0, 0, 0, 0, 0, 0)",
        "INSERT INTO orders VALUES (1, 16, 0, 2, 1, 1, 2, 5, 10, 0, 0, 0, 0, 0, 1, 0, '', '', 0, "
        "0, 0, 0, 0, 0, 0, 0, 0)",
        "INSERT INTO orders VALUES (1, 16, 7, 0, 1, 1, 2, 5, 10, 0, 0, 0, 0, 0, 1, 0, '', '', 0, "
        "0, 0, 0, 0, 0, 0, 0, 0)",
        "INSERT INTO trades VALUES (0, 1, 0, 1, 16, 0, 5, 5, 25, 0, 1, 0, 1, 1)"};
    for (const char* sql : forbidden) {
        CAPTURE(sql);
        CHECK(try_sql(backend, sql) == TENON_CONFLICT);
    }
    CHECK(try_sql(backend, "INSERT INTO balances VALUES (3, 1, -1, 0, 1)") == TENON_OK);
    CHECK(try_sql(backend, "INSERT INTO balances VALUES (16, 1, 1.5, 0, 1)") == TENON_CONFLICT);
}

TEST_CASE("the queries of trading find their index", "[migrations][S8]") {
    SqliteBackend backend;
    shipped_schema(backend)->up();
    backend.storage().read(backend.deadline(), [](Session& s) {
        for (const char* sql :
             {"SELECT * FROM orders WHERE account = 1 AND instrument = 1 AND order_id >= 5 "
              "ORDER BY order_id LIMIT 10",
              "SELECT * FROM orders WHERE account = 1 AND client_id = 'x' ORDER BY order_id DESC",
              "SELECT * FROM trades WHERE account = 1 AND instrument = 1 ORDER BY trade_id DESC",
              "SELECT * FROM trades WHERE order_id = 1",
              "SELECT * FROM trades WHERE time_real_ns > 5 ORDER BY time_real_ns"}) {
            const std::string plan = s.explain(sql);
            CAPTURE(sql, plan);
            CHECK_THAT(plan, Catch::Contains("USING INDEX"));
            CHECK_THAT(plan, !Catch::Contains("TEMP B-TREE"));
        }
    });
}
