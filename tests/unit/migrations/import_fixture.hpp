// SPDX-License-Identifier: Apache-2.0
// A database as freqtrade makes it, filled by seed, and the sums that its rows have to come to; a
// target to import into.
#pragma once

#include "plugins/migrations/import/importer.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/decimal.hpp>

#include <sqlite3.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace tenon::test {

// A file of SQLite that a test writes by hand.
class PlainSqlite {
public:
    explicit PlainSqlite(const std::string& path) {
        require(sqlite3_open(path.c_str(), &db_));
        run("PRAGMA synchronous = OFF");
    }

    ~PlainSqlite() { (void)sqlite3_close_v2(db_); }

    PlainSqlite(const PlainSqlite&) = delete;
    PlainSqlite& operator=(const PlainSqlite&) = delete;

    void run(const std::string& sql) {
        require(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr));
    }

    void insert(const std::string& sql, const std::vector<tenon_value>& values) {
        sqlite3_stmt* statement = nullptr;
        require(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr));
        for (std::size_t i = 0; i < values.size(); ++i) {
            const int at = static_cast<int>(i + 1);
            const tenon_value& value = values[i];
            if (value.kind == TENON_VALUE_INT64) {
                (void)sqlite3_bind_int64(statement, at, value.i);
            } else if (value.kind == TENON_VALUE_REAL) {
                (void)sqlite3_bind_double(statement, at, value.r);
            } else if (value.kind == TENON_VALUE_TEXT) {
                (void)sqlite3_bind_text64(
                    statement,
                    at,
                    static_cast<const char*>(value.b.p),
                    value.b.n,
                    k_copied,
                    SQLITE_UTF8
                );
            }
        }
        const int result = sqlite3_step(statement);
        (void)sqlite3_finalize(statement);
        require(result == SQLITE_DONE ? SQLITE_OK : result);
    }

private:
    // The value is copied: what the library's own macro says, without its cast.
    static inline const sqlite3_destructor_type k_copied =
        reinterpret_cast<sqlite3_destructor_type>(std::intptr_t{-1});

    void require(int result) const {
        if (result != SQLITE_OK) {
            throw Error{TENON_INTERNAL, sqlite3_errmsg(db_)};
        }
    }

    sqlite3* db_ = nullptr;
};

// A number as a program writes it into a column of doubles.
inline double real_of(std::int64_t units, int scale) {
    return std::stod(decimal_text(units, scale));
}

struct Totals {
    std::int64_t orders = 0, quantity = 0, filled = 0, filled_quote = 0;
    std::int64_t fills = 0, fill_quantity = 0, quote_amount = 0, fill_fees = 0;
    std::int64_t logs = 0, pnl = 0, fees = 0, log_quantity = 0;
    std::int64_t open = 0, open_quantity = 0;

    friend bool operator==(const Totals&, const Totals&) = default;
};

// Strings that somebody may have given to a bot.
inline const std::vector<std::string>& hostile_texts() {
    static const std::vector<std::string> k_texts{
        "plain",
        "'; DROP TABLE orders;--",
        "\"quoted\" \\N \\t",
        "Straße 北 🚀",
        "line\nbreak\ttab",
        "%s %n ${x} ?1"};
    return k_texts;
}

class FreqtradeDatabase {
public:
    FreqtradeDatabase(const std::string& path, std::uint64_t seed, int trades)
        : db_{path}, random_{seed} {
        db_.run(k_schema);
        db_.run("BEGIN");
        for (int i = 0; i < trades; ++i) {
            trade();
        }
        db_.run("COMMIT");
    }

    // What every column has to come to, in the target's units.
    Totals totals;

    [[nodiscard]] PlainSqlite& db() { return db_; }

