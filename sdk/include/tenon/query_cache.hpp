// SPDX-License-Identifier: Apache-2.0
// Rows of queries, kept until a write touches a table that they came from.
//
// For a backend of tenon.storage/1. It never gives rows that are older than a write that was
// acknowledged before find() was called, under this protocol:
//
//   reader   Dependencies before = cache.depends_on(tables);     // before its snapshot is taken
//            … runs the query in one snapshot, collecting rows …
//            cache.insert(key, before, rows, …);
//   writer   marks.add(table) for every table, before COMMIT;    // WriteMarks
//            COMMIT; marks.end(); then the caller is answered.
//
// Each table has a counter: its upper part counts ended writes, its lower part those under way. A
// reader keeps the counters that it read first; rows are given only while they still are what they
// were and no write is under way. Let a write commit at C, end its marks at E > C and be
// acknowledged at A > E. Rows that lack it come from a snapshot before C, hence with counters read
// before C, and the write was marked before C: either the mark was counted, then insert() refuses
// them, or it was not, then the counter differs from the mark on, and by one more from E on. So no
// find() after the mark, and none after A, gives them. A failed or doubtful commit ends its marks
// like a good one, which only costs hits. Counters are read with acquire and changed with
// acq_rel: who sees the rows of C has seen the mark, who read no mark has not seen C.
//
// Counters are picked by the table's name, folded, out of k_slots; tables that share one only cost
// hits. Slot 0 is everything: DDL, another file, invalidate_all(). A writer that does not mark
// (another process) is seen when the time to live ends, unless the backend notices it.
//
// Keys are compared whole; their digest (64 bits, seeded at random) only picks the place. Memory is
// bounded by bytes, least recently used first. Threads: everything from any thread; WriteMarks by
// one.
#pragma once

#include <tenon/abi/storage.h>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon {

// The rows of one query, unchanging: borrowed values live as long as this.
class CachedRows {
public:
    [[nodiscard]] std::uint32_t columns() const noexcept { return columns_; }

    [[nodiscard]] std::size_t size() const noexcept {
        return columns_ == 0 ? 0 : values_.size() / columns_;
    }

    [[nodiscard]] std::span<const tenon_value> row(std::size_t i) const noexcept {
        return {values_.data() + i * columns_, columns_};
    }

    [[nodiscard]] std::size_t bytes() const noexcept {
        return sizeof *this + values_.size() * sizeof(tenon_value) + text_.size();
    }

private:
    friend class RowCollector;

    std::uint32_t columns_ = 0;
    std::vector<tenon_value> values_;
    std::string text_;
};

// Copies rows while they are given; gives up at `bytes_max`.
class RowCollector {
public:
    explicit RowCollector(std::size_t bytes_max) : bytes_max_{bytes_max} {}

    void add(std::span<const tenon_value> row) {
        if (full_) {
            return;
        }
        rows_.columns_ = static_cast<std::uint32_t>(row.size());
        for (tenon_value value : row) {
            if (value.kind == TENON_VALUE_TEXT || value.kind == TENON_VALUE_BLOB) {
                // The place in text_, which still grows; the pointer comes in take().
                value.i = static_cast<std::int64_t>(rows_.text_.size());
                rows_.text_.append(view(value.b));
                value.b.p = nullptr;
            }
            rows_.values_.push_back(value);
        }
        full_ = rows_.bytes() > bytes_max_;
    }

    // Null when there were too many.
    [[nodiscard]] std::shared_ptr<const CachedRows> take() {
        if (full_) {
            return nullptr;
        }
        auto rows = std::make_shared<CachedRows>(std::move(rows_));
        rows->values_.shrink_to_fit();
        rows->text_.shrink_to_fit();
        for (tenon_value& value : rows->values_) {
            if (value.kind == TENON_VALUE_TEXT || value.kind == TENON_VALUE_BLOB) {
                value.b.p = rows->text_.data() + value.i;
                value.i = 0;
            }
        }
        return rows;
    }

private:
    std::size_t bytes_max_;
    bool full_ = false;
    CachedRows rows_;
};

