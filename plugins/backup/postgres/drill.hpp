// SPDX-License-Identifier: Apache-2.0
// Restores that are tried: into a scratch folder, on a unix socket there, and looked at.
//
// The newest state and one random older instant. A server of PostgreSQL's own replays and becomes a
// primary; then pg_amcheck reads every table and index, the sum of every asset's balances has to be
// zero, and trades and transfers, which are only ever added, have to be those of the primary.
#pragma once

#include "plugins/backup/postgres/backups.hpp"

#include <cstdint>

namespace tenon::backup_postgres {

struct DrillSettings {
    std::string scratch;  // an existing folder; what is made in it goes again
    std::chrono::milliseconds timeout{std::chrono::hours{2}};  // for one start
};

struct DrillReport {
    std::string id;               // of the backup that is now proven
    std::string newest;           // where the first restore ended
    std::string older;            // the random instant, "" when there was none to choose
    std::int64_t restore_ms = 0;  // of the newest: from the first piece to a server that answers
    std::string checked;          // which checks could be made
};

// Throws Error: TENON_CORRUPT with what is wrong with the restored state; else why it was not
// tried.
DrillReport
drill(Backups& backups, const DrillSettings& settings, std::uint64_t seed, const Say& say);

}  // namespace tenon::backup_postgres