    void trade() {
        const bool is_eth = pick(2) == 0;
        const int scale = is_eth ? 4 : 5;
        // Units of quantity, price in cents: quote amounts count 10^-8.
        const std::int64_t quantity = 1 + pick(1'000'000);
        const std::int64_t entry = 1 + pick(8'000'000);
        const std::int64_t exit = 1 + pick(8'000'000);
        const bool closed = pick(5) != 0;
        const bool is_short = pick(6) == 0;
        const std::int64_t fee = pick(1'000'000'000);
        const std::int64_t pnl = pick(2'000'000'000) - 1'000'000'000;
        const std::int64_t id = ++trades_;
        const char* const pair = is_eth ? "ETH/USDT" : "BTC/USDT";
        // One position of a kind: the strategy tells them apart.
        const std::string text =
            hostile_texts()[static_cast<std::size_t>(pick(6))] + (closed ? "" : std::to_string(id));
        static const std::vector<std::string> k_exits{
            "roi", "stop_loss", "trailing_stop_loss", "exit_signal", "my own reason", "force_exit"};
        db_.insert(
            "INSERT INTO trades (id, exchange, pair, base_currency, stake_currency, is_open, "
            "fee_open, fee_open_cost, fee_open_currency, fee_close, fee_close_cost, "
            "fee_close_currency, open_rate, close_rate, close_profit_abs, stake_amount, amount, "
            "open_date, close_date, stop_loss, exit_reason, strategy, is_short) VALUES "
            "(?, 'binance', ?, ?, 'USDT', ?, 0.001, ?, 'USDT', 0.001, ?, ?, ?, ?, ?, 0, ?, ?, ?, "
            "?, ?, ?, ?)",
            {value_of(id),
             value_of(pair),
             value_of(is_eth ? "ETH" : "BTC"),
             value_of(closed ? 0 : 1),
             value_of(real_of(fee, 8)),
             closed ? value_of(real_of(fee, 8)) : null_value(),
             // A fee in another currency is not the trade's to count.
             value_of(id % 3 == 0 ? "BNB" : "USDT"),
             value_of(real_of(entry, 2)),
             closed ? value_of(real_of(exit, 2)) : null_value(),
             closed ? value_of(real_of(pnl, 8)) : null_value(),
             value_of(real_of(quantity, scale)),
             value_of("2024-02-29 12:00:00.123456"),
             closed ? value_of("2024-03-01 00:00:00") : null_value(),
             value_of(real_of(id, 2)),
             closed ? value_of(k_exits[static_cast<std::size_t>(pick(6))]) : null_value(),
             value_of(text),
             value_of(is_short ? 1 : 0)}
        );
        order(
            id, pair, is_short ? "sell" : "buy", scale, quantity, entry, quantity, "closed", text
        );
        if (closed) {
            order(
                id, pair, is_short ? "buy" : "sell", scale, quantity, exit, quantity, "closed", text
            );
            ++totals.logs;
            totals.pnl += pnl;
            totals.fees += id % 3 == 0 ? fee : 2 * fee;
            totals.log_quantity += quantity;
        } else {
            ++totals.open;
            totals.open_quantity += quantity;
            if (pick(2) == 0) {
                open_order(id, pair, scale, quantity, exit);
            }
        }
        const std::int64_t stopped = pick(3) == 0 ? pick(2) * (quantity / 2) : -1;
        if (stopped >= 0) {
            order(id, pair, "stoploss", scale, quantity, entry, stopped, "canceled", text);
        }
        // Two fills of one side: nobody knows which part of the fee is whose.
        totals.fill_fees += fee + (closed && stopped <= 0 && id % 3 != 0 ? fee : 0);
    }

private:
    static constexpr const char* k_schema =
        "CREATE TABLE trades (id INTEGER NOT NULL PRIMARY KEY, exchange VARCHAR(25) NOT NULL, "
        "pair VARCHAR(25) NOT NULL, base_currency VARCHAR(25), stake_currency VARCHAR(25), "
        "is_open BOOLEAN NOT NULL, fee_open FLOAT NOT NULL, fee_open_cost FLOAT, "
        "fee_open_currency VARCHAR(25), fee_close FLOAT NOT NULL, fee_close_cost FLOAT, "
        "fee_close_currency VARCHAR(25), open_rate FLOAT, close_rate FLOAT, close_profit FLOAT, "
        "close_profit_abs FLOAT, stake_amount FLOAT NOT NULL, amount FLOAT, open_date DATETIME NOT "
        "NULL, close_date DATETIME, stop_loss FLOAT, exit_reason VARCHAR(255), strategy "
        "VARCHAR(100), is_short BOOLEAN NOT NULL);"
        "CREATE TABLE orders (id INTEGER NOT NULL PRIMARY KEY, ft_trade_id INTEGER NOT NULL "
        "REFERENCES trades (id), ft_order_side VARCHAR(25) NOT NULL, ft_pair VARCHAR(25) NOT NULL, "
        "ft_is_open BOOLEAN NOT NULL, order_id VARCHAR(255) NOT NULL, status VARCHAR(255), "
        "order_type VARCHAR(50), side VARCHAR(25), price FLOAT, average FLOAT, amount FLOAT, "
        "filled FLOAT, remaining FLOAT, cost FLOAT, order_date DATETIME, order_filled_date "
        "DATETIME, order_update_date DATETIME);"
        "CREATE INDEX ix_trades_is_open ON trades (is_open);"
        "CREATE INDEX ix_orders_ft_is_open ON orders (ft_is_open);"
        "CREATE INDEX ix_orders_order_id ON orders (order_id);"
        "CREATE INDEX ix_orders_ft_trade_id ON orders (ft_trade_id)";

    std::int64_t pick(std::int64_t below) {
        return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(below));
    }

    void order(
        std::int64_t trade,
        const char* pair,
        const char* side,
        int scale,
        std::int64_t quantity,
        std::int64_t price,
        std::int64_t filled,
        const char* status,
        const std::string& text
    ) {
        const std::int64_t cost = price * filled * power_of_ten(8 - 2 - scale);
        const std::string number = std::to_string(++orders_);
        db_.insert(
            "INSERT INTO orders (id, ft_trade_id, ft_order_side, ft_pair, ft_is_open, order_id, "
            "status, order_type, price, average, amount, filled, cost, order_date, "
            "order_filled_date, order_update_date) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, "
            "'2024-02-29 12:00:00', ?, '2024-02-29 13:00:00.5')",
            {value_of(orders_),
             value_of(trade),
             value_of(side),
             value_of(pair),
             value_of(text.substr(0, 20) + number),
             value_of(status),
             value_of(std::string_view{side} == "stoploss" ? "stop_loss_limit" : "limit"),
             value_of(real_of(price, 2)),
             filled == 0 ? null_value() : value_of(real_of(price, 2)),
             value_of(real_of(quantity, scale)),
             value_of(real_of(filled, scale)),
             value_of(real_of(cost, 8)),
             filled == 0 ? null_value() : value_of("2024-02-29 12:30:00")}
        );
        ++totals.orders;
        totals.quantity += quantity;
        totals.filled += filled;
        totals.filled_quote += cost;
        totals.fills += filled == 0 ? 0 : 1;
        totals.fill_quantity += filled;
        totals.quote_amount += cost;
    }

    // Still on the exchange: not to be imported.
    void open_order(
        std::int64_t trade,
        const char* pair,
        int scale,
        std::int64_t quantity,
        std::int64_t price
    ) {
        db_.insert(
            "INSERT INTO orders (id, ft_trade_id, ft_order_side, ft_pair, ft_is_open, order_id, "
            "status, order_type, price, amount, filled, order_date) VALUES (?, ?, 'sell', ?, 1, "
            "'open', 'open', 'limit', ?, ?, 0, '2024-02-29 12:00:00')",
            {value_of(++orders_),
             value_of(trade),
             value_of(pair),
             value_of(real_of(price, 2)),
             value_of(real_of(quantity, scale))}
        );
    }

    PlainSqlite db_;
    std::mt19937_64 random_;
    std::int64_t trades_ = 0, orders_ = 0;
};

inline std::string shipped_mapping(const std::string& name) {
    std::ifstream file{source_dir() + "/etc/imports/" + name + ".json"};
    return {std::istreambuf_iterator<char>{file}, {}};
}

inline std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const auto at = text.find(what);
    if (at == std::string::npos) {
        throw Error{TENON_INTERNAL, "no \"" + what + "\" to replace"};
    }
    return text.replace(at, what.size(), with);
}

