// SPDX-License-Identifier: Apache-2.0
// Imports from files of SQLite into SQLite: what comes over, what is refused, what is found again.
#include "plugins/migrations/import/job.hpp"
#include "tests/unit/migrations/import_fixture.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <thread>

using namespace tenon::importer;
using Catch::Contains;
using tenon::Error;
using tenon::test::FreqtradeDatabase;
using tenon::test::replaced;
using tenon::test::shipped_mapping;
using tenon::test::SqliteBackend;
using SqliteTarget = tenon::test::ImportTarget<SqliteBackend>;

namespace {

struct Scene {
    explicit Scene(int trades = 60)
        : source{(folder.path() / "tradesv3.sqlite").string(), Catch::rngSeed(), trades} {}

    [[nodiscard]] std::string file() const { return (folder.path() / "tradesv3.sqlite").string(); }

    tenon::test::TemporaryFolder folder;
    FreqtradeDatabase source;
    SqliteTarget target{true};
    std::string mapping = shipped_mapping("freqtrade");
};

std::string problems_of(Scene& scene, const std::string& mapping) {
    return lines_of(scene.target.importer(open_sqlite(scene.file()), mapping)->check());
}

}  // namespace

TEST_CASE("what was missing is found once it is made, what was there is kept", "[import][S12]") {
    SqliteTarget target{true};
    tenon::importer::Lookups lookups{
        target.backend.storage(), [&] { return target.backend.deadline(); }};
    CHECK_FALSE(lookups.instrument("ADAUSDT"));
    CHECK_FALSE(lookups.user("late"));
    CHECK(lookups.instrument("BTCUSDT").value().id == 0);
    target.run("INSERT INTO assets (id, name, scale) VALUES (9, 'ADA', 8)");
    target.run(
        "INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale) VALUES "
        "(9, 'ADAUSDT', 9, 0, 2, 5)"
    );
    CHECK_FALSE(lookups.instrument("ADAUSDT"));  // within a page everything stays as it was
    lookups.forget_missing();
    CHECK(lookups.instrument("ADAUSDT").value().id == 9);
    CHECK_FALSE(lookups.user("late"));
}

TEST_CASE("a freqtrade database comes over with all its sums", "[import][S12]") {
    Scene scene;
    CAPTURE(Catch::rngSeed());
    const ImportProgress progress = scene.target.import_file(scene.file(), scene.mapping);
    CHECK(progress.bad() == 0);
    CHECK(scene.target.totals() == scene.source.totals);
    CHECK(scene.source.totals.open > 0);
    CHECK(
        scene.target.number("SELECT count(*) FROM imported_rows") ==
        scene.source.totals.orders + scene.source.totals.fills + scene.source.totals.logs +
            scene.source.totals.open
    );
    CHECK(
        scene.target.number("SELECT created_real_ns FROM orders LIMIT 1") ==
        1'709'208'000'000'000'000
    );
    CHECK(
        scene.target.number("SELECT DISTINCT entry_real_ns FROM trade_logs") ==
        1'709'208'000'123'456'000
    );
    CHECK(
        scene.target.number(
            "SELECT count(*) FROM trade_logs WHERE strategy = '''; DROP TABLE orders;--'"
        ) > 0
    );
    CHECK(scene.target.verify_file(scene.file(), scene.mapping).different == 0);
}

TEST_CASE("numbers and accounts of imports are apart from the engine's", "[import][S12]") {
    Scene scene{5};
    (void)scene.target.import_file(scene.file(), scene.mapping);
    CHECK(scene.target.number("SELECT min(order_id) FROM orders") == std::int64_t{1} << 52);
    CHECK(scene.target.number("SELECT min(trade_id) FROM trades") >= std::int64_t{1} << 52);
    CHECK(
        scene.target.number("SELECT count(*) FROM orders o JOIN accounts a ON a.id = o.account "
                            "JOIN users u ON u.id = a.user_id WHERE a.name = 'import:freqtrade' "
                            "AND a.id >= 4503599627370496 AND u.name = 'freqtrade'"
        ) == scene.source.totals.orders
    );
    // What is numbered by the database goes on from there.
    scene.target.run(
        "INSERT INTO signals (instrument, side, strategy, source, price, confidence_bp, "
        "time_real_ns) VALUES (0, 0, 's', 's', 1, 1, 1)"
    );
    CHECK(scene.target.number("SELECT max(id) FROM trade_logs") == scene.source.totals.logs);
}

