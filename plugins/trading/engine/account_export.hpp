// SPDX-License-Identifier: Apache-2.0
// An account's trades, and every change of its money, as CSV out of the database: page by page, so
// that memory does not grow with the account. What was archived is not there any more. [io]
#pragma once

#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>
#include <tenon/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace tenon::engine {

struct ExportQuery {
    std::uint64_t account = 0;
    std::optional<std::uint32_t> instrument;  // trades: only of it
    std::optional<std::uint32_t> asset;       // statement: only of it
    std::int64_t from_real_ns = 0;            // at or after
    std::int64_t to_real_ns = INT64_MAX;      // before
    std::string cursor;                       // of the page before; empty: the first
    std::size_t rows_max = 2'000;             // of a page
};

struct ExportPage {
    std::string text;    // whole lines; the first page begins with the names of the columns
    std::string cursor;  // empty: this was the last one
};

// Oldest first: time, symbol, side, order_id, client_order_id, trade_id, price, quantity,
// quote_amount, fee, fee_asset, role. Amounts are exact decimals. Throws Error TENON_INVALID for a
// cursor that is none; what the storage throws.
[[nodiscard]] ExportPage export_trades(
    Session& session,
    const Service<tenon_instruments_1>& instruments,
    const ExportQuery& query
);

// Oldest first: time, kind, asset, change, balance, symbol, order_id, trade_id, reference.
// `balance` is what the account then owned of the asset, free and locked. Kinds: opening and
// closing (a row for each asset), deposit, withdrawal, transfer_in, transfer_out, bought, sold,
// paid, received, fee. The opening balance is the present one less every change since, so that
// opening and changes are closing, also when older rows were archived. All pages are of the state
// at the first one.
[[nodiscard]] ExportPage export_statement(
    Session& session,
    const Service<tenon_instruments_1>& instruments,
    const ExportQuery& query
);

}  // namespace tenon::engine
