// SPDX-License-Identifier: Apache-2.0
// Whether the database itself is whole, in steps that are small enough to stand between others'
// work.
//
// SQLite: each table's pages, records and indexes (PRAGMA quick_check, or integrity_check, which
// also compares indexes with rows) and its foreign keys. PostgreSQL: indexes that are not valid
// (and not just being built), constraints that were never validated, triggers that are switched
// off, checksum failures that the server has counted; and each B-tree with bt_index_check, where
// the extension amcheck is installed in the database. It mends nothing, and does not read
// PostgreSQL's tables: that is for pg_amcheck and pg_checksums. Functions block ([io]) and throw
// StorageError.
#pragma once

#include <tenon/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::upkeep {

inline constexpr std::size_t k_problems_max = 100;

// One look: `subject` names it for people, `problems` are statements whose rows are problems.
struct IntegrityStep {
    std::string subject;
    std::vector<std::string> problems;
};

// What there is to look at. full: SQLite's integrity_check in the place of quick_check.
[[nodiscard]] std::vector<IntegrityStep>
integrity_steps(Session& session, std::string_view dialect, bool full);

// Adds what is wrong to `problems`, up to k_problems_max in all.
void run_step(Session& session, const IntegrityStep& step, std::vector<std::string>& problems);

}  // namespace tenon::upkeep