TEST_CASE("an import that is done again writes what is new and nothing twice", "[import][S12]") {
    Scene scene;
    (void)scene.target.import_file(scene.file(), scene.mapping);
    ImportProgress again = scene.target.import_file(scene.file(), scene.mapping);
    CHECK(scene.target.totals() == scene.source.totals);
    for (const TableProgress& table : again.tables) {
        CHECK(table.imported == 0);
        CHECK(table.present == table.total);
        CHECK(table.changed == 0);
    }
    for (int i = 0; i < 5; ++i) {
        scene.source.trade();
    }
    again = scene.target.import_file(scene.file(), scene.mapping);
    CHECK(again.tables.front().imported > 0);
    CHECK(scene.target.totals() == scene.source.totals);
    scene.source.db().run("UPDATE orders SET amount = 12345 WHERE id = 1");
    again = scene.target.import_file(scene.file(), scene.mapping);
    CHECK(again.tables.front().changed == 1);
    CHECK(scene.target.totals() == scene.source.totals);
}

TEST_CASE("a dry run counts everything and writes nothing", "[import][S12]") {
    Scene scene;
    scene.source.db().run("UPDATE orders SET ft_pair = 'DOGE/USDT' WHERE id = 1");
    const std::int64_t before = scene.target.rows_everywhere();
    const auto importer = scene.target.importer(open_sqlite(scene.file()), scene.mapping);
    REQUIRE(importer->check().empty());
    importer->dry_run();
    const ImportProgress progress = importer->progress();
    CHECK(scene.target.rows_everywhere() == before);
    REQUIRE(progress.bad() == 2);  // the order and its fill
    CHECK(progress.tables.front().imported == scene.source.totals.orders - 1);
    CHECK(progress.bad_rows.front().key == "[1]");
    CHECK_THAT(progress.bad_rows.front().reason, Contains("instrument: found \"DOGEUSDT\""));
}

TEST_CASE("bad rows stop an import before anything is written", "[import][S12]") {
    Scene scene;
    scene.source.db().run(
        "UPDATE trades SET close_date = '2024-02-30 00:00:00' WHERE id = (SELECT max(id) FROM "
        "trades "
        "WHERE is_open = 0)"
    );
    const std::int64_t before = scene.target.rows_everywhere();
    const ImportProgress progress = scene.target.import_file(scene.file(), scene.mapping);
    CHECK(progress.is_refused);
    CHECK(progress.bad() == 1);
    CHECK_THAT(progress.bad_rows.front().reason, Contains("exit_real_ns: found \"2024-02-30"));
    CHECK(scene.target.rows_everywhere() == before);
}

TEST_CASE("bad rows are left out and kept by name when the mapping says so", "[import][S12]") {
    Scene scene;
    const std::string skipping =
        replaced(scene.mapping, "\"users\"", "\"bad_rows\": \"skip\", \"users\"");
    const auto filled = [](int which) {
        return "(SELECT id FROM orders WHERE ft_is_open = 0 AND filled > 0 ORDER BY order_date, id "
               "LIMIT 1 "
               "OFFSET " +
               std::to_string(which) + ")";
    };
    scene.source.db().run("UPDATE orders SET amount = 'much' WHERE id = " + filled(0));
    scene.source.db().run("UPDATE orders SET amount = 0.123456789 WHERE id = " + filled(1));
    scene.source.db().run("UPDATE orders SET filled = amount * 2 WHERE id = " + filled(2));
    const ImportProgress progress = scene.target.import_file(scene.file(), skipping);
    CHECK_FALSE(progress.is_refused);
    // Three orders, and the fills of the three, which refer to them.
    CHECK(progress.bad() == 6);
    CHECK(scene.target.number("SELECT count(*) FROM import_bad_rows") == 6);
    CHECK(
        scene.target.number(
            "SELECT count(*) FROM import_bad_rows WHERE reason LIKE 'quantity: found \"much\"%'"
        ) == 1
    );
    CHECK(
        scene.target.number(
            "SELECT count(*) FROM import_bad_rows WHERE reason LIKE '%beyond the % decimals%'"
        ) == 1
    );
    CHECK(
        scene.target.number("SELECT count(*) FROM import_bad_rows WHERE reason = 'breaks the rule "
                            "not_filled_beyond_quantity'") == 1
    );
    CHECK(
        scene.target.number("SELECT count(*) FROM import_bad_rows WHERE reason LIKE 'order_id: the "
                            "row [_] of orders is not imported'") == 3
    );
    CHECK(scene.target.totals().orders == scene.source.totals.orders - 3);
    CHECK(scene.target.verify_file(scene.file(), skipping).different == 0);
}

