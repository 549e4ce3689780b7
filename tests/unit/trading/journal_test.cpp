// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/crc32c.hpp"
#include "sdk/journal/journal_reader.hpp"
#include "sdk/journal/journal_repair.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/journal/segment_tip.hpp"
#include "tests/support/memory_disk.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

using namespace tenon::journal;
using tenon::test::MemoryDisk;

namespace {

const std::string k_folder = "journal";

WriterOptions small() {
    return {65'536, 16'384};
}

std::span<const std::byte> as_bytes(const std::string& text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

Position end_of(Disk& disk) {
    JournalReader reader{disk, k_folder, 1};
    Record record;
    while (reader.next(record)) {}
    return reader.end();
}

std::vector<std::string> contents(Disk& disk, std::uint64_t from = 1) {
    std::vector<std::string> found;
    JournalReader reader{disk, k_folder, from};
    Record record;
    while (reader.next(record)) {
        found.emplace_back(
            reinterpret_cast<const char*>(record.payload.data()), record.payload.size()
        );
    }
    return found;
}

void write(JournalWriter& writer, const std::vector<std::string>& batch) {
    for (const auto& payload : batch) {
        if (!writer.fits(payload.size()) && writer.wants_segment()) {
            writer.prepare();
        }
        REQUIRE(writer.fits(payload.size()));
        writer.append(7, as_bytes(payload));
    }
    REQUIRE(writer.commit() == 0);
}

// A journal of these batches; the writer is gone.
void make_journal(MemoryDisk& disk, const std::vector<std::vector<std::string>>& batches) {
    JournalWriter writer{disk, k_folder, small(), end_of(disk)};
    for (const auto& batch : batches) {
        write(writer, batch);
    }
}

const std::string k_first = k_folder + "/0000000000000001.seg";

}  // namespace

TEST_CASE("the check sum is that of RFC 3720, with and without the instruction", "[journal][T5]") {
    std::array<std::byte, 32> zeros{}, ones{}, ascending{};
    ones.fill(std::byte{0xff});
    for (std::size_t i = 0; i < ascending.size(); ++i) {
        ascending[i] = static_cast<std::byte>(i);
    }
    for (const auto& function : {&crc32c, &crc32c_portable}) {
        CHECK(function(0, zeros) == 0x8a9136aau);
        CHECK(function(0, ones) == 0x62a8ab43u);
        CHECK(function(0, ascending) == 0x46dd794eu);
        CHECK(function(function(0, as_bytes("1234")), as_bytes("56789")) == 0xe3069283u);
    }
}

TEST_CASE(
    "a journal gives back what was committed, in order, from any record on",
    "[journal][T5]"
) {
    MemoryDisk disk;
    make_journal(disk, {{"a", "bb"}, {"", "a longer one"}, {"e"}});
    CHECK(contents(disk) == std::vector<std::string>{"a", "bb", "", "a longer one", "e"});
    CHECK(contents(disk, 4) == std::vector<std::string>{"a longer one", "e"});
    CHECK(end_of(disk).next_sequence == 6);
    make_journal(disk, {{"after a restart"}});
    CHECK(contents(disk, 6) == std::vector<std::string>{"after a restart"});
}

TEST_CASE("the example of the format is what is written", "[journal][T5]") {
    MemoryDisk disk;
    make_journal(disk, {{"hi", ""}});
    const auto& bytes = disk.bytes(k_first);
    CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), 7) == "TENONJ1");
    CHECK(bytes[0x44] == std::byte{2});
    CHECK(bytes[0x58] == std::byte{'h'});
    CHECK(bytes[0x5a] == k_record_mark);
    CHECK(bytes[0x74] == std::byte{32});
    CHECK(bytes[0x78] == k_record_mark);
    CHECK(bytes.size() == 65'536);
}

TEST_CASE("one batch is one write and one sync", "[journal][T5]") {
    MemoryDisk disk;
    JournalWriter writer{disk, k_folder, small(), Position{}};
    REQUIRE(writer.wants_segment());
    CHECK_FALSE(writer.wants_segment());
    writer.prepare();
    disk.writes = disk.syncs = 0;
    write(writer, {"a", "b", "c"});
    write(writer, {"d"});
    CHECK(disk.writes == 2);
    CHECK(disk.syncs == 2);
    CHECK(writer.durable_sequence() == 4);
    CHECK(writer.commit() == 0);
    CHECK(disk.writes == 2);
}

TEST_CASE("a batch that does not fit goes to the next segment as a whole", "[journal][T5]") {
    MemoryDisk disk;
    std::vector<std::vector<std::string>> batches;
    for (int i = 0; i < 30; ++i) {
        batches.push_back({std::string(4000, 'x'), std::to_string(i)});
    }
    make_journal(disk, batches);
    CHECK(list_segments(disk, k_folder).size() >= 2);
    CHECK(contents(disk).size() == 60);
    CHECK(contents(disk, 60) == std::vector<std::string>{"29"});
    CHECK(remove_segments_below(disk, k_folder, 60) == 1);
    CHECK(contents(disk, 60) == std::vector<std::string>{"29"});
    CHECK_THROWS_AS(contents(disk, 1), tenon::Error);
}

