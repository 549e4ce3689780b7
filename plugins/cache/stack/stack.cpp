// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/stack.hpp"

#include "plugins/cache/stack/flight.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <chrono>

namespace tenon::cache_stack {
namespace {

constexpr std::size_t k_tag_bytes_max = 256;

std::uint64_t checked_tag(std::string_view tag) {
    const auto colon = tag.find(':');
    if (colon == 0 || colon == std::string_view::npos || tag.size() > k_tag_bytes_max) {
        throw Error{TENON_INVALID, "a tag is \"kind:value\" of at most 256 bytes"};
    }
    return hash_of(tag);
}

}  // namespace

Kept copy_keep(const tenon_cache_keep* keep) {
    Kept kept;
    if (keep == nullptr) {
        return kept;
    }
    kept.ttl_ns = std::min(keep->ttl_ns, INT64_MAX / 4);  // room to add the clock
    if (keep->tag_count > TENON_CACHE_TAGS_MAX) {
        throw Error{TENON_INVALID, "at most 16 tags"};
    }
    for (std::uint32_t i = 0; i < keep->tag_count; ++i) {
        kept.tags.push_back(checked_tag(view(keep->tags[i])));
    }
    return kept;
}

void Stack::KeyIndex::add(std::uint64_t key, std::int64_t expires) {
    const std::lock_guard lock{mutex};
    if (expires_ns.size() < k_keys_max) {
        expires_ns[key] = expires;
    }
}

bool Stack::KeyIndex::remove(std::uint64_t key, std::int64_t now_ns) {
    const std::lock_guard lock{mutex};
    const auto found = expires_ns.find(key);
    if (found == expires_ns.end()) {
        return false;
    }
    const bool live = found->second > now_ns;
    expires_ns.erase(found);
    return live;
}

void Stack::KeyIndex::forget_expired(std::int64_t now_ns) {
    const std::lock_guard lock{mutex};
    std::erase_if(expires_ns, [&](const auto& key) { return key.second <= now_ns; });
}

std::uint64_t Stack::KeyIndex::size() const {
    const std::lock_guard lock{mutex};
    return expires_ns.size();
}

Stack::Stack(Services services, const Live<StackSettings>& settings)
    : services_{services},
      settings_{settings},
      real_ahead_ns_{
          services.clock->now_real_ns(services.clock.self) -
          services.clock->now_ns(services.clock.self)},
      backlog_{services.exec, services.clock, background_, [this] {
                   for (const auto& tier : tiers_) {
                       tier->make_good(now_ns());
                   }
               }} {}

Stack::~Stack() = default;

void Stack::add_tier(std::string name, Service<tenon_cache_tier_1> service, Tier::Watcher watcher) {
    tiers_.push_back(std::make_unique<Tier>(std::move(name), service, std::move(watcher)));
    any_blocking_ = any_blocking_ || tiers_.back()->blocking();
    any_shared_ = any_shared_ || tiers_.back()->shared();
}

void Stack::close() noexcept {
    closed_.store(true);
    for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
        const std::lock_guard lock{caches_[i]->refresh_mutex};
        caches_[i]->refreshes.store(false);
    }
    for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
        caches_[i]->refreshing.wait();
    }
    backlog_.run();  // the pool may not come to it any more
    background_.wait();
    locked_.clear();
}

std::int64_t Stack::now_ns() const noexcept {
    return services_.clock->now_ns(services_.clock.self);
}

std::int64_t Stack::sequence_now() const noexcept {
    return now_ns() + real_ahead_ns_;
}

std::int64_t Stack::next_sequence() noexcept {
    return tags_.next(sequence_now());
}

void Stack::check_open() const {
    if (closed_.load(std::memory_order_relaxed)) {
        throw Error{TENON_UNAVAILABLE, "the cache is stopping"};
    }
}

void Stack::check_key(std::string_view key) {
    if (key.empty() || key.size() > TENON_CACHE_KEY_MAX) {
        throw Error{TENON_INVALID, "a key of 1 .. 1024 bytes is wanted"};
    }
}

Stack::Cache& Stack::cache_at(std::uint32_t id) const {
    if (id >= cache_count_.load(std::memory_order_acquire)) {
        throw Error{TENON_INVALID, "there is no cache " + std::to_string(id)};
    }
    return *caches_[id];
}

