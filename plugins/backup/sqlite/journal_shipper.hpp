// SPDX-License-Identifier: Apache-2.0
// Brings what the engine's journal has got since the newest backup to the store: objects
// journal/CAPTURE/SEGMENT/OFFSET, each some bytes of a segment from that offset on; CAPTURE is the
// number of the capture folder that the backup is of. Whole records only. A segment is read and
// held (journal_source.hpp) as it grows, also while the store is away.
// One thread at a time.
#pragma once

#include "plugins/backup/sqlite/journal_backup.hpp"
#include "plugins/backup/sqlite/tails.hpp"

#include <map>
#include <set>

namespace tenon::backup_sqlite {

class JournalShipper {
public:
    explicit JournalShipper(JournalFolders folders) : source_{std::move(folders)} {}

    // Begins behind `newest`. False: the journal does not go on where that ends, so that nothing
    // counts until there is another backup.
    [[nodiscard]] bool begin(vault::Vault& vault, const vault::Manifest& newest);
    // Holds what is there; nothing is seen of it.
    void hold();
    // Sees how far the journal is. False: as begin() says it. Throws TENON_CORRUPT when a segment
    // is damaged, TENON_CONFLICT when it was cut: begin() says what is left.
    [[nodiscard]] bool look();
    // Stores what look() saw. Throws what Vault throws; the next call goes on where this one ended.
    void ship(vault::Vault& vault);

    // Seen and not stored.
    [[nodiscard]] std::uint64_t behind_bytes() const noexcept;

    // Half of what may be held is: a backup lets go of it.
    [[nodiscard]] bool is_backup_due() const noexcept {
        return source_.held_bytes() > source_.folders().held_bytes_max / 2;
    }

private:
    struct Segment {
        std::uint64_t reached = 0;  // bytes in the store
        std::uint64_t bytes = 0;    // seen
        std::unique_ptr<journal::SegmentTip> tip;
        bool is_closed = false;
    };

    JournalSource::Segments held();
    void see(std::uint64_t number, Segment& segment, bool is_last);
    void ship_segment(vault::Vault& vault, std::uint64_t number, Segment& segment);
    void find_old(vault::Vault& vault);

    JournalSource source_;
    std::string capture_;
    std::uint64_t first_ = 0;  // segment that the newest backup ends in; 0: it has no journal
    bool is_without_ = false;  // and there was none
    std::map<std::uint64_t, Segment> segments_;
    std::set<std::string> old_;  // objects that are not needed once what was seen is stored
};

}  // namespace tenon::backup_sqlite