TEST_CASE(
    "without a prepared segment nothing is taken that could not be written",
    "[journal][T5]"
) {
    MemoryDisk disk;
    JournalWriter writer{disk, k_folder, small(), Position{}};
    CHECK_FALSE(writer.fits(1));
    disk.faults.writes_left = 0;
    REQUIRE(writer.wants_segment());
    CHECK_THROWS_AS(writer.prepare(), tenon::Error);
    disk.faults.writes_left = -1;
    REQUIRE(writer.wants_segment());
    writer.prepare();
    CHECK(writer.fits(1));
    CHECK_FALSE(writer.fits(20'000));
}

TEST_CASE("interrupted and short writes are carried on", "[journal][T5]") {
    MemoryDisk disk;
    JournalWriter writer{disk, k_folder, small(), Position{}};
    REQUIRE(writer.wants_segment());
    writer.prepare();
    disk.faults.short_writes = true;
    disk.faults.interrupt_writes = 3;
    write(writer, {"first", std::string(5000, 'y')});
    CHECK(contents(disk).size() == 2);
}

TEST_CASE("a failed write or sync poisons the writer", "[journal][T5]") {
    MemoryDisk disk;
    JournalWriter writer{disk, k_folder, small(), Position{}};
    REQUIRE(writer.wants_segment());
    writer.prepare();
    write(writer, {"good"});
    writer.append(7, as_bytes("in doubt"));
    SECTION("sync") {
        disk.faults.syncs_left = 0;
    }
    SECTION("write") {
        disk.faults.writes_left = 0;
    }
    CHECK(writer.commit() != 0);
    disk.faults = {};
    CHECK(writer.commit() != 0);
    CHECK(writer.failed() != 0);
    CHECK_FALSE(writer.fits(1));
    CHECK(writer.durable_sequence() == 1);
    CHECK(contents(disk).front() == "good");
}

TEST_CASE("a torn tail is cut, and its bytes never come back", "[journal][T5]") {
    MemoryDisk disk;
    const std::string large(3000, 'z');
    make_journal(disk, {{"kept"}, {large, large, large}});
    auto& bytes = disk.bytes(k_first);
    // The sectors of the middle of the second batch were not written; the third record was.
    std::fill(bytes.begin() + 3584, bytes.begin() + 4096, std::byte{0});
    CHECK(contents(disk) == std::vector<std::string>{"kept", large});
    CHECK(end_of(disk).torn_bytes > 3000);
    make_journal(disk, {{std::string(3000, 'n')}});
    CHECK(contents(disk) == std::vector<std::string>{"kept", large, std::string(3000, 'n')});
    CHECK(end_of(disk).torn_bytes == 0);
}

TEST_CASE("damage in the middle stops with file and offset", "[journal][T5][K4]") {
    MemoryDisk disk;
    make_journal(disk, {{"one"}, {"two"}, {"three"}});
    const std::size_t second = 64 + record_size(3);
    disk.bytes(k_first)[second + k_record_header_size] ^= std::byte{1};
    try {
        contents(disk);
        FAIL("no damage was found");
    } catch (const Damage& damage) {
        CHECK(damage.file() == k_first);
        CHECK(damage.offset() == second);
        CHECK(
            std::string{damage.what()}.find("offset " + std::to_string(second)) != std::string::npos
        );
    }
}

TEST_CASE("a flipped bit in any byte of any record is noticed", "[journal][T5]") {
    const std::vector<std::vector<std::string>> batches{{"one"}, {"two", "2"}, {"last"}};
    MemoryDisk original;
    make_journal(original, batches);
    const std::size_t end = end_of(original).offset;
    const auto good = original.bytes(k_first);
    std::size_t silent = 0;
    for (std::size_t at = 0; at < end; ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            original.bytes(k_first) = good;
            original.bytes(k_first)[at] ^= static_cast<std::byte>(1 << bit);
            try {
                // Padding is not checked; everything else must not pass.
                silent += contents(original).size() == 4 ? 0U : 1U;
            } catch (const Damage&) {}
        }
    }
    CHECK(silent == 0);
}

TEST_CASE("a missing segment and one of another journal are damage", "[journal][T5]") {
    MemoryDisk disk;
    std::vector<std::vector<std::string>> batches(60, {std::string(4000, 'x')});
    make_journal(disk, batches);
    REQUIRE(list_segments(disk, k_folder).size() >= 4);
    const std::string second = k_folder + "/0000000000000002.seg";
    SECTION("missing") {
        disk.remove(second);
    }
    SECTION("its records are gone") {
        auto& bytes = disk.bytes(second);
        std::fill(bytes.begin() + 20'000, bytes.end(), std::byte{0});
    }
    SECTION("another's") {
        disk.bytes(second) = disk.bytes(k_first);
    }
    CHECK_THROWS_AS(contents(disk), Damage);
}

TEST_CASE("repair says what it would lose and does it only when told", "[journal][K4]") {
    MemoryDisk disk;
    std::vector<std::vector<std::string>> batches;
    for (int i = 0; i < 40; ++i) {
        batches.push_back({std::string(4000, 'x')});
    }
    make_journal(disk, batches);
    const std::size_t third = 64 + 2 * record_size(4000);
    disk.bytes(k_first)[third + 100] ^= std::byte{4};
    const JournalReport report = check_journal(disk, k_folder);
    REQUIRE(report.damage);
    CHECK(report.damage->offset == third);
    CHECK(report.last_sequence == 2);
    CHECK(report.lost_records == 38);
    CHECK_THROWS_WITH(
        repair_journal(disk, k_folder, false), Catch::Contains("would lose 38 records")
    );
    const RepairResult result = repair_journal(disk, k_folder, true);
    CHECK(result.changed);
    CHECK(disk.exists(k_first + ".damaged"));
    CHECK(contents(disk).size() == 2);
    CHECK_FALSE(check_journal(disk, k_folder).damage);
    make_journal(disk, {{"goes on"}});
    CHECK(contents(disk, 3) == std::vector<std::string>{"goes on"});
    CHECK_FALSE(repair_journal(disk, k_folder, false).changed);
}

TEST_CASE("after power loss every committed batch is there", "[journal][T5]") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        std::mt19937_64 random{seed};
        MemoryDisk disk{seed};
        std::uint64_t acknowledged = 0;
        for (int life = 0; life < 4; ++life) {
            JournalReader reader{disk, k_folder, 1};
            Record record;
            std::uint64_t last = 0;
            while (reader.next(record)) {
                last = record.sequence;
                REQUIRE(record.payload.size() == record.sequence * 37 % 1500);
            }
            REQUIRE(last >= acknowledged);
            JournalWriter writer{disk, k_folder, small(), reader.end()};
            const auto batches = 1 + random() % 20;
            for (std::uint64_t b = 0; b < batches; ++b) {
                const bool fail = b + 1 == batches;
                for (std::uint64_t n = 1 + random() % 6; n != 0; --n) {
                    const std::string payload(writer.next_sequence() * 37 % 1500, 'p');
                    if (!writer.fits(payload.size()) && writer.wants_segment()) {
                        writer.prepare();
                    }
                    REQUIRE(writer.fits(payload.size()));
                    writer.append(1, as_bytes(payload));
                }
                disk.faults.short_writes = random() % 2 == 0;
                if (fail && random() % 2 == 0) {
                    disk.faults.writes_left = static_cast<long>(random() % 3);
                } else if (fail) {
                    disk.faults.syncs_left = 0;
                }
                if (writer.commit() == 0) {
                    acknowledged = writer.durable_sequence();
                }
            }
            if (random() % 2 == 0) {
                disk.lose_power();
            } else {
                disk.kill();
            }
        }
    }
}

