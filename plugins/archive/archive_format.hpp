// SPDX-License-Identifier: Apache-2.0
// What an archive looks like on disk.
//
// An archive is a range of a table's rows: FOLDER/POLICY/ID.csv.zst and FOLDER/POLICY/ID.json. ID
// is POLICY-FIRST-END-N: the range [FIRST, END) of the walk's first key, and a count for what came
// to the same range later.
//
//   ID.csv.zst  zstd frames one after the other, so `zstd -dc` gives the whole CSV: the first holds
//               the header line, each other one up to k_frame_rows rows or k_frame_bytes bytes,
//               in the walk's order. Lines as csv.hpp says.
//   ID.json     the manifest: a line of JSON, then a line with its SHA-256:
//     {"format":1,"id":"trades-0-86400000000000-0","policy":"trades","table":"trades",
//      "state":"deleted","dialect":"sqlite","migration":9,"created_real_ns":…,"updated_real_ns":…,
//      "first":0,"end":86400000000000,"columns":[{"name":"trade_id","type":"INTEGER"},…],
//      "rows":2,"deleted":2,"changed":0,"bytes":241,"sha256":"…","row_hash":"…",
//      "min_key":[0,1,1,0],"max_key":[0,1,2,0],"min_time":0,"max_time":5,"copied":false,
//      "frames":[{"offset":57,"bytes":184,"plain":96,"rows":2,"min_time":0,"max_time":5}]}
//
// A manifest is replaced by a rename, and what it tells about is on disk before.
#pragma once

#include "plugins/archive/csv.hpp"
#include "plugins/archive/tables.hpp"
#include "sdk/capture/format.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::archive {

inline constexpr std::size_t k_frame_rows = 65536;
inline constexpr std::size_t k_frame_bytes = std::size_t{8} << 20U;

// How far a range is. Each state is on disk before anything of the next one is done.
//   planned   being written; its rows are in the database
//   exported  the file is whole and on disk
//   verified  the file has been read again, and gives the rows that were written
//   copied    a second copy has been made and read again, where one is wanted
//   eligible  rows are being deleted, those that are in the file as they are in the database
//   deleted   no row of the file is left in the database
//   restored  rows were put back; they stay until somebody releases the range
enum class State : std::uint8_t {
    planned,
    exported,
    verified,
    copied,
    eligible,
    deleted,
    restored
};

[[nodiscard]] std::string_view name_of(State state) noexcept;

struct Frame {
    std::uint64_t offset = 0, bytes = 0;  // in the file
    std::uint64_t plain = 0;              // bytes of CSV
    std::uint64_t rows = 0;
    std::int64_t min_time = 0, max_time = 0;
};

struct Manifest {
    std::string id, policy, table, dialect;
    State state = State::planned;
    std::int64_t migration = 0, created_real_ns = 0, updated_real_ns = 0;
    std::int64_t first = 0, end = 0;
    std::vector<Column> columns;
    std::uint64_t rows = 0, bytes = 0;
    std::uint64_t deleted = 0;
    std::uint64_t changed = 0;  // rows that were not deleted since they differ from the file
    std::string sha256, row_hash;
    std::vector<std::int64_t> min_key, max_key;
    std::int64_t min_time = 0, max_time = 0;
    bool copied = false;
    std::vector<Frame> frames;
};

[[nodiscard]] std::string encode(const Manifest& manifest);
// Throws TENON_CORRUPT, naming the file.
[[nodiscard]] Manifest decode(std::string_view text, const std::string& file);

// Writes the file of an archive. Not thread-safe; blocks.
class ArchiveWriter {
public:
    // The file is made anew. Throws UNAVAILABLE when the disk refuses, as all here.
    ArchiveWriter(std::string file, const Manifest& manifest, int level);
    // A file that was not finished is removed.
    ~ArchiveWriter();
    ArchiveWriter(const ArchiveWriter&) = delete;
    ArchiveWriter& operator=(const ArchiveWriter&) = delete;

    void add(std::string_view line, std::int64_t time);
    // On disk under its name. Fills in the file's part of the manifest.
    void finish(Manifest& manifest);

private:
    void flush();
    void put(std::string_view plain, Frame& frame);

    std::string file_, part_;
    int level_;
    capture::Descriptor out_;
    capture::Hasher hasher_;
    capture::Squeezer squeezer_;
    std::string block_;
    Frame frame_;
    std::vector<Frame> frames_;
    std::uint64_t offset_ = 0, rows_ = 0;
    RowHash row_hash_;
};

// Reads frames. Not thread-safe; blocks.
class ArchiveReader {
public:
    // Throws TENON_NOT_FOUND when the file is missing.
    ArchiveReader(std::string file, const Manifest& manifest);

    // The CSV of a frame; valid until the next call. Throws TENON_CORRUPT, naming file and frame.
    [[nodiscard]] std::string_view frame(std::size_t index);

    [[nodiscard]] const Manifest& manifest() const noexcept { return *manifest_; }

private:
    std::string file_;
    const Manifest* manifest_;
    capture::Descriptor in_;
    capture::Squeezer squeezer_;
    capture::Bytes packed_, plain_;
};

// Reads the whole file and compares it with the manifest: bytes, checksum, frames, rows, row hash.
// `stopping` is asked for each frame. Throws TENON_CORRUPT or NOT_FOUND that names the file and
// what is wrong; UNAVAILABLE when it was stopped.
void verify_file(
    const std::string& file,
    const Manifest& manifest,
    const std::function<bool()>& stopping
);

}  // namespace tenon::archive
