// SPDX-License-Identifier: Apache-2.0
// Brings what is captured after the newest backup to the store, as it grows, so that little is lost
// with the machine: objects tail/CAPTURE/SEGMENT/OFFSET, each some bytes of a segment from that
// offset on; CAPTURE is the capture folder's number, so that what belongs to a folder that was lost
// stays. Only whole commits are shipped, and only what goes on where the newest backup ends: after
// anything else there is no base that it could be applied to. The engine's journal goes first
// (journal_shipper.hpp): the store never has a database that is ahead of the journal.
// One thread at a time, but for backup_changed(). It has a vault to itself, so that a backup that
// is being made does not hold it up.
#pragma once

#include "plugins/backup/sqlite/journal_shipper.hpp"
#include "sdk/capture/folder.hpp"
#include "sdk/capture/segment_tip.hpp"

#include <atomic>

namespace tenon::backup_sqlite {

enum class Shipped {
    all,          // everything that was captured when it began is in the store, and can be restored
    all_but_due,  // as all; but a backup is due, which lets go of segments that are held for it
    needs_backup,  // not so until a backup is made: there is none, or the capture began anew
    needs_base,    // nor can that be made yet: the capture has no base to begin with
};

class Shipper {
public:
    Shipper(std::string source, std::unique_ptr<vault::Vault> vault, JournalFolders journal = {})
        : source_{std::move(source)}, vault_{std::move(vault)}, journal_{std::move(journal)} {}

    // Ships what is new. Throws what Vault throws, and TENON_CORRUPT for a segment that is damaged;
    // the next call goes on where this one ended.
    [[nodiscard]] Shipped ship();

    // [any] A backup was made: what it holds is no tail any more.
    void backup_changed() noexcept { has_begun_.store(false, std::memory_order_relaxed); }

    // Of the journal that are not in the store, as the last call of ship() saw it.
    [[nodiscard]] std::uint64_t journal_behind_bytes() const noexcept {
        return journal_.behind_bytes();
    }

    [[nodiscard]] vault::Vault& vault() noexcept { return *vault_; }

private:
    struct Segment {
        std::uint64_t reached = 0;  // bytes in the store
        std::unique_ptr<capture::SegmentTip> tip;
        bool is_done = false;
    };

    void begin(const capture::Listing& all);
    [[nodiscard]] bool joins(const vault::Manifest& newest, const capture::Listing& all);
    [[nodiscard]] bool ship_segments(const capture::Listing& all);
    static void see(const capture::Piece& piece, Segment& segment);
    void ship_segment(const capture::Piece& piece, Segment& segment);
    [[nodiscard]] Shipped ship_from(const capture::Listing& all);

    std::string source_;
    std::unique_ptr<vault::Vault> vault_;
    JournalShipper journal_;
    std::atomic<bool> has_begun_{false};
    bool follows_ = false;  // the source goes on where the newest backup ends
    std::string capture_;   // of the newest backup, as what is below
    std::uint64_t epoch_ = 0;
    std::string first_;  // the segments from this one on are shipped
    std::map<std::string, Segment> segments_;
};

}  // namespace tenon::backup_sqlite
