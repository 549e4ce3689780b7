// SPDX-License-Identifier: Apache-2.0
// The engine's journal and snapshots out of a backup, so that an engine that starts in the folder
// goes on where it was. What a store has of the database it also has of the journal, so the
// database is never ahead: what the journal has more, the engine brings to the database.
#pragma once

#include "plugins/backup/sqlite/journal_backup.hpp"

namespace tenon::backup_sqlite {

struct JournalEnd {
    std::uint64_t sequence = 0;  // of the last record
    std::int64_t real_ns = 0;    // of the last command; 0: there is none
};

struct JournalWish {
    bool with_tails = false;               // also what was shipped after the backup
    std::optional<std::int64_t> until_ns;  // without commands that are later; nothing: all of it
};

// Makes `to`/journal and `to`/snapshots, synced. Commands that the database in `to`/tenon.db has,
// if it is there, are kept whatever their time. Nothing when the backup has no journal. Throws
// TENON_CORRUPT, naming what is damaged, missing or does not follow; TENON_NOT_FOUND when no
// snapshot reaches the moment.
std::optional<JournalEnd> restore_journal(
    vault::Vault& vault,
    const vault::Manifest& manifest,
    const JournalWish& wish,
    const std::string& to,
    const vault::Say& say
);

}  // namespace tenon::backup_sqlite