std::uint32_t Stack::open(std::string_view name) {
    const bool valid =
        !name.empty() && name.size() <= 32 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos &&
        name != "tiers";
    if (!valid) {
        throw Error{TENON_INVALID, "a cache's name is [a-z0-9_]{1,32} and not \"tiers\""};
    }
    const auto find = [&]() -> std::optional<std::uint32_t> {
        const std::uint32_t count = cache_count_.load(std::memory_order_acquire);
        for (std::uint32_t i = 0; i < count; ++i) {
            if (caches_[i]->name == name) {
                return i;
            }
        }
        return std::nullopt;
    };
    if (const auto found = find()) {
        return *found;
    }
    const std::lock_guard lock{caches_mutex_};
    if (const auto found = find()) {
        return *found;
    }
    const std::uint32_t id = cache_count_.load();
    if (id == k_caches_max) {
        throw Error{TENON_UNAVAILABLE, "at most 64 caches"};
    }
    caches_[id] = std::make_unique<Cache>();
    caches_[id]->name = name;
    caches_[id]->tag = hash_of("cache:" + std::string{name});
    caches_[id]->locked.store(settings_->times_of(caches_[id]->name).locked);
    cache_count_.store(id + 1, std::memory_order_release);
    return id;
}

bool Stack::wanted(const Cache& cache, std::string_view key, const Envelope& envelope) const {
    if (!envelope.whole_key.empty() && envelope.whole_key != key) {
        return false;
    }
    const std::int64_t sequence = envelope.sequence;
    return tags_.holds(cache.tag, sequence) &&
           (!any_shared_ || tags_.holds(key_scope(cache.tag, key), sequence)) &&
           std::all_of(envelope.tags.begin(), envelope.tags.end(), [&](std::uint64_t tag) {
               return tags_.holds(tag, sequence) &&
                      tags_.holds(tag_scope(cache.tag, tag), sequence);
           });
}

bool Stack::fits(
    Cache& cache,
    std::string_view key,
    Tier& tier,
    Consistency consistency,
    Entry& entry,
    std::vector<Scope>* hint
) {
    std::string_view data = entry.data;
    const bool by_stamps = stamped(tier, consistency);
    if (by_stamps) {
        auto stamps = take_stamps(data);
        if (!stamps) {
            return false;
        }
        entry.stamps = std::move(*stamps);
    }
    const auto envelope = decode(data);
    if (!envelope || (!envelope->whole_key.empty() && envelope->whole_key != key)) {
        return false;
    }
    entry.envelope = *envelope;
    if (!by_stamps) {
        return wanted(cache, key, *envelope) &&
               (consistency != Consistency::pushed || !any_suspect() ||
                young(cache, envelope->sequence));
    }
    // What waits to be renewed is looked for first: what is done by then is in the tier.
    if (!pending_.has_any(entry.stamps) && Stamps::hold(tier, entry.stamps, now_ns())) {
        return true;
    }
    if (hint != nullptr) {
        hint->clear();
        for (const std::uint64_t tag : envelope->tags) {
            append_scopes(cache.tag, tag, *hint);
        }
    }
    return false;
}

