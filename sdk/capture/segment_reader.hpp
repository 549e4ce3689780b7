// SPDX-License-Identifier: Apache-2.0
// Reads a segment record by record, each one checked before it is given; also one that is still
// being written: at its end the reader waits for more and may be asked again.
#pragma once

#include "sdk/capture/format.hpp"

#include <functional>

namespace tenon::capture {

enum class Found {
    record,
    wait,     // not whole yet: the end of the file, or a record that is cut short there
    damaged,  // what is there fails its check
};

struct Record {
    RecordType type = RecordType::end;
    View body;  // until the next call; of pages: without compression
};

class SegmentReader {
public:
    // Reads the header. Throws TENON_NOT_FOUND, TENON_CORRUPT, TENON_UNSUPPORTED.
    explicit SegmentReader(std::string file);

    [[nodiscard]] Found next(Record& record);

    [[nodiscard]] const SegmentHeader& header() const noexcept { return header_; }

    [[nodiscard]] const std::string& file() const noexcept { return file_; }

    // Behind the last record that was given, and the chain there.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

    [[nodiscard]] const Hash& chain() const noexcept { return chain_; }

    // Goes back to a place that offset() and chain() gave.
    void seek(std::uint64_t offset, const Hash& chain) noexcept {
        offset_ = offset;
        chain_ = chain;
        buffer_.clear();
        buffer_at_ = 0;
    }

    [[nodiscard]] std::uint64_t size() const;

    // Calls page(number, bytes) for each page of a record of pages.
    void for_each_page(const Record& record, const std::function<void(std::uint32_t, View)>& page)
        const;

private:
    [[nodiscard]] bool ensure(std::size_t bytes);

    std::string file_;
    Descriptor fd_;
    SegmentHeader header_;
    Hasher hasher_;
    Squeezer squeezer_;
    Bytes buffer_;  // of the file from buffer_at_ on
    Bytes raw_;
    std::uint64_t buffer_at_ = 0;
    std::uint64_t offset_ = 0;
    Hash chain_{};
};

}  // namespace tenon::capture
