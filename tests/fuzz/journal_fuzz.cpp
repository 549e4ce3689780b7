// SPDX-License-Identifier: Apache-2.0
// The journal's reader, check and repair, and the reader of snapshot files.
//
// input := what u8, then
//   0 raw         bytes of the first segment
//   1 built       a journal of some batches in one or two segments, and edits of one of them
//   2 sealed      records with any header and any place in their batch, under a right checksum
//   3 snapshot    bytes of a snapshot file
//   4 snapshot    a payload, and edits of the file that it is written to
// Asserted: each outcome is an end or a Damage; what is read is what was written, from the first
// record on, without a gap; a repair leaves a journal that is read to its end.
#include "sdk/journal/journal_reader.hpp"
#include "sdk/journal/journal_repair.hpp"
#include "sdk/journal/snapshot_format.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/memory_disk.hpp"

using namespace tenon::journal;
using tenon::fuzz::Choices;
using tenon::fuzz::expect;
using tenon::test::MemoryDisk;

namespace {

constexpr std::size_t k_segment_bytes = 8192;
const std::string k_folder = "journal";
const std::string k_snapshots = "snapshots";

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

void put_file(MemoryDisk& disk, const std::string& path, std::string_view content) {
    const auto file = disk.open(path, OpenMode::create);
    expect(write_all(*file, bytes_of(content), 0) == 0, "the disk in memory takes a file");
}

// Segments as a writer leaves them; with odd records when it is told to.
class Builder {
public:
    Builder(Choices& choices, bool is_odd) : choices_{choices}, is_odd_{is_odd} {}

    std::vector<std::string> segments;
    std::vector<std::string> payloads;

    void build() {
        begin(1 + choices_.below(2));
        for (std::size_t batches = choices_.below(6); batches != 0; --batches) {
            std::uint32_t back = 0;
            for (std::size_t records = 1 + choices_.below(4); records != 0; --records) {
                const auto size = add(back);
                if (size == 0) {
                    break;
                }
                back += size;
            }
        }
        segments.back().resize(k_segment_bytes);
    }

private:
    void begin(std::size_t left) {
        left_ = left - 1;
        SegmentHeader header;
        header.number = segments.size() + 1;
        header.first_sequence = sequence_;
        header.previous_crc = last_crc_;
        header.segment_size = k_segment_bytes;
        segments.emplace_back(k_segment_header_size, '\0');
        encode_header(header, bytes(0));
    }

    std::byte* bytes(std::size_t at) {
        return reinterpret_cast<std::byte*>(segments.back().data() + at);
    }

    // Gives the record's size; 0 when there is no room any more.
    std::uint32_t add(std::uint32_t back) {
        const std::string payload(choices_.below(700), static_cast<char>(choices_.below(256)));
        const std::size_t size = record_size(payload.size());
        if (segments.back().size() + size > k_segment_bytes) {
            if (left_ == 0 || is_odd_) {
                return 0;
            }
            segments.back().resize(k_segment_bytes);
            begin(left_);
            back = 0;
        }
        const std::size_t at = segments.back().size();
        segments.back().resize(at + size);
        const std::uint64_t sequence =
            is_odd_ && choices_.below(8) == 0 ? choices_.number<std::uint64_t>() : sequence_;
        if (is_odd_ && choices_.below(4) == 0) {
            back = choices_.number<std::uint32_t>();
        }
        encode_record(sequence, 7, bytes_of(payload), back, bytes(at));
        last_crc_ = seal_record(bytes(at), segments.size(), at).crc;
        ++sequence_;
        payloads.push_back(payload);
        return static_cast<std::uint32_t>(size);
    }

