// SPDX-License-Identifier: Apache-2.0
// Little-endian bytes: a writer, a reader that never leaves its input, and a 64-bit hash.
//
// For formats that outlive a process: journal commands, snapshots, evidence. The reader borrows its
// input; after the first failure it stays failed and gives zeros, so that callers check once.
#pragma once

#include <tenon/abi/base.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace tenon {

static_assert(
    std::endian::native == std::endian::little,
    "formats are little-endian, as is memory"
);

// Appends to a string that the caller owns.
class ByteWriter {
public:
    explicit ByteWriter(std::string& out) noexcept : out_{out} {}

    template <class Number>
    void put(Number value) requires std::is_integral_v<Number> {
        char raw[sizeof value];
        std::memcpy(raw, &value, sizeof value);
        out_.append(raw, sizeof value);
    }

    // Length as 32 bits, then the bytes.
    void put_text(std::string_view text) {
        put(static_cast<std::uint32_t>(text.size()));
        out_.append(text);
    }

    void put_raw(std::string_view raw) { out_.append(raw); }

    [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }

    // Overwrites a number written before, such as a count known only at the end.
    template <class Number>
    void patch(std::size_t at, Number value) requires std::is_integral_v<Number> {
        std::memcpy(out_.data() + at, &value, sizeof value);
    }

private:
    std::string& out_;
};

class ByteReader {
public:
    explicit ByteReader(std::string_view in) noexcept : in_{in} {}

    template <class Number>
    [[nodiscard]] Number get() noexcept requires std::is_integral_v<Number> {
        Number value{};
        if (take(sizeof value)) {
            std::memcpy(&value, in_.data() + at_ - sizeof value, sizeof value);
        }
        return value;
    }

    // A length of 32 bits, at most `most`, then that many bytes.
    [[nodiscard]] std::string_view get_text(std::size_t most) noexcept {
        const auto size = get<std::uint32_t>();
        if (size > most) {
            failed_ = true;
            return {};
        }
        return get_raw(size);
    }

    [[nodiscard]] std::string_view get_raw(std::size_t size) noexcept {
        return take(size) ? in_.substr(at_ - size, size) : std::string_view{};
    }

    // For a caller that found a value it cannot accept.
    void fail() noexcept { failed_ = true; }

    [[nodiscard]] bool ok() const noexcept { return !failed_; }

    [[nodiscard]] bool at_end() const noexcept { return at_ == in_.size(); }

    [[nodiscard]] std::size_t offset() const noexcept { return at_; }

    [[nodiscard]] std::size_t left() const noexcept { return in_.size() - at_; }

private:
    [[nodiscard]] bool take(std::size_t size) noexcept {
        if (failed_ || size > left()) {
            failed_ = true;
            return false;
        }
        at_ += size;
        return true;
    }

    std::string_view in_;
    std::size_t at_ = 0;
    bool failed_ = false;
};

// 64-bit hash of bytes, the same on every machine. Not for keys that an attacker chooses.
// Mixing step: the finalizer of MurmurHash3 (Austin Appleby, public domain), fed 8 bytes at a time.
class Hash64 {
public:
    constexpr void add(std::uint64_t word) noexcept {
        state_ = mix(state_ ^ word) + 0x9e3779b97f4a7c15ULL;
    }

    void add(std::string_view raw) noexcept {
        add(static_cast<std::uint64_t>(raw.size()));
        while (raw.size() >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, raw.data(), 8);
            add(word);
            raw.remove_prefix(8);
        }
        if (!raw.empty()) {
            std::uint64_t word = 0;
            std::memcpy(&word, raw.data(), raw.size());
            add(word);
        }
    }

    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return mix(state_); }

    [[nodiscard]] static constexpr std::uint64_t mix(std::uint64_t x) noexcept {
        x ^= x >> 33;
        x *= 0xff51afd7ed558ccdULL;
        x ^= x >> 33;
        x *= 0xc4ceb9fe1a85ec53ULL;
        x ^= x >> 33;
        return x;
    }

private:
    std::uint64_t state_ = 0x2545f4914f6cdd1dULL;
};

[[nodiscard]] inline std::uint64_t hash64(std::string_view raw) noexcept {
    Hash64 hash;
    hash.add(raw);
    return hash.value();
}

}  // namespace tenon
