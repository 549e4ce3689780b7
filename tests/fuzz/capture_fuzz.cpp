// SPDX-License-Identifier: Apache-2.0
// Captured commits: segments and bases.
//
// input := what u8, then
//   0 raw      bytes of a segment
//   1 sealed   records under a right chain: (type u8, flags u8, length u16, body)*
//   2 raw      bytes of a base
//   3 changed  edits of a good base
// Asserted: a record is given whole and checked, or the reader waits or says that it is damaged;
// a base that is not the one that was written is refused.
#include "sdk/capture/base_file.hpp"
#include "sdk/capture/segment_reader.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/input_file.hpp"
#include "tests/support/temporary_folder.hpp"

#include <cstring>
#include <fstream>
#include <iterator>

using namespace tenon::capture;
using tenon::fuzz::Choices;
using tenon::fuzz::expect;
using tenon::fuzz::InputFile;

namespace {

constexpr std::uint32_t k_page_bytes = 512;

void append(std::string& to, View bytes) {
    to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

View view_of(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

SegmentHeader segment_header() {
    SegmentHeader header;
    header.epoch = 1;
    header.first_txid = 2;
    header.page_size = k_page_bytes;
    return header;
}

// A segment whose records say what the choices say.
std::string sealed(Choices& choices) {
    std::string file;
    append(file, encode(segment_header()));
    Hash chain = hash_of(view_of(file));
    Hasher hasher;
    while (!choices.is_empty()) {
        Bytes record;
        const auto type = choices.number<std::uint8_t>();
        const auto flags = choices.number<std::uint8_t>();
        const View body = view_of(choices.bytes(choices.number<std::uint16_t>()));
        put_u32(record, static_cast<std::uint32_t>(body.size()));
        record.insert(record.end(), {type, flags, 0, 0});
        record.insert(record.end(), body.begin(), body.end());
        hasher.begin();
        hasher.add(chain);
        hasher.add(record);
        chain = hasher.end();
        append(file, record);
        append(file, chain);
    }
    return file;
}

void read_body(const SegmentReader& reader, const Record& record) {
    switch (record.type) {
        case RecordType::pages:
            reader.for_each_page(record, [&](std::uint32_t, View page) {
                expect(page.size() == reader.header().page_size, "a page has its size");
            });
            break;
        case RecordType::commit: {
            const Bytes again = encode(decode_commit(record.body));
            expect(std::equal(again.begin(), again.end(), record.body.begin()), "a commit");
            break;
        }
        case RecordType::log_state: {
            const Bytes again = encode(decode_log_state(record.body));
            expect(std::equal(again.begin(), again.end(), record.body.begin()), "a log's state");
            break;
        }
        case RecordType::end:
            expect(record.body.size() == 8, "an end has its number");
    }
}

void fuzz_segment(std::string_view content) {
    const InputFile file{content};
    try {
        SegmentReader reader{file.name()};
        std::uint64_t before = reader.offset();
        for (Record record; reader.next(record) == Found::record;) {
            read_body(reader, record);
            expect(reader.offset() > before, "a record takes bytes");
            expect(reader.offset() <= content.size(), "a record is in the file");
            before = reader.offset();
        }
        expect(reader.offset() == before, "what is no record takes none");
    } catch (const tenon::Error& error) {
        expect(
            error.code() == TENON_CORRUPT || error.code() == TENON_UNSUPPORTED,
            "a refusal has a reason"
        );
    }
}

// False: refused.
bool unpacks(const std::string& content) {
    const InputFile file{content};
    try {
        (void)read_base_header(file.name());
        (void)unpack_base(file.name(), {}, {});
        return true;
    } catch (const tenon::Error& error) {
        expect(
            error.code() == TENON_CORRUPT || error.code() == TENON_UNSUPPORTED,
            "a refusal has a reason"
        );
        return false;
    }
}

const std::string& good_base() {
    static const std::string k_content = [] {
        const tenon::test::TemporaryFolder folder;
        const std::string name = (folder.path() / "base").string();
        BaseHeader header;
        header.epoch = 1;
        header.txid = 2;
        header.page_size = k_page_bytes;
        header.pages = 5;
        const auto page = [](std::uint32_t number, unsigned char* to) {
            std::memset(to, static_cast<int>(number), k_page_bytes);
        };
        write_base(name, header, page, 1, {});
        std::ifstream in{name, std::ios::binary};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    }();
    return k_content;
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    std::string plan;
    const auto record = [&](char type, char flags, std::string_view body) {
        plan +=
            {type,
             flags,
             static_cast<char>(body.size() & 0xffU),
             static_cast<char>(body.size() >> 8U)};
        plan += body;
    };
    const std::string page = std::string("\1\0\0\0", 4) + std::string(k_page_bytes, 'p');
    record(1, 0, page);
    Squeezer squeezer;
    std::string packed{"\4\2\0\0", 4};
    append(packed, squeezer.compress(view_of(page), 1));
    record(1, 1, packed);
    record(2, 0, std::string(k_commit_bytes, '\3'));
    record(3, 0, std::string(k_log_state_bytes, '\4'));
    record(4, 0, std::string(8, '\5'));
    made.seeds.push_back('\1' + plan);
    Choices choices{plan};
    made.seeds.push_back('\0' + sealed(choices));
    made.seeds.push_back('\2' + good_base());
    made.seeds.emplace_back("\3\1\7\0\0\0\0\1", std::size_t{8});
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices{tenon::fuzz::text_of(data, size)};
    switch (choices.below(4)) {
        case 0:
            fuzz_segment(choices.rest());
            break;
        case 1:
            fuzz_segment(sealed(choices));
            break;
        case 2:
            (void)unpacks(std::string{choices.rest()});
            break;
        default: {
            std::string content = good_base();
            const bool changed = tenon::fuzz::damage(choices, content, 4);
            // What stands behind the checksum is not the base's.
            const bool is_same = content.starts_with(good_base());
            expect(unpacks(content) == (!changed || is_same), "a base is what was written");
        }
    }
    return 0;
}
