// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/memory/memory_cache.hpp"

#include "plugins/cache/memory/shard.hpp"

#include <tenon/key_hash.hpp>

#include <algorithm>
#include <bit>

namespace tenon::memory_cache {
MemoryCache::MemoryCache(std::uint64_t bytes_max, std::uint32_t shards)
    : shard_bits_{static_cast<std::uint32_t>(std::bit_width(shards) - 1)} {
    const std::uint32_t count = 1U << shard_bits_;
    for (std::uint32_t i = 0; i < count; ++i) {
        shards_.push_back(std::make_unique<Shard>(bytes_max / count));
    }
}

MemoryCache::~MemoryCache() = default;

void MemoryCache::resize(std::uint64_t bytes_max) {
    for (const auto& shard : shards_) {
        shard->resize(bytes_max / shards_.size());
    }
}

std::uint64_t MemoryCache::value_bytes_max() const noexcept {
    return shards_.front()->bytes_max() / 4;
}

Shard& MemoryCache::shard_of(std::uint64_t hash) const noexcept {
    return *shards_[shard_bits_ == 0 ? 0 : hash >> (64 - shard_bits_)];
}

std::optional<std::int64_t>
MemoryCache::get(std::string_view key, std::int64_t now_ns, const Reader& reader) {
    const std::uint64_t hash = key_hash(key);
    return shard_of(hash).get(hash, key, now_ns, reader);
}

bool MemoryCache::put(
    std::string_view key,
    std::string_view value,
    std::int64_t now_ns,
    std::int64_t ttl_ns
) {
    const std::uint64_t hash = key_hash(key);
    const std::int64_t expires_ns =
        ttl_ns > INT64_MAX - std::max<std::int64_t>(now_ns, 0) ? INT64_MAX : now_ns + ttl_ns;
    return shard_of(hash).put(hash, key, value, now_ns, expires_ns);
}

bool MemoryCache::erase(std::string_view key) {
    const std::uint64_t hash = key_hash(key);
    return shard_of(hash).erase(hash, key);
}

void MemoryCache::clear(std::string_view prefix) {
    for (const auto& shard : shards_) {
        shard->clear(prefix);
    }
}

void MemoryCache::sweep() {
    std::int64_t latest_ns = INT64_MIN;
    for (const auto& shard : shards_) {
        latest_ns = std::max(latest_ns, shard->latest_ns());
    }
    for (const auto& shard : shards_) {
        shard->sweep(latest_ns);
    }
}

Counters MemoryCache::counters() const {
    Counters sum;
    for (const auto& shard : shards_) {
        shard->add_to(sum);
    }
    return sum;
}

}  // namespace tenon::memory_cache