TEST_CASE("what only the database can refuse is found by halving the batch", "[import][S12]") {
    Scene scene;
    const std::string skipping =
        replaced(scene.mapping, "\"users\"", "\"bad_rows\": \"skip\", \"users\"");
    // Two open positions of one kind: the rule active_position_is_one.
    for (const int id : {100'000, 100'001}) {
        scene.source.db().run(
            "INSERT INTO trades (id, exchange, pair, stake_currency, is_open, fee_open, fee_close, "
            "open_rate, stake_amount, amount, open_date, stop_loss, strategy, is_short) VALUES (" +
            std::to_string(id) +
            ", 'x', 'BTC/USDT', 'USDT', 1, 0, 0, 5, 0, 1, '2024-01-01 00:00:00', 0, 'one', 0)"
        );
    }
    scene.source.db().run("DELETE FROM trades WHERE is_open = 1 AND id < 100000");
    const ImportProgress progress = scene.target.import_file(scene.file(), skipping);
    CHECK(scene.target.totals().open == 1);
    CHECK(progress.bad() == 1);
    CHECK(
        scene.target.number("SELECT count(*) FROM import_bad_rows WHERE source_key = '[100001]' "
                            "AND reason LIKE '%the database refuses it%active_position_is_one%'"
        ) + scene.target.number("SELECT count(*) FROM import_bad_rows WHERE source_key = "
                                "'[100001]' AND reason LIKE '%the database refuses it%UNIQUE%'") >=
        1
    );
}

TEST_CASE(
    "users, accounts, positions, signals and waiting orders come by their names",
    "[import][S12]"
) {
    tenon::test::TemporaryFolder folder;
    const std::string file = (folder.path() / "own.sqlite").string();
    tenon::test::PlainSqlite db{file};
    db.run(
        "CREATE TABLE pos (who TEXT, pair TEXT, size TEXT, entry TEXT, at INTEGER, PRIMARY KEY "
        "(who, pair));"
        "INSERT INTO pos VALUES ('ann', 'BTCUSDT', '-0.5', '30000', 1700000000), "
        "('bob', 'BTCUSDT', '0.5', '30000', 1700000000), ('bob', 'ETHUSDT', '0', '0', 1700000000);"
        "CREATE TABLE sig (id TEXT PRIMARY KEY, pair TEXT, way TEXT, price TEXT, at INTEGER);"
        "INSERT INTO sig VALUES ('s-1', 'BTCUSDT', 'L', '29000.5', 1700000000);"
        "CREATE TABLE done (id INTEGER PRIMARY KEY, who TEXT, signal TEXT);"
        "INSERT INTO done VALUES (7, 'ann', 's-1'), (8, 'bob', NULL);"
    );
    const std::string text = R"({"import_version":1,"name":"own","users":["ann","robert"],"tables":[
      {"name":"done","target":"trade_logs","table":"done","key":["id"],"columns":{
        "user_id":{"from":"who","map":{"bob":"robert"}},"exchange":{"constant":"x"},
        "account_type":{"constant":"demo"},"instrument":{"constant":"BTCUSDT"},
        "signal_id":{"from":"signal","row_of":"sig"},"side":{"constant":"sell"},
        "quantity":{"constant":"0.00001"},"entry_price":{"constant":"1"},
        "entry_real_ns":{"constant":"2024-01-01T00:00:00Z"}}},
      {"name":"pos","target":"positions","table":"pos","key":["who","pair"],"columns":{
        "user_id":{"from":"who","map":{"bob":"robert"}},"exchange":{"constant":"x"},
        "account_type":{"constant":"real"},"instrument":"pair","quantity":"size",
        "entry_price":"entry","updated_real_ns":{"from":"at","unit":"s"}}},
      {"name":"wait","target":"pending_limit_orders","table":"pos","key":["who","pair"],"columns":{
        "user_id":{"from":"who","map":{"bob":"robert"}},"exchange":{"constant":"x"},
        "account_type":{"constant":"real"},"instrument":"pair","side":{"constant":"buy"},
        "price":{"constant":"1.5"},"quantity":{"constant":"2"},"client_id":"pair",
        "created_real_ns":{"from":"at","unit":"s"}}},
      {"name":"sig","target":"signals","table":"sig","key":["id"],"columns":{
        "instrument":"pair","side":{"from":"way","map":{"L":"buy"}},"strategy":{"constant":"s"},
        "source":{"constant":"own"},"price":"price","confidence_bp":{"constant":5000},
        "time_real_ns":{"from":"at","unit":"s"}}}]})";
    SqliteTarget target{true};
    const ImportProgress progress = target.import_file(file, text);
    INFO((progress.bad_rows.empty() ? "" : progress.bad_rows.front().reason));
    REQUIRE(progress.bad() == 0);
    CHECK(target.number("SELECT count(*) FROM users WHERE name IN ('ann', 'robert')") == 2);
    CHECK(target.number("SELECT sum(quantity) FROM positions") == 0);
    CHECK(
        target.number("SELECT min(quantity) FROM positions p JOIN users u ON u.id = p.user_id "
                      "WHERE u.name = 'ann'") == -50'000
    );
    CHECK(target.number("SELECT count(*) FROM pending_limit_orders WHERE price = 150") == 3);
    CHECK(
        target.number("SELECT count(*) FROM trade_logs t JOIN signals s ON s.id = t.signal_id "
                      "WHERE s.price = 2900050 AND s.confidence_bp = 5000") == 1
    );
    CHECK(target.number("SELECT count(*) FROM trade_logs WHERE signal_id IS NULL") == 1);
    CHECK(target.verify_file(file, text).different == 0);
    // The same position under another key of the source, told before anything is written.
    db.run("INSERT INTO pos VALUES ('robert', 'BTCUSDT', '1', '1', 1700000000)");
    const ImportProgress again = target.import_file(file, text);
    CHECK(again.is_refused);
    CHECK_THAT(again.bad_rows.front().reason, Contains("position_is_one"));
}

