// SPDX-License-Identifier: Apache-2.0
// Rows of an archive, back in the database.
#pragma once

#include "plugins/archive/folder.hpp"
#include "plugins/archive/rows.hpp"

#include <functional>
#include <string>
#include <vector>

namespace tenon::archive {

struct Restored {
    std::uint64_t inserted = 0;
    std::uint64_t present = 0;           // that were there, as they are in the archive
    std::uint64_t different = 0;         // that were there with other values, and were left so
    std::vector<std::string> differing;  // keys of the first ones
    bool hash_equal =
        false;  // what the database holds of the range's rows is what the archive holds
};

// Puts every row back that is not there. The range is marked as restored before the first, so that
// retention leaves it alone. Again after a crash or a failure it does what is left. Blocks; throws
// StorageError, TENON_CORRUPT before anything is written, UNAVAILABLE when `stopping`.
[[nodiscard]] Restored restore_rows(
    const Storage& storage,
    const Folder& folder,
    Manifest manifest,
    const std::function<std::int64_t()>& deadline_ns,
    const std::function<bool()>& stopping
);

}  // namespace tenon::archive
