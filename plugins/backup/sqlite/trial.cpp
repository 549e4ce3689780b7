// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/trial.hpp"

#include <tenon/plugin.hpp>

#include <sqlite3.h>

#include <memory>

namespace tenon::backup_sqlite {
namespace {

struct Close {
    void operator()(sqlite3* db) const noexcept { (void)sqlite3_close(db); }
};

using Database = std::unique_ptr<sqlite3, Close>;

struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { (void)sqlite3_finalize(statement); }
};

using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;

Database open(const std::string& file) {
    sqlite3* raw = nullptr;
    const int opened = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
    Database db{raw};
    if (opened != SQLITE_OK) {
        throw Error{
            TENON_CORRUPT,
            "the restored database cannot be opened: " + std::string{sqlite3_errstr(opened)}};
    }
    return db;
}

// Nothing when there is no such table.
Prepared prepare(const Database& db, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    (void)sqlite3_prepare_v2(db.get(), sql, -1, &statement, nullptr);
    return Prepared{statement};
}

// The first row that is not just "ok", as text; empty when there is none.
std::string first_problem(sqlite3* db, const char* sql) {
    std::string problem;
    const auto take = [](void* to, int columns, char** values, char** names) {
        auto& text = *static_cast<std::string*>(to);
        if (!text.empty() ||
            (columns == 1 && values[0] != nullptr && std::string_view{values[0]} == "ok")) {
            return 0;
        }
        for (int i = 0; i < columns; ++i) {
            text += text.empty() ? "" : " ";
            text.append(names[i]).append("=").append(values[i] == nullptr ? "-" : values[i]);
        }
        return 0;
    };
    if (sqlite3_exec(db, sql, take, &problem, nullptr) != SQLITE_OK) {
        return sqlite3_errmsg(db);
    }
    return problem;
}

}  // namespace

std::optional<std::int64_t> order_placed_ns(const std::string& file, std::uint64_t order) {
    const Database db = open(file);
    const auto statement = prepare(db, "SELECT created_real_ns FROM orders WHERE order_id = ?");
    if (!statement) {
        throw Error{
            TENON_UNSUPPORTED,
            "the database has no orders: " + std::string{sqlite3_errmsg(db.get())}};
    }
    (void)sqlite3_bind_int64(statement.get(), 1, static_cast<sqlite3_int64>(order));
    return sqlite3_step(statement.get()) == SQLITE_ROW
               ? std::optional<std::int64_t>{sqlite3_column_int64(statement.get(), 0)}
               : std::nullopt;
}

std::uint64_t projected_sequence(const std::string& file) {
    const Database db = open(file);
    const auto statement = prepare(db, "SELECT max(sequence) FROM projection_offset");
    return statement && sqlite3_step(statement.get()) == SQLITE_ROW
               ? static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), 0))
               : 0;
}

void require_whole(const std::string& file, const std::function<bool()>& is_wanted) {
    const Database db = open(file);
    sqlite3* const raw = db.get();
    constexpr int k_steps = 10'000;  // of SQLite's machine: some milliseconds
    const auto ask = [](void* asked) -> int {
        return (*static_cast<const std::function<bool()>*>(asked))() ? 0 : 1;
    };
    sqlite3_progress_handler(raw, k_steps, ask, const_cast<std::function<bool()>*>(&is_wanted));
    const auto require = [&](const char* what, const char* sql) {
        const std::string problem = first_problem(raw, sql);
        if (!is_wanted()) {
            throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
        }
        if (!problem.empty()) {
            throw Error{
                TENON_CORRUPT, "the restored database fails " + std::string{what} + ": " + problem};
        }
    };
    require("integrity_check", "PRAGMA integrity_check");
    require("foreign_key_check", "PRAGMA foreign_key_check");
    const bool has_balances =
        !first_problem(
             raw, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'balances'"
        )
             .empty();
    if (has_balances) {
        require(
            "the sum of balances",
            "SELECT asset, sum(free) + sum(locked) AS off FROM balances GROUP BY asset "
            "HAVING sum(free) + sum(locked) <> 0"
        );
    }
}

}  // namespace tenon::backup_sqlite
