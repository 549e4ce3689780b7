// SPDX-License-Identifier: Apache-2.0
// A base: a whole database file after a commit, compressed in blocks, with its SHA-256 at the end.
#pragma once

#include "sdk/capture/format.hpp"

#include <functional>

namespace tenon::capture {

struct BaseHeader {
    std::array<unsigned char, 16> uuid{};
    std::uint64_t epoch = 0;
    std::uint64_t txid = 0;
    std::int64_t real_ns = 0;
    std::uint32_t page_size = 0;
    std::uint32_t pages = 0;
    Hash chain{};  // `previous` of the segment that begins after it
};

// (done bytes, all bytes); false: stop.
using Progress = std::function<bool(std::uint64_t, std::uint64_t)>;

// Gives a page of the database, numbered from 1; as many bytes as a page has.
using PageSource = std::function<void(std::uint32_t number, unsigned char* to)>;

// Packs a database into `to`, which appears whole and synced or not at all.
void write_base(
    const std::string& to,
    const BaseHeader& header,
    const PageSource& source,
    int level,
    const Progress& progress
);

// Throws TENON_CORRUPT.
[[nodiscard]] BaseHeader read_base_header(const std::string& file);

// Unpacks into a new file `to`, or with an empty name only checks. Throws TENON_CORRUPT and names
// the file; `to` is then gone.
BaseHeader unpack_base(const std::string& file, const std::string& to, const Progress& progress);

}  // namespace tenon::capture
