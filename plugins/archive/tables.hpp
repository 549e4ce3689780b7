// SPDX-License-Identifier: Apache-2.0
// What may be archived, and how its rows are walked.
//
// Only history: rows that are final and that nothing else refers to when they go. Never archived:
// balances and ledger_entries (who owns what, and how it came to that: every sum over them stays as
// it was), accounts, users, payments, licences, settings and credentials, audit_log (a chain of
// hashes from its first row), and old_trades, old_candles and public_trades, of which the market
// data keeps account itself. [any]
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::archive {

inline constexpr std::int64_t k_day_ns = 86'400'000'000'000;

// A kind of history. Rows are walked in the order of `keys`, integers that tell a row from all
// others; an index begins with the first.
struct HistoryTable {
    std::string name;   // of the policy: "trades", "candles_1m"
    std::string table;  // "trades", "candles"
    std::vector<std::string> keys;
    std::string time;         // the column that says how old a row is
    std::string condition;    // SQL: the row is final and may go; one '?' is the cutoff, if any
    bool has_cutoff = false;  // `condition` has that '?'

    // Rows come in the order of time, so that a range is a day. Else a range is a run of keys.
    [[nodiscard]] bool by_time() const noexcept { return keys.front() == time; }

    // "a, b, c" and "?, ?, ?".
    [[nodiscard]] std::string key_list() const;
    [[nodiscard]] std::string key_marks() const;
};

// Throws TENON_INVALID, naming what there is.
[[nodiscard]] const HistoryTable& history_table(std::string_view name);
[[nodiscard]] const std::vector<HistoryTable>& history_tables();

struct Column {
    std::string name, type;  // as the database calls it: "INTEGER", "bigint"

    bool operator==(const Column&) const = default;
};

// In the order of the table. Throws StorageError.
[[nodiscard]] std::vector<Column>
columns_of(Session& session, std::string_view dialect, const std::string& table);
// The version that the schema is at; 0 when that is not known.
[[nodiscard]] std::int64_t schema_version(Session& session, std::string_view dialect);

}  // namespace tenon::archive