class QueryCache {
public:
    static constexpr std::size_t k_slots = 1024;
    static constexpr std::uint16_t k_everything = 0;

    struct Settings {
        std::size_t bytes_max = 32U << 20U;  // 0: nothing is kept
        std::int64_t ttl_ns = 300'000'000'000;
    };

    struct Figures {
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
        std::uint64_t evictions = 0;      // for room
        std::uint64_t invalidations = 0;  // found outdated by a write or by time
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;
    };

    // Counters of tables as a reader saw them before its snapshot.
    struct Dependency {
        std::uint16_t slot = 0;
        std::uint64_t seen = 0;
    };

    using Dependencies = std::vector<Dependency>;

    // A statement with its values.
    class Key {
    public:
        [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }

    private:
        friend class QueryCache;

        std::string text_;
        std::uint64_t digest_ = 0;
    };

    explicit QueryCache(Settings settings)
        : bytes_max_{settings.bytes_max},
          ttl_ns_{settings.ttl_ns},
          seed_{std::uint64_t{std::random_device{}()} << 32U | std::random_device{}()} {}

    QueryCache(const QueryCache&) = delete;
    QueryCache& operator=(const QueryCache&) = delete;

    [[nodiscard]] bool is_on() const noexcept { return bytes_max_ != 0; }

    // Off: nothing is given, kept or counted. Writes are marked all the same, so what is given
    // after it is on again is as new as ever.
    void serve(bool on) noexcept {
        if (serves_.exchange(on, std::memory_order_acq_rel) && !on) {
            invalidate_all();
        }
    }

    [[nodiscard]] bool serves() const noexcept { return serves_.load(std::memory_order_acquire); }

    [[nodiscard]] std::int64_t ttl_ns() const noexcept {
        return ttl_ns_.load(std::memory_order_relaxed);
    }

    void set_ttl_ns(std::int64_t ttl_ns) noexcept {
        ttl_ns_.store(ttl_ns, std::memory_order_relaxed);
    }

    // Rows of one query that are worth to be kept, at most.
    [[nodiscard]] std::size_t entry_bytes_max() const noexcept { return bytes_max_ / k_shards / 2; }

    // 1 .. k_slots - 1, of the name with ASCII letters folded.
    [[nodiscard]] static std::uint16_t slot_of(std::string_view table) noexcept {
        std::uint64_t hash = 0xcbf29ce484222325ULL;
        for (const char c : table) {
            const char folded = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            hash = (hash ^ static_cast<unsigned char>(folded)) * 0x100000001b3ULL;
        }
        return static_cast<std::uint16_t>(1 + (hash ^ (hash >> 32U)) % (k_slots - 1));
    }

    [[nodiscard]] Key key_of(std::string_view sql, std::span<const tenon_value> values) const {
        Key key;
        key.text_.reserve(sql.size() + values.size() * 24 + 8);
        append(key.text_, sql.size());
        key.text_.append(sql);
        for (const tenon_value& value : values) {
            key.text_.push_back(static_cast<char>(value.kind));
            if (value.kind == TENON_VALUE_INT64) {
                append(key.text_, value.i);
            } else if (value.kind == TENON_VALUE_REAL) {
                append(key.text_, value.r);
            } else if (value.kind == TENON_VALUE_TEXT || value.kind == TENON_VALUE_BLOB) {
                append(key.text_, value.b.n);
                key.text_.append(view(value.b));
            }
        }
        key.digest_ = digest_of(key.text_);
        return key;
    }

