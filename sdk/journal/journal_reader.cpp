// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/journal_reader.hpp"

#include <algorithm>
#include <utility>

namespace tenon::journal {
namespace {

constexpr std::size_t k_window_size = std::size_t{1} << 20;

bool all_zero(std::span<const std::byte> data) noexcept {
    return std::all_of(data.begin(), data.end(), [](std::byte b) { return b == std::byte{0}; });
}

// True when one of the sectors that [begin, begin + data.size()) touches shows only zeros there.
bool has_zero_piece(std::span<const std::byte> data, std::uint64_t begin) noexcept {
    while (!data.empty()) {
        const std::size_t room = k_sector_size - begin % k_sector_size;
        const std::size_t piece = std::min(room, data.size());
        if (all_zero(data.first(piece))) {
            return true;
        }
        data = data.subspan(piece);
        begin += piece;
    }
    return false;
}

}  // namespace

std::optional<std::int64_t> command_time_ns(const Record& record) noexcept {
    constexpr std::size_t k_time_offset = 10;  // behind version, kind and sequence
    std::int64_t time = 0;
    if (record.type != k_record_command || record.payload.size() < k_time_offset + sizeof time) {
        return std::nullopt;
    }
    std::memcpy(&time, record.payload.data() + k_time_offset, sizeof time);
    return time;
}

Damage::Damage(std::string file, std::uint64_t offset, const std::string& what)
    : Error{TENON_CORRUPT, "journal damaged: " + what + ", file " + file + ", offset " + std::to_string(offset)},
      file_{std::move(file)},
      offset_{offset} {}

SegmentCursor::SegmentCursor(Disk& disk, const std::string& folder, std::uint64_t number)
    : path_{folder + "/" + segment_name(number)},
      number_{number},
      file_{disk.open(path_, OpenMode::read)} {
    const std::int64_t size = file_->size();
    require_ok(size < 0 ? static_cast<int>(-size) : 0, "cannot read the size of", path_);
    size_ = static_cast<std::uint64_t>(size);
}

std::span<const std::byte> SegmentCursor::bytes(std::uint64_t offset, std::size_t n) {
    if (offset < window_offset_ || offset + n > window_offset_ + window_used_) {
        const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(k_window_size, size_));
        window_.resize(std::max(most, n));
        window_offset_ = offset;
        window_used_ = read_all(*file_, window_, offset, path_);
    }
    const auto begin = static_cast<std::size_t>(offset - window_offset_);
    return std::span<const std::byte>{window_}
        .first(window_used_)
        .subspan(begin, std::min(n, window_used_ - begin));
}

std::optional<SegmentHeader> SegmentCursor::header() {
    const auto found = decode_header(bytes(0, k_segment_header_size));
    return found && found->number == number_ ? found : std::nullopt;
}

bool SegmentCursor::header_blank() {
    return all_zero(bytes(0, k_segment_header_size));
}

SegmentCursor::Step SegmentCursor::next(Record& out) {
    const auto head = bytes(offset_, k_record_header_size);
    if (head.size() < k_record_header_size || all_zero(head)) {
        return Step::end;
    }
    const RecordHeader header = decode_record_header(head);
    if (!record_header_valid(header)) {
        return Step::unreadable;
    }
    const std::size_t size = record_size(header.length);
    const auto whole = bytes(offset_, size);
    if (whole.size() < size || !record_valid(header, whole, number_, offset_)) {
        return Step::unreadable;
    }
    out = {
        header.sequence,
        header.type,
        whole.subspan(k_record_header_size, header.length),
        number_,
        offset_};
    last_crc_ = header.crc;
    batch_offset_ = offset_ - std::min<std::uint64_t>(header.back, offset_);
    offset_ += size;
    return Step::record;
}

bool SegmentCursor::has_record(std::uint64_t offset, std::uint32_t crc) {
    const auto head = bytes(offset, k_record_header_size);
    return head.size() == k_record_header_size && decode_record_header(head).crc == crc;
}

bool SegmentCursor::looks_torn() {
    const auto head = bytes(offset_, k_record_header_size);
    if (head.size() < k_record_header_size || has_zero_piece(head, offset_)) {
        return true;
    }
    const RecordHeader header = decode_record_header(head);
    if (!record_header_valid(header)) {
        // Not to be trusted, so neither is the length: look at the rest of the header's sector.
        const std::uint64_t behind = offset_ + k_record_header_size;
        const std::size_t room = k_sector_size - behind % k_sector_size;
        return behind % k_sector_size == 0 || all_zero(bytes(behind, room));
    }
    const std::size_t end = k_record_header_size + header.length;
    const auto whole = bytes(offset_, end + 1);
    return whole.size() <= end || whole[end] == std::byte{0} || has_zero_piece(whole, offset_);
}

SegmentCursor::Rest SegmentCursor::scan_rest() {
    Rest rest;
    const std::uint64_t start = offset_;
    std::uint64_t at = start;
    while (at + 8 <= size_) {
        const auto chunk = bytes(at, k_record_header_size);
        if (all_zero(chunk.first(std::min<std::size_t>(8, chunk.size())))) {
            at += 8;
            continue;
        }
        rest.nonzero_end = at + 8;
        const RecordHeader header =
            chunk.size() == k_record_header_size ? decode_record_header(chunk) : RecordHeader{};
        if (chunk.size() < k_record_header_size || !record_header_valid(header)) {
            at += 8;
            continue;
        }
        const std::size_t size = record_size(header.length);
        const auto whole = bytes(at, size);
        if (whole.size() < size || !record_valid(header, whole, number_, at)) {
            at += 8;
            continue;
        }
        rest.last_sequence = std::max(rest.last_sequence, header.sequence);
        if (!rest.later_batch && header.back < at - start) {
            rest.later_batch = at;
        }
        at += size;
        rest.nonzero_end = at;
    }
    return rest;
}

