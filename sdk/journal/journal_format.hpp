// SPDX-License-Identifier: Apache-2.0
// Format of the journal, version 1
//
// The journal is a folder of segments, NNNNNNNNNNNNNNNN.seg: sixteen decimal digits, from 1,
// without gaps. A segment has a fixed size and is filled with zeros before its first use, so that
// appending changes no metadata of the file. All integers are little endian.
//
//     segment := header record* zero*
//     header  := magic u64        "TENONJ1\0"
//                version u32      1
//                header_size u32  64
//                number u64       the number in the file's name
//                first u64        sequence of the first record
//                previous u32     CRC of the last record of the previous segment; 0: there is none
//                reserved u32     0
//                segment_size u64 bytes of the file
//                reserved u64     0
//                reserved u32     0
//                crc u32          CRC-32C of the 60 bytes before
//     record  := crc u32          CRC-32C of `place` and of the rest of the record, mark included
//                length u32       bytes of payload, 0 .. k_payload_max
//                sequence u64     one more than that of the record before
//                type u16         what the payload is; the journal does not look into it
//                check u16        low 16 bits of the CRC-32C of length, sequence, type, back
//                back u32         bytes from the first record of the batch to this one
//                payload byte{length}
//                mark u8          0xa5
//                zero{0..7}       the next record starts at a multiple of 8
//     place   := number u64, offset of the record in the segment u64
//
// `place` is not stored: bytes of another segment, or moved within one, do not pass the check. A
// record never crosses a segment's end. What does not fit goes to the next segment, whole batches
// at a time; 24 zero bytes (or fewer than 25 bytes of room) end the records of a segment.
//
// Batches. The records of a batch are written with one pwrite and synced once, and a batch is
// written only when the one before is synced. The first batch of a segment carries the segment's
// header. So what follows an unreadable record decides:
//   - in the last segment, nothing readable of another batch: a torn tail. The batch was never
//     answered; it is cut before its first unreadable record, and the rest is overwritten with
//     zeros.
//   - a later batch that can be read: the place was synced once, so this is damage. Nothing is cut.
// A write that did not finish leaves zeros, since the file was filled with them and sectors are
// written whole (512 bytes are assumed). So an unreadable record of the last batch that shows no
// gap of zeros -- every sector has some of it, and the mark is there -- was written completely and
// damaged later: this too is damage. That is what `mark` and `check` are for.
//
// Example. Segment 1, one batch of two records of type 7: sequence 1 with payload "hi" and sequence
// 2 with an empty one. ...: CRCs.
//     0000  54 45 4e 4f 4e 4a 31 00  01 00 00 00 40 00 00 00    magic, version, header_size
//     0010  01 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00    number, first
//     0020  00 00 00 00 00 00 00 00  00 00 00 04 00 00 00 00    previous, segment_size (64 MiB)
//     0030  00 00 00 00 00 00 00 00  00 00 00 00 .. .. .. ..    crc
//     0040  .. .. .. .. 02 00 00 00  01 00 00 00 00 00 00 00    crc, length, sequence
//     0050  07 00 .. .. 00 00 00 00  68 69 a5 00 00 00 00 00    type, check, back, "hi", mark
//     0060  .. .. .. .. 00 00 00 00  02 00 00 00 00 00 00 00
//     0070  07 00 .. .. 20 00 00 00  a5 00 00 00 00 00 00 00    back = 32
//     0080  00 ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tenon::journal {

inline constexpr std::uint64_t k_segment_magic = 0x00314a4e4f4e4554u;  // "TENONJ1\0"
inline constexpr std::uint32_t k_format_version = 1;
inline constexpr std::size_t k_segment_header_size = 64;
inline constexpr std::size_t k_record_header_size = 24;
inline constexpr std::size_t k_payload_max = (std::size_t{1} << 20) + 65'536;
inline constexpr std::size_t k_sector_size = 512;
inline constexpr std::byte k_record_mark{0xa5};

// Types of the engine's records.
inline constexpr std::uint16_t k_record_command = 1;      // payload: trading::encode
inline constexpr std::uint16_t k_record_instruments = 2;  // payload: u64 instruments_fingerprint

struct SegmentHeader {
    std::uint64_t number = 0;
    std::uint64_t first_sequence = 0;
    std::uint32_t previous_crc = 0;
    std::uint64_t segment_size = 0;
};

struct RecordHeader {
    std::uint32_t crc = 0;
    std::uint32_t length = 0;
    std::uint64_t sequence = 0;
    std::uint16_t type = 0;
    std::uint16_t check = 0;
    std::uint32_t back = 0;
};

// Bytes that a record with this payload takes, padding included.
[[nodiscard]] constexpr std::size_t record_size(std::size_t payload) noexcept {
    return (k_record_header_size + payload + 1 + 7) / 8 * 8;
}

// `out` has k_segment_header_size bytes.
void encode_header(const SegmentHeader& header, std::byte* out) noexcept;

// Nothing when magic, version, size or CRC do not fit.
[[nodiscard]] std::optional<SegmentHeader> decode_header(std::span<const std::byte> bytes) noexcept;

// Writes a record without CRC and check, with mark and padding, to `out` (record_size bytes).
void encode_record(
    std::uint64_t sequence,
    std::uint16_t type,
    std::span<const std::byte> payload,
    std::uint32_t back,
    std::byte* out
) noexcept;

// Fills in check and CRC of an encoded record which will be stored at `offset` of segment `number`.
// Gives back its header.
RecordHeader seal_record(std::byte* record, std::uint64_t number, std::uint64_t offset) noexcept;

// `bytes` has at least k_record_header_size bytes. Nothing is checked.
[[nodiscard]] RecordHeader decode_record_header(std::span<const std::byte> bytes) noexcept;

// True when length is in range and `check` fits.
[[nodiscard]] bool record_header_valid(const RecordHeader& header) noexcept;

// `bytes` is the whole record. True when mark and CRC fit.
[[nodiscard]] bool record_valid(
    const RecordHeader& header,
    std::span<const std::byte> bytes,
    std::uint64_t number,
    std::uint64_t offset
) noexcept;

// "0000000000000001.seg" and back; nothing for other names.
[[nodiscard]] std::string segment_name(std::uint64_t number);
[[nodiscard]] std::optional<std::uint64_t> segment_number(std::string_view name) noexcept;

}  // namespace tenon::journal
