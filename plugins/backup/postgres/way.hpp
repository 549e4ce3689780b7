// SPDX-License-Identifier: Apache-2.0
// The log that leads from a base onwards.
#pragma once

#include "plugins/backup/postgres/backups.hpp"

namespace tenon::backup_postgres {

struct Backups::Way {
    std::vector<Stretch> pieces;   // in the order of replay, over all timelines
    std::vector<Branch> branches;  // from that of the base on
    std::string missing;           // the first gap, "" when there is none
};

// Throws TENON_CORRUPT, also when it is missing.
[[nodiscard]] std::string content_of(Pieces& pieces, const BasePiece& piece);

}  // namespace tenon::backup_postgres