TEST_CASE("verification names the row that was changed, on either side", "[import][S12]") {
    Scene scene;
    (void)scene.target.import_file(scene.file(), scene.mapping);
    scene.target.run(
        "UPDATE trades SET quote_amount = quote_amount + 1 WHERE trade_id = (SELECT min(trade_id) "
        "FROM trades WHERE instrument = 0) AND instrument = 0"
    );
    scene.target.run("DELETE FROM active_positions WHERE id = 1");
    scene.source.db().run(
        "UPDATE trades SET close_profit_abs = 5 WHERE id = (SELECT min(id) FROM trades WHERE "
        "is_open = 0)"
    );
    const ImportProgress progress = scene.target.verify_file(scene.file(), scene.mapping);
    CHECK(progress.different == 3);
    REQUIRE(progress.differences.size() == 3);
    std::string all;
    for (const std::string& difference : progress.differences) {
        all += difference + "\n";
    }
    CHECK_THAT(all, Contains("fills [") && Contains("changed here: quote_amount"));
    CHECK_THAT(all, Contains("open [") && Contains("of active_positions is missing here"));
    CHECK_THAT(all, Contains("closed [") && Contains("changed at the source: pnl"));
}

TEST_CASE(
    "a mapping that does not fit is told as a whole, and nothing is written",
    "[import][S12]"
) {
    Scene scene{3};
    const std::int64_t before = scene.target.rows_everywhere();
    std::string mapping =
        replaced(scene.mapping, "\"from\": \"order_type\"", "\"from\": \"ordertype\"");
    mapping = replaced(mapping, "\"closed\": \"filled\"", "\"closed\": \"gone\"");
    mapping = replaced(mapping, "FROM trades WHERE is_open = 1", "FROM nothing_here");
    mapping = replaced(mapping, "\"freqtrade\": \"freqtrade\"", "\"freqtrade\": \"nobody\"");
    mapping = replaced(mapping, "\"key\": [\"id\"]", "\"key\": [\"ft_pair\"]");
    const std::string told = problems_of(scene, mapping);
    CHECK_THAT(
        told,
        Contains("/columns/type/from: the source has no such column") &&
            Contains("expected order_type")
    );
    CHECK_THAT(told, Contains("/columns/status/map/closed: found \"gone\""));
    CHECK_THAT(
        told, Contains("/tables/3/select: the source refuses it") && Contains("nothing_here")
    );
    CHECK_THAT(told, Contains("/accounts/freqtrade: there is no such user"));
    CHECK_THAT(told, Contains("/tables/0/key: does not tell the rows apart"));
    CHECK(scene.target.rows_everywhere() == before);
    CHECK(problems_of(scene, scene.mapping).empty());
}

