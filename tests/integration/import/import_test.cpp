// SPDX-License-Identifier: Apache-2.0
// Imports into PostgreSQL and from it, with the sums that the rows have to come to.
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/migrations/import_fixture.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace tenon::importer;
using Catch::Contains;
using tenon::Session;
using tenon::test::FreqtradeDatabase;
using tenon::test::ImportTarget;
using tenon::test::PostgresBackend;
using tenon::test::replaced;
using tenon::test::server;
using tenon::test::shipped_mapping;
using tenon::test::SqliteBackend;
using tenon::test::TemporaryFolder;

namespace {

using PostgresTarget = ImportTarget<PostgresBackend>;
using SqliteTarget = ImportTarget<SqliteBackend>;

struct Freqtrade {
    explicit Freqtrade(int trades) : source{file(), Catch::rngSeed(), trades} {}

    [[nodiscard]] std::string file() const { return (folder.path() / "trades.sqlite").string(); }

    TemporaryFolder folder;
    FreqtradeDatabase source;
};

constexpr const char* k_foreign =
    "CREATE TABLE fills (id UUID PRIMARY KEY, pair TEXT NOT NULL, way TEXT NOT NULL, rate "
    "NUMERIC(20, "
    "8) NOT NULL, size DOUBLE PRECISION NOT NULL, at TIMESTAMPTZ NOT NULL, note TEXT)";

// Orders out of fills, as somebody may keep them in PostgreSQL.
constexpr const char* k_foreign_mapping = R"({
  "import_version": 1, "name": "own", "users": ["own"], "accounts": {"own": "own"},
  "tables": [{
    "name": "orders", "target": "orders", "table": "fills", "key": ["id"],
    "columns": {
      "account": {"constant": "own"},
      "instrument": {"from": "pair", "remove": "/"},
      "side": {"from": "way", "map": {"long": "buy", "short": "sell"}},
      "type": {"constant": "limit"}, "status": {"constant": "canceled"},
      "price": "rate", "quantity": "size",
      "created_real_ns": {"from": "at", "unit": "iso"},
      "updated_real_ns": {"from": "at", "unit": "iso"},
      "client_id": {"from": "note", "null": ""}
    }}]})";

}  // namespace

TEST_CASE("an import into PostgreSQL comes to the same sums as into SQLite", "[import][S12]") {
    CAPTURE(Catch::rngSeed());
    Freqtrade bot{300};
    PostgresTarget postgres{true, server().create_database()};
    SqliteTarget sqlite{true};
    const std::string mapping = shipped_mapping("freqtrade");
    CHECK(postgres.import_file(bot.file(), mapping).bad() == 0);
    CHECK(sqlite.import_file(bot.file(), mapping).bad() == 0);
    CHECK(postgres.totals() == bot.source.totals);
    CHECK(sqlite.totals() == bot.source.totals);
    CHECK(postgres.verify_file(bot.file(), mapping).different == 0);
    // Keys, digests and numbers are the same on both.
    const auto rows_of = [](auto& target) {
        std::string all;
        target.backend.storage().read(target.backend.deadline(), [&](Session& session) {
            all.clear();
            tenon::Statement row = session.prepare(
                "SELECT table_name, source_key, target_key, digest FROM imported_rows "
                "ORDER BY table_name, source_key"
            );
            while (row.step()) {
                all.append(row.text(0)).append(row.text(1)).append(row.text(2)).append(row.text(3));
            }
        });
        return digest_of(all);
    };
    CHECK(rows_of(postgres) == rows_of(sqlite));
    postgres.run(
        "UPDATE orders SET client_id = client_id || 'x' WHERE order_id = (SELECT max(order_id) "
        "FROM orders)"
    );
    const ImportProgress found = postgres.verify_file(bot.file(), mapping);
    REQUIRE(found.different == 1);
    CHECK_THAT(
        found.differences.front(), Contains("orders [") && Contains("changed here: client_id")
    );
    // The database goes on numbering after the imported rows.
    postgres.run(
        "INSERT INTO trade_logs (user_id, exchange, account_type, instrument, side, quantity, "
        "entry_price, entry_real_ns) SELECT id, 'x', 'demo', 0, 0, 1, 1, 1 FROM users"
    );
}

