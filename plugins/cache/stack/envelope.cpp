// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/envelope.hpp"

#include <tenon/abi/cache.h>
#include <tenon/abi/cache_tier.h>
#include <tenon/byte_codec.hpp>

namespace tenon::cache_stack {
namespace {

constexpr std::uint8_t k_version = 1;
constexpr std::uint8_t k_negative = 1;
constexpr std::uint8_t k_has_key = 2;

void append_hex(std::string& out, std::uint64_t value) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) {
        out.push_back(k_digits[(value >> shift) & 0xf]);
    }
}

}  // namespace

std::uint64_t hash_of(std::string_view text) noexcept {
    return hash64(text);
}

TierKey::TierKey(std::string_view cache, std::string_view key) {
    text.reserve(cache.size() + 1 + key.size());
    text.append(cache).append(":").append(key);
    if (text.size() > TENON_CACHE_KEY_MAX) {
        hashed = true;
        const std::uint64_t hash = hash_of(key);
        text.resize(TENON_CACHE_KEY_MAX - 17);
        text.push_back('#');
        append_hex(text, hash);
    }
}

std::string encode(const Envelope& envelope) {
    std::string out;
    out.reserve(24 + envelope.tags.size() * 8 + envelope.whole_key.size() + envelope.value.size());
    ByteWriter writer{out};
    writer.put(k_version);
    writer.put(static_cast<std::uint8_t>(
        (envelope.negative ? k_negative : 0) | (envelope.whole_key.empty() ? 0 : k_has_key)
    ));
    writer.put(static_cast<std::uint16_t>(envelope.tags.size()));
    writer.put(static_cast<std::uint32_t>(envelope.whole_key.size()));
    writer.put(envelope.sequence);
    writer.put(envelope.stale_ns);
    for (const std::uint64_t tag : envelope.tags) {
        writer.put(tag);
    }
    writer.put_raw(envelope.whole_key);
    writer.put_raw(envelope.value);
    return out;
}

std::optional<Envelope> decode(std::string_view data) {
    ByteReader reader{data};
    Envelope envelope;
    const auto version = reader.get<std::uint8_t>();
    const auto flags = reader.get<std::uint8_t>();
    const auto tags = reader.get<std::uint16_t>();
    const auto key_size = reader.get<std::uint32_t>();
    envelope.negative = (flags & k_negative) != 0;
    envelope.sequence = reader.get<std::int64_t>();
    envelope.stale_ns = reader.get<std::int64_t>();
    if (!reader.ok() || version != k_version || tags > TENON_CACHE_TAGS_MAX ||
        (flags & ~(k_negative | k_has_key)) != 0 || envelope.stale_ns < 0) {
        return std::nullopt;
    }
    for (std::uint16_t i = 0; i < tags; ++i) {
        envelope.tags.push_back(reader.get<std::uint64_t>());
    }
    envelope.whole_key = reader.get_raw(key_size);
    if (!reader.ok()) {
        return std::nullopt;
    }
    envelope.value = data.substr(reader.offset());
    return envelope;
}

}  // namespace tenon::cache_stack
