// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/wal.hpp"

#include "sdk/vault/folder_place.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

using namespace tenon::backup_postgres;  // NOLINT

namespace {

constexpr std::uint64_t k_block = 1024;

WalPiece piece(Timeline timeline, Lsn from, Lsn to) {
    return {
        {timeline, from, to},
        {{to, static_cast<std::int64_t>(to), 1}},
        std::string(to - from, 'w')};
}

}  // namespace

TEST_CASE("stretches of a segment become one piece when it is full", "[backup][S14]") {
    const tenon::test::TemporaryFolder folder;
    VaultPieces pieces{
        std::make_shared<tenon::vault::FolderPlace>(folder.path().string()), nullptr};
    WalStore wal{pieces};
    wal.put(piece(1, 1024, 1100), k_block);
    wal.put(piece(1, 1100, 1500), k_block);
    CHECK(wal.list().size() == 2);
    wal.put(piece(1, 1500, 2048), k_block);
    wal.put(piece(1, 2048, 2100), k_block);
    CHECK(run_of(wal.list(), 1, 1024) == std::vector<Stretch>{{1, 1024, 2048}, {1, 2048, 2100}});
    CHECK(wal.get({1, 1100, 1500}).marks.size() == 1);  // for who has listed it
    CHECK(wal.get({1, 1024, 2048}).marks.size() == 3);
    CHECK(wal.get({1, 1024, 2048}).bytes == std::string(1024, 'w'));
}

TEST_CASE("a run ends where something is missing, whatever overlaps", "[backup][S14]") {
    const std::vector<Stretch> all{
        {1, 0, 10}, {1, 0, 100}, {1, 10, 50}, {1, 100, 120}, {1, 130, 140}, {2, 120, 200}};
    CHECK(run_of(all, 1, 0) == std::vector<Stretch>{{1, 0, 100}, {1, 100, 120}});
    CHECK(run_of(all, 1, 0, 100) == std::vector<Stretch>{{1, 0, 100}});
    CHECK(run_of(all, 1, 125).empty());
    CHECK(run_of(all, 2, 150) == std::vector<Stretch>{{2, 120, 200}});
}

TEST_CASE("pruning removes what lies before, and parts of what is whole", "[backup][S14]") {
    const tenon::test::TemporaryFolder folder;
    VaultPieces pieces{
        std::make_shared<tenon::vault::FolderPlace>(folder.path().string()), nullptr};
    WalStore wal{pieces};
    for (const Stretch& one :
         {Stretch{1, 0, 1024},
          {1, 1024, 1100},
          {1, 1024, 2048},
          {1, 1100, 1200},
          {1, 2048, 2060},
          {2, 0, 1000}}) {
        WalPiece made = piece(one.timeline, one.from, one.to);
        pieces.put(one.name(), "{\"marks\":[]}\n" + made.bytes);
    }
    wal.prune(1, 1024);
    CHECK(wal.list() == std::vector<Stretch>{{1, 1024, 2048}, {1, 2048, 2060}, {2, 0, 1000}});
}

TEST_CASE("a history says which branches lead to a timeline", "[backup][S14]") {
    const auto branches =
        branches_of(3, "1\t0/3000100\tbefore x\n# a remark\n2\t1/0\tno recovery target\n");
    REQUIRE(branches.size() == 3);
    CHECK(branches[0].end == 0x3000100);
    CHECK(branches[1].begin == 0x3000100);
    CHECK(branches[1].end == 0x100000000);
    CHECK(branches[2].timeline == 3);
    CHECK_THROWS_AS(branches_of(2, "rubbish\n"), tenon::Error);
    CHECK(segment_name(1, 0x123456789, 16U << 20U) == "000000010000000100000023");
    CHECK(lsn_of(lsn_text(0x123456789)) == 0x123456789);
    CHECK_THROWS_AS(lsn_of("0/"), tenon::Error);
}

TEST_CASE("a store takes the log of one cluster only", "[backup][S14]") {
    const tenon::test::TemporaryFolder folder;
    VaultPieces pieces{
        std::make_shared<tenon::vault::FolderPlace>(folder.path().string()), nullptr};
    WalStore wal{pieces};
    wal.claim("7", k_block);
    wal.claim("7", k_block);
    CHECK_THROWS_AS(wal.claim("8", k_block), tenon::Error);
    CHECK(wal.segment_bytes() == k_block);
}
