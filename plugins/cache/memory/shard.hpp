// SPDX-License-Identifier: Apache-2.0
// One shard of the memory cache: a chained hash table of entries in two queues, under one lock.
#pragma once

#include "plugins/cache/memory/memory_cache.hpp"

#include <cstddef>

namespace tenon::memory_cache {

// Header of an entry; key and value follow in the same block.
struct Entry {
    Entry* chain = nullptr;  // next in the bucket
    Entry* newer = nullptr;  // neighbours in the queue
    Entry* older = nullptr;
    std::uint64_t hash = 0;
    std::int64_t expires_ns = 0;
    std::uint32_t value_size = 0;
    std::uint16_t key_size = 0;
    std::uint8_t reads = 0;  // 0 .. 3
    bool in_main = false;

    [[nodiscard]] std::string_view key() const noexcept { return {data(), key_size}; }

    [[nodiscard]] std::string_view value() const noexcept {
        return {data() + key_size, value_size};
    }

    // What it takes of the room: the block, what the allocator adds, and its share of the tables.
    [[nodiscard]] std::uint64_t bytes() const noexcept {
        return sizeof(Entry) + key_size + value_size + k_overhead;
    }

    [[nodiscard]] const char* data() const noexcept {
        return reinterpret_cast<const char*>(this) + sizeof(Entry);
    }

    static constexpr std::uint64_t k_overhead = 32;
};

class Queue {
public:
    void push(Entry& entry) noexcept;
    void remove(Entry& entry) noexcept;

    [[nodiscard]] Entry* oldest() const noexcept { return oldest_; }

    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    Entry* newest_ = nullptr;
    Entry* oldest_ = nullptr;
    std::uint64_t bytes_ = 0;
};

// Hashes of the keys that left the small queue, the last ones in order of leaving. A slot holds the
// latest of the hashes that fall on it, so that now and then one is forgotten early.
class Ghosts {
public:
    void resize(std::size_t slots);
    void add(std::uint64_t hash, std::uint64_t keep) noexcept;
    // Takes it out.
    [[nodiscard]] bool take(std::uint64_t hash, std::uint64_t keep) noexcept;

private:
    struct Slot {
        std::uint32_t mark = 0;
        std::uint32_t when = 0;  // 0: empty
    };

    [[nodiscard]] static std::uint32_t mark_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash >> 20);
    }

    std::vector<Slot> slots_;
    std::uint32_t clock_ = 0;
};

class Shard {
public:
    explicit Shard(std::uint64_t bytes_max);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    void resize(std::uint64_t bytes_max);
    [[nodiscard]] std::uint64_t bytes_max() const;
    [[nodiscard]] std::optional<std::int64_t> get(
        std::uint64_t hash,
        std::string_view key,
        std::int64_t now_ns,
        const MemoryCache::Reader& reader
    );
    [[nodiscard]] bool put(
        std::uint64_t hash,
        std::string_view key,
        std::string_view value,
        std::int64_t now_ns,
        std::int64_t expires_ns
    );
    bool erase(std::uint64_t hash, std::string_view key);
    void clear(std::string_view prefix);
    [[nodiscard]] std::int64_t latest_ns() const;
    void sweep(std::int64_t now_ns);
    void add_to(Counters& sum) const;

private:
    [[nodiscard]] Entry** find(std::uint64_t hash, std::string_view key) noexcept;
    void unlink(Entry** link) noexcept;
    void drop(Entry& entry) noexcept;
    void make_room(std::int64_t now_ns) noexcept;
    void evict_small(std::int64_t now_ns) noexcept;
    void evict_main(std::int64_t now_ns) noexcept;
    void grow();

    template <class Wanted>
    std::uint64_t drop_if(Wanted wanted);

    mutable std::mutex mutex_;
    std::uint64_t bytes_max_;
    std::vector<Entry*> buckets_;
    Queue small_, main_;
    Ghosts ghosts_;
    std::int64_t latest_ns_ = INT64_MIN;
    Counters counters_;  // all but bytes
};

}  // namespace tenon::memory_cache