    // Rows at most `ttl_ns` old that no write has outdated; null: none. Counts.
    [[nodiscard]] std::shared_ptr<const CachedRows>
    find(const Key& key, std::int64_t ttl_ns, std::int64_t now_ns) {
        if (!serves()) {
            return nullptr;
        }
        Shard& shard = shard_of(key);
        const std::lock_guard lock{shard.mutex};
        const auto found = shard.by_key.find({key.digest_, key.text_});
        if (found != shard.by_key.end()) {
            const auto entry = found->second;
            if (now_ns - entry->born_ns < ttl_ns && is_current(entry->dependencies)) {
                shard.entries.splice(shard.entries.begin(), shard.entries, entry);
                hits_.fetch_add(1, std::memory_order_relaxed);
                return entry->rows;
            }
            shard.erase(entry);
            invalidations_.fetch_add(1, std::memory_order_relaxed);
        }
        misses_.fetch_add(1, std::memory_order_relaxed);
        return nullptr;
    }

    // The counters of these slots and of everything. Call it before the snapshot is taken.
    [[nodiscard]] Dependencies depends_on(std::span<const std::uint16_t> slots) const {
        Dependencies out;
        out.reserve(slots.size() + 1);
        out.push_back({k_everything, counters_[k_everything].load(std::memory_order_acquire)});
        for (const std::uint16_t slot : slots) {
            out.push_back({slot, counters_[slot].load(std::memory_order_acquire)});
        }
        return out;
    }

    // Keeps the rows, unless a write has touched their tables since, or they are too many.
    void insert(
        Key key,
        Dependencies dependencies,
        std::shared_ptr<const CachedRows> rows,
        std::int64_t now_ns
    ) {
        if (rows == nullptr || !serves() || !is_current(dependencies)) {
            return;
        }
        Shard& shard = shard_of(key);
        const std::size_t bytes = rows->bytes() + key.text_.size() + k_overhead +
                                  dependencies.size() * sizeof(Dependency);
        if (bytes > bytes_max_ / k_shards) {
            return;
        }
        const std::lock_guard lock{shard.mutex};
        const auto found = shard.by_key.find({key.digest_, key.text_});
        if (found != shard.by_key.end()) {
            shard.erase(found->second);
        }
        while (!shard.entries.empty() && shard.bytes + bytes > bytes_max_ / k_shards) {
            shard.erase(std::prev(shard.entries.end()));
            evictions_.fetch_add(1, std::memory_order_relaxed);
        }
        shard.entries.push_front(
            {std::move(key), std::move(dependencies), std::move(rows), now_ns, bytes}
        );
        const auto entry = shard.entries.begin();
        shard.by_key.emplace(Place{entry->key.digest_, entry->key.text_}, entry);
        shard.bytes += bytes;
    }

    // Everything that is there now, or is being read, is outdated.
    void invalidate_all() noexcept {
        begin_write(k_everything);
        end_write(k_everything);
    }

    // Drops what is outdated. For maintenance: memory comes back without a look-up.
    void sweep(std::int64_t now_ns) {
        for (Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            for (auto it = shard.entries.begin(); it != shard.entries.end();) {
                const auto entry = it++;
                if (now_ns - entry->born_ns >= ttl_ns() || !is_current(entry->dependencies)) {
                    shard.erase(entry);
                    invalidations_.fetch_add(1, std::memory_order_relaxed);
                }
            }
        }
    }

    [[nodiscard]] Figures figures() const {
        Figures out;
        out.hits = hits_.load(std::memory_order_relaxed);
        out.misses = misses_.load(std::memory_order_relaxed);
        out.evictions = evictions_.load(std::memory_order_relaxed);
        out.invalidations = invalidations_.load(std::memory_order_relaxed);
        for (const Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            out.entries += shard.entries.size();
            out.bytes += shard.bytes;
        }
        return out;
    }

private:
    friend class WriteMarks;

    static constexpr std::size_t k_shards = 16;
    static constexpr std::size_t k_overhead = 256;  // nodes and pointers of an entry
    // A counter: writes that ended << k_under_way_bits | writes under way.
    static constexpr unsigned k_under_way_bits = 16;
    static constexpr std::uint64_t k_under_way_mask = (1U << k_under_way_bits) - 1;

    struct Entry {
        Key key;
        Dependencies dependencies;
        std::shared_ptr<const CachedRows> rows;
        std::int64_t born_ns = 0;
        std::size_t bytes = 0;
    };

