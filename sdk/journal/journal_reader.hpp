// SPDX-License-Identifier: Apache-2.0
// Reads a journal from a sequence on, to its end. What a torn tail is and what damage is says
// journal_format.hpp. Nothing is changed on disk; the writer cuts the tail when it opens.
// One thread at a time; may block.
#pragma once

#include "sdk/journal/disk.hpp"
#include "sdk/journal/journal_format.hpp"

#include <tenon/plugin.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tenon::journal {

// Stored data fails its check: TENON_CORRUPT, with the place.
class Damage : public Error {
public:
    Damage(std::string file, std::uint64_t offset, const std::string& what);

    [[nodiscard]] const std::string& file() const noexcept { return file_; }

    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

private:
    std::string file_;
    std::uint64_t offset_;
};

struct Record {
    std::uint64_t sequence = 0;
    std::uint16_t type = 0;
    std::span<const std::byte> payload;  // valid until the next call
    std::uint64_t segment = 0, offset = 0;
};

// When a command was taken, in Unix time: all versions of its encoding have it in one place.
// Nothing for other records.
[[nodiscard]] std::optional<std::int64_t> command_time_ns(const Record& record) noexcept;

// Where the next record goes.
struct Position {
    std::uint64_t segment = 0;  // 0: there is no segment yet
    std::uint64_t offset = 0;
    std::uint64_t next_sequence = 1;
    std::uint32_t last_crc = 0;
    std::uint64_t torn_bytes = 0;    // of an unanswered batch behind the offset; to be overwritten
    std::uint64_t batch_offset = 0;  // of the last batch: perhaps never synced; to be written again
};

// One segment, record by record.
class SegmentCursor {
public:
    enum class Step { record, end, unreadable };

    SegmentCursor(Disk& disk, const std::string& folder, std::uint64_t number);

    [[nodiscard]] std::optional<SegmentHeader> header();
    // True when the place of the header holds zeros.
    [[nodiscard]] bool header_blank();
    // end and unreadable leave the offset where they found it.
    Step next(Record& out);
    // The unreadable place shows zeros where a write did not finish.
    [[nodiscard]] bool looks_torn();

    struct Rest {
        std::optional<std::uint64_t> later_batch;  // offset of a readable record of another batch
        std::uint64_t last_sequence = 0;           // of readable records; 0: none
        std::uint64_t nonzero_end = 0;             // behind the last byte that is not 0; 0: all are
    };

    // Looks at everything from the offset on.
    [[nodiscard]] Rest scan_rest();

    // The file may have been written to: what was read is read again.
    void look_again() noexcept { window_used_ = 0; }

    // Whether the record that begins there is the one with this CRC; its payload is not looked at.
    [[nodiscard]] bool has_record(std::uint64_t offset, std::uint32_t crc);

    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

    [[nodiscard]] std::uint64_t file_size() const noexcept { return size_; }

    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

    [[nodiscard]] std::uint32_t last_crc() const noexcept { return last_crc_; }

    // Where the batch of the last record begins.
    [[nodiscard]] std::uint64_t batch_offset() const noexcept { return batch_offset_; }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    // At most n bytes from there; fewer at the file's end.
    std::span<const std::byte> bytes(std::uint64_t offset, std::size_t n);

    std::string path_;
    std::uint64_t number_;
    std::unique_ptr<File> file_;
    std::uint64_t size_ = 0;
    std::uint64_t offset_ = k_segment_header_size;
    std::uint32_t last_crc_ = 0;
    std::uint64_t batch_offset_ = 0;
    std::vector<std::byte> window_;
    std::uint64_t window_offset_ = 0;
    std::size_t window_used_ = 0;
};

class JournalReader {
public:
    // Starts with record `from` (1: the first there ever was). Throws Error TENON_NOT_FOUND when
    // the journal begins later, Damage when segments are missing or unreadable.
    JournalReader(Disk& disk, std::string folder, std::uint64_t from);

    // False at the end. Throws Damage.
    bool next(Record& out);

    // After next() returned false.
    [[nodiscard]] const Position& end() const noexcept { return end_; }

    // Sequence of the first record that is there; 0: the journal is empty.
    [[nodiscard]] std::uint64_t first_sequence() const noexcept { return first_sequence_; }

private:
    bool spare(std::uint64_t number);
    void drop_spares();
    void find_start(std::uint64_t from);
    void open_segment(std::size_t index);
    bool finish(SegmentCursor::Step step);

    Disk& disk_;
    std::string folder_;
    std::vector<std::uint64_t> segments_;  // used ones
    std::size_t index_ = 0;
    std::unique_ptr<SegmentCursor> cursor_;
    std::uint64_t from_ = 1;
    std::uint64_t first_sequence_ = 0;
    std::uint64_t expected_ = 0;  // 0: not known yet
    std::uint32_t last_crc_ = 0;
    bool last_crc_known_ = false;
    bool done_ = false;
    Position end_;
};

// Numbers of the segment files of a folder, ascending.
[[nodiscard]] std::vector<std::uint64_t> list_segments(Disk& disk, const std::string& folder);

}  // namespace tenon::journal
