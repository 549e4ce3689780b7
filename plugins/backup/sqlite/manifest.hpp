// SPDX-License-Identifier: Apache-2.0
// What a backup is made of, and the file that says it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::backup_sqlite {

struct Part {
    std::string name;  // in the capture folder
    std::string file;  // in the folder of pieces
    std::uint64_t bytes = 0;
    std::string sha256;
};

struct Manifest {
    std::string id;
    std::string label;
    std::int64_t started_ns = 0;  // Unix time, as all here
    std::int64_t finished_ns = 0;
    std::int64_t from_ns = 0;
    std::int64_t to_ns = 0;
    std::uint64_t from_txid = 0;
    std::uint64_t to_txid = 0;
    std::vector<Part> parts;

    [[nodiscard]] std::uint64_t bytes() const noexcept;
};

// With a checksum of itself.
[[nodiscard]] std::string encode(const Manifest& manifest);
// Throws TENON_CORRUPT and names the file.
[[nodiscard]] Manifest decode(std::string_view text, const std::string& file);
// As abi/backup.h has a backup.
[[nodiscard]] std::string describe(const Manifest& manifest);

[[nodiscard]] std::string iso_time(std::int64_t real_ns);
// "2026-05-04T03:02:01Z", with or without a fraction. Throws TENON_INVALID.
[[nodiscard]] std::int64_t time_of_iso(const std::string& text);

}  // namespace tenon::backup_sqlite
