// SPDX-License-Identifier: Apache-2.0
// One shard of the memory cache: a chained hash table of entries in two queues. Writers take its
// lock, readers none: they follow the chains while writers change them (readers.hpp).
#pragma once

#include "plugins/cache/memory/memory_cache.hpp"
#include "plugins/cache/memory/readers.hpp"

#include <atomic>
#include <cstddef>

namespace tenon::memory_cache {

// Header of an entry; key and value follow in the same block. Readers look at the chain, the hash,
// the sizes, the expiry and the bytes, of which only the chain changes once it can be found.
struct Entry {
    std::atomic<Entry*> chain{nullptr};  // next in the bucket
    Entry* newer = nullptr;              // neighbours in the queue
    Entry* older = nullptr;
    std::uint64_t hash = 0;
    std::int64_t expires_ns = 0;
    std::uint32_t value_size = 0;
    std::uint16_t key_size = 0;
    std::atomic<std::uint8_t> reads{0};  // 0 .. 3
    bool in_main = false;

    // Once it is taken out, when that was, where its place in the queue had been.
    [[nodiscard]] std::uint64_t retired_epoch() const noexcept {
        return reinterpret_cast<std::uintptr_t>(older);
    }

    void set_retired(std::uint64_t epoch) noexcept {
        older = reinterpret_cast<Entry*>(static_cast<std::uintptr_t>(epoch));
    }

    [[nodiscard]] std::string_view key() const noexcept { return {data(), key_size}; }

    [[nodiscard]] std::string_view value() const noexcept {
        return {data() + key_size, value_size};
    }

    // What it takes of the room: the block as the allocator rounds it, and its share of the tables.
    [[nodiscard]] std::uint64_t bytes() const noexcept {
        constexpr std::uint64_t k_block = 16;
        const std::uint64_t block = sizeof(Entry) + key_size + value_size + sizeof(std::size_t);
        return (block + k_block - 1) / k_block * k_block + k_share;
    }

    [[nodiscard]] const char* data() const noexcept {
        return reinterpret_cast<const char*>(this) + sizeof(Entry);
    }

    static constexpr std::uint64_t k_share = 16;
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

    [[nodiscard]] std::uint64_t bytes_max() const noexcept { return bytes_max_.load(); }

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
    void add_to(Counters& sum);

private:
    using Link = std::atomic<Entry*>;

    // Buckets, a power of two of them.
    struct Table {
        explicit Table(std::size_t count)
            : links(std::make_unique<Link[]>(count)), mask{count - 1} {}

        [[nodiscard]] Link& of(std::uint64_t hash) const noexcept { return links[hash & mask]; }

        std::unique_ptr<Link[]> links;
        std::size_t mask;
    };

    // Taken out, perhaps still read; freed two epochs later.
    struct RetiredTable {
        std::unique_ptr<Table> table;
        std::uint64_t epoch;
    };

    // Of a reader that is inside: what it finds, also while writers move entries.
    [[nodiscard]] const Entry*
    find_inside(std::uint64_t hash, std::string_view key, std::int64_t now_ns, bool& expired) const;
    // The others under the lock.
    [[nodiscard]] Link& find(std::uint64_t hash, std::string_view key) noexcept;
    void unlink(Link& link) noexcept;
    void retire(Entry& entry) noexcept;
    [[nodiscard]] std::uint64_t retired_bytes_max() const noexcept;
    void drop(Entry& entry) noexcept;
    void drop_expired(std::uint64_t hash, std::string_view key, std::int64_t now_ns);
    void make_room(std::int64_t now_ns) noexcept;
    void evict_small(std::int64_t now_ns) noexcept;
    void evict_main(std::int64_t now_ns) noexcept;
    void grow();
    // Frees what nobody can see any more; waits for readers when too much is left.
    void reclaim(std::uint64_t most_bytes) noexcept;

    [[nodiscard]] std::uint64_t bytes() const noexcept {
        return small_.bytes() + main_.bytes() + retired_bytes_;
    }

    template <class Wanted>
    std::uint64_t drop_if(std::size_t from, std::size_t count, Wanted wanted);

    Readers readers_;
    std::atomic<Table*> table_;
    std::atomic<std::uint64_t> moved_{0};  // counted before and after entries move to another table
    std::atomic<std::uint64_t> bytes_max_;
    mutable std::mutex mutex_;  // of what follows
    std::unique_ptr<Table> owned_table_;
    Queue small_, main_;
    Ghosts ghosts_;
    Entry* retired_oldest_ = nullptr;  // by `newer`, in order of epochs
    Entry* retired_newest_ = nullptr;
    std::vector<RetiredTable> retired_tables_;
    std::uint64_t retired_bytes_ = 0;
    std::int64_t latest_ns_ = INT64_MIN;
    Counters counters_;  // all but bytes, hits and misses
};

}  // namespace tenon::memory_cache
