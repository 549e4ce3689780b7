// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/memory/shard.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace tenon::memory_cache {
namespace {

constexpr std::size_t k_buckets_min = 16;
constexpr std::uint8_t k_reads_max = 3;

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

Shard::Shard(std::uint64_t bytes_max) : bytes_max_{bytes_max}, buckets_(k_buckets_min) {
    ghosts_.resize(k_buckets_min);
}

Shard::~Shard() {
    clear({});
}

void Shard::resize(std::uint64_t bytes_max) {
    const std::lock_guard lock{mutex_};
    bytes_max_ = bytes_max;
    make_room(latest_ns_);
}

std::uint64_t Shard::bytes_max() const {
    const std::lock_guard lock{mutex_};
    return bytes_max_;
}

Entry** Shard::find(std::uint64_t hash, std::string_view key) noexcept {
    Entry** link = &buckets_[hash & (buckets_.size() - 1)];
    while (*link != nullptr && ((*link)->hash != hash || (*link)->key() != key)) {
        link = &(*link)->chain;
    }
    return link;
}

void Shard::unlink(Entry** link) noexcept {
    Entry* const entry = *link;
    *link = entry->chain;
    (entry->in_main ? main_ : small_).remove(*entry);
    --counters_.entries;
    free_entry(entry);
}

void Shard::drop(Entry& entry) noexcept {
    unlink(find(entry.hash, entry.key()));
}

std::optional<std::int64_t> Shard::get(
    std::uint64_t hash,
    std::string_view key,
    std::int64_t now_ns,
    const MemoryCache::Reader& reader
) {
    const std::lock_guard lock{mutex_};
    latest_ns_ = std::max(latest_ns_, now_ns);
    Entry** const link = find(hash, key);
    Entry* const entry = *link;
    if (entry == nullptr || entry->expires_ns <= now_ns) {
        ++counters_.misses;
        if (entry != nullptr) {
            ++counters_.expired;
            unlink(link);
        }
        return std::nullopt;
    }
    ++counters_.hits;
    if (entry->reads < k_reads_max) {
        ++entry->reads;
    }
    reader(entry->value());
    return entry->expires_ns;
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
    if (value.size() > bytes_max_ / 4) {
        return false;
    }
    if (counters_.entries >= buckets_.size()) {
        grow();
    }
    Entry* const entry = make_entry(key, value);
    entry->hash = hash;
    entry->expires_ns = expires_ns;
    Entry** const link = find(hash, key);
    if (*link != nullptr) {
        entry->reads = (*link)->reads;
        entry->in_main = (*link)->in_main;
        unlink(link);
    } else {
        entry->in_main = ghosts_.take(hash, counters_.entries);
    }
    entry->chain = *link;
    *link = entry;
    (entry->in_main ? main_ : small_).push(*entry);
    ++counters_.entries;
    ++counters_.puts;
    make_room(now_ns);
    return true;
}

bool Shard::erase(std::uint64_t hash, std::string_view key) {
    const std::lock_guard lock{mutex_};
    Entry** const link = find(hash, key);
    if (*link == nullptr) {
        return false;
    }
    unlink(link);
    ++counters_.erased;
    return true;
}

template <class Wanted>
std::uint64_t Shard::drop_if(Wanted wanted) {
    std::uint64_t dropped = 0;
    for (Entry*& bucket : buckets_) {
        Entry** link = &bucket;
        while (*link != nullptr) {
            if (wanted(**link)) {
                unlink(link);
                ++dropped;
            } else {
                link = &(*link)->chain;
            }
        }
    }
    return dropped;
}

void Shard::clear(std::string_view prefix) {
    const std::lock_guard lock{mutex_};
    counters_.erased +=
        drop_if([&](const Entry& entry) { return entry.key().substr(0, prefix.size()) == prefix; });
}

std::int64_t Shard::latest_ns() const {
    const std::lock_guard lock{mutex_};
    return latest_ns_;
}

void Shard::sweep(std::int64_t now_ns) {
    const std::lock_guard lock{mutex_};
    counters_.expired += drop_if([&](const Entry& entry) { return entry.expires_ns <= now_ns; });
}

void Shard::add_to(Counters& sum) const {
    const std::lock_guard lock{mutex_};
    sum.entries += counters_.entries;
    sum.bytes += small_.bytes() + main_.bytes();
    sum.bytes_max += bytes_max_;
    sum.hits += counters_.hits;
    sum.misses += counters_.misses;
    sum.puts += counters_.puts;
    sum.erased += counters_.erased;
    sum.evicted += counters_.evicted;
    sum.expired += counters_.expired;
}

void Shard::make_room(std::int64_t now_ns) noexcept {
    while (small_.bytes() + main_.bytes() > bytes_max_) {
        if (small_.oldest() != nullptr &&
            (small_.bytes() * 10 >= bytes_max_ || main_.oldest() == nullptr)) {
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
    } else if (entry.reads != 0) {
        small_.remove(entry);
        entry.reads = 0;
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
    if (entry.expires_ns <= now_ns) {
        ++counters_.expired;
        drop(entry);
    } else if (entry.reads != 0) {
        main_.remove(entry);
        --entry.reads;
        main_.push(entry);
    } else {
        ++counters_.evicted;
        drop(entry);
    }
}

void Shard::grow() {
    std::vector<Entry*> wider(buckets_.size() * 2);
    ghosts_.resize(wider.size());
    for (Entry* entry : buckets_) {
        while (entry != nullptr) {
            Entry* const next = entry->chain;
            Entry*& bucket = wider[entry->hash & (wider.size() - 1)];
            entry->chain = bucket;
            bucket = entry;
            entry = next;
        }
    }
    buckets_ = std::move(wider);
}

}  // namespace tenon::memory_cache
