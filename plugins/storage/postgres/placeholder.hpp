// SPDX-License-Identifier: Apache-2.0
// SQL of the storage contract in PostgreSQL's words: '?' becomes $1, $2, …
//
// Text in strings, quoted names, comments and dollar quotes stays as it is. PostgreSQL's own
// operators with a question mark are written twice: `data ?? 'key'`. The text is looked at, not
// parsed: what is wrong with it PostgreSQL says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::postgres {

struct ScannedSql {
    std::string text;
    std::uint32_t parameters = 0;
    // The first words of each statement, in upper case: {"ROLLBACK", "TO"}, three at most.
    std::vector<std::vector<std::string>> statements;
    // Something in it outlives the transaction on its session: SET, set_config, advisory locks,
    // temporary tables, LISTEN, cursors WITH HOLD, and what cannot be looked into: DO, CALL.
    bool touches_session = false;
    // set_config() is called, with whatever it is given.
    bool sets_config = false;
};

[[nodiscard]] ScannedSql scan(std::string_view sql);

// What must not be run through the contract, or "" when all is well: beginning and ending
// transactions, and what would take the session's prepared statements or its protocol away.
[[nodiscard]] std::string refused(const ScannedSql& sql);

// A name as it is written in SQL, whatever is in it.
[[nodiscard]] std::string quoted_name(std::string_view name);

}  // namespace tenon::postgres
