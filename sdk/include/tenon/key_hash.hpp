// SPDX-License-Identifier: Apache-2.0
// A hash of short keys for tables in memory: sixteen bytes a step, each step the product of two
// words, which mixes them in a few cycles, and all 64 bits of it depend on the whole key. The same
// in each run, so that a recorded run replays. It is not for what is stored or sent, and keeps
// nobody from making keys that collide: who uses it loses no more by that than a slow look-up or a
// shared budget.
#pragma once

#include <tenon/decimal.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tenon {

namespace key_hash_detail {

// Both halves of the product: each bit of it depends on most bits of both.
[[nodiscard]] inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    const Uint128 product = Uint128{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Word>
[[nodiscard]] std::uint64_t word_at(const char* at) noexcept {
    Word word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

}  // namespace key_hash_detail

[[nodiscard]] inline std::uint64_t key_hash(std::string_view key) noexcept {
    using key_hash_detail::mix;
    using key_hash_detail::word_at;
    constexpr std::uint64_t k_odd = 0x9e3779b97f4a7c15U;
    constexpr std::uint64_t k_other = 0xd1342543de82ef95U;
    const char* at = key.data();
    std::size_t left = key.size();
    std::uint64_t hash = left * k_odd;
    for (; left > 16; at += 16, left -= 16) {
        hash = mix(word_at<std::uint64_t>(at) ^ k_odd, word_at<std::uint64_t>(at + 8) ^ hash);
    }
    std::uint64_t first = 0;
    std::uint64_t last = 0;  // may overlap the first
    if (left >= 8) {
        first = word_at<std::uint64_t>(at);
        last = word_at<std::uint64_t>(at + left - 8);
    } else if (left >= 4) {
        first = word_at<std::uint32_t>(at);
        last = word_at<std::uint32_t>(at + left - 4);
    } else if (left > 0) {
        first = word_at<std::uint8_t>(at) | word_at<std::uint8_t>(at + left / 2) << 8;
        last = word_at<std::uint8_t>(at + left - 1);
    }
    return mix(mix(first ^ k_odd, last ^ hash) ^ k_other, k_odd);
}

}  // namespace tenon