TEST_CASE("a source that is no database is refused by name", "[import][S12]") {
    Scene scene{1};
    const std::string text = (scene.folder.path() / "text.sqlite").string();
    std::ofstream{text}
        << "this is not a database, and long enough to be taken for one by its size";
    CHECK_THROWS_WITH(open_sqlite(text), Contains("text.sqlite") && Contains("not a database"));
    CHECK_THROWS_WITH(open_sqlite("/nowhere/x.sqlite"), Contains("/nowhere/x.sqlite"));
}

TEST_CASE("a schema without the tables of imports is refused by name", "[import][S12]") {
    Scene scene{1};
    SqliteTarget bare{false};
    CHECK_THROWS_WITH(
        bare.importer(open_sqlite(scene.file()), scene.mapping)->check(), Contains("0005_imports")
    );
}

TEST_CASE("a run that is interrupted anywhere goes on where it was", "[import][S12]") {
    Scene scene;
    const auto seed = Catch::rngSeed();
    std::mt19937_64 random{seed};
    int interrupted = 0;
    for (bool more = true; more;) {
        int left = 1 + static_cast<int>(random() % 40);
        ImportOptions options;
        options.batch_rows = 7;
        options.at = [&left](std::string_view) {
            if (--left == 0) {
                throw Error{TENON_UNAVAILABLE, "interrupted"};
            }
        };
        try {
            // Without the pass of checks: that has nothing to go on from.
            const std::string skipping =
                replaced(scene.mapping, "\"users\"", "\"bad_rows\": \"skip\", \"users\"");
            const auto importer =
                scene.target.importer(open_sqlite(scene.file()), skipping, options);
            importer->run();
            more = false;
        } catch (const Error& e) {
            REQUIRE_THAT(e.what(), Contains("interrupted"));
            REQUIRE(++interrupted < 1'000);
        }
    }
    CAPTURE(seed, interrupted);
    CHECK(interrupted > 2);
    CHECK(scene.target.totals() == scene.source.totals);
}

namespace {

// The job's last status, with its end.
boost::json::value ended(const ImportJob& job) {
    while (job.running()) {
        std::this_thread::yield();
    }
    return boost::json::parse(job.status());
}

std::unique_ptr<ImportJob>
start_job(Scene& scene, Task task, const std::string& mapping, ImportOptions options = {}) {
    const tenon::Host host{scene.target.backend.host.raw()};
    return std::make_unique<ImportJob>(
        scene.target.backend.storage(),
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        JobRequest{task, mapping, "map.json", scene.file()},
        [file = scene.file()](std::function<bool()> stops) {
            return open_sqlite(file, std::move(stops));
        },
        std::move(options)
    );
}

}  // namespace

TEST_CASE(
    "a job tells how it ended, and one that was interrupted is gone on with",
    "[import][S12]"
) {
    Scene scene;
    std::promise<void> written;
    std::atomic<bool> told{false};
    ImportOptions options;
    options.batch_rows = 5;
    options.at = [&](std::string_view point) {
        if (point == "batch_written" && !told.exchange(true)) {
            written.set_value();
        }
    };
    auto job = start_job(scene, Task::import, scene.mapping, options);
    written.get_future().wait();
    job.reset();  // ends it between two batches, wherever it has come to
    CHECK(scene.target.number("SELECT count(*) FROM imported_rows") > 0);
    job = start_job(scene, Task::import, scene.mapping);
    const auto status = ended(*job);
    CHECK(status.at("ok") == true);
    CHECK(status.at("phase") == "done");
    CHECK(status.at("percent") == 100);
    CHECK(scene.target.totals() == scene.source.totals);
    job = start_job(scene, Task::verify, scene.mapping);
    CHECK(ended(*job).at("ok") == true);
}

TEST_CASE("a job tells problems, failures and bad rows by page", "[import][S12]") {
    Scene scene;
    auto job = start_job(scene, Task::import, "{}");
    auto status = ended(*job);
    CHECK(status.at("ok") == false);
    CHECK(status.at("refused") == true);
    CHECK(status.at("problems").as_array().size() == 3);
    job = start_job(scene, Task::verify, scene.mapping);
    status = ended(*job);
    CHECK(status.at("ok") == false);
    CHECK_THAT(
        status.at("error").as_string().c_str(), Contains("nothing was imported by the name")
    );
    scene.source.db().run("UPDATE orders SET status = 'lost'");
    job = start_job(scene, Task::dry_run, scene.mapping);
    status = ended(*job);
    CHECK(status.at("ok") == false);
    CHECK(status.at("error") == "");
    const std::int64_t bad = scene.source.totals.orders + scene.source.totals.fills;
    CHECK(status.at("rows_bad") == bad);
    std::int64_t paged = 0;
    for (std::size_t from = 0;;) {
        const auto page = boost::json::parse(job->bad_rows(from));
        paged += static_cast<std::int64_t>(page.at("bad_rows").as_array().size());
        if (page.at("bad_rows").as_array().empty()) {
            break;
        }
        from = page.at("next").to_number<std::size_t>();
    }
    CHECK(paged == bad);
}

TEST_CASE("a hummingbot database comes over exactly", "[import][S12]") {
    tenon::test::TemporaryFolder folder;
    const std::string file = (folder.path() / "bot.sqlite").string();
    tenon::test::PlainSqlite db{file};
    db.run(
        "CREATE TABLE \"Order\" (id TEXT PRIMARY KEY, config_file_path TEXT, strategy TEXT, market "
        "TEXT, symbol TEXT, base_asset TEXT, quote_asset TEXT, creation_timestamp BIGINT, "
        "order_type TEXT, amount BIGINT, leverage INTEGER, price BIGINT, last_status TEXT, "
        "last_update_timestamp BIGINT, exchange_order_id TEXT, position TEXT);"
        "CREATE TABLE OrderStatus (id INTEGER PRIMARY KEY, order_id TEXT, timestamp BIGINT, status "
        "TEXT);"
        "CREATE TABLE TradeFill (market TEXT, symbol TEXT, base_asset TEXT, quote_asset TEXT, "
        "timestamp BIGINT, order_id TEXT, trade_type TEXT, order_type TEXT, price BIGINT, amount "
        "BIGINT, trade_fee JSON, trade_fee_in_quote BIGINT, exchange_trade_id TEXT, PRIMARY KEY "
        "(market, order_id, exchange_trade_id));"
        "INSERT INTO \"Order\" VALUES ('HBOT1', 'c', 's', 'binance', 'BTC-USDT', 'BTC', 'USDT', "
        "1700000000123, 'LIMIT', 1500000, 1, 30000010000, 'BuyOrderCompleted', 1700000000456, "
        "NULL, NULL), "
        "('HBOT2', 'c', 's', 'binance', 'BTC-USDT', 'BTC', 'USDT', 1700000000123, 'LIMIT_MAKER', "
        "10000, 1, 40000000000, 'OrderCancelled', 1700000000789, NULL, NULL), "
        "('HBOT3', 'c', 's', 'binance', 'BTC-USDT', 'BTC', 'USDT', 1700000000123, 'LIMIT', 10000, "
        "1, 40000000000, 'SellOrderCreated', 1700000000789, NULL, NULL);"
        "INSERT INTO OrderStatus VALUES (1, 'HBOT1', 1, 'BuyOrderCreated'), (2, 'HBOT2', 1, "
        "'SellOrderCreated'), (3, 'HBOT3', 1, 'SellOrderCreated');"
        "INSERT INTO TradeFill VALUES ('binance', 'BTC-USDT', 'BTC', 'USDT', 1700000000200, "
        "'HBOT1', 'BUY', 'LIMIT', 30000010000, 500000, '{}', 15000000, 't1'), "
        "('binance', 'BTC-USDT', 'BTC', 'USDT', 1700000000300, 'HBOT1', 'BUY', 'LIMIT', "
        "30000000000, 1000000, '{}', 30000000, 't2');"
    );
    SqliteTarget target{true};
    const std::string mapping = shipped_mapping("hummingbot");
    const ImportProgress progress = target.import_file(file, mapping);
    CAPTURE(progress.bad_rows.empty() ? "" : progress.bad_rows.front().reason);
    REQUIRE_FALSE(progress.is_refused);
    CHECK(target.number("SELECT count(*) FROM orders") == 2);
    CHECK(target.number("SELECT filled_quantity FROM orders WHERE client_id = 'HBOT1'") == 150'000);
    CHECK(
        target.number("SELECT filled_quote FROM orders WHERE client_id = 'HBOT1'") ==
        4'500'000'500'000
    );
    CHECK(target.number("SELECT side * 10 + status FROM orders WHERE client_id = 'HBOT2'") == 15);
    CHECK(target.number("SELECT sum(fee) FROM trades") == 4'500'000'000);
    CHECK(target.number("SELECT max(time_real_ns) FROM trades") == 1'700'000'000'300'000'000);
    CHECK(target.verify_file(file, mapping).different == 0);
}
