// SPDX-License-Identifier: Apache-2.0
// Whether a restored database is whole.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tenon::backup_sqlite {

// PRAGMA integrity_check and foreign_key_check, and that the balances of every asset add up to zero
// over all accounts, where there are balances. `is_wanted` is asked now and then. Throws Error
// TENON_CORRUPT with what is wrong, TENON_UNAVAILABLE when it is wanted no more.
void require_whole(const std::string& file, const std::function<bool()>& is_wanted);

// When an order was placed, in Unix time; nothing when the database does not have it. Throws
// TENON_UNSUPPORTED when it has no orders at all.
[[nodiscard]] std::optional<std::int64_t>
order_placed_ns(const std::string& file, std::uint64_t order);

// The last of the engine's commands whose events the database has; 0: it has none.
[[nodiscard]] std::uint64_t projected_sequence(const std::string& file);

}  // namespace tenon::backup_sqlite
