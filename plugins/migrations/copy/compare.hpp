// SPDX-License-Identifier: Apache-2.0
// Compares a table of two databases row by row.
#pragma once

#include "plugins/migrations/copy/copier.hpp"

namespace tenon::copy {

struct Compared {
    const Side& side;
    Session& session;
};

// Reads both in the order of the key, a batch at a time; rows are never kept. The digests are of
// the canonical form of all rows, so equal digests mean equal rows. Values are not told, only
// names.
[[nodiscard]] TableCheck
compare_table(const Table& table, Compared source, Compared target, const CopyOptions& options);

}  // namespace tenon::copy