TEST_CASE(
    "bad rows and the database's own refusals are skipped on PostgreSQL too",
    "[import][S12]"
) {
    Freqtrade bot{40};
    PostgresTarget postgres{true, server().create_database()};
    const std::string skipping =
        replaced(shipped_mapping("freqtrade"), "\"users\"", "\"bad_rows\": \"skip\", \"users\"");
    bot.source.db().run("UPDATE orders SET order_id = x'ff' WHERE id = 1");
    bot.source.db().run(
        "UPDATE trades SET is_open = 1, strategy = 'twice', pair = 'BTC/USDT', is_short = 0, "
        "exchange = 'e', stop_loss = 0 WHERE id IN (1, 2)"
    );
    const ImportProgress progress = postgres.import_file(bot.file(), skipping);
    CHECK(
        postgres.number(
            "SELECT count(*) FROM import_bad_rows WHERE reason LIKE '%active_position_is_one%'"
        ) == 1
    );
    CHECK(
        postgres.number(
            "SELECT count(*) FROM import_bad_rows WHERE reason LIKE 'client_id: found a blob%'"
        ) == 1
    );
    CHECK(progress.bad() == 3);  // and the fill of the order
    CHECK(postgres.verify_file(bot.file(), skipping).different == 0);
}

TEST_CASE("a PostgreSQL database is a source, with its own types", "[import][S12]") {
    const std::string database = server().create_database();
    PostgresBackend foreign{database};
    foreign.run(k_foreign);
    foreign.run(
        "INSERT INTO fills VALUES "
        "('00000000-0000-0000-0000-000000000002', 'BTC/USDT', 'long', 30000.10000000, 0.1, "
        "'2024-01-01 13:00:00.5+01', 'a ''quoted'' note'), "
        "('00000000-0000-0000-0000-000000000001', 'ETH/USDT', 'short', 2000, 1e-4, "
        "'2024-01-01 12:00:00+00', NULL)"
    );
    SqliteTarget target{true};
    const auto open = [&] { return open_postgres(server().conninfo(database), ""); };
    ImportOptions one_by_one;
    one_by_one.batch_rows = 1;
    const auto importer = target.importer(open(), k_foreign_mapping, one_by_one);
    const auto problems = importer->check();
    INFO(lines_of(problems));
    REQUIRE(problems.empty());
    importer->run();
    const ImportProgress progress = importer->progress();
    INFO((progress.bad_rows.empty() ? "" : progress.bad_rows.front().reason));
    REQUIRE(progress.bad() == 0);
    CHECK(target.number("SELECT count(*) FROM orders") == 2);
    CHECK(target.number("SELECT price FROM orders WHERE instrument = 0") == 3'000'010);
    CHECK(target.number("SELECT quantity FROM orders WHERE instrument = 0") == 10'000);
    CHECK(target.number("SELECT quantity FROM orders WHERE instrument = 1") == 1);
    CHECK(
        target.number("SELECT created_real_ns FROM orders WHERE instrument = 0") ==
        1'704'110'400'500'000'000
    );
    const auto verifier = target.importer(open(), k_foreign_mapping);
    verifier->verify();
    CHECK(verifier->progress().different == 0);
}

TEST_CASE("what a PostgreSQL source refuses is told for every table at once", "[import][S12]") {
    const std::string database = server().create_database();
    PostgresBackend foreign{database};
    foreign.run(k_foreign);
    SqliteTarget target{true};
    std::string mapping =
        replaced(k_foreign_mapping, "\"table\": \"fills\"", "\"table\": \"nothing\"");
    const std::string one = mapping.substr(mapping.find("{\n    \"name\""));
    mapping = replaced(
        mapping,
        "\"tables\": [",
        "\"tables\": [" +
            replaced(
                replaced(
                    one.substr(0, one.rfind("]}")), "\"name\": \"orders\"", "\"name\": \"other\""
                ),
                "\"nothing\"",
                "\"neither\""
            ) +
            ","
    );
    const auto importer = target.importer(open_postgres(server().conninfo(database), ""), mapping);
    const std::string told = lines_of(importer->check());
    CHECK_THAT(told, Contains("/tables/0/table: the source refuses it") && Contains("neither"));
    CHECK_THAT(told, Contains("/tables/1/table: the source refuses it") && Contains("nothing"));
}

TEST_CASE("two imports at once into one database give every row once", "[import][S12]") {
    PostgresTarget target{true, server().create_database()};
    Freqtrade bot{120};
    const std::string mapping = shipped_mapping("freqtrade");
    ImportOptions small;
    small.batch_rows = 11;
    std::vector<std::string> failures(3);
    std::vector<std::thread> runs;
    for (std::size_t i = 0; i < failures.size(); ++i) {
        runs.emplace_back([&, i] {
            try {
                (void)target.import_file(bot.file(), mapping, small);
            } catch (const std::exception& e) {
                failures[i] = e.what();
            }
        });
    }
    for (std::thread& run : runs) {
        run.join();
    }
    CHECK(failures == std::vector<std::string>(3));
    CHECK(target.totals() == bot.source.totals);
    CHECK(target.verify_file(bot.file(), mapping).different == 0);
}