    struct Place {
        std::uint64_t digest;
        std::string_view text;

        bool operator==(const Place&) const = default;
    };

    struct PlaceHash {
        std::size_t operator()(const Place& place) const noexcept { return place.digest; }
    };

    using Entries = std::list<Entry>;

    struct Shard {
        mutable std::mutex mutex;
        Entries entries;  // newest use first
        std::unordered_map<Place, Entries::iterator, PlaceHash> by_key;
        std::size_t bytes = 0;

        void erase(Entries::iterator entry) {
            by_key.erase({entry->key.digest_, entry->key.text_});
            bytes -= entry->bytes;
            entries.erase(entry);
        }
    };

    void begin_write(std::uint16_t slot) noexcept {
        counters_[slot].fetch_add(1, std::memory_order_acq_rel);
    }

    void end_write(std::uint16_t slot) noexcept {
        counters_[slot].fetch_add((1U << k_under_way_bits) - 1, std::memory_order_acq_rel);
    }

    [[nodiscard]] bool is_current(const Dependencies& dependencies) const noexcept {
        return std::all_of(dependencies.begin(), dependencies.end(), [&](const Dependency& d) {
            return (d.seen & k_under_way_mask) == 0 &&
                   counters_[d.slot].load(std::memory_order_acquire) == d.seen;
        });
    }

    [[nodiscard]] Shard& shard_of(const Key& key) noexcept {
        return shards_[(key.digest_ >> 56U) % k_shards];
    }

    template <class Number>
    static void append(std::string& out, Number number) {
        std::array<char, sizeof number> raw{};
        std::memcpy(raw.data(), &number, sizeof number);
        out.append(raw.data(), raw.size());
    }

    // Eight bytes at a time through a 64 x 64 bit multiplication folded to 64 bits.
    [[nodiscard]] std::uint64_t digest_of(std::string_view text) const noexcept {
        __extension__ using Wide = unsigned __int128;
        const auto mix = [](std::uint64_t a, std::uint64_t b) {
            const Wide product = Wide{a} * b;
            return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
        };
        std::uint64_t state = seed_ ^ text.size();
        while (!text.empty()) {
            std::uint64_t word = 0;
            const std::size_t count = std::min(text.size(), sizeof word);
            std::memcpy(&word, text.data(), count);
            text.remove_prefix(count);
            state = mix(state ^ word, 0x9e3779b97f4a7c15ULL) + seed_;
        }
        return mix(state, 0xd6e8feb86659fd93ULL);
    }

    const std::size_t bytes_max_;
    std::atomic<bool> serves_{true};
    std::atomic<std::int64_t> ttl_ns_;
    const std::uint64_t seed_;
    std::array<std::atomic<std::uint64_t>, k_slots> counters_{};
    std::array<Shard, k_shards> shards_;
    std::atomic<std::uint64_t> hits_{0};
    std::atomic<std::uint64_t> misses_{0};
    std::atomic<std::uint64_t> evictions_{0};
    std::atomic<std::uint64_t> invalidations_{0};
};

// The tables that one transaction writes. end() once it is over, whatever came of it, and before
// its caller hears; the destructor does it too.
class WriteMarks {
public:
    WriteMarks() = default;

    // A null cache: nothing is marked.
    explicit WriteMarks(QueryCache* cache) noexcept : cache_{cache} {}

    ~WriteMarks() { end(); }

    WriteMarks(const WriteMarks&) = delete;
    WriteMarks& operator=(const WriteMarks&) = delete;

    void add(std::uint16_t slot) {
        if (cache_ != nullptr && std::find(slots_.begin(), slots_.end(), slot) == slots_.end()) {
            slots_.push_back(slot);
            cache_->begin_write(slot);
        }
    }

    void end() noexcept {
        for (const std::uint16_t slot : slots_) {
            cache_->end_write(slot);
        }
        slots_.clear();
    }

    [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }

private:
    QueryCache* cache_ = nullptr;
    std::vector<std::uint16_t> slots_;
};

}  // namespace tenon
