// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/journal_writer.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace tenon::journal {
namespace {

constexpr std::size_t k_zeros_size = std::size_t{1} << 20;
// A sync now and then keeps the amount small that the batches' own syncs meet.
constexpr std::uint64_t k_fill_sync_bytes = std::uint64_t{8} << 20;

void write_zeros(File& file, const std::string& path, std::uint64_t offset, std::uint64_t end) {
    const std::vector<std::byte> zeros(k_zeros_size);
    std::uint64_t unsynced = 0;
    while (offset < end) {
        const auto n =
            static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), end - offset));
        require_ok(
            write_all(file, std::span{zeros}.first(n), offset), "cannot fill with zeros", path
        );
        offset += n;
        unsynced += n;
        if (unsynced >= k_fill_sync_bytes) {
            require_ok(file.sync(), "cannot sync", path);
            unsynced = 0;
        }
    }
    require_ok(file.sync(), "cannot sync", path);
}

}  // namespace

JournalWriter::JournalWriter(
    Disk& disk,
    std::string folder,
    WriterOptions options,
    const Position& position
)
    : disk_{disk},
      folder_{std::move(folder)},
      options_{options},
      buffer_{std::make_unique_for_overwrite<Page[]>(options.batch_bytes_max / sizeof(Page) + 2)},
      number_{position.segment},
      offset_{position.offset},
      next_sequence_{position.next_sequence},
      durable_sequence_{position.next_sequence - 1},
      last_crc_{position.last_crc} {
    if (options_.segment_bytes < 65'536 || options_.segment_bytes % 4096 != 0 ||
        options_.batch_bytes_max > options_.segment_bytes / 4) {
        throw Error{
            TENON_INVALID,
            "a segment has a multiple of 4096 bytes, at least 65536, and a batch at most a "
            "quarter"};
    }
    for (const std::uint64_t spare : list_segments(disk_, folder_)) {
        if (spare > number_) {
            disk_.remove(folder_ + "/" + segment_name(spare));
        }
    }
    if (number_ != 0) {
        settle_tail(position);
    }
}

// What was read may be in the page cache only: the process that wrote it died before the sync, or
// the sync failed, after which the kernel may call pages clean that never reached the disk. So the
// last batch, the only one this can be true of, is written again before anything relies on it.
void JournalWriter::settle_tail(const Position& position) {
    const std::string path = folder_ + "/" + segment_name(number_);
    file_ = disk_.open(path, OpenMode::read_write);
    const std::int64_t size = file_->size();
    require_ok(size < 0 ? static_cast<int>(-size) : 0, "cannot read the size of", path);
    size_ = static_cast<std::uint64_t>(size);
    rewrite_last_batch(path, position);
    write_zeros(*file_, path, offset_, offset_ + position.torn_bytes);
}

void JournalWriter::rewrite_last_batch(const std::string& path, const Position& position) {
    std::vector<std::byte> copy(k_zeros_size);
    for (std::uint64_t at = position.batch_offset; at < offset_;) {
        const auto wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>(copy.size(), offset_ - at));
        const std::size_t n = read_all(*file_, std::span{copy}.first(wanted), at, path);
        if (n == 0) {
            throw Error{TENON_UNAVAILABLE, "cannot read again " + path};
        }
        require_ok(write_all(*file_, std::span{copy}.first(n), at), "cannot write again", path);
        at += n;
    }
}

bool JournalWriter::fits(std::size_t payload) const noexcept {
    const std::size_t needed = used_ + record_size(payload);
    return failed_ == 0 && payload <= k_payload_max && needed <= options_.batch_bytes_max &&
           (offset_ + needed <= size_ ||
            spare_state_.load(std::memory_order_acquire) == Spare::ready);
}

std::uint64_t
JournalWriter::append(std::uint16_t type, std::span<const std::byte> payload) noexcept {
    encode_record(
        next_sequence_, type, payload, static_cast<std::uint32_t>(used_), batch() + used_
    );
    used_ += record_size(payload.size());
    return next_sequence_++;
}

void JournalWriter::seal(std::uint64_t offset) noexcept {
    for (std::size_t at = 0; at < used_;) {
        const RecordHeader header = seal_record(batch() + at, number_, offset + at);
        at += record_size(header.length);
        last_crc_ = header.crc;
    }
}

// Goes to the prepared segment. Gives back where the batch's first record goes.
std::uint64_t JournalWriter::roll() {
    file_ = std::move(spare_);
    ++number_;
    size_ = options_.segment_bytes;
    offset_ = 0;
    spare_state_.store(Spare::missing, std::memory_order_release);
    encode_header(
        {number_, durable_sequence_ + 1, last_crc_, size_}, batch() - k_segment_header_size
    );
    return k_segment_header_size;
}

int JournalWriter::commit() {
    if (failed_ != 0 || used_ == 0) {
        return failed_;
    }
    const bool rolled = offset_ + used_ > size_;
    const std::uint64_t first = rolled ? roll() : offset_;
    seal(first);
    const std::span<const std::byte> data =
        rolled ? std::span{batch() - k_segment_header_size, used_ + k_segment_header_size}
               : std::span{batch(), used_};
    failed_ = write_all(*file_, data, offset_);
    if (failed_ == 0) {
        failed_ = file_->sync();
    }
    if (failed_ == 0) {
        offset_ = first + used_;
        written_bytes_ += data.size();
        durable_sequence_ = next_sequence_ - 1;
        used_ = 0;
    }
    return failed_;
}

bool JournalWriter::wants_segment() noexcept {
    Spare expected = Spare::missing;
    return failed_ == 0 &&
           spare_state_.compare_exchange_strong(expected, Spare::making, std::memory_order_acq_rel);
}

void JournalWriter::prepare() {
    const std::string temporary = folder_ + "/prepare.tmp";
    // Stable: the writer only goes on to the next segment once this one is ready.
    const std::string path = folder_ + "/" + segment_name(number_ + 1);
    try {
        auto file = disk_.open(temporary, OpenMode::create);
        fill_segment(temporary, *file);
        disk_.rename(temporary, path);
        disk_.sync_folder(folder_);
        spare_ = std::move(file);
    } catch (...) {
        spare_state_.store(Spare::missing, std::memory_order_release);
        throw;
    }
    spare_state_.store(Spare::ready, std::memory_order_release);
}

void JournalWriter::fill_segment(const std::string& path, File& file) {
    write_zeros(file, path, 0, options_.segment_bytes);
}

std::size_t remove_segments_below(Disk& disk, const std::string& folder, std::uint64_t sequence) {
    const auto numbers = list_segments(disk, folder);
    std::size_t removed = 0;
    for (std::size_t i = 0; i + 1 < numbers.size(); ++i) {
        const auto next = SegmentCursor{disk, folder, numbers[i + 1]}.header();
        if (!next || next->first_sequence > sequence) {
            break;
        }
        disk.remove(folder + "/" + segment_name(numbers[i]));
        ++removed;
    }
    if (removed != 0) {
        disk.sync_folder(folder);
    }
    return removed;
}

}  // namespace tenon::journal
