// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/transaction_keys.hpp"

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_hour_ns = 3'600'000 * k_ms;
constexpr std::int64_t k_kept_ns = 24 * k_hour_ns;

// Numbered in the order in which they come, so that the oldest are found without an index of times.
constexpr std::string_view k_table =
    "CREATE TABLE IF NOT EXISTS tenon_transaction_keys (number INTEGER PRIMARY KEY, "
    "key TEXT NOT NULL UNIQUE, at_real_ns INTEGER NOT NULL) STRICT";
constexpr std::string_view k_claim =
    "INSERT INTO tenon_transaction_keys (key, at_real_ns) VALUES (?, ?) ON CONFLICT DO NOTHING";
constexpr std::string_view k_confirm =
    "UPDATE tenon_transaction_keys SET at_real_ns = at_real_ns WHERE key = ?";
constexpr std::string_view k_prune =
    "DELETE FROM tenon_transaction_keys WHERE at_real_ns < ? AND number IN "
    "(SELECT number FROM tenon_transaction_keys ORDER BY number LIMIT 5000)";

}  // namespace

bool TransactionKeys::claim(
    Connection& connection,
    std::string_view key,
    std::int64_t now_real_ns
) {
    try {
        if (!is_there_) {
            connection.execute(k_table);
        }
        return insert(connection, key, now_real_ns);
    } catch (...) {
        is_there_ = false;  // perhaps somebody took it away
        throw;
    }
}

bool TransactionKeys::insert(
    Connection& connection,
    std::string_view key,
    std::int64_t now_real_ns
) {
    Prepared& claim = connection.prepare(k_claim);
    claim.bind(1, value_of(key));
    claim.bind(2, value_of(now_real_ns));
    while (claim.step()) {}
    if (connection.changes() == 1) {
        return true;
    }
    Prepared& confirm = connection.prepare(k_confirm);
    confirm.bind(1, value_of(key));
    while (confirm.step()) {}
    return false;
}

void TransactionKeys::prune(Connection& connection, std::int64_t now_ns, std::int64_t now_real_ns) {
    if (!is_there_ || now_ns < next_prune_ns_) {
        return;
    }
    next_prune_ns_ = now_ns + k_hour_ns;
    connection.begin();
    Prepared& prune = connection.prepare(k_prune);
    prune.bind(1, value_of(now_real_ns - k_kept_ns));
    while (prune.step()) {}
    const bool may_be_more = connection.changes() != 0;
    connection.commit();
    if (may_be_more) {
        next_prune_ns_ = now_ns;
    }
}

}  // namespace tenon::sqlite
