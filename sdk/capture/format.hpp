// SPDX-License-Identifier: Apache-2.0
// What captured commits of a SQLite database look like on disk.
//
// A capture folder holds segments and bases. A segment is a header and records, each of which ends
// with SHA-256 over the hash before it and itself; the first hash is that of the header, which
// holds the last hash of the segment before. So nothing can be changed, cut out, swapped or put in
// between. A base is the whole database after a commit; a segment begins with the commit after it,
// and its header's `previous` is the base's `chain`.
//
// Commits are numbered (txid) without a gap. An epoch is a run of commits that follow each other;
// where that is not certain (the database was replaced, or somebody emptied its log) another one
// begins with a base. Numbers are little endian.
#pragma once

#include <tenon/plugin.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::capture {

using Hash = std::array<unsigned char, 32>;
using Bytes = std::vector<unsigned char>;
using View = std::span<const unsigned char>;

inline constexpr std::uint32_t k_version = 1;
inline constexpr std::size_t k_segment_header_bytes = 96;
inline constexpr std::size_t k_record_head_bytes = 8;
// A record holds no more than this; a bigger commit has several.
inline constexpr std::size_t k_record_bytes_max = std::size_t{4} << 20U;

// A place in a write-ahead log, after a commit: https://www.sqlite.org/walformat.html
struct WalPlace {
    std::uint32_t salt1 = 0;
    std::uint32_t salt2 = 0;
    std::uint32_t frame = 0;  // 0: before the first
    std::uint32_t sum1 = 0;
    std::uint32_t sum2 = 0;

    bool operator==(const WalPlace&) const = default;
};

struct Commit {
    std::uint64_t txid = 0;
    std::int64_t real_ns = 0;
    std::uint32_t pages = 0;  // of the database after it
    WalPlace place;
};

// The database file as it was when its log had been emptied into it.
struct FileStamp {
    std::uint64_t inode = 0;
    std::uint64_t bytes = 0;
    std::int64_t mtime_ns = 0;

    bool operator==(const FileStamp&) const = default;
};

// Where the log stands: at `place`; with a stamp, everything up to there is in the file that has
// it.
struct LogState {
    FileStamp stamp;
    WalPlace place;
};

enum class RecordType : std::uint8_t { pages = 1, commit = 2, log_state = 3, end = 4 };

struct SegmentHeader {
    std::array<unsigned char, 16> uuid{};  // of the folder
    std::uint64_t epoch = 0;
    std::uint64_t first_txid = 0;
    std::uint32_t page_size = 0;
    std::int64_t real_ns = 0;
    Hash previous{};
};

// SHA-256, again and again.
class Hasher {
public:
    Hasher();
    ~Hasher();
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;
    void begin();
    void add(View bytes);
    [[nodiscard]] Hash end();

private:
    struct State;
    std::unique_ptr<State> state_;
};

[[nodiscard]] Hash hash_of(View bytes);
[[nodiscard]] std::string hex_of(View bytes);
// Empty when the text is no such hash.
[[nodiscard]] Bytes bytes_of_hex(std::string_view text);

// zstd. `decompress` throws TENON_CORRUPT when the result would not have `bytes` bytes.
class Squeezer {
public:
    Squeezer();
    ~Squeezer();
    Squeezer(const Squeezer&) = delete;
    Squeezer& operator=(const Squeezer&) = delete;
    [[nodiscard]] Bytes compress(View bytes, int level);
    void decompress(View packed, std::size_t bytes, Bytes& out, const std::string& what);

private:
    struct State;
    std::unique_ptr<State> state_;
};

void put_u32(Bytes& to, std::uint32_t value);
void put_u64(Bytes& to, std::uint64_t value);
[[nodiscard]] std::uint32_t get_u32(View from, std::size_t at) noexcept;
[[nodiscard]] std::uint64_t get_u64(View from, std::size_t at) noexcept;

[[nodiscard]] Bytes encode(const SegmentHeader& header);
// Throws TENON_CORRUPT.
[[nodiscard]] SegmentHeader decode_segment_header(View bytes, const std::string& file);
[[nodiscard]] Bytes encode(const Commit& commit);
[[nodiscard]] Commit decode_commit(View body);
[[nodiscard]] Bytes encode(const LogState& state);
[[nodiscard]] LogState decode_log_state(View body);
inline constexpr std::size_t k_commit_bytes = 40;
inline constexpr std::size_t k_log_state_bytes = 44;

// The chain before the first segment of an epoch.
[[nodiscard]] Hash genesis(const std::array<unsigned char, 16>& uuid, std::uint64_t epoch);

[[nodiscard]] bool is_page_size(std::uint32_t bytes) noexcept;

// "UNAVAILABLE: cannot WHAT FILE: strerror", of errno.
[[nodiscard]] Error file_error(std::string_view what, const std::string& file);
void write_all(int fd, View bytes, const std::string& file);
// Fewer only at the end of the file.
[[nodiscard]] std::size_t read_at(
    int fd,
    unsigned char* to,
    std::size_t bytes,
    std::uint64_t offset,
    const std::string& file
);
void sync_folder(const std::string& folder);

// A file descriptor that is closed.
class Descriptor {
public:
    Descriptor() = default;

    explicit Descriptor(int fd) noexcept : fd_{fd} {}

    Descriptor(Descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }

    ~Descriptor();

    [[nodiscard]] int get() const noexcept { return fd_; }

    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

}  // namespace tenon::capture
