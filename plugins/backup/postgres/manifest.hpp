// SPDX-License-Identifier: Apache-2.0
// What a backup of a cluster is made of: the piece "backup-ID", the last one that is stored.
#pragma once

#include "plugins/backup/postgres/wal.hpp"
#include "sdk/vault/manifest.hpp"

namespace tenon::backup_postgres {

struct BasePiece {
    std::string name;
    std::uint64_t bytes = 0;
    std::string sha256;  // over name, zero byte and content
};

struct Manifest {
    std::string id;
    std::string label;
    std::string system;
    int server_version = 0;  // major
    Timeline timeline = 0;
    Lsn start = 0;                // recovery begins there
    Lsn end = 0;                  // and is consistent from there on
    std::int64_t started_ns = 0;  // the database server's clock, Unix time
    std::int64_t finished_ns = 0;
    std::int64_t order = 0;         // no order beyond it is in the base; 0: not known
    std::string superuser;          // the cluster's first role
    std::vector<BasePiece> pieces;  // of one tar
    std::int64_t proven_ns = 0;     // a restore of it was tried and found right; not in the piece

    [[nodiscard]] std::uint64_t bytes() const noexcept;
};

[[nodiscard]] std::string encode(const Manifest& manifest);
// Throws TENON_CORRUPT and names the piece.
[[nodiscard]] Manifest decode(std::string_view text, const std::string& piece);
// As abi/backup.h has a backup. `to_real_ns`: the newest state that it reaches; 0: not known.
[[nodiscard]] std::string describe(const Manifest& manifest, std::int64_t to_real_ns);

[[nodiscard]] std::string iso_time(std::int64_t real_ns);  // with microseconds
using vault::time_of_iso;

}  // namespace tenon::backup_postgres
