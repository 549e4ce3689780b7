// SPDX-License-Identifier: Apache-2.0
// Entries by key, for a time, the least recently used going first. Not thread-safe; time is passed
// in, so that a test needs no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

class LruMap {
public:
    struct Entry {
        std::string key;
        std::string value;
        std::int64_t expires_ns;
    };

    explicit LruMap(std::size_t entries_max) : entries_max_{entries_max} {}

    // The entry, which becomes the newest; nothing at or after its expiry. Valid until the next
    // call.
    const Entry* get(std::string_view key, std::int64_t now_ns) {
        const auto found = index_.find(key);
        if (found == index_.end()) {
            return nullptr;
        }
        if (found->second->expires_ns <= now_ns) {
            ++expired_;
            drop(found);
            return nullptr;
        }
        order_.splice(order_.begin(), order_, found->second);
        return &*found->second;
    }

    void
    put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns) {
        constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();
        const std::int64_t expires_ns =
            now_ns > 0 && ttl_ns > k_never - now_ns ? k_never : now_ns + ttl_ns;
        erase(key);
        order_.push_front({std::string{key}, std::string{value}, expires_ns});
        index_.emplace(order_.front().key, order_.begin());
        bytes_ += key.size() + value.size();
        shrink();
    }

    bool erase(std::string_view key) {
        const auto found = index_.find(key);
        if (found == index_.end()) {
            return false;
        }
        drop(found);
        return true;
    }

    // Every entry whose key starts with the prefix.
    void clear(std::string_view prefix) {
        for (auto at = index_.begin(); at != index_.end();) {
            at = at->first.starts_with(prefix) ? drop(at) : std::next(at);
        }
    }

    void set_entries_max(std::size_t entries_max) {
        entries_max_ = entries_max;
        shrink();
    }

    [[nodiscard]] std::size_t size() const { return index_.size(); }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

    [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

    [[nodiscard]] std::uint64_t expired() const { return expired_; }

private:
    using Order = std::list<Entry>;
    using Index = std::unordered_map<std::string_view, Order::iterator>;  // keys are the entries'

    Index::iterator drop(Index::iterator at) {
        const Order::iterator entry = at->second;
        bytes_ -= entry->key.size() + entry->value.size();
        const Index::iterator next = index_.erase(at);
        order_.erase(entry);
        return next;
    }

    void shrink() {
        while (index_.size() > entries_max_) {
            ++evicted_;
            drop(index_.find(order_.back().key));
        }
    }

    std::size_t entries_max_;
    Order order_;  // newest first
    Index index_;
    std::size_t bytes_ = 0;
    std::uint64_t evicted_ = 0;
    std::uint64_t expired_ = 0;
};
