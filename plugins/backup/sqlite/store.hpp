// SPDX-License-Identifier: Apache-2.0
// Backups of a capture folder in a vault: made, checked, restored, tried and pruned.
//
// A backup is a base of the captured database and all segments after it, and of an engine's folders
// what belongs to that (journal_backup.hpp). Between backups a Shipper brings what is new. One
// thread at a time, but for cancel() and allow().
#pragma once

#include "plugins/backup/sqlite/journal_restore.hpp"
#include "plugins/backup/sqlite/shipper.hpp"
#include "sdk/capture/folder.hpp"
#include "sdk/vault/vault.hpp"

namespace tenon::backup_sqlite {

using vault::Manifest;
using vault::Say;

// When the newest proof was given, in Unix time; 0: never.
[[nodiscard]] std::int64_t newest_proof_ns(vault::Vault& vault);

struct Restored : capture::Position {
    std::optional<JournalEnd> journal;  // nothing: the backup has none
};

class Store {
public:
    // `scratch`: a folder that restores are tried in; it is made and goes again. `changed` is
    // called when there is a new backup.
    Store(
        std::string source,
        std::string scratch,
        std::unique_ptr<vault::Vault> vault,
        std::function<void()> changed = {},
        JournalFolders journal = {}
    )
        : source_{std::move(source)},
          scratch_{std::move(scratch)},
          vault_{std::move(vault)},
          changed_{std::move(changed)},
          journal_{std::move(journal)} {}

    // Throws TENON_UNAVAILABLE: nothing to back up yet, no room, or cancelled.
    Manifest create(std::string_view label, std::int64_t now_real_ns, const Say& say);
    // Every piece, the chain of commits in them, and the journal's records. Throws TENON_CORRUPT,
    // which names the piece and another backup that reaches as far when there is one;
    // TENON_NOT_FOUND.
    void verify(std::string_view id, const Say& say);
    // Makes `to`/tenon.db, and `to`/journal and `to`/snapshots when the backup has them: a folder
    // that a server can be started in. An empty id: the newest backup that reaches the target, and
    // behind the newest one what was shipped. Throws TENON_CONFLICT when the folder is not empty,
    // TENON_NOT_FOUND when nothing reaches it; or no longer, as another process pruned it
    // meanwhile: with the backups that are left.
    Restored restore(
        std::string_view id,
        const capture::Target& target,
        const std::string& to,
        const Say& say
    );
    // The state after the first commit that has the order, wherever it is. It is searched for in
    // the scratch folder. Throws TENON_NOT_FOUND, and what restore() throws.
    Restored restore_order(std::uint64_t order, const std::string& to, const Say& say);
    // Restores the backup (empty: the newest) to its end in the scratch folder and looks whether it
    // is whole; says so in the store. Throws what was wrong. The id that was tried.
    std::string drill(std::string_view id, std::int64_t now_real_ns, const Say& say);
    // With the backups goes what was shipped after one of a capture folder of which none is left.
    std::vector<std::string> prune(const vault::Retention& policy, bool dry_run);

    [[nodiscard]] vault::Vault& vault() noexcept { return *vault_; }

    // [any]
    void cancel() noexcept { vault_->cancel(); }

    void allow() noexcept { vault_->allow(); }

private:
    [[nodiscard]] std::vector<capture::Piece> choose(const std::vector<Manifest>& known) const;
    [[nodiscard]] static std::vector<capture::Piece> belonging(
        std::vector<capture::Piece> pieces,
        const capture::BaseHeader& last,
        Manifest& manifest
    );
    [[nodiscard]] vault::File
    copy(const capture::Piece& piece, bool anew, const std::function<void(std::uint64_t)>& done);
    void reach(Manifest& manifest, const capture::BaseHeader& last);
    [[nodiscard]] Manifest select(std::string_view id, const capture::Target& target);
    // Puts what a restore needs into a folder as it was captured.
    void unpack(
        const Manifest& manifest,
        const capture::Target& target,
        bool with_tails,
        const std::string& folder,
        const Say& say
    );
    void
    unpack_tails(const std::string& capture, const std::string& folder, const std::string& first);
    capture::Position restore_from(
        const Manifest& manifest,
        const capture::Target& target,
        bool with_tails,
        const std::string& to,
        const Say& say
    );
    [[nodiscard]] capture::Progress while_wanted() const;
    [[nodiscard]] std::uint64_t commit_of_order(std::uint64_t order, const Say& say);
    [[nodiscard]] std::string other_generation(const Manifest& damaged);
    void require_there(const Manifest& manifest);
    void require_room_to_try(const Manifest& manifest) const;

    std::string source_;
    std::string scratch_;
    std::unique_ptr<vault::Vault> vault_;
    std::function<void()> changed_;  // a backup was made
    JournalFolders journal_;
};

}  // namespace tenon::backup_sqlite
