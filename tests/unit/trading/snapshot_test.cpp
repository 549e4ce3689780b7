// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/snapshot_format.hpp"
#include "tests/support/memory_disk.hpp"

#include <catch2/catch.hpp>

using namespace tenon::journal;
using tenon::test::MemoryDisk;

namespace {

const std::string k_folder = "snapshots";

void write(MemoryDisk& disk, std::uint64_t sequence) {
    const std::vector<std::byte> payload(1000, static_cast<std::byte>(sequence));
    write_snapshot(disk, k_folder, {sequence, 77, sequence * 3}, payload);
}

}  // namespace

TEST_CASE("a snapshot comes back with its sequence, time and hash", "[snapshot][T5]") {
    MemoryDisk disk;
    write(disk, 5);
    disk.lose_power();
    const Snapshot snapshot = read_snapshot(disk, k_folder, 5);
    CHECK(snapshot.info.sequence == 5);
    CHECK(snapshot.info.time_real_ns == 77);
    CHECK(snapshot.info.hash == 15);
    CHECK(snapshot.payload == std::vector<std::byte>(1000, std::byte{5}));
}

TEST_CASE("a snapshot with any flipped byte is refused by name", "[snapshot][T5]") {
    MemoryDisk disk;
    write(disk, 5);
    const std::string path = k_folder + "/00000000000000000005.snap";
    for (std::size_t at = 0; at < disk.bytes(path).size(); at += 7) {
        disk.bytes(path)[at] ^= std::byte{0x10};
        CHECK_THROWS_WITH(read_snapshot(disk, k_folder, 5), Catch::Contains(path));
        disk.bytes(path)[at] ^= std::byte{0x10};
    }
    CHECK_NOTHROW(read_snapshot(disk, k_folder, 5));
    disk.bytes(path).resize(500);
    CHECK_THROWS_WITH(read_snapshot(disk, k_folder, 5), Catch::Contains("length"));
}

TEST_CASE("a snapshot that could not be written leaves none of that name", "[snapshot][T5]") {
    MemoryDisk disk;
    disk.faults.writes_left = 1;
    CHECK_THROWS_AS(write(disk, 9), tenon::Error);
    CHECK(list_snapshots(disk, k_folder).empty());
}

TEST_CASE("two newest snapshots and one the projection needs are kept", "[snapshot][T5]") {
    MemoryDisk disk;
    for (const std::uint64_t sequence : {10u, 20u, 30u, 40u, 50u}) {
        write(disk, sequence);
    }
    CHECK(prune_snapshots(disk, k_folder, 5) == 10);
    CHECK(list_snapshots(disk, k_folder).size() == 5);
    CHECK(prune_snapshots(disk, k_folder, 25) == 20);
    CHECK(list_snapshots(disk, k_folder) == std::vector<std::uint64_t>{20, 30, 40, 50});
    CHECK(prune_snapshots(disk, k_folder, 1000) == 40);
    CHECK(list_snapshots(disk, k_folder) == std::vector<std::uint64_t>{40, 50});
    CHECK(prune_snapshots(disk, "empty", 1000) == std::nullopt);
}
