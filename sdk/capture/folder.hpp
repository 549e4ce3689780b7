// SPDX-License-Identifier: Apache-2.0
// A capture folder as a whole: what is in it, and a database made from it.
//
// Names: base-EPOCH-TXID.base, segment-EPOCH-FIRSTTXID.seg, numbers as 16 hexadecimal digits.
#pragma once

#include "sdk/capture/base_file.hpp"
#include "sdk/capture/segment_reader.hpp"

#include <optional>

namespace tenon::capture {

struct Piece {
    std::string file;  // with the folder
    std::uint64_t epoch = 0;
    std::uint64_t txid = 0;  // of a segment: the first
    std::uint64_t bytes = 0;
};

struct Listing {
    std::vector<Piece> bases;  // oldest first, as the segments
    std::vector<Piece> segments;
};

[[nodiscard]] Listing list(const std::string& folder);
[[nodiscard]] std::string
base_name(const std::string& folder, std::uint64_t epoch, std::uint64_t txid);
[[nodiscard]] std::string
segment_name(const std::string& folder, std::uint64_t epoch, std::uint64_t first_txid);

// Where a database made from the folder stands.
struct Position {
    std::array<unsigned char, 16> uuid{};
    std::uint64_t epoch = 0;
    std::uint64_t txid = 0;
    std::int64_t real_ns = 0;
    std::uint32_t page_size = 0;
    std::uint32_t pages = 0;
};

// Walks the commits of an epoch after a base or a commit: gives whole commits only, each checked,
// and finds what is missing.
class Walker {
public:
    // The segments of `folder` that follow `base`.
    Walker(std::string folder, const BaseHeader& base);
    // After a commit that was applied before; its hash as hash() gave it then. Throws TENON_CORRUPT
    // when there is another commit of that number, TENON_NOT_FOUND when there is none.
    Walker(std::string folder, std::uint64_t epoch, std::uint64_t txid, const Hash& hash);

    // The next commit, or nothing when there is none yet. `page` is called for each of its pages.
    // Throws TENON_CORRUPT or TENON_NOT_FOUND, naming the segment. A segment that somebody still
    // writes and whose end is not whole is no damage while no later one is there.
    [[nodiscard]] std::optional<Commit> next(const std::function<void(std::uint32_t, View)>& page);
    // Of the next commit without its pages; next() gives it again.
    [[nodiscard]] std::optional<Commit> peek();

    // Of the last commit.
    [[nodiscard]] const Hash& hash() const noexcept { return hash_; }

    [[nodiscard]] std::uint64_t txid() const noexcept { return txid_; }

    [[nodiscard]] std::uint32_t page_size() const noexcept { return page_size_; }

private:
    // The reader stands before a record, or there is nothing yet.
    [[nodiscard]] bool require_segment();
    [[nodiscard]] bool look();
    [[nodiscard]] Found read(Record& record);
    [[nodiscard]] bool has_later() const;
    void take(const Commit& commit) noexcept;

    std::string folder_;
    std::uint64_t epoch_;
    std::uint64_t txid_;
    Hash hash_{};
    Hash previous_{};  // of the next segment
    std::uint32_t page_size_ = 0;
    std::unique_ptr<SegmentReader> reader_;

    // The next commit, when it is known to be whole: where it begins and ends, and its pages when
    // they are not too many to be kept.
    struct Place {
        std::uint64_t offset = 0;
        Hash chain{};
    };

    std::optional<Commit> known_;
    Place begin_;
    Place after_;
    std::vector<Bytes> kept_;
    bool keeps_all_ = false;
};

struct Target {
    std::uint64_t txid = 0;    // after this commit
    std::int64_t real_ns = 0;  // as it was at that time
};                             // neither: the end

// The base to begin with for a target. Throws TENON_NOT_FOUND.
[[nodiscard]] BaseHeader
choose_base(const std::string& folder, const Target& target, std::string& file);
// Makes `file`, which must not be there, synced. Throws TENON_NOT_FOUND when the folder does not
// reach the target, TENON_CORRUPT; then `file` is not there.
Position restore(
    const std::string& folder,
    const Target& target,
    const std::string& file,
    const Progress& progress
);

}  // namespace tenon::capture
