// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/journal_format.hpp"

#include "sdk/journal/crc32c.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

namespace tenon::journal {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian");

template <class T>
void store(std::byte* at, T value) noexcept {
    std::memcpy(at, &value, sizeof value);
}

template <class T>
T load(const std::byte* at) noexcept {
    T value{};
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::uint16_t header_check(const RecordHeader& header) noexcept {
    std::array<std::byte, 18> fields{};
    store(fields.data(), header.length);
    store(fields.data() + 4, header.sequence);
    store(fields.data() + 12, header.type);
    store(fields.data() + 14, header.back);
    return static_cast<std::uint16_t>(crc32c(0, fields));
}

// `body` is the record from behind its CRC up to and including the mark.
std::uint32_t
record_crc(std::span<const std::byte> body, std::uint64_t number, std::uint64_t offset) noexcept {
    std::array<std::byte, 16> place{};
    store(place.data(), number);
    store(place.data() + 8, offset);
    return crc32c(crc32c(0, place), body);
}

}  // namespace

void encode_header(const SegmentHeader& header, std::byte* out) noexcept {
    std::memset(out, 0, k_segment_header_size);
    store(out, k_segment_magic);
    store(out + 8, k_format_version);
    store(out + 12, static_cast<std::uint32_t>(k_segment_header_size));
    store(out + 16, header.number);
    store(out + 24, header.first_sequence);
    store(out + 32, header.previous_crc);
    store(out + 40, header.segment_size);
    store(out + 60, crc32c(0, {out, 60}));
}

std::optional<SegmentHeader> decode_header(std::span<const std::byte> bytes) noexcept {
    const std::byte* p = bytes.data();
    if (bytes.size() < k_segment_header_size || load<std::uint64_t>(p) != k_segment_magic ||
        load<std::uint32_t>(p + 8) != k_format_version ||
        load<std::uint32_t>(p + 12) != k_segment_header_size ||
        load<std::uint32_t>(p + 60) != crc32c(0, bytes.first(60))) {
        return std::nullopt;
    }
    return SegmentHeader{
        load<std::uint64_t>(p + 16),
        load<std::uint64_t>(p + 24),
        load<std::uint32_t>(p + 32),
        load<std::uint64_t>(p + 40)};
}

void encode_record(
    std::uint64_t sequence,
    std::uint16_t type,
    std::span<const std::byte> payload,
    std::uint32_t back,
    std::byte* out
) noexcept {
    store(out, std::uint32_t{0});
    store(out + 4, static_cast<std::uint32_t>(payload.size()));
    store(out + 8, sequence);
    store(out + 16, type);
    store(out + 18, std::uint16_t{0});
    store(out + 20, back);
    if (!payload.empty()) {
        std::memcpy(out + k_record_header_size, payload.data(), payload.size());
    }
    const std::size_t end = k_record_header_size + payload.size();
    out[end] = k_record_mark;
    std::memset(out + end + 1, 0, record_size(payload.size()) - end - 1);
}

RecordHeader seal_record(std::byte* record, std::uint64_t number, std::uint64_t offset) noexcept {
    RecordHeader header = decode_record_header({record, k_record_header_size});
    header.check = header_check(header);
    store(record + 18, header.check);
    const std::size_t end = k_record_header_size + header.length;
    header.crc = record_crc({record + 4, end + 1 - 4}, number, offset);
    store(record, header.crc);
    return header;
}

RecordHeader decode_record_header(std::span<const std::byte> bytes) noexcept {
    const std::byte* p = bytes.data();
    return {
        load<std::uint32_t>(p),
        load<std::uint32_t>(p + 4),
        load<std::uint64_t>(p + 8),
        load<std::uint16_t>(p + 16),
        load<std::uint16_t>(p + 18),
        load<std::uint32_t>(p + 20)};
}

bool record_header_valid(const RecordHeader& header) noexcept {
    return header.length <= k_payload_max && header.check == header_check(header);
}

bool record_valid(
    const RecordHeader& header,
    std::span<const std::byte> bytes,
    std::uint64_t number,
    std::uint64_t offset
) noexcept {
    const std::size_t end = k_record_header_size + header.length;
    return bytes.size() > end && bytes[end] == k_record_mark &&
           header.crc == record_crc(bytes.subspan(4, end + 1 - 4), number, offset);
}

std::string segment_name(std::uint64_t number) {
    std::string digits = std::to_string(number);
    digits.insert(0, 16 - std::min<std::size_t>(16, digits.size()), '0');
    return digits + ".seg";
}

std::optional<std::uint64_t> segment_number(std::string_view name) noexcept {
    std::uint64_t number = 0;
    const bool shape = name.size() == 20 && name.substr(16) == ".seg";
    if (!shape) {
        return std::nullopt;
    }
    const char* end = name.data() + 16;
    const auto [stopped, error] = std::from_chars(name.data(), end, number);
    return error == std::errc{} && stopped == end && number != 0
               ? std::optional<std::uint64_t>{number}
               : std::nullopt;
}

}  // namespace tenon::journal