std::optional<Stack::Entry> Stack::look(
    Cache& cache,
    std::string_view key,
    const TierKey& tier_key,
    bool also_blocking,
    std::vector<Scope>* hint
) {
    if (cache.locked.load(std::memory_order_relaxed)) {
        return look_locked(cache, key, tier_key.text);
    }
    const std::int64_t now = now_ns();
    const Consistency consistency = consistency_of(cache);
    const std::int64_t looked = any_shared_ ? next_sequence() : INT64_MAX;
    std::uint64_t erasures = 0;
    bool settling = false;  // what was erased or put here is not in the tiers that block yet
    if (also_blocking && any_blocking_) {
        FlightPart& part = part_of(tier_key.text);
        const std::lock_guard lock{part.mutex};
        erasures = part.erasures;
        settling = part.blocking.find(tier_key.text) != part.blocking.end();
    }
    for (std::uint32_t i = 0; i < tiers_.size(); ++i) {
        Tier& tier = *tiers_[i];
        if ((tier.blocking() && !also_blocking) || !asked(tier, consistency) || !used(tier) ||
            (tier.blocking() && settling && !stamped(tier, consistency)) ||
            (tier.shared() && !settled(tier))) {
            continue;
        }
        auto found = tier.get(tier_key.text, now);
        if (!found) {
            continue;
        }
        Entry entry;
        entry.data = std::move(found->data);
        entry.expires_ns = found->expires_ns;
        entry.tier = i;
        entry.looked = looked;
        if (!fits(cache, key, tier, consistency, entry, hint)) {
            continue;
        }
        entry.fresh_ns = entry.expires_ns - entry.envelope.stale_ns - now;
        entry.stale = entry.fresh_ns <= 0;
        if ((entry.stale && (!cache.refreshes.load() || !settings_->stale_while_refresh)) ||
            (entry.envelope.negative && !settings_->negative_entries)) {
            continue;
        }
        if (tier.blocking() && consistency != Consistency::strict) {
            promote(tier_key.text, entry, erasures);
        }
        return entry;
    }
    if (cache.index.remove(hash_of(key), now)) {
        cache.counters.evictions.fetch_add(1, std::memory_order_relaxed);
    }
    return std::nullopt;
}

void Stack::promote(const std::string& tier_key, const Entry& entry, std::uint64_t erasures) {
    const std::int64_t now = now_ns();
    FlightPart& part = part_of(tier_key);
    const std::lock_guard lock{part.mutex};
    if (part.erasures != erasures || entry.expires_ns <= now) {
        return;
    }
    std::string own;
    if (!entry.stamps.empty() || entry.looked < entry.envelope.sequence) {
        // The tiers above go by this server's sequences, not by the clock of the one that loaded.
        Envelope envelope = entry.envelope;
        envelope.sequence = entry.looked;
        own = encode(envelope);
    }
    const std::string& data = own.empty() ? entry.data : own;
    for (std::uint32_t i = 0; i < entry.tier; ++i) {
        if (!tiers_[i]->blocking() && !tiers_[i]->shared() && used(*tiers_[i])) {
            tiers_[i]->put(tier_key, data, now, entry.expires_ns - now);
        }
    }
}

tenon_status
Stack::answer_with(Cache& cache, const Entry& entry, tenon_sink out, tenon_cache_answer& answer) {
    answer.source = entry.stale ? TENON_CACHE_STALE : TENON_CACHE_HIT;
    answer.tier = entry.tier;
    answer.expires_ns = entry.expires_ns;
    cache.counters.hits.fetch_add(1, std::memory_order_relaxed);
    if (entry.tier < cache.counters.tier_hits.size()) {
        cache.counters.tier_hits[entry.tier].fetch_add(1, std::memory_order_relaxed);
    }
    if (entry.stale) {
        cache.counters.stale.fetch_add(1, std::memory_order_relaxed);
    }
    if (entry.envelope.negative) {
        cache.counters.negative_hits.fetch_add(1, std::memory_order_relaxed);
        return TENON_NOT_FOUND;
    }
    return out.put(out.ctx, bytes(entry.envelope.value));
}

tenon_status
Stack::get(std::uint32_t cache, std::string_view key, tenon_sink out, tenon_cache_answer& answer) {
    check_open();
    check_key(key);
    Cache& named = cache_at(cache);
    const auto entry = look(named, key, TierKey{named.name, key}, false);
    asked(cache, named, key, entry ? &*entry : nullptr);
    if (!entry) {
        named.counters.misses.fetch_add(1, std::memory_order_relaxed);
        answer.source = TENON_CACHE_LOADED;
        return TENON_NOT_FOUND;
    }
    return answer_with(named, *entry, out, answer);
}

void Stack::write(
    bool blocking,
    Consistency consistency,
    const std::string& tier_key,
    const std::string& data,
    std::int64_t ttl_ns
) {
    std::int64_t longest = longest_ns_.load();
    while (ttl_ns > longest && !longest_ns_.compare_exchange_weak(longest, ttl_ns)) {}
    for (const auto& tier : tiers_) {
        if (tier->blocking() != blocking || !asked(*tier, consistency) ||
            stamped(*tier, consistency)) {
            continue;
        }
        if (used(*tier)) {
            tier->put(tier_key, data, now_ns(), ttl_ns);
        } else {
            tier->erase(tier_key, now_ns());  // what this would take the place of is old
        }
    }
}

