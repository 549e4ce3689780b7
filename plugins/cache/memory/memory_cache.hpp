// SPDX-License-Identifier: Apache-2.0
// Bytes by key, bounded by memory, evicted by S3-FIFO, with a time to live. Thread-safe.
//
// Keys are spread over shards; each has its share of the memory, its own queues and a lock, which
// only writers take. A reader marks that it is inside and finds the entry as it is; what writers
// take out meanwhile is freed when those who may see it have left. S3-FIFO (Yang, Zhang, Qiu, Yue,
// Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023): new entries enter a small
// queue of a tenth of the room; those that were read before they reach its end go on to the main
// queue, the others leave and only their hash is remembered, so that one that comes back soon
// enters the main queue at once. The main queue gives an entry one more round for each of its last
// reads, three at most. Scans and one-time keys pass through without pushing out what is read
// again; a hit moves nothing.
//
// No thread and no clock of its own: expired entries go when they are met, and by sweep().
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

namespace tenon::memory_cache {

struct Counters {
    std::uint64_t entries = 0, bytes = 0, bytes_max = 0;
    std::uint64_t hits = 0, misses = 0, puts = 0, erased = 0, evicted = 0, expired = 0;
};

class Shard;

class MemoryCache {
public:
    // Borrows a callable for the call.
    class Reader {
    public:
        template <class Body>
        Reader(const Body& body) noexcept  // NOLINT(google-explicit-constructor)
            : body_{&body}, call_{[](const void* raw, std::string_view value) {
                  (*static_cast<const Body*>(raw))(value);
              }} {}

        void operator()(std::string_view value) const { call_(body_, value); }

    private:
        const void* body_;
        void (*call_)(const void*, std::string_view);
    };

    // shards: a power of two, 1 .. 256. bytes_max counts keys, values and what holds them.
    MemoryCache(std::uint64_t bytes_max, std::uint32_t shards);
    ~MemoryCache();
    MemoryCache(const MemoryCache&) = delete;
    MemoryCache& operator=(const MemoryCache&) = delete;

    // Takes effect at once: entries go until the rest fits.
    void resize(std::uint64_t bytes_max);

    // The longest value that is kept: a quarter of a shard's room.
    [[nodiscard]] std::uint64_t value_bytes_max() const noexcept;

    // Calls `reader` and gives the expiry; nothing when there is no entry at now_ns. The reader is
    // short and does not call back: writers wait for it when much is to be freed.
    [[nodiscard]] std::optional<std::int64_t>
    get(std::string_view key, std::int64_t now_ns, const Reader& reader);

    // False: the value is longer than value_bytes_max(), and what was there stays.
    [[nodiscard]] bool
    put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns);

    bool erase(std::string_view key);
    // Walks over all entries when the prefix is not empty.
    void clear(std::string_view prefix);

    // Drops what is expired at the latest time that any call has named, a few thousand entries
    // under a lock at a time.
    void sweep();

    [[nodiscard]] Counters counters() const;

private:
    [[nodiscard]] Shard& shard_of(std::uint64_t hash) const noexcept;

    std::vector<std::unique_ptr<Shard>> shards_;
    std::uint32_t shard_bits_ = 0;
};

}  // namespace tenon::memory_cache
