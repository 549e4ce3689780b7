// SPDX-License-Identifier: Apache-2.0
// How far a segment that may still be written is whole: up to its last record that ends a commit or
// stands between two. What is behind is cut off again by its writer when the commit fails, so it is
// nothing to copy.
#pragma once

#include "sdk/capture/segment_reader.hpp"

namespace tenon::capture {

// One thread at a time. Throws what SegmentReader throws.
class SegmentTip {
public:
    explicit SegmentTip(std::string file);

    // Reads on to the end of what is there, or until `until` bytes are read. Throws TENON_CORRUPT
    // when what is there fails its check.
    void advance(std::uint64_t until = UINT64_MAX);

    [[nodiscard]] const SegmentHeader& header() const noexcept { return reader_.header(); }

    // Bytes that are whole, and the chain there.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    [[nodiscard]] const Hash& chain() const noexcept { return chain_; }

    // Nothing comes any more.
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }

private:
    SegmentReader reader_;
    std::uint64_t bytes_;
    Hash chain_;
    bool has_ended_ = false;
};

}  // namespace tenon::capture