void Stack::put(
    std::uint32_t cache,
    std::string_view key,
    std::string_view value,
    const tenon_cache_keep* keep
) {
    check_open();
    check_key(key);
    Cache& named = cache_at(cache);
    Kept kept = copy_keep(keep);
    if (kept.ttl_ns < 0) {
        return;
    }
    const auto settings = settings_.read();
    const Lifetimes& times = settings->times_of(named.name);
    const std::int64_t stale_ns = std::chrono::nanoseconds{times.stale}.count();
    const std::int64_t ttl_ns =
        (kept.ttl_ns > 0 ? kept.ttl_ns : std::chrono::nanoseconds{times.ttl}.count()) + stale_ns;
    const TierKey tier_key{named.name, key};
    named.counters.puts.fetch_add(1, std::memory_order_relaxed);
    if (times.consistency == Consistency::strict && any_shared_) {
        // Whether the caller's value is older than what another server did meanwhile nobody knows.
        erase_everywhere(named, key);
        return;
    }
    Envelope envelope;
    envelope.stale_ns = stale_ns;
    envelope.tags = std::move(kept.tags);
    envelope.whole_key = tier_key.hashed ? key : std::string_view{};
    envelope.value = value;
    // A load under way may have read what this replaces.
    spoil_flight(tier_key.text);
    envelope.sequence = next_sequence();
    std::string data = encode(envelope);
    if (named.locked.load()) {
        (void)keep_locked(named, key, tier_key.text, data, ttl_ns);
        renew({key_scope(named.tag, key)});
        return;
    }
    const Consistency consistency = consistency_of(named);
    write(false, consistency, tier_key.text, data, ttl_ns);
    if (any_used()) {
        named.index.add(hash_of(key), now_ns() + ttl_ns);
    }
    if (any_blocking_) {
        settle_later(tier_key.text, [this, consistency, text = tier_key.text, data, ttl_ns] {
            write(true, consistency, text, data, ttl_ns);
        });
    }
    renew({key_scope(named.tag, key)});
    if (any_shared_ && consistency == Consistency::pushed && !on_reactor()) {
        std::vector<Scope> tags;
        for (const std::uint64_t tag : envelope.tags) {
            append_scopes(named.tag, tag, tags);
        }
        write_shared(hold(named, key, tags), tier_key.text, data, ttl_ns);
    }
}

void Stack::erase(std::uint32_t cache, std::string_view key) {
    check_key(key);
    Cache& named = cache_at(cache);
    named.index.remove(hash_of(key), 0);
    named.counters.invalidated.fetch_add(1, std::memory_order_relaxed);
    erase_everywhere(named, key);
}

void Stack::erase_everywhere(const Cache& cache, std::string_view key) {
    const std::string tier_key = TierKey{cache.name, key}.text;
    const Consistency consistency = consistency_of(cache);
    spoil_flight(tier_key);
    locked_.erase(tier_key);
    for (const auto& tier : tiers_) {
        if (!tier->blocking() && !stamped(*tier, consistency)) {
            tier->erase(tier_key, now_ns());
        }
    }
    if (any_blocking_) {
        settle_later(tier_key, [this, consistency, tier_key] {
            erase_blocking(consistency, tier_key);
        });
    }
    renew({key_scope(cache.tag, key)});
}

void Stack::erase_blocking(Consistency consistency, const std::string& tier_key) {
    for (const auto& tier : tiers_) {
        if (tier->blocking() && asked(*tier, consistency) && !stamped(*tier, consistency)) {
            tier->erase(tier_key, now_ns());
        }
    }
}

void Stack::invalidate_tag(std::string_view tag) {
    const std::uint64_t hash = checked_tag(tag);
    tags_.invalidate(hash, next_sequence(), now_ns());
    drop_locked();
    // One stamp for all caches, also those that only other servers have opened.
    renew({clock_scope(k_every_cache), hash});
}

