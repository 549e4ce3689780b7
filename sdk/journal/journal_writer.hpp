// SPDX-License-Identifier: Apache-2.0
// Appends records to the journal: a batch in memory, then one pwrite and one fdatasync.
//
// After a failed write or sync nothing is tried again: the writer is poisoned, refuses everything,
// and only a restart, which reads what is on disk, tells which of the batch survived.
// It does not know what records mean, and starts no thread: somebody calls prepare() when
// wants_segment() says so.
// Threads: prepare() on the blocking pool; everything else on one thread (the engine's).
#pragma once

#include "sdk/journal/disk.hpp"
#include "sdk/journal/journal_format.hpp"
#include "sdk/journal/journal_reader.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tenon::journal {

struct WriterOptions {
    std::uint64_t segment_bytes = std::uint64_t{64} << 20;  // at least 64 KiB
    std::size_t batch_bytes_max = std::size_t{4} << 20;     // at most a quarter of a segment
};

class JournalWriter {
public:
    // Continues at `position`: overwrites a torn tail with zeros, writes the last batch again and
    // syncs, removes prepared segments of another run. The folder must exist. Throws Error.
    JournalWriter(Disk& disk, std::string folder, WriterOptions options, const Position& position);

    // True when a record with this payload has room in the batch and the batch on disk. False needs
    // a commit, or a prepared segment, or is for ever (failed()).
    [[nodiscard]] bool fits(std::size_t payload) const noexcept;

    // Adds a record to the batch and gives back its sequence; fits() must have been true.
    std::uint64_t append(std::uint16_t type, std::span<const std::byte> payload) noexcept;

    // Makes the batch durable. 0 (also without a batch), or the errno value that poisoned the
    // writer.
    [[nodiscard]] int commit();

    [[nodiscard]] int failed() const noexcept { return failed_; }

    [[nodiscard]] std::size_t pending_bytes() const noexcept { return used_; }

    [[nodiscard]] std::uint64_t next_sequence() const noexcept { return next_sequence_; }

    [[nodiscard]] std::uint64_t durable_sequence() const noexcept { return durable_sequence_; }

    [[nodiscard]] std::uint64_t segment() const noexcept { return number_; }

    [[nodiscard]] std::uint64_t written_bytes() const noexcept { return written_bytes_; }

    // True when no next segment is there and nobody makes one; the caller then owes a prepare().
    [[nodiscard]] bool wants_segment() noexcept;

    // [io] Makes the next segment. Throws Error; wants_segment() is true again then.
    void prepare();

    // Takes back what wants_segment() promised: nobody could be found to call prepare().
    void abandon_prepare() noexcept {
        spare_state_.store(Spare::missing, std::memory_order_release);
    }

private:
    struct alignas(4096) Page {
        std::array<std::byte, 4096> data;
    };

    enum class Spare : int { missing, making, ready };

    [[nodiscard]] std::byte* batch() const noexcept {
        return buffer_[0].data.data() + k_segment_header_size;
    }

    void settle_tail(const Position& position);
    void rewrite_last_batch(const std::string& path, const Position& position);
    void fill_segment(const std::string& path, File& file);
    std::uint64_t roll();
    void seal(std::uint64_t offset) noexcept;

    Disk& disk_;
    const std::string folder_;
    const WriterOptions options_;
    std::unique_ptr<Page[]> buffer_;  // room for a segment's header, then the batch
    std::size_t used_ = 0;
    std::unique_ptr<File> file_;
    std::uint64_t number_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t next_sequence_ = 1;
    std::uint64_t durable_sequence_ = 0;
    std::uint64_t written_bytes_ = 0;
    std::uint32_t last_crc_ = 0;
    int failed_ = 0;
    std::atomic<Spare> spare_state_{Spare::missing};
    std::unique_ptr<File> spare_;  // by the preparing thread while making, else by the writer's
};

// [io] Removes segments whose records are all below `sequence`; never the last one. Gives back how
// many.
std::size_t remove_segments_below(Disk& disk, const std::string& folder, std::uint64_t sequence);

}  // namespace tenon::journal
