// SPDX-License-Identifier: Apache-2.0
// Format of a snapshot file, version 1
//
// A snapshot is the whole state after one command, in a file SSSSSSSSSSSSSSSSSSSS.snap: the
// command's sequence in twenty decimal digits. It is written under a temporary name, synced,
// renamed, and the folder synced: a file with this name is complete, or was damaged later. Integers
// are little endian.
//
//     snapshot := magic u64       "TENONS1\0"
//                 version u32     1; others keep the header, so that damage is told from them
//                 reserved u32    0
//                 sequence u64    of the last command in it
//                 time u64        of that command, nanoseconds since the epoch
//                 hash u64        of the state
//                 length u64      bytes of payload
//                 instruments u64 fingerprint of the list it was made under; 0: not known
//                 reserved u32    0
//                 crc u32         CRC-32C of the 60 bytes before and of the payload
//                 payload byte{length}
//
// The payload belongs to the engine (it states its own version) and its venues. Example: a snapshot
// of sequence 5 with a payload of 3 bytes has 67 bytes and is called 00000000000000000005.snap.
#pragma once

#include "sdk/journal/disk.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tenon::journal {

inline constexpr std::uint64_t k_snapshot_magic = 0x0031534e4f4e4554u;  // "TENONS1\0"
inline constexpr std::size_t k_snapshot_header_size = 64;

struct SnapshotInfo {
    std::uint64_t sequence = 0;
    std::int64_t time_real_ns = 0;
    std::uint64_t hash = 0;
    std::uint64_t instruments = 0;  // fingerprint of the list; 0: not known
};

struct Snapshot {
    SnapshotInfo info;
    std::vector<std::byte> payload;
};

// [io] Writes it durably. Throws Error; then no file of that name was made.
void write_snapshot(
    Disk& disk,
    const std::string& folder,
    const SnapshotInfo& info,
    std::span<const std::byte> payload
);

// [io] Throws Error TENON_CORRUPT, with the file, when it does not pass its checks.
[[nodiscard]] Snapshot read_snapshot(Disk& disk, const std::string& folder, std::uint64_t sequence);

// "00000000000000000005.snap".
[[nodiscard]] std::string snapshot_name(std::uint64_t sequence);

// [io] Sequences of the snapshots of a folder, ascending. Nothing is read.
[[nodiscard]] std::vector<std::uint64_t> list_snapshots(Disk& disk, const std::string& folder);

// [io] Removes old ones; keeps the two newest, and the newest at or
// below `needed` (what the projection has written). Gives back the sequence of the oldest one kept,
// nothing when there is none.
std::optional<std::uint64_t>
prune_snapshots(Disk& disk, const std::string& folder, std::uint64_t needed);

}  // namespace tenon::journal