JournalReader::JournalReader(Disk& disk, std::string folder, std::uint64_t from)
    : disk_{disk},
      folder_{std::move(folder)},
      segments_{list_segments(disk, folder_)},
      from_{from} {
    for (std::size_t i = 1; i < segments_.size(); ++i) {
        if (segments_[i] != segments_[i - 1] + 1) {
            throw Damage{
                folder_ + "/" + segment_name(segments_[i - 1] + 1), 0, "the segment is missing"};
        }
    }
    drop_spares();
    if (segments_.empty()) {
        if (from > 1) {
            throw Error{
                TENON_NOT_FOUND,
                "the journal " + folder_ + " is empty, record " + std::to_string(from) +
                    " was expected"};
        }
        done_ = true;
        return;
    }
    find_start(from);
}

// A segment that was prepared and not used yet, or only by a batch that was never answered.
bool JournalReader::spare(std::uint64_t number) {
    SegmentCursor cursor{disk_, folder_, number};
    if (cursor.header()) {
        return false;
    }
    Record record;
    if (!cursor.header_blank() && cursor.next(record) == SegmentCursor::Step::record) {
        throw Damage{cursor.path(), 0, "the header is unreadable"};
    }
    if (cursor.scan_rest().later_batch) {
        throw Damage{cursor.path(), 0, "the header is unreadable, records follow"};
    }
    return true;
}

void JournalReader::drop_spares() {
    while (!segments_.empty() && spare(segments_.back())) {
        segments_.pop_back();
    }
}

void JournalReader::find_start(std::uint64_t from) {
    std::vector<std::uint64_t> first;
    for (const std::uint64_t number : segments_) {
        SegmentCursor cursor{disk_, folder_, number};
        const auto header = cursor.header();
        if (!header) {
            throw Damage{cursor.path(), 0, "the header is unreadable"};
        }
        first.push_back(header->first_sequence);
    }
    first_sequence_ = first.front();
    if (from < first_sequence_) {
        throw Error{
            TENON_NOT_FOUND,
            "the journal " + folder_ + " begins with record " + std::to_string(first_sequence_) +
                ", record " + std::to_string(from) + " was expected"};
    }
    const auto after = std::upper_bound(first.begin(), first.end(), from);
    open_segment(static_cast<std::size_t>(after - first.begin()) - 1);
}

void JournalReader::open_segment(std::size_t index) {
    index_ = index;
    cursor_ = std::make_unique<SegmentCursor>(disk_, folder_, segments_[index]);
    const auto header = cursor_->header();
    if (!header) {
        throw Damage{cursor_->path(), 0, "the header is unreadable"};
    }
    if (expected_ != 0 && header->first_sequence != expected_) {
        throw Damage{
            cursor_->path(),
            0,
            "it begins with record " + std::to_string(header->first_sequence) + ", record " +
                std::to_string(expected_) + " was expected"};
    }
    if (last_crc_known_ && header->previous_crc != last_crc_) {
        throw Damage{cursor_->path(), 0, "it does not continue the segment before"};
    }
    expected_ = header->first_sequence;
    last_crc_ = header->previous_crc;
    last_crc_known_ = true;
}

bool JournalReader::next(Record& out) {
    while (!done_) {
        const SegmentCursor::Step step = cursor_->next(out);
        if (step != SegmentCursor::Step::record) {
            if (finish(step)) {
                break;
            }
            continue;
        }
        if (out.sequence != expected_) {
            throw Damage{
                cursor_->path(),
                out.offset,
                "record " + std::to_string(out.sequence) + " where record " +
                    std::to_string(expected_) + " was expected"};
        }
        ++expected_;
        last_crc_ = cursor_->last_crc();
        if (out.sequence >= from_) {
            return true;
        }
    }
    return false;
}

// The records of a segment have ended. True when those of the journal have.
bool JournalReader::finish(SegmentCursor::Step step) {
    const bool last = index_ + 1 == segments_.size();
    const bool unreadable = step == SegmentCursor::Step::unreadable;
    const auto damaged = [&](const std::string& what) {
        return Damage{cursor_->path(), cursor_->offset(), what};
    };
    if (!last) {
        if (unreadable) {
            throw damaged("unreadable record " + std::to_string(expected_));
        }
        open_segment(index_ + 1);
        return false;
    }
    const SegmentCursor::Rest rest = cursor_->scan_rest();
    if (rest.later_batch) {
        throw damaged(
            "unreadable record " + std::to_string(expected_) + ", readable ones follow at offset " +
            std::to_string(*rest.later_batch)
        );
    }
    if (unreadable && !cursor_->looks_torn()) {
        throw damaged("unreadable record " + std::to_string(expected_) + ", written completely");
    }
    end_ = {segments_.back(), cursor_->offset(), expected_, last_crc_, 0, 0};
    // The segment's header is written with its first batch.
    end_.batch_offset =
        cursor_->batch_offset() <= k_segment_header_size ? 0 : cursor_->batch_offset();
    if (rest.nonzero_end > end_.offset) {
        end_.torn_bytes = rest.nonzero_end - end_.offset;
    }
    done_ = true;
    return true;
}

std::vector<std::uint64_t> list_segments(Disk& disk, const std::string& folder) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : disk.list(folder)) {
        if (const auto number = segment_number(name)) {
            numbers.push_back(*number);
        }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

}  // namespace tenon::journal
