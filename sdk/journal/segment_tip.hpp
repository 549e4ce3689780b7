// SPDX-License-Identifier: Apache-2.0
// How far a segment that may still be written is readable. What is behind is not written yet, or of
// a batch that is being written; it is no damage as long as no other segment follows.
#pragma once

#include "sdk/journal/journal_reader.hpp"

namespace tenon::journal {

// One thread at a time; may block. Throws Error when the file cannot be read.
class SegmentTip {
public:
    SegmentTip(Disk& disk, const std::string& folder, std::uint64_t number)
        : cursor_{disk, folder, number} {}

    // Reads on to the end of what is there, or until a record ends at `until` or later. Throws
    // TENON_CONFLICT when the last record is not there any more: somebody has cut the segment.
    void advance(std::uint64_t until = UINT64_MAX);

    // Nothing before the first batch was written.
    [[nodiscard]] const std::optional<SegmentHeader>& header() const noexcept { return header_; }

    // From the file's beginning, that are readable; 0 before the first batch.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return header_ ? cursor_.offset() : 0; }

    // Of the last record there; 0: there is none.
    [[nodiscard]] std::uint32_t crc() const noexcept { return cursor_.last_crc(); }

    [[nodiscard]] std::uint64_t next_sequence() const noexcept { return next_sequence_; }

    // No record follows, not even one that cannot be read.
    [[nodiscard]] bool is_at_end() const noexcept { return is_at_end_; }

    [[nodiscard]] const std::string& path() const noexcept { return cursor_.path(); }

private:
    SegmentCursor cursor_;
    std::optional<SegmentHeader> header_;
    std::uint64_t next_sequence_ = 0;
    std::uint64_t last_offset_ = 0;  // of the last record; 0: there is none
    bool is_at_end_ = true;
};

}  // namespace tenon::journal