// A target of either dialect with the shipped schema and two instruments of a trading server.
template <class Backend>
class ImportTarget {
public:
    // `make_schema` false: it is there already.
    template <class... Argument>
    explicit ImportTarget(bool make_schema, Argument&&... argument)
        : backend{std::forward<Argument>(argument)...} {
        if (!make_schema) {
            return;
        }
        shipped_schema(backend)->up();
        run("INSERT INTO assets (id, name, scale) VALUES (0, 'USDT', 8), (1, 'BTC', 8), (2, 'ETH', "
            "8)");
        run("INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale) VALUES "
            "(0, 'BTCUSDT', 1, 0, 2, 5), (1, 'ETHUSDT', 2, 0, 2, 4)");
    }

    void run(const std::string& sql) {
        backend.storage().write(backend.deadline(), [&](Session& session) {
            session.execute(sql);
        });
    }

    [[nodiscard]] std::int64_t number(const std::string& sql) {
        std::int64_t value = 0;
        backend.storage().read(backend.deadline(), [&](Session& session) {
            for (Statement row = session.prepare(sql); row.step();) {
                value = row.is_null(0) ? 0 : row.integer(0);
            }
        });
        return value;
    }

    [[nodiscard]] Totals totals() {
        const auto total = [&](const std::string& column, const std::string& table) {
            return number("SELECT CAST(coalesce(sum(" + column + "), 0) AS BIGINT) FROM " + table);
        };
        Totals t;
        t.orders = number("SELECT count(*) FROM orders");
        t.quantity = total("quantity", "orders");
        t.filled = total("filled_quantity", "orders");
        t.filled_quote = total("filled_quote", "orders");
        t.fills = number("SELECT count(*) FROM trades");
        t.fill_quantity = total("quantity", "trades");
        t.quote_amount = total("quote_amount", "trades");
        t.fill_fees = total("fee", "trades");
        t.logs = number("SELECT count(*) FROM trade_logs");
        t.pnl = total("pnl", "trade_logs");
        t.fees = total("fees", "trade_logs");
        t.log_quantity = total("quantity", "trade_logs");
        t.open = number("SELECT count(*) FROM active_positions");
        t.open_quantity = total("quantity", "active_positions");
        return t;
    }

