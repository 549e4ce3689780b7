// SPDX-License-Identifier: Apache-2.0
// Trades and statements as CSV, on both databases: the same text whatever the page, and amounts
// that add up to what a model of the account has.
#include "plugins/trading/engine/account_export.hpp"
#include "plugins/trading/engine/projection_sql.hpp"
#include "tests/integration/storage/postgres_backend.hpp"
#include "tests/support/fake_instruments.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/decimal.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <vector>

using namespace tenon;
using engine::ExportPage;
using engine::ExportQuery;
using tenon::test::FakeInstruments;
using tenon::test::PostgresBackend;
using tenon::test::SqliteBackend;

namespace {

constexpr std::int64_t k_begin_ns = 1'767'225'600'000'000'000;
constexpr std::int64_t k_rich = 1'000'000'000'000'000;
constexpr std::uint64_t k_ann = 16, k_bob = 17;

struct Change {
    std::int64_t time_ns;
    std::uint32_t asset;
    std::int64_t units;
};

// What the database is told and what that means for ann's money.
class World {
public:
    explicit World(std::uint64_t seed) : random_{seed} {}

    // SQL that is the same on both dialects.
    std::vector<std::string> sql{
        "INSERT INTO assets VALUES (0, 'BTC', 8), (1, 'ETH', 8), (2, 'USDT', 8)",
        "INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale) VALUES "
        "(0, 'BTCUSDT', 0, 2, 2, 5), (1, 'ETHUSDT', 1, 2, 2, 4)",
        "INSERT INTO accounts (id, name) VALUES (16, 'ann'), (17, 'bob')"};
    std::vector<Change> changes;
    std::size_t trades = 0;
    std::int64_t time_ns = k_begin_ns, sequence = 0;

    void begin() {
        for (const std::uint32_t asset : {0U, 1U, 2U}) {
            entry(1, k_ann, asset, k_rich);
        }
    }