void Stack::event(std::string_view event, std::string_view tag) {
    const std::uint64_t hash = checked_tag(tag);
    const auto settings = settings_.read();
    const auto found = settings->events.find(std::string{event});
    if (found == settings->events.end()) {
        return;
    }
    for (const std::string& name : found->second) {
        const std::uint32_t id = open(name);
        Cache& cache = cache_at(id);
        cache.counters.invalidated.fetch_add(1, std::memory_order_relaxed);
        tags_.invalidate(tag_scope(cache.tag, hash), next_sequence(), now_ns());
        drop_locked();
        renew_tag(id, hash);
    }
}

void Stack::invalidate_cache(std::string_view name) {
    Cache& cache = cache_at(open(name));
    cache.counters.invalidated.fetch_add(1, std::memory_order_relaxed);
    tags_.invalidate(cache.tag, next_sequence(), now_ns());
    cache.index.forget_expired(INT64_MAX);
    drop_locked();
    renew({cache.tag});
}

void Stack::clear() {
    for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
        invalidate_cache(caches_[i]->name);
    }
    const auto clear_all = [this](bool blocking) {
        for (const auto& tier : tiers_) {
            if (tier->blocking() == blocking) {
                tier->clear(now_ns());
            }
        }
    };
    clear_all(false);
    // Servers that share a tier may have caches that this one does not know.
    if (!on_reactor()) {
        clear_all(true);
    } else if (any_blocking_ && !later([clear_all] { clear_all(true); })) {
        forgo();
    }
}

void Stack::sweep() {
    drop_locked();
    remember_hottest();
    for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
        caches_[i]->index.forget_expired(now_ns());
    }
    tags_.forget_before(
        now_ns() - longest_ns_.load() - std::chrono::nanoseconds{std::chrono::minutes{10}}.count()
    );
}

void Stack::each_cache(const EachCache& body) const {
    for (std::uint32_t i = 0; i < cache_count_.load(std::memory_order_acquire); ++i) {
        body(caches_[i]->name, caches_[i]->counters, caches_[i]->index.size());
    }
}

std::string Stack::stats() const {
    std::string out{"{"};
    const auto number = [&out](std::string_view name, std::uint64_t value) {
        out.append(",\"").append(name).append("\":").append(std::to_string(value));
    };
    each_cache([&](const std::string& name, const CacheCounters& c, std::uint64_t entries) {
        const std::uint64_t hits = c.hits.load();
        const std::uint64_t misses = c.misses.load();
        const std::uint64_t permille = hits + misses == 0 ? 0 : hits * 1000 / (hits + misses);
        const std::string digits = std::to_string(1000 + permille % 1000).substr(1);
        append_json(out, name);
        out.append(":{\"hit_rate\":")
            .append(permille == 1000 ? "1" : "0")
            .append(".")
            .append(digits);
        number("size", entries);
        number("hits", hits);
        number("misses", misses);
        number("evictions", c.evictions.load());
        number("negative_hits", c.negative_hits.load());
        number("stale", c.stale.load());
        number("joined", c.joined.load());
        number("loads", c.loads.load());
        number("load_errors", c.load_errors.load());
        number("puts", c.puts.load());
        number("invalidated", c.invalidated.load());
        number("early", c.early.load());
        number("warmed", c.warmed.load());
        number("prefetched", c.prefetched.load());
        out.append(",\"tier_hits\":{");
        for (std::size_t i = 0; i < std::min(tiers_.size(), c.tier_hits.size()); ++i) {
            out.append(i == 0 ? "" : ",");
            append_json(out, tiers_[i]->name());
            out.append(":").append(std::to_string(c.tier_hits[i].load()));
        }
        out.append("}},");
    });
    out.append("\"tiers\":{");
    for (const auto& tier : tiers_) {
        const tenon_cache_tier_stats stats = tier->stats();
        out.append(tier == tiers_.front() ? "" : ",");
        append_json(out, tier->name());
        out.append(":{\"up\":").append(tier->up() ? "true" : "false");
        out.append(",\"suspect\":").append(tier->suspect() ? "true" : "false");
        number("entries", stats.entries);
        number("bytes", stats.bytes);
        number("bytes_max", stats.bytes_max);
        number("hits", stats.hits);
        number("misses", stats.misses);
        number("puts", stats.puts);
        number("erased", stats.erased);
        number("evicted", stats.evicted);
        number("expired", stats.expired);
        out.append("}");
    }
    return out.append("}}");
}

}  // namespace tenon::cache_stack
