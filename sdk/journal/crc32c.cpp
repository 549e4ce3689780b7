// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/crc32c.hpp"

#include <array>
#include <cstring>

namespace tenon::journal {
namespace {

constexpr std::uint32_t k_polynomial = 0x82f63b78u;
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? k_polynomial : 0u);
        }
        tables[0][byte] = crc;
    }
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        for (std::size_t slice = 1; slice < tables.size(); ++slice) {
            const std::uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xffu];
        }
    }
    return tables;
}

constexpr Tables k_tables = make_tables();

std::uint64_t load_u64(const std::byte* p) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, p, sizeof value);
    return value;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t
crc32c_sse42(std::uint32_t seed, std::span<const std::byte> data) noexcept {
    const std::byte* p = data.data();
    std::size_t left = data.size();
    std::uint64_t crc = ~seed;
    for (; left >= 8; left -= 8, p += 8) {
        crc = __builtin_ia32_crc32di(crc, load_u64(p));
    }
    auto narrow = static_cast<std::uint32_t>(crc);
    for (; left != 0; --left, ++p) {
        narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*p));
    }
    return ~narrow;
}
#endif

using Crc = std::uint32_t (*)(std::uint32_t, std::span<const std::byte>) noexcept;

Crc choose() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2") != 0) {
        return &crc32c_sse42;
    }
#endif
    return &crc32c_portable;
}

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t seed, std::span<const std::byte> data) noexcept {
    const std::byte* p = data.data();
    std::size_t left = data.size();
    std::uint32_t crc = ~seed;
    for (; left >= 8; left -= 8, p += 8) {
        const std::uint64_t word = load_u64(p) ^ crc;
        crc = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            crc ^= k_tables[7 - i][(word >> (8 * i)) & 0xffu];
        }
    }
    for (; left != 0; --left, ++p) {
        crc = (crc >> 8) ^ k_tables[0][(crc ^ static_cast<std::uint32_t>(*p)) & 0xffu];
    }
    return ~crc;
}

std::uint32_t crc32c(std::uint32_t seed, std::span<const std::byte> data) noexcept {
    static const Crc k_chosen = choose();
    return k_chosen(seed, data);
}

}  // namespace tenon::journal
