// SPDX-License-Identifier: Apache-2.0
// Caches whose entries are in locked memory alone.
#include "plugins/cache/stack/stack.hpp"

#include <algorithm>

namespace tenon::cache_stack {

std::optional<Stack::Entry>
Stack::look_locked(Cache& cache, std::string_view key, const std::string& tier_key) {
    const std::int64_t now = now_ns();
    auto found = locked_.get(tier_key, now);
    Entry entry;
    entry.secret = true;
    if (found) {
        entry.data = std::move(found->data);
        entry.expires_ns = found->expires_ns;
        entry.tier = static_cast<std::uint32_t>(tiers_.size());
        const auto envelope = decode(entry.data);
        if (envelope && wanted(cache, key, *envelope) &&
            (consistency_of(cache) != Consistency::pushed || !any_suspect() ||
             young(cache, envelope->sequence))) {
            entry.envelope = *envelope;
            entry.fresh_ns = entry.expires_ns - envelope->stale_ns - now;
            entry.stale = entry.fresh_ns <= 0;
            if (!entry.stale || (cache.refreshes.load() && settings_->stale_while_refresh)) {
                return entry;
            }
        }
    }
    if (cache.index.remove(hash_of(key), now)) {
        cache.counters.evictions.fetch_add(1, std::memory_order_relaxed);
    }
    return std::nullopt;
}

bool Stack::keep_locked(
    Cache& cache,
    std::string_view key,
    const std::string& tier_key,
    std::string& data,
    std::int64_t ttl_ns
) {
    const std::int64_t now = now_ns();
    const bool kept = locked_.put(tier_key, data, now, ttl_ns);
    wipe(data);
    if (kept) {
        std::int64_t longest = longest_ns_.load();
        while (ttl_ns > longest && !longest_ns_.compare_exchange_weak(longest, ttl_ns)) {}
        cache.index.add(hash_of(key), now + ttl_ns);
    } else if (!locked_.ready() && !unlocked_told_.exchange(true)) {
        services_.log.warn(
            "cache_not_locked",
            {{"cache", cache.name}, {"reason", "the system locks no memory: nothing is kept"}}
        );
    }
    return kept;
}

void Stack::drop_locked() {
    if (locked_.size() == 0) {
        return;
    }
    locked_.drop_unwanted(now_ns(), [this](std::string_view tier_key, std::string_view data) {
        const std::string_view name = tier_key.substr(0, tier_key.find(':'));
        const auto envelope = decode(data);
        for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
            if (caches_[i]->name == name) {
                return envelope && caches_[i]->locked.load() &&
                       wanted(
                           *caches_[i],
                           envelope->whole_key.empty() ? tier_key.substr(name.size() + 1)
                                                       : envelope->whole_key,
                           *envelope
                       );
            }
        }
        return false;
    });
}

void Stack::apply() {
    const auto settings = settings_.read();
    bool any_more = false;
    shared_used_.store(settings->shared_tiers);
    if (memory_used_.exchange(settings->memory_tiers) && !settings->memory_tiers) {
        // What is there now is not there when they come on again.
        for (const auto& tier : tiers_) {
            if (!tier->shared()) {
                tier->clear(now_ns());
            }
        }
    }
    for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
        const bool locked = settings->times_of(caches_[i]->name).locked;
        any_more = (!caches_[i]->locked.exchange(locked) && locked) || any_more;
    }
    drop_locked();
    if (settings->prefetch && !ahead_) {
        ahead_ = std::make_unique<Ahead>();
    }
    ahead_now_.store(settings->prefetch ? ahead_.get() : nullptr);
    if (any_more) {
        // Tiers know no caches: all of them are emptied, those that block as soon as may be.
        const bool taken = later([this] {
            for (const auto& tier : tiers_) {
                tier->clear(now_ns());
            }
        });
        if (!taken) {
            forgo();
        }
    }
}

}  // namespace tenon::cache_stack
