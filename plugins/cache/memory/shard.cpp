// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/memory/shard.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <thread>

namespace tenon::memory_cache {
namespace {

constexpr std::size_t k_buckets_min = 16;
constexpr std::uint8_t k_reads_max = 3;
constexpr int k_tries_max = 64;
constexpr std::size_t k_sweep_slice = 4096;

// One block for header, key and value: half the memory of separate strings for small values.
Entry* make_entry(std::string_view key, std::string_view value) {
    void* const block = ::operator new(sizeof(Entry) + key.size() + value.size());
    auto* const entry = std::construct_at(static_cast<Entry*>(block));
    entry->key_size = static_cast<std::uint16_t>(key.size());
    entry->value_size = static_cast<std::uint32_t>(value.size());
    char* const data = static_cast<char*>(block) + sizeof(Entry);
    std::copy(key.begin(), key.end(), data);
    std::copy(value.begin(), value.end(), data + key.size());
    return entry;
}

void free_entry(Entry* entry) noexcept {
    std::destroy_at(entry);
    ::operator delete(entry);
}

}  // namespace

void Queue::push(Entry& entry) noexcept {
    entry.newer = nullptr;
    entry.older = newest_;
    (newest_ != nullptr ? newest_->newer : oldest_) = &entry;
    newest_ = &entry;
    bytes_ += entry.bytes();
}

void Queue::remove(Entry& entry) noexcept {
    (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
    (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
    bytes_ -= entry.bytes();
}

void Ghosts::resize(std::size_t slots) {
    slots_.assign(slots, {});
}

void Ghosts::add(std::uint64_t hash, std::uint64_t keep) noexcept {
    if (keep != 0) {
        clock_ = clock_ == UINT32_MAX ? 1 : clock_ + 1;
        slots_[hash & (slots_.size() - 1)] = {mark_of(hash), clock_};
    }
}

bool Ghosts::take(std::uint64_t hash, std::uint64_t keep) noexcept {
    Slot& slot = slots_[hash & (slots_.size() - 1)];
    if (slot.when == 0 || slot.mark != mark_of(hash) || clock_ - slot.when >= keep) {
        return false;
    }
    slot.when = 0;
    return true;
}

Shard::Shard(std::uint64_t bytes_max)
    : bytes_max_{bytes_max}, owned_table_{std::make_unique<Table>(k_buckets_min)} {
    table_.store(owned_table_.get());
    ghosts_.resize(k_buckets_min);
}

Shard::~Shard() {
    clear({});
    const std::lock_guard lock{mutex_};
    reclaim(0);
}

void Shard::resize(std::uint64_t bytes_max) {
    const std::lock_guard lock{mutex_};
    bytes_max_.store(bytes_max);
    make_room(latest_ns_);
    reclaim(0);
}

Shard::Link& Shard::find(std::uint64_t hash, std::string_view key) noexcept {
    Link* link = &owned_table_->of(hash);
    for (;;) {
        const Entry* const entry = link->load(std::memory_order_relaxed);
        if (entry == nullptr || (entry->hash == hash && entry->key() == key)) {
            return *link;
        }
        link = &link->load(std::memory_order_relaxed)->chain;
    }
}

const Entry* Shard::find_inside(
    std::uint64_t hash,
    std::string_view key,
    std::int64_t now_ns,
    bool& expired
) const {
    const Entry* entry = nullptr;
    // An entry may be overlooked while entries move. Nobody waits for that here: the tries end, and
    // an entry that is not found is one that has been forgotten.
    for (int i = 0; i < k_tries_max; ++i) {
        const std::uint64_t moved = moved_.load(std::memory_order_acquire);
        entry = table_.load(std::memory_order_acquire)->of(hash).load(std::memory_order_acquire);
        while (entry != nullptr && (entry->hash != hash || entry->key() != key)) {
            entry = entry->chain.load(std::memory_order_acquire);
        }
        if (entry != nullptr || moved_.load(std::memory_order_acquire) == moved) {
            break;
        }
    }
    expired = entry != nullptr && entry->expires_ns <= now_ns;
    return expired ? nullptr : entry;
}

std::optional<std::int64_t> Shard::get(
    std::uint64_t hash,
    std::string_view key,
    std::int64_t now_ns,
    const MemoryCache::Reader& reader
) {
    bool expired = false;
    {
        Readers::Inside inside{readers_};
        inside.at(now_ns);
        if (const Entry* const entry = find_inside(hash, key, now_ns, expired)) {
            auto& reads = const_cast<Entry*>(entry)->reads;
            if (const auto seen = reads.load(std::memory_order_relaxed); seen < k_reads_max) {
                reads.store(static_cast<std::uint8_t>(seen + 1), std::memory_order_relaxed);
            }
            inside.hit();
            const std::int64_t expires_ns = entry->expires_ns;
            reader(entry->value());
            return expires_ns;
        }
        inside.miss();
    }
    if (expired) {
        drop_expired(hash, key, now_ns);
    }
    return std::nullopt;
}

void Shard::drop_expired(std::uint64_t hash, std::string_view key, std::int64_t now_ns) {
    // A reader does not wait for writers: the sweep will see to it.
    const std::unique_lock lock{mutex_, std::try_to_lock};
    if (!lock.owns_lock()) {
        return;
    }
    Link& link = find(hash, key);
    const Entry* const entry = link.load(std::memory_order_relaxed);
    if (entry != nullptr && entry->expires_ns <= now_ns) {
        ++counters_.expired;
        unlink(link);
        reclaim(retired_bytes_max());
    }
}

bool Shard::put(
    std::uint64_t hash,
    std::string_view key,
    std::string_view value,
    std::int64_t now_ns,
    std::int64_t expires_ns
) {
    const std::lock_guard lock{mutex_};
    latest_ns_ = std::max(latest_ns_, now_ns);
    if (value.size() > bytes_max() / 4) {
        return false;
    }
    if (counters_.entries > owned_table_->mask) {
        grow();
    }
    Entry* const entry = make_entry(key, value);
    entry->hash = hash;
    entry->expires_ns = expires_ns;
    Link& link = find(hash, key);
    Entry* const old = link.load(std::memory_order_relaxed);
    if (old != nullptr) {
        entry->reads.store(old->reads.load(std::memory_order_relaxed), std::memory_order_relaxed);
        entry->in_main = old->in_main;
        entry->chain.store(old->chain.load(std::memory_order_relaxed), std::memory_order_relaxed);
    } else {
        entry->in_main = ghosts_.take(hash, counters_.entries);
    }
    link.store(entry, std::memory_order_release);  // readers find the one or the other
    if (old != nullptr) {
        retire(*old);
    }
    (entry->in_main ? main_ : small_).push(*entry);
    ++counters_.entries;
    ++counters_.puts;
    make_room(now_ns);
    if (retired_bytes_ >
        retired_bytes_max() / 2) {  // not for each: it looks at every reader's line
        reclaim(retired_bytes_max());
    }
    return true;
}

bool Shard::erase(std::uint64_t hash, std::string_view key) {
    const std::lock_guard lock{mutex_};
    Link& link = find(hash, key);
    if (link.load(std::memory_order_relaxed) == nullptr) {
        return false;
    }
    unlink(link);
    ++counters_.erased;
    reclaim(retired_bytes_max());
    return true;
}

void Shard::unlink(Link& link) noexcept {
    Entry* const entry = link.load(std::memory_order_relaxed);
    link.store(entry->chain.load(std::memory_order_relaxed), std::memory_order_release);
    retire(*entry);
}

void Shard::retire(Entry& entry) noexcept {
    (entry.in_main ? main_ : small_).remove(entry);
    --counters_.entries;
    retired_bytes_ += entry.bytes();
    // Its place in the queue is free for the list of what waits.
    entry.newer = nullptr;
    entry.set_retired(readers_.epoch());
    (retired_newest_ != nullptr ? retired_newest_->newer : retired_oldest_) = &entry;
    retired_newest_ = &entry;
}

void Shard::drop(Entry& entry) noexcept {
    unlink(find(entry.hash, entry.key()));
}

void Shard::reclaim(std::uint64_t most_bytes) noexcept {
    for (;;) {
        // Two steps, when nobody is inside, make everything free that was taken out before.
        const bool stepped = readers_.step() && readers_.step();
        while (retired_oldest_ != nullptr &&
               retired_oldest_->retired_epoch() + 2 <= readers_.epoch()) {
            Entry* const entry = retired_oldest_;
            retired_oldest_ = entry->newer;
            retired_bytes_ -= entry->bytes();
            free_entry(entry);
        }
        if (retired_oldest_ == nullptr) {
            retired_newest_ = nullptr;
        }
        std::erase_if(retired_tables_, [&](const RetiredTable& old) {
            return old.epoch + 2 <= readers_.epoch();
        });
        if (stepped || retired_bytes_ <= most_bytes) {
            return;
        }
        std::this_thread::yield();
    }
}

std::uint64_t Shard::retired_bytes_max() const noexcept {
    return bytes_max() / 64;
}

template <class Wanted>
std::uint64_t Shard::drop_if(std::size_t from, std::size_t count, Wanted wanted) {
    std::uint64_t dropped = 0;
    const std::size_t end = std::min(from + count, owned_table_->mask + 1);
    for (std::size_t i = from; i < end; ++i) {
        Link* link = &owned_table_->links[i];
        while (Entry* const entry = link->load(std::memory_order_relaxed)) {
            if (wanted(*entry)) {
                unlink(*link);
                ++dropped;
            } else {
                link = &entry->chain;
            }
        }
    }
    reclaim(retired_bytes_max());
    return dropped;
}

void Shard::clear(std::string_view prefix) {
    const std::lock_guard lock{mutex_};
    counters_.erased += drop_if(0, SIZE_MAX / 2, [&](const Entry& entry) {
        return entry.key().substr(0, prefix.size()) == prefix;
    });
}

std::int64_t Shard::latest_ns() const {
    const std::lock_guard lock{mutex_};
    return std::max(latest_ns_, readers_.latest_ns());
}

void Shard::sweep(std::int64_t now_ns) {
    for (std::size_t from = 0;; from += k_sweep_slice) {
        const std::lock_guard lock{mutex_};
        if (from > owned_table_->mask) {
            return;
        }
        counters_.expired += drop_if(from, k_sweep_slice, [&](const Entry& entry) {
            return entry.expires_ns <= now_ns;
        });
    }
}

void Shard::add_to(Counters& sum) {
    const std::lock_guard lock{mutex_};
    reclaim(SIZE_MAX);
    sum.entries += counters_.entries;
    sum.bytes += bytes();
    sum.bytes_max += bytes_max();
    sum.hits += readers_.hits();
    sum.misses += readers_.misses();
    sum.puts += counters_.puts;
    sum.erased += counters_.erased;
    sum.evicted += counters_.evicted;
    sum.expired += counters_.expired;
}

void Shard::make_room(std::int64_t now_ns) noexcept {
    while (small_.bytes() + main_.bytes() > bytes_max() - retired_bytes_max()) {
        if (small_.oldest() != nullptr &&
            (small_.bytes() * 10 >= bytes_max() || main_.oldest() == nullptr)) {
            evict_small(now_ns);
        } else {
            evict_main(now_ns);
        }
    }
}

void Shard::evict_small(std::int64_t now_ns) noexcept {
    Entry& entry = *small_.oldest();
    if (entry.expires_ns <= now_ns) {
        ++counters_.expired;
        drop(entry);
    } else if (entry.reads.load(std::memory_order_relaxed) != 0) {
        small_.remove(entry);
        entry.reads.store(0, std::memory_order_relaxed);
        entry.in_main = true;
        main_.push(entry);
    } else {
        ghosts_.add(entry.hash, counters_.entries);
        ++counters_.evicted;
        drop(entry);
    }
}

void Shard::evict_main(std::int64_t now_ns) noexcept {
    Entry& entry = *main_.oldest();
    const std::uint8_t reads = entry.reads.load(std::memory_order_relaxed);
    if (entry.expires_ns <= now_ns) {
        ++counters_.expired;
        drop(entry);
    } else if (reads != 0) {
        main_.remove(entry);
        entry.reads.store(static_cast<std::uint8_t>(reads - 1), std::memory_order_relaxed);
        main_.push(entry);
    } else {
        ++counters_.evicted;
        drop(entry);
    }
}

void Shard::grow() {
    auto wider = std::make_unique<Table>((owned_table_->mask + 1) * 2);
    ghosts_.resize(wider->mask + 1);
    retired_tables_.reserve(retired_tables_.size() + 1);
    moved_.fetch_add(1);  // who finds nothing from now on looks again under the lock
    for (std::size_t i = 0; i <= owned_table_->mask; ++i) {
        Entry* entry = owned_table_->links[i].load(std::memory_order_relaxed);
        while (entry != nullptr) {
            Entry* const next = entry->chain.load(std::memory_order_relaxed);
            Link& bucket = wider->of(entry->hash);
            entry->chain.store(bucket.load(std::memory_order_relaxed), std::memory_order_release);
            bucket.store(entry, std::memory_order_release);
            entry = next;
        }
    }
    table_.store(wider.get(), std::memory_order_release);
    moved_.fetch_add(1);
    retired_tables_.push_back({std::move(owned_table_), readers_.epoch()});
    owned_table_ = std::move(wider);
}

}  // namespace tenon::memory_cache
