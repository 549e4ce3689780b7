// SPDX-License-Identifier: Apache-2.0
// Pieces and manifests of backups, as anybody who can write to their place may leave them.
//
// input := what u8, key u8 (odd: with one), then
//   0 raw        bytes of a piece
//   1 changed    a piece that was sealed, and edits of it
//   2 sealed     head and body of a piece, under a right checksum
//   3 manifest   a line of JSON, under a right checksum; the same as a proof
//   4 raw        text of a manifest
//   5 time       a time as an operator writes it
// Asserted: each outcome is a value within its bounds or an Error; what was sealed opens, what was
// changed does not.
#include "sdk/capture/format.hpp"
#include "sdk/vault/manifest.hpp"
#include "sdk/vault/piece.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <boost/json.hpp>

using namespace tenon::vault;
using tenon::fuzz::Choices;
using tenon::fuzz::expect;

namespace {

const std::string k_name = "pieces/ab";

const Key& key() {
    static const auto k_key = Key::parse(std::string(64, 'a'));
    return *k_key;
}

View view_of(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string string_of(View bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Runs fn; false: an Error.
template <class Fn>
bool succeeds(Fn&& fn) {
    try {
        fn();
        return true;
    } catch (const tenon::Error& error) {
        expect(*error.what() != '\0', "a refusal has a reason");
        return false;
    }
}

bool opens(std::string_view piece, const Key* with) {
    return succeeds([&] {
        const Bytes content = open_piece(k_name, view_of(piece), with, "the piece");
        expect(content.size() <= k_piece_bytes_max, "a piece's content is bounded");
        expect(content.size() == tenon::capture::get_u32(view_of(piece), 12), "it says its length");
    });
}

void fuzz_changed(Choices& choices, const Key* with) {
    const int level = static_cast<int>(choices.below(4));
    const std::string content{choices.bytes(choices.below(400))};
    std::string piece = string_of(seal_piece(k_name, view_of(content), level, with));
    expect(
        string_of(open_piece(k_name, view_of(piece), with, "the piece")) == content,
        "a piece comes back as it went"
    );
    expect(
        !succeeds([&] { check_piece("another", view_of(piece), "the piece"); }),
        "a piece is that of its name"
    );
    expect(!opens(piece, with == nullptr ? &key() : nullptr), "a piece is that of its key");
    if (tenon::fuzz::damage(choices, piece, 4)) {
        expect(!opens(piece, with), "what was changed does not open");
    }
}

void fuzz_sealed(std::string_view text, const Key* with) {
    std::string piece{text};
    piece.resize(std::max(piece.size(), k_piece_head_bytes));
    tenon::capture::Hasher hasher;
    hasher.begin();
    piece.replace(0, 8, "TENONVP1");
    hasher.add(view_of(piece).first(24));
    hasher.add(view_of(k_name));
    hasher.add(view_of(std::string_view{"\0", 1}));
    hasher.add(view_of(piece).subspan(k_piece_head_bytes));
    const tenon::capture::Hash sum = hasher.end();
    std::copy(sum.begin(), sum.end(), piece.begin() + 24);
    (void)opens(piece, with);
}

void read_manifest(const std::string& text, const Key* with) {
    Manifest manifest;
    Proof proof;
    if (succeeds([&] { manifest = decode_manifest(text, with, "the manifest"); })) {
        const std::string again = encode(manifest, with);
        expect(encode(decode_manifest(again, with, "it"), with) == again, "it comes back");
    }
    if (succeeds([&] { proof = decode_proof(text, with, "the proof"); })) {
        const std::string again = encode(proof, with);
        expect(encode(decode_proof(again, with, "it"), with) == again, "it comes back");
    }
    (void)boost::json::serialize(describe(manifest, proof));
}

void fuzz_manifest(std::string_view text) {
    const std::string line{text.substr(0, text.find('\n'))};
    const auto sum = tenon::capture::hex_of(tenon::capture::hash_of(view_of(line)));
    read_manifest(line + "\nsha256 " + sum + "\n", nullptr);
}

void fuzz_time(const std::string& text) {
    std::int64_t time = 0;
    if (succeeds([&] { time = time_of_iso(text); })) {
        expect(is_id(id_of_time(time)), "a time gives an id");
        const std::int64_t again = time_of_iso(iso_time(time));
        expect(again <= time && time - again < 1'000'000, "a time comes back to the millisecond");
    }
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    const std::string content(100, 'x');
    for (const char with : {'\0', '\1'}) {
        const Key* const used = with == 0 ? nullptr : &key();
        for (const int level : {0, 1}) {
            const std::string piece = string_of(seal_piece(k_name, view_of(content), level, used));
            made.seeds.push_back(std::string{'\0', with} + piece);
            made.seeds.push_back(std::string{'\2', with} + piece);
        }
        made.seeds.push_back(std::string{'\1', with, '\1', '\12'} + "abcdefghijkl\1");
        Manifest manifest;
        manifest.id = "20260504T030201.000Z";
        manifest.files = {{"tenon.db", 100, {{std::string(64, 'a'), 100}}}};
        made.seeds.push_back(std::string{'\4', with} + encode(manifest, used));
        made.seeds.push_back(std::string{'\3', with} + encode(manifest, nullptr));
        made.seeds.push_back(std::string{'\3', with} + encode(Proof{}, nullptr));
    }
    for (const std::string_view time :
         {"2026-05-04T03:02:01Z",
          "2026-05-04T03:02:01.123456789Z",
          "1969-12-31T23:59:59.9Z",
          "9999-12-31T23:59:59Z",
          "0000-01-01T00:00:00Z"}) {
        made.seeds.push_back(std::string{'\5', '\0'} + std::string{time});
    }
    made.words = {
        "\"bytes\":", "18446744073709551615", "-1", "null", "[[", "T23:59:60", "2262-04-12"};
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices{tenon::fuzz::text_of(data, size)};
    const std::size_t what = choices.below(6);
    const Key* const with = choices.below(2) == 1 ? &key() : nullptr;
    switch (what) {
        case 0:
            (void)opens(choices.rest(), with);
            break;
        case 1:
            fuzz_changed(choices, with);
            break;
        case 2:
            fuzz_sealed(choices.rest(), with);
            break;
        case 3:
            fuzz_manifest(choices.rest());
            break;
        case 4:
            read_manifest(std::string{choices.rest()}, with);
            break;
        default:
            fuzz_time(std::string{choices.rest()});
    }
    return 0;
}
