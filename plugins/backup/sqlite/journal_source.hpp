// SPDX-License-Identifier: Apache-2.0
// The engine's journal and snapshots as who backs them up sees them. The engine deletes segments
// that it needs no more; each is held by a hard link in the folder `held` of the journal until a
// backup has it, or until those that are only held have more than so many bytes, or the disk
// has less room than that: then the oldest go, so that a store that is away does not fill the disk.
#pragma once

#include "sdk/capture/format.hpp"
#include "sdk/journal/segment_tip.hpp"

#include <memory>
#include <string>
#include <vector>

namespace tenon::backup_sqlite {

struct JournalFolders {
    std::string journal;  // empty: nothing of an engine is backed up
    std::string snapshots;
    std::uint64_t held_bytes_max = std::uint64_t{1} << 30U;
};

// The end of a journal as it was once.
struct JournalMark {
    std::uint64_t segment = 0;
    std::uint64_t bytes = 0;  // of that segment
    std::uint32_t crc = 0;    // of the last record there
};

// One thread at a time, but for hold(): several objects may hold the segments of one folder.
class JournalSource {
public:
    struct Segments {
        std::vector<std::uint64_t> numbers;  // ascending, the last one is written to
        std::uint64_t first_live = 0;        // what is before is held only
    };

    struct SnapshotFile {
        std::string name;
        std::uint64_t sequence = 0;
        std::uint64_t bytes = 0;
        capture::Descriptor fd;  // so it can be read when the engine has deleted it
    };

    explicit JournalSource(JournalFolders folders);

    // The segments that are there; none: there is no journal. Each is held from now on, unless the
    // disk does not let it, which shows when the engine deletes one that is still needed.
    [[nodiscard]] Segments hold();
    // Lets go of what is only held and below `segment`, and of the oldest when it is too much or
    // the disk has too little room.
    void release(std::uint64_t segment);

    // Bytes that are only held, as hold() found them.
    [[nodiscard]] std::uint64_t held_bytes() const noexcept { return held_bytes_; }

    [[nodiscard]] bool holds_too_much() const {
        return held_bytes_ > 0 && (held_bytes_ > folders_.held_bytes_max || is_low());
    }

    [[nodiscard]] const JournalFolders& folders() const noexcept { return folders_; }

    // The folder that has a segment: the journal's, or what is held.
    [[nodiscard]] std::string folder_of(std::uint64_t segment) const;
    [[nodiscard]] std::unique_ptr<journal::SegmentTip> tip(std::uint64_t segment) const;
    // Whether the journal goes on where it ended then.
    [[nodiscard]] bool joins(const JournalMark& mark) const;
    // The oldest and the newest that there are, oldest first.
    [[nodiscard]] std::vector<SnapshotFile> snapshots() const;

private:
    [[nodiscard]] bool is_used(std::uint64_t segment) const;
    [[nodiscard]] bool is_low() const;
    void link(std::uint64_t segment) const;

    JournalFolders folders_;
    std::string held_;
    std::unique_ptr<journal::Disk> disk_;
    std::uint64_t held_bytes_ = 0;
};

}  // namespace tenon::backup_sqlite
