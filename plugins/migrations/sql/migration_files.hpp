// SPDX-License-Identifier: Apache-2.0
// The migrations as they lie in their folder, checked before any of them is run.
//
//   NNNN_name.up.sql  NNNN_name.down.sql            for every dialect
//   NNNN_name.sqlite.up.sql  …                      where dialects differ (sqlite, postgres)
//   chain.sums                                      one line a file, sorted by name
//
// Versions run from 1 without a gap, each has an up and a down file; script.hpp tells what is in
// them.
//
// A line of chain.sums is `HASH  NAME`, HASH = SHA-256(previous HASH, space, NAME, space, SHA-256
// of the file's bytes), all hashes as 64 lower-case hex digits, the first previous one 64 zeros. So
// a changed, added or removed file shows at its own line, and two branches that both add one
// conflict. Two migrations of one version, which such a merge can leave, are two heads: refused.
#pragma once

#include "plugins/migrations/sql/script.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::migrations {

struct Migration {
    std::uint32_t version = 0;
    std::string name;
    Script up, down;
};

// "0007_name".
[[nodiscard]] std::string label(std::uint32_t version, std::string_view name);

// Reads and checks the folder for one dialect; ascending by version. Throws Error (TENON_INVALID)
// with every fault found, one a line.
[[nodiscard]] std::vector<Migration>
load_migrations(const std::string& folder, std::string_view dialect);

// What chain.sums has to say for this folder. Throws Error when it cannot be read.
[[nodiscard]] std::string chain_of(const std::string& folder);

}  // namespace tenon::migrations