    [[nodiscard]] std::int64_t rows_everywhere() {
        std::int64_t rows = 0;
        for (const char* table :
             {"users",
              "accounts",
              "orders",
              "trades",
              "trade_logs",
              "active_positions",
              "positions",
              "signals",
              "pending_limit_orders",
              "imports",
              "import_tables",
              "imported_rows",
              "import_bad_rows"}) {
            rows += number(std::string{"SELECT count(*) FROM "} + table);
        }
        return rows;
    }

    [[nodiscard]] std::unique_ptr<importer::Importer> importer(
        std::unique_ptr<importer::Source> source,
        const std::string& mapping,
        importer::ImportOptions options = {}
    ) {
        const Host host{backend.host.raw()};
        return std::make_unique<importer::Importer>(
            backend.storage(),
            host.service<tenon_clock_1>("tenon.clock/1"),
            std::move(source),
            importer::parse_mapping(mapping, "test"),
            std::move(options)
        );
    }

    // Checked first, as the job does it.
    importer::ImportProgress import_file(
        const std::string& file,
        const std::string& mapping,
        importer::ImportOptions options = {}
    ) {
        const auto made = importer(importer::open_sqlite(file), mapping, std::move(options));
        const auto problems = made->check();
        if (!problems.empty()) {
            throw Error{TENON_INVALID, importer::lines_of(problems)};
        }
        made->run();
        return made->progress();
    }

    importer::ImportProgress verify_file(const std::string& file, const std::string& mapping) {
        const auto made = importer(importer::open_sqlite(file), mapping);
        made->verify();
        return made->progress();
    }

    Backend backend;
};

}  // namespace tenon::test
