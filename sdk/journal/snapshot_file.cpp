// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/crc32c.hpp"
#include "sdk/journal/snapshot_format.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace tenon::journal {
namespace {

constexpr std::uint32_t k_version = 1;
constexpr std::size_t k_digits = 20;
constexpr std::size_t k_crc_offset = 60;
constexpr const char* k_temporary = "snapshot.tmp";

using Header = std::array<std::byte, k_snapshot_header_size>;

std::optional<std::uint64_t> snapshot_sequence(const std::string& name) {
    std::uint64_t sequence = 0;
    if (name.size() != k_digits + 5 || name.compare(k_digits, 5, ".snap") != 0) {
        return std::nullopt;
    }
    const char* end = name.data() + k_digits;
    const auto [stopped, error] = std::from_chars(name.data(), end, sequence);
    return error == std::errc{} && stopped == end ? std::optional{sequence} : std::nullopt;
}

template <class T>
void store(Header& header, std::size_t offset, T value) {
    std::memcpy(header.data() + offset, &value, sizeof value);
}

template <class T>
T load(const Header& header, std::size_t offset) {
    T value{};
    std::memcpy(&value, header.data() + offset, sizeof value);
    return value;
}

std::uint32_t file_crc(const Header& header, std::span<const std::byte> payload) {
    return crc32c(crc32c(0, std::span{header}.first(k_crc_offset)), payload);
}

}  // namespace

std::string snapshot_name(std::uint64_t sequence) {
    std::string digits = std::to_string(sequence);
    digits.insert(0, k_digits - digits.size(), '0');
    return digits + ".snap";
}

void write_snapshot(
    Disk& disk,
    const std::string& folder,
    const SnapshotInfo& info,
    std::span<const std::byte> payload
) {
    Header header{};
    store(header, 0, k_snapshot_magic);
    store(header, 8, k_version);
    store(header, 16, info.sequence);
    store(header, 24, info.time_real_ns);
    store(header, 32, info.hash);
    store(header, 40, static_cast<std::uint64_t>(payload.size()));
    store(header, 48, info.instruments);
    store(header, k_crc_offset, file_crc(header, payload));
    const std::string temporary = folder + "/" + k_temporary;
    {
        const auto file = disk.open(temporary, OpenMode::create);
        require_ok(write_all(*file, header, 0), "cannot write", temporary);
        require_ok(write_all(*file, payload, header.size()), "cannot write", temporary);
        require_ok(file->sync(), "cannot sync", temporary);
    }
    disk.rename(temporary, folder + "/" + snapshot_name(info.sequence));
    disk.sync_folder(folder);
}

Snapshot read_snapshot(Disk& disk, const std::string& folder, std::uint64_t sequence) {
    const std::string path = folder + "/" + snapshot_name(sequence);
    const auto damaged = [&](const char* what) {
        return Error{TENON_CORRUPT, "snapshot damaged: " + std::string{what} + ", file " + path};
    };
    const auto file = disk.open(path, OpenMode::read);
    const std::int64_t size = file->size();
    Header header{};
    if (size < static_cast<std::int64_t>(header.size()) ||
        read_all(*file, header, 0, path) != header.size()) {
        throw damaged("shorter than its header");
    }
    if (load<std::uint64_t>(header, 0) != k_snapshot_magic) {
        throw damaged("not a snapshot");
    }
    const auto length = load<std::uint64_t>(header, 40);
    if (length != static_cast<std::uint64_t>(size) - header.size()) {
        throw damaged("the length does not fit");
    }
    Snapshot snapshot;
    snapshot.payload.resize(static_cast<std::size_t>(length));
    if (read_all(*file, snapshot.payload, header.size(), path) != snapshot.payload.size() ||
        load<std::uint32_t>(header, k_crc_offset) != file_crc(header, snapshot.payload)) {
        throw damaged("the check sum does not fit");
    }
    if (const auto version = load<std::uint32_t>(header, 8); version != k_version) {
        throw Error{
            TENON_UNSUPPORTED,
            "snapshot of format " + std::to_string(version) + ", this server reads " +
                std::to_string(k_version) + ", file " + path};
    }
    snapshot.info = {
        load<std::uint64_t>(header, 16),
        load<std::int64_t>(header, 24),
        load<std::uint64_t>(header, 32),
        load<std::uint64_t>(header, 48)};
    if (snapshot.info.sequence != sequence) {
        throw damaged("the sequence is not that of the name");
    }
    return snapshot;
}

std::vector<std::uint64_t> list_snapshots(Disk& disk, const std::string& folder) {
    std::vector<std::uint64_t> sequences;
    for (const std::string& name : disk.list(folder)) {
        if (const auto sequence = snapshot_sequence(name)) {
            sequences.push_back(*sequence);
        }
    }
    std::sort(sequences.begin(), sequences.end());
    return sequences;
}

std::optional<std::uint64_t>
prune_snapshots(Disk& disk, const std::string& folder, std::uint64_t needed) {
    const auto sequences = list_snapshots(disk, folder);
    if (sequences.empty()) {
        return std::nullopt;
    }
    const std::size_t newest = sequences.size() < 2 ? 0 : sequences.size() - 2;
    const auto above = std::upper_bound(sequences.begin(), sequences.end(), needed);
    // Without one at or below, everything is kept: the journal is needed from its beginning.
    const auto covering = above == sequences.begin() ? above : above - 1;
    const auto keep_from = std::min(newest, static_cast<std::size_t>(covering - sequences.begin()));
    for (std::size_t i = 0; i < keep_from; ++i) {
        disk.remove(folder + "/" + snapshot_name(sequences[i]));
    }
    return sequences[keep_from];
}

}  // namespace tenon::journal
