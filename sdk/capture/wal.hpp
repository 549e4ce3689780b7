// SPDX-License-Identifier: Apache-2.0
// SQLite's write-ahead log as a file: reading the commits in it, and writing commits into one.
//
// Format: https://www.sqlite.org/walformat.html. Every frame is checked (salts and the checksum
// over all frames before it), so what is not a whole commit is not seen. Takes none of SQLite's
// locks: a reader must be told when the log may be emptied, and a writer must be the only one.
#pragma once

#include "sdk/capture/format.hpp"

#include <functional>

namespace tenon::capture {

inline constexpr std::size_t k_wal_header_bytes = 32;
inline constexpr std::size_t k_frame_head_bytes = 24;

struct WalCommit {
    std::uint32_t first_frame = 0;  // 1-based
    std::uint32_t pages = 0;        // of the database after it
    WalPlace place;                 // after it
};

struct WalScan {
    bool has_header = false;
    std::uint32_t page_size = 0;
    WalPlace start;  // before the first frame
    std::vector<WalCommit> commits;
};

// One thread at a time.
class WalFile {
public:
    // The log of the database `file`; throws TENON_UNAVAILABLE when there is none.
    WalFile(const std::string& file, bool writes);

    // The whole commits after `from`; with frame 0 from the beginning, whatever its salts. When the
    // log does not go on from there (another beginning), the scan is of the new beginning:
    // scan.start differs from what was asked for.
    [[nodiscard]] WalScan scan(const WalPlace& from) const;
    // Whether `place` is a commit's end in this log.
    [[nodiscard]] bool holds(const WalPlace& place) const;
    // Whether the log still has the beginning that `place` is after.
    [[nodiscard]] bool begins_like(const WalPlace& place) const;
    // The pages of a commit in their order, some at a time: (number, bytes), each in the log's
    // order.
    void read_frames(
        std::uint32_t first,
        std::uint32_t last,
        std::uint32_t page_size,
        const std::function<void(std::uint32_t, View)>& page
    ) const;
    [[nodiscard]] std::uint64_t bytes() const;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    // Writing. Begins the log anew; it must be empty or given up by everyone.
    [[nodiscard]] WalPlace
    restart(std::uint32_t page_size, std::uint32_t salt1, std::uint32_t salt2);
    // Appends a frame after `place` and moves it. `pages` 0: the commit goes on.
    void append(
        WalPlace& place,
        std::uint32_t page_size,
        std::uint32_t number,
        std::uint32_t pages,
        View page
    );
    // Writes what append() has gathered.
    void flush();
    void sync();
    // Cuts off what comes after `place`.
    void cut(const WalPlace& place, std::uint32_t page_size);

private:
    [[nodiscard]] static std::uint64_t
    offset_of(std::uint32_t frame, std::uint32_t page_size) noexcept {
        return k_wal_header_bytes + std::uint64_t{frame - 1} * (k_frame_head_bytes + page_size);
    }

    std::string name_;
    Descriptor fd_;
    mutable Bytes buffer_;
    Bytes pending_;
    std::uint64_t pending_at_ = 0;
};

}  // namespace tenon::capture
