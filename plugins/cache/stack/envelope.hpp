// SPDX-License-Identifier: Apache-2.0
// How the stack writes an entry into a tier, and under which key.
//
// Key: "NAME:KEY", the cache's name and the caller's key. When that is longer than a tier takes,
// its end is replaced by a hash, and the entry holds the whole key, which is compared. Value,
// little endian:
//   u8  version (1)      u8 flags: 1 negative, 2 whole key follows      u16 number of tags
//   u32 length of the whole key, or 0
//   i64 sequence of the load that made it: what was invalidated later does not count any more
//   i64 stale window in ns: the entry is fresh until the tier's expiry minus this
//   u64 hash of each tag; the whole key; the value
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cache_stack {

// The same on every server: entries in shared tiers hold hashes of tags.
[[nodiscard]] std::uint64_t hash_of(std::string_view text) noexcept;

struct Envelope {
    bool negative = false;
    std::int64_t sequence = 0;
    std::int64_t stale_ns = 0;
    std::vector<std::uint64_t> tags;
    std::string_view whole_key;  // when the tier's key has a hash in it
    std::string_view value;
};

// A tier's key for a caller's, at most TENON_CACHE_KEY_MAX bytes.
struct TierKey {
    TierKey(std::string_view cache, std::string_view key);

    std::string text;
    bool hashed = false;
};

[[nodiscard]] std::string encode(const Envelope& envelope);
// Nothing when it is no entry of the stack. Views borrow from `data`.
[[nodiscard]] std::optional<Envelope> decode(std::string_view data);

}  // namespace tenon::cache_stack
