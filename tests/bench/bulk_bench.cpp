// SPDX-License-Identifier: Apache-2.0
// Bulk insert through tenon.storage/1 on SQLite beside a plain sqlite3 loop: the same rows, one
// transaction, statement prepared once, the same page size and durability, interleaved. Usage:
// bulk_bench [FOLDER [ROWS]]. Every round is printed; a plain loop that is as fast gives 1.00.
#include "plugins/storage/sqlite/database.hpp"

#include <tenon/storage.hpp>

#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int k_rounds = 7;
constexpr std::size_t k_columns = 6;
constexpr auto k_schema =
    "CREATE TABLE trades (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, instrument TEXT NOT "
    "NULL, price INTEGER NOT NULL, quantity INTEGER NOT NULL, note TEXT) STRICT";
constexpr std::array<std::string_view, k_columns>
    k_names{"id", "account", "instrument", "price", "quantity", "note"};

std::int64_t now_ns(void*) noexcept {
    return std::chrono::nanoseconds{Clock::now().time_since_epoch()}.count();
}

constexpr tenon_clock_1 k_clock{sizeof(tenon_clock_1), 0, &now_ns, &now_ns};

std::vector<tenon_value> make_rows(std::size_t count) {
    std::vector<tenon_value> values;
    values.reserve(count * k_columns);
    for (std::size_t i = 0; i < count; ++i) {
        values.push_back(tenon::value_of(i + 1));
        values.push_back(tenon::value_of(i % 997));
        values.push_back(tenon::value_of(i % 2 == 0 ? "BTCUSDT" : "ETHUSDT"));
        values.push_back(tenon::value_of(6'000'000 + i % 100'000));
        values.push_back(tenon::value_of(1 + i % 50));
        values.push_back(i % 3 == 0 ? tenon_value{} : tenon::value_of("filled at the open"));
    }
    return values;
}

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double through_contract(const std::string& file, const std::vector<tenon_value>& values) {
    tenon::sqlite::Settings settings;
    settings.file = file;
    tenon::sqlite::Telemetry telemetry;
    telemetry.clock = {nullptr, &k_clock};
    tenon::sqlite::DatabaseHolder holder;
    holder.database = std::make_unique<tenon::sqlite::Database>(settings, telemetry);
    const tenon::Storage storage{{&holder, &tenon::sqlite::storage_table()}};
    storage.write(tenon::k_no_deadline, [](tenon::Session& s) { s.execute(k_schema); });
    std::array<tenon_str, k_columns> names{};
    for (std::size_t i = 0; i < k_columns; ++i) {
        names[i] = tenon::str(k_names[i]);
    }
    const auto begin = Clock::now();
    storage.write(tenon::k_no_deadline, [&](tenon::Session& s) {
        s.bulk_insert("trades", names, values);
    });
    return seconds_since(begin);
}

void require(int code, sqlite3* db) {
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        std::fprintf(stderr, "bulk_bench: %s\n", sqlite3_errmsg(db));
        std::exit(1);
    }
}

double plain_loop(const std::string& file, const std::vector<tenon_value>& values) {
    sqlite3* db = nullptr;
    require(sqlite3_open(file.c_str(), &db), db);
    const auto run = [&](const char* sql) {
        require(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), db);
    };
    run("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
        "PRAGMA cache_size=-131072; PRAGMA wal_autocheckpoint=0");
    run(k_schema);
    const auto begin = Clock::now();
    run("BEGIN IMMEDIATE");
    sqlite3_stmt* insert = nullptr;
    require(
        sqlite3_prepare_v2(
            db,
            "INSERT INTO trades (id, account, instrument, price, quantity, note) VALUES "
            "(?, ?, ?, ?, ?, ?)",
            -1,
            &insert,
            nullptr
        ),
        db
    );
    for (std::size_t row = 0; row < values.size(); row += k_columns) {
        for (std::size_t c = 0; c < k_columns; ++c) {
            const tenon_value& value = values[row + c];
            const int at = static_cast<int>(c) + 1;
            if (value.kind == TENON_VALUE_INT64) {
                sqlite3_bind_int64(insert, at, value.i);
            } else if (value.kind == TENON_VALUE_TEXT) {
                const auto* text = static_cast<const char*>(value.b.p);
                sqlite3_bind_text(insert, at, text, static_cast<int>(value.b.n), SQLITE_STATIC);
            } else {
                sqlite3_bind_null(insert, at);
            }
        }
        require(sqlite3_step(insert), db);
        sqlite3_reset(insert);
    }
    run("COMMIT");
    const double took = seconds_since(begin);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return took;
}

}  // namespace

int main(int argc, char** argv) {
    const std::filesystem::path folder{argc > 1 ? argv[1] : "."};
    const std::size_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200'000;
    const std::vector<tenon_value> values = make_rows(count);
    const auto fresh = [&](const char* name) {
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove(folder / (std::string{name} + suffix));
        }
        return (folder / name).string();
    };
    std::printf("%zu rows of %zu columns, one transaction\n", count, k_columns);
    for (int round = 1; round <= k_rounds; ++round) {
        const double plain = plain_loop(fresh("bulk-plain.db"), values);
        const double ours = through_contract(fresh("bulk-contract.db"), values);
        const double rows = static_cast<double>(count);
        std::printf(
            "round %d  plain %9.0f rows/s  contract %9.0f rows/s  ratio %.2f\n",
            round,
            rows / plain,
            rows / ours,
            plain / ours
        );
    }
    return 0;
}