    Choices& choices_;
    bool is_odd_;
    std::size_t left_ = 0;
    std::uint64_t sequence_ = 1;
    std::uint32_t last_crc_ = 0;
};

struct Read {
    std::vector<std::string> payloads;
    bool is_damaged = false;
    Position end;
};

Read read_all_of(MemoryDisk& disk) {
    Read read;
    std::uint64_t last = 0;
    try {
        JournalReader reader{disk, k_folder, 1};
        for (Record record; reader.next(record);) {
            expect(last == 0 || record.sequence == last + 1, "records follow each other");
            last = record.sequence;
            const auto* const begin = reinterpret_cast<const char*>(record.payload.data());
            read.payloads.emplace_back(begin, begin + record.payload.size());
        }
        read.end = reader.end();
    } catch (const Damage& damage) {
        expect(damage.code() == TENON_CORRUPT, "damage is called corrupt");
        read.is_damaged = true;
    } catch (const tenon::Error& error) {
        expect(error.code() == TENON_NOT_FOUND, "a journal may begin later");
    }
    return read;
}

// What is read after a repair.
Read repaired(MemoryDisk& disk) {
    const JournalReport report = check_journal(disk, k_folder);
    const RepairResult result = repair_journal(disk, k_folder, true);
    expect(result.changed == report.damage.has_value(), "a repair changes what is damaged");
    expect(!check_journal(disk, k_folder).damage, "a repaired journal is sound");
    Read read = read_all_of(disk);
    expect(!read.is_damaged, "a repaired journal is read to its end");
    return read;
}

void expect_beginning(const Read& read, const std::vector<std::string>& written) {
    expect(read.payloads.size() <= written.size(), "nothing is read that was not written");
    expect(
        std::equal(read.payloads.begin(), read.payloads.end(), written.begin()),
        "what is read is what was written"
    );
}

void fuzz_raw(std::string_view content) {
    MemoryDisk disk;
    put_file(disk, k_folder + "/" + segment_name(1), content);
    (void)read_all_of(disk);
    (void)repaired(disk);
}

void fuzz_built(Choices& choices, bool is_odd) {
    Builder builder{choices, is_odd};
    builder.build();
    const std::size_t which = choices.below(builder.segments.size());
    const bool changed = !is_odd && tenon::fuzz::damage(choices, builder.segments[which], 4);
    MemoryDisk disk;
    for (std::size_t i = 0; i < builder.segments.size(); ++i) {
        put_file(disk, k_folder + "/" + segment_name(i + 1), builder.segments[i]);
    }
    const Read read = read_all_of(disk);
    expect_beginning(read, builder.payloads);
    if (!changed && !is_odd) {
        expect(!read.is_damaged && read.end.torn_bytes == 0, "a sound journal is sound");
        expect(read.payloads == builder.payloads, "a sound journal is read whole");
    }
    expect_beginning(repaired(disk), builder.payloads);
}

void expect_refused(MemoryDisk& disk) {
    try {
        (void)read_snapshot(disk, k_snapshots, 5);
    } catch (const tenon::Error&) {
        return;
    }
    expect(false, "a snapshot that was changed is refused");
}

void fuzz_snapshot(Choices& choices) {
    MemoryDisk disk;
    const std::string payload{choices.bytes(choices.below(200))};
    write_snapshot(disk, k_snapshots, {5, 6, 7, 8}, bytes_of(payload));
    const Snapshot snapshot = read_snapshot(disk, k_snapshots, 5);
    expect(
        std::equal(
            snapshot.payload.begin(),
            snapshot.payload.end(),
            bytes_of(payload).begin(),
            bytes_of(payload).end()
        ),
        "a snapshot comes back as it went"
    );
    const std::string path = k_snapshots + "/" + disk.list(k_snapshots).at(0);
    const auto& file = disk.bytes(path);
    std::string content{reinterpret_cast<const char*>(file.data()), file.size()};
    if (tenon::fuzz::damage(choices, content, 4)) {
        put_file(disk, path, content);
        expect_refused(disk);
    }
}

void fuzz_raw_snapshot(std::string_view content) {
    MemoryDisk disk;
    put_file(disk, k_snapshots + "/00000000000000000005.snap", content);
    try {
        const Snapshot snapshot = read_snapshot(disk, k_snapshots, 5);
        expect(snapshot.info.sequence == 5, "a snapshot is that of its name");
    } catch (const tenon::Error& error) {
        expect(error.code() != TENON_INTERNAL, "a refusal has a reason");
    }
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    for (char seed = 1; seed < 20; ++seed) {
        std::string plan;
        for (char i = 0; i < 60; ++i) {
            plan.push_back(static_cast<char>(i * seed * 37 + seed));
        }
        Choices choices{plan};
        Builder builder{choices, false};
        builder.build();
        made.seeds.push_back('\0' + builder.segments[0]);
        made.seeds.push_back('\1' + plan);
        made.seeds.push_back('\2' + plan);
    }
    made.seeds.push_back(std::string{"\3TENONS1"} + std::string(57, '\0'));
    made.seeds.push_back("\4\5hello\2");
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices{tenon::fuzz::text_of(data, size)};
    switch (choices.below(5)) {
        case 0:
            fuzz_raw(choices.rest());
            break;
        case 1:
            fuzz_built(choices, false);
            break;
        case 2:
            fuzz_built(choices, true);
            break;
        case 3:
            fuzz_raw_snapshot(choices.rest());
            break;
        default:
            fuzz_snapshot(choices);
    }
    return 0;
}
