// SPDX-License-Identifier: Apache-2.0
// The engine's part of a backup: files journal/SEGMENT and snapshots/SNAPSHOT of its manifest, and
//
//     "journal": {"segment", "bytes", "crc"   where it ends
//                 "sequence"                  of the last record
//                 "points": [{"commit", "segment", "snapshot"}, ...]}
//
// A point says: of the database as it was after that commit, or later, the engine can go on from
// this snapshot (0: from none) and the segments from this one on. A backup begins with the newest
// point that its database is not behind of, so segments and snapshots that the engine has deleted
// since are taken over from the backup before; their pieces are in the store.
#pragma once

#include "plugins/backup/sqlite/journal_source.hpp"
#include "sdk/vault/vault.hpp"

#include <optional>

namespace tenon::backup_sqlite {

struct JournalPoint {
    std::uint64_t commit = 0;
    std::uint64_t segment = 0;
    std::uint64_t snapshot = 0;  // the oldest that there was; 0: none
};

struct JournalPart {
    JournalMark end;
    std::uint64_t sequence = 0;
    std::vector<JournalPoint> points;  // oldest first
};

// Nothing: the backup has no journal.
[[nodiscard]] std::optional<JournalPart> journal_of(const vault::Manifest& manifest);

[[nodiscard]] bool is_of_journal(std::string_view name) noexcept;
[[nodiscard]] bool is_of_snapshots(std::string_view name) noexcept;

// Takes the engine's part into a backup. One object for each.
class JournalBackup {
public:
    // What the engine needs from now on is held. Throws TENON_UNAVAILABLE.
    explicit JournalBackup(const JournalFolders& folders);

    // Says where the journal ends now, which is not before anything that the manifest has of the
    // database, and puts what there is into the store. `before`: the backup before, of the same
    // capture folder, or null. Throws what Vault throws.
    void add_to(
        vault::Manifest& manifest,
        const vault::Manifest* before,
        vault::Vault& vault,
        bool anew,
        const vault::Say& say
    );

private:
    using Keep = std::function<void(const std::string& name, int fd, std::uint64_t bytes)>;

    void add_segments(
        vault::Manifest& manifest,
        JournalPart& part,
        const vault::Manifest* before,
        std::uint64_t known_below,
        const Keep& keep
    );

    JournalSource source_;
    std::uint64_t first_segment_ = 0;  // that the engine needs; 0: there was no journal
    std::vector<JournalSource::SnapshotFile> snapshots_;
};

}  // namespace tenon::backup_sqlite