TEST_CASE("the real disk holds a journal", "[journal][T5]") {
    std::string folder = "/tmp/tenon-journal-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const auto disk = make_posix_disk();
    {
        JournalWriter writer{*disk, folder, small(), Position{}};
        REQUIRE(writer.wants_segment());
        writer.prepare();
        writer.append(3, as_bytes("on disk"));
        REQUIRE(writer.commit() == 0);
    }
    JournalReader reader{*disk, folder, 1};
    Record record;
    REQUIRE(reader.next(record));
    CHECK(record.type == 3);
    CHECK_FALSE(reader.next(record));
    CHECK(disk->free_bytes(folder) > 0);
    CHECK_THROWS_AS(disk->open(folder + "/nothing", OpenMode::read), tenon::Error);
    std::filesystem::remove_all(folder);
}

TEST_CASE("who follows a segment sees every batch as it comes", "[journal][S14]") {
    MemoryDisk disk;
    make_journal(disk, {{"first"}});
    JournalWriter writer{disk, k_folder, small(), end_of(disk)};
    SegmentTip tip{disk, k_folder, 1};
    CHECK(tip.bytes() == 0);
    tip.advance();
    CHECK(tip.next_sequence() == 2);
    const std::uint64_t before = tip.bytes();
    write(writer, {"second", "third"});
    CHECK(tip.bytes() == before);
    tip.advance();
    CHECK(tip.next_sequence() == 4);
    CHECK(tip.is_at_end());
    CHECK(tip.bytes() == end_of(disk).offset);
    CHECK(tip.crc() == end_of(disk).last_crc);
    SegmentTip until{disk, k_folder, 1};
    until.advance(before);
    CHECK(until.bytes() == before);
    CHECK(until.next_sequence() == 2);
}

TEST_CASE("who follows a segment notices that it was cut and went on otherwise", "[journal][S14]") {
    MemoryDisk disk;
    make_journal(disk, {{"first"}, {"second"}});
    SegmentTip tip{disk, k_folder, 1};
    tip.advance();
    std::vector<std::byte>& bytes = disk.bytes(k_first);
    std::fill(bytes.begin() + k_segment_header_size + record_size(5), bytes.end(), std::byte{0});
    CHECK_THROWS_WITH(tip.advance(), k_first + " was cut before offset 128");
    make_journal(disk, {{"another"}});
    CHECK_THROWS_WITH(tip.advance(), k_first + " was cut before offset 128");
}
