// SPDX-License-Identifier: Apache-2.0
// Daily partitions of PostgreSQL's tables, made ahead and dropped when they are empty and old.
//
// It looks after tables of history_tables() that are partitioned by RANGE of their time column, and
// does nothing where none is. Making and dropping share nothing, so that what keeps old ones from
// going never keeps new ones from coming. Functions block ([io]).
#pragma once

#include "plugins/archive/tables.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::archive {

struct PartitionsMade {
    std::uint64_t made = 0;
    std::vector<std::string> problems;  // of tables that could not get theirs; the others did
};

// A partition TABLE_pYYYYMMDD for today and each of `ahead_days` days, where no other covers the
// day's first moment. Throws StorageError when the catalogue cannot be read.
[[nodiscard]] PartitionsMade make_partitions(
    const Storage& storage,
    std::int64_t deadline_ns,
    std::int64_t now_real_ns,
    std::int64_t ahead_days
);

// Drops partitions of that name that end before `before_real_ns` and hold no row; says how many.
// Rows do not get lost: who writes to one waits, or comes first and keeps it.
std::uint64_t drop_empty_partitions(
    const Storage& storage,
    std::int64_t deadline_ns,
    const std::string& table,
    std::int64_t before_real_ns
);

}  // namespace tenon::archive