    // Times stand still now and then, as within a batch.
    void step() {
        time_ns += static_cast<std::int64_t>(below(3)) * 1'000'000;
        ++sequence;
        const auto asset = static_cast<std::uint32_t>(below(3));
        const auto amount = static_cast<std::int64_t>(1 + below(1'000'000'000));
        switch (below(8)) {
            case 0:
                entry(1, k_ann, asset, amount);
                break;
            case 1:
                entry(k_ann, below(2) == 0 ? 1 : k_bob, asset, amount);
                entry(k_bob, k_ann, asset, amount);
                break;
            case 2:
                entry(1, k_bob, asset, amount);
                break;
            default:
                trade();
                break;
        }
    }

    // Balances and how far the database is.
    void settle() {
        std::map<std::uint32_t, std::int64_t> totals;
        for (const Change& change : changes) {
            totals[change.asset] += change.units;
        }
        sql.emplace_back("DELETE FROM balances");
        for (const auto& [asset, units] : totals) {
            sql.push_back(
                "INSERT INTO balances VALUES (16, " + std::to_string(asset) + ", " +
                std::to_string(units - 7) + ", 7, " + std::to_string(sequence) + ")"
            );
        }
        sql.emplace_back("DELETE FROM projection_offset");
        sql.push_back(
            "INSERT INTO projection_offset VALUES ('" + std::string{engine::k_projection_name} +
            "', " + std::to_string(sequence) + ", 0)"
        );
    }

    [[nodiscard]] std::int64_t total(std::uint32_t asset, std::int64_t before_ns) const {
        std::int64_t units = 0;
        for (const Change& change : changes) {
            units += change.asset == asset && change.time_ns < before_ns ? change.units : 0;
        }
        return units;
    }

private:
    std::uint64_t below(std::uint64_t end) { return random_() % end; }

    void note(std::uint32_t asset, std::int64_t units) {
        changes.push_back({time_ns, asset, units});
    }

    void entry(std::uint64_t from, std::uint64_t to, std::uint32_t asset, std::int64_t amount) {
        sequence += entries_ == 0 ? 1 : 0;
        ++entries_;
        sql.push_back(
            "INSERT INTO ledger_entries VALUES (" + std::to_string(sequence) + ", " +
            std::to_string(entries_) + ", " + std::to_string(from) + ", " + std::to_string(to) +
            ", " + std::to_string(asset) + ", " + std::to_string(amount) + ", 'pay, \"" +
            std::to_string(entries_) + "\"', " + std::to_string(time_ns) + ")"
        );
        if (to == k_ann) {
            note(asset, amount);
        } else if (from == k_ann) {
            note(asset, -amount);
        }
    }

    void trade() {
        const std::uint64_t instrument = below(2);
        const std::int64_t side = static_cast<std::int64_t>(below(2));
        const auto price = static_cast<std::int64_t>(1 + below(10'000'000));
        const auto quantity = static_cast<std::int64_t>(1 + below(100'000));
        const std::int64_t quote = price * quantity * (instrument == 0 ? 10 : 100);
        const std::int64_t fee = below(4) == 0 ? 0 : static_cast<std::int64_t>(below(1'000));
        const bool is_ann = below(10) != 0;
        const std::uint32_t fee_asset =
            side == TENON_SIDE_BUY ? static_cast<std::uint32_t>(instrument) : 2U;
        ++orders_;
        const std::string account = std::to_string(is_ann ? k_ann : k_bob);
        sql.push_back(
            "INSERT INTO orders (order_id, account, instrument, side, type, time_in_force, status, "
            "price, quantity, quote_quantity, filled_quantity, filled_quote, created_real_ns, "
            "updated_real_ns, update_sequence, reject, client_id, cancel_client_id) VALUES (" +
            std::to_string(orders_) + ", " + account + ", " + std::to_string(instrument) + ", " +
            std::to_string(side) + ", 1, 0, 4, " + std::to_string(price) + ", " +
            std::to_string(quantity) + ", 0, " + std::to_string(quantity) + ", 0, 0, 0, 1, 0, " +
            "'a,\"b\"" + std::to_string(orders_) + "', '')"
        );
        sql.push_back(
            "INSERT INTO trades (instrument, trade_id, side, order_id, account, is_maker, price, "
            "quantity, quote_amount, fee, fee_asset, time_real_ns, sequence) VALUES (" +
            std::to_string(instrument) + ", " + std::to_string(orders_) + ", " +
            std::to_string(side) + ", " + std::to_string(orders_) + ", " + account + ", " +
            std::to_string(orders_ % 2) + ", " + std::to_string(price) + ", " +
            std::to_string(quantity) + ", " + std::to_string(quote) + ", " + std::to_string(fee) +
            ", " + std::to_string(fee_asset) + ", " + std::to_string(time_ns) + ", " +
            std::to_string(sequence) + ")"
        );
        if (is_ann) {
            ++trades;
            const std::int64_t base = quantity * (instrument == 0 ? 1'000 : 10'000);
            const std::int64_t sign = side == TENON_SIDE_BUY ? 1 : -1;
            note(static_cast<std::uint32_t>(instrument), sign * base);
            note(2, -sign * quote);
            note(fee_asset, -fee);
        }
    }

    std::mt19937_64 random_;
    std::int64_t orders_ = 0, entries_ = 0;
};

using Make = ExportPage (*)(Session&, const Service<tenon_instruments_1>&, const ExportQuery&);

template <class Backend>
class Database {
public:
    Database() { shipped_schema(backend)->up(); }

    void tell(const std::vector<std::string>& sql, std::size_t from) {
        backend.storage().write(backend.deadline(), [&](Session& session) {
            for (std::size_t i = from; i < sql.size(); ++i) {
                session.execute(sql[i]);
            }
        });
    }

    // All pages; `meanwhile` comes after the first.
    std::string whole(
        Make make,
        ExportQuery query,
        std::size_t rows_max,
        const std::function<void()>& meanwhile = {}
    ) {
        query.account = k_ann;
        query.rows_max = rows_max;
        std::string text;
        do {
            ExportPage page;
            backend.storage().read(backend.deadline(), [&](Session& session) {
                page = make(session, instruments.service(), query);
            });
            if (meanwhile && query.cursor.empty()) {
                meanwhile();
            }
            text += page.text;
            query.cursor = page.cursor;
        } while (!query.cursor.empty());
        return text;
    }

    Backend backend;
    FakeInstruments instruments;
};

// Rows of fields; what stands in quotes loses them.
std::vector<std::vector<std::string>> parse(const std::string& text) {
    std::vector<std::vector<std::string>> rows{{""}};
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
            rows.back().back().push_back(c);
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && c == ',') {
            rows.back().emplace_back();
        } else if (!quoted && c == '\r') {
            REQUIRE(text.at(++i) == '\n');
            rows.push_back({""});
        } else {
            rows.back().back().push_back(c);
        }
    }
    rows.pop_back();
    return rows;
}

std::int64_t units(const std::string& decimal) {
    const bool negative = decimal.starts_with('-');
    const ParsedDecimal value = parse_decimal(decimal.substr(negative ? 1 : 0), 8);
    REQUIRE(value);
    return negative ? -value.value : value.value;
}

// Opening, changes and closing agree with each other and with the model; the number of changes.
void check_statement(
    const World& world,
    const std::string& text,
    std::int64_t from,
    std::int64_t to
) {
    const std::map<std::string, std::uint32_t> ids{{"BTC", 0}, {"ETH", 1}, {"USDT", 2}};
    std::map<std::string, std::int64_t> balance;
    std::size_t closings = 0;
    const auto rows = parse(text);
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const auto& row = rows[i];
        REQUIRE(row.size() == 9);
        const std::string& asset = row[2];
        if (row[1] == "opening") {
            balance[asset] = units(row[4]);
            CHECK(balance[asset] == world.total(ids.at(asset), from));
        } else if (row[1] == "closing") {
            ++closings;
            CHECK(units(row[4]) == balance[asset]);
            CHECK(balance[asset] == world.total(ids.at(asset), to));
        } else {
            balance[asset] += units(row[3]);
            REQUIRE(units(row[4]) == balance[asset]);
        }
    }
    CHECK(closings == balance.size());
}

}  // namespace

TEST_CASE("exports add up, on both databases, page by page, while it trades", "[engine][T13]") {
    const char* const given = std::getenv("TENON_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'261'124;
    std::cout << "seed " << seed << " (TENON_SEED)\n";
    World world{seed};
    world.begin();
    for (int i = 0; i < 400; ++i) {
        world.step();
    }
    world.settle();
    Database<SqliteBackend> sqlite;
    Database<PostgresBackend> postgres;
    sqlite.tell(world.sql, 0);
    postgres.tell(world.sql, 0);

    const std::string trades = sqlite.whole(&engine::export_trades, {}, 100'000);
    CHECK(parse(trades).size() == world.trades + 1);
    CHECK(parse(trades).at(1).at(4).starts_with("a,\"b\""));
    const std::string statement = sqlite.whole(&engine::export_statement, {}, 100'000);
    check_statement(world, statement, 0, INT64_MAX);
    for (const std::size_t rows : {1U, 3U, 64U, 100'000U}) {
        CHECK(sqlite.whole(&engine::export_trades, {}, rows) == trades);
        CHECK(sqlite.whole(&engine::export_statement, {}, rows) == statement);
        CHECK(postgres.whole(&engine::export_trades, {}, rows) == trades);
        CHECK(postgres.whole(&engine::export_statement, {}, rows) == statement);
    }

    ExportQuery part;
    part.from_real_ns = k_begin_ns + 50'000'000;
    part.to_real_ns = k_begin_ns + 200'000'000;
    const std::string middle = sqlite.whole(&engine::export_statement, part, 5);
    check_statement(world, middle, part.from_real_ns, part.to_real_ns);
    CHECK(postgres.whole(&engine::export_statement, part, 7) == middle);
    part.asset = 1;
    for (const auto& row : parse(postgres.whole(&engine::export_statement, part, 7))) {
        CHECK((row[2] == "ETH" || row[2] == "asset"));
    }
    ExportQuery one;
    one.instrument = 1;
    for (const auto& row : parse(postgres.whole(&engine::export_trades, one, 9))) {
        CHECK((row[1] == "ETHUSDT" || row[1] == "symbol"));
    }

    // What comes after the first page is not of this export.
    const std::size_t told = world.sql.size();
    for (int i = 0; i < 50; ++i) {
        world.step();
    }
    world.settle();
    const auto both = [&](auto& database) {
        return database.whole(&engine::export_statement, {}, 10, [&] {
            database.tell(world.sql, told);
        });
    };
    CHECK(both(sqlite) == statement);
    CHECK(both(postgres) == statement);
    check_statement(world, postgres.whole(&engine::export_statement, {}, 10), 0, INT64_MAX);

    ExportQuery wrong;
    for (const char* const cursor :
         {"x", "[]", "[1,2,3]", "{}", "[1,2,3,4,5,6,\"x\",[]]", "null"}) {
        wrong.cursor = cursor;
        CHECK_THROWS_WITH(
            sqlite.whole(&engine::export_trades, wrong, 10),
            "cursor: not one that a page of this export has given"
        );
    }
}
