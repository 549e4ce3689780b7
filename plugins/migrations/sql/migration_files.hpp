// SPDX-License-Identifier: Apache-2.0
// The migrations as they lie in their folder, checked before any of them is run.
//
//   NNNN_name.up.sql  NNNN_name.down.sql            for every dialect
//   NNNN_name.sqlite.up.sql  …                      where dialects differ (sqlite, postgres)
//   chain.sums                                      one line a file, sorted by name
//
// Versions run from 1 without a gap, each has an up and a down file. Head comments of the form
// `-- tenon: key=value` carry metadata: destructive=true|false, phase=expand|backfill|contract.
//
// A line of chain.sums is `HASH  NAME`, HASH = SHA-256(previous HASH, space, NAME, space, SHA-256
// of the file's bytes), all hashes as 64 lower-case hex digits, the first previous one 64 zeros. So
// a changed, added or removed file shows at its own line, and two branches that both add one
// conflict.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::migrations {

struct Migration {
    std::uint32_t version = 0;
    std::string name;
    std::string up_sql, down_sql;
    std::string up_sha256, down_sha256;
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

// `destructive` of a migration's text. Throws Error when its metadata is wrong.
[[nodiscard]] bool is_destructive(std::string_view sql, std::string_view file);

// Reads and checks the folder for one dialect; ascending by version. Throws Error (TENON_INVALID)
// with every fault found, one a line.
[[nodiscard]] std::vector<Migration>
load_migrations(const std::string& folder, std::string_view dialect);

}  // namespace tenon::migrations
