// SPDX-License-Identifier: Apache-2.0
// Loads that nobody waits for: of entries that are stale, that soon will be, that are to be there
// after a start, that will probably be asked for next.
#include "plugins/cache/stack/flight.hpp"
#include "plugins/cache/stack/stack.hpp"

#include <tenon/byte_codec.hpp>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <tuple>

namespace tenon::cache_stack {
namespace {

constexpr std::string_view k_hot_prefix = "~w:";
constexpr std::int64_t k_hot_ttl_ns = 24LL * 3600 * 1'000'000'000;

// Another number each time, of the calling thread (xorshift64*, Vigna 2014).
std::uint64_t any_number() noexcept {
    thread_local std::uint64_t state =
        std::hash<std::thread::id>{}(std::this_thread::get_id()) * 2 + 1;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dU;
}

}  // namespace

// XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention",
// VLDB 2015): the nearer the end and the longer a load, the likelier that this request begins it.
// So keys that are asked for often are loaded anew before they go, and others are not.
bool Stack::due_early(const Cache& cache, const Entry& entry) const {
    constexpr std::int64_t k_reach = 16;  // loads' times; earlier is as good as never
    const std::int64_t load_ns = cache.load_ns.load(std::memory_order_relaxed);
    if (load_ns <= 0 || entry.envelope.negative) {
        return false;
    }
    const std::int64_t scaled_ns = load_ns / 100 * settings_->early_percent;
    if (entry.fresh_ns > scaled_ns * k_reach) {
        return false;
    }
    const double part = static_cast<double>((any_number() >> 11) + 1) /
                        static_cast<double>(std::uint64_t{1} << 53U);
    return -std::log(part) * static_cast<double>(scaled_ns) >= static_cast<double>(entry.fresh_ns);
}

void Stack::asked(std::uint32_t id, Cache& cache, std::string_view key, const Entry* entry) {
    if (cache.refreshes.load(std::memory_order_relaxed)) {
        if (entry != nullptr && entry->stale) {
            refresh_later(id, key, Reason::stale);
        } else if (entry != nullptr && due_early(cache, *entry)) {
            refresh_later(id, key, Reason::early);
        }
        if (settings_->warm_hottest != 0 && settings_->warming) {
            cache.hot.asked(key, any_number());
        }
    }
    if (Ahead* const ahead = ahead_now_.load(std::memory_order_relaxed)) {
        predict(ahead->by_key, hash_of(key), id, key);
        predict(
            ahead->by_thread, std::hash<std::thread::id>{}(std::this_thread::get_id()), id, key
        );
    }
}

void Stack::predict(
    Predictor& predictor,
    std::uint64_t session,
    std::uint32_t id,
    std::string_view key
) {
    const std::int64_t now = now_ns();
    const auto next = predictor.asked(session, id, key, now);
    if (!next) {
        return;
    }
    Cache& cache = cache_at(next->cache);
    if (!cache.refreshes.load() || look(cache, next->key, TierKey{cache.name, next->key}, false)) {
        return;
    }
    const std::int64_t ttl_ns =
        std::chrono::nanoseconds{settings_.read()->times_of(cache.name).ttl}.count();
    const bool free = !upstream_free_ || upstream_free_();
    if (predictor.missing(*next, now, now + ttl_ns, free) &&
        refresh_later(next->cache, next->key, Reason::ahead)) {
        cache.counters.prefetched.fetch_add(1, std::memory_order_relaxed);
    }
}

bool Stack::refresh_later(std::uint32_t id, std::string_view key, Reason reason) {
    Cache& cache = cache_at(id);
    const TierKey tier_key{cache.name, key};
    void* ctx = nullptr;
    RefreshFn load = nullptr;
    {
        const std::lock_guard lock{cache.refresh_mutex};
        if (!cache.refreshes.load()) {
            return false;
        }
        ctx = cache.refresh_ctx;
        load = cache.refresh;
        cache.refreshing.enter();
    }
    const std::int64_t deadline_ns =
        now_ns() + std::chrono::nanoseconds{settings_->refresh_timeout}.count();
    std::shared_ptr<Flight> flight;
    bool mine = false;
    try {
        std::tie(flight, mine) = join_or_begin(tier_key.text, deadline_ns, true);
    } catch (...) {
        cache.refreshing.leave();
        throw;
    }
    if (!mine) {
        cache.refreshing.leave();
        return false;
    }
    flight->early = reason == Reason::early;
    if (flight->early) {
        cache.counters.early.fetch_add(1, std::memory_order_relaxed);
    }
    // What is fetched ahead may be in a tier that blocks: that is no reason to load it.
    const bool also_blocking = reason == Reason::ahead;
    const auto refused = guard(&flight->error, [&, held = flight] {
        run_blocking(
            services_.exec,
            [this, &cache, held, ctx, load, deadline_ns, also_blocking, text = std::string{key}] {
                const Leaving leaving{cache.refreshing};
                fly(cache, text, held, also_blocking, deadline_ns, [&](auto... args) {
                    return load(ctx, bytes(text), args...);
                });
            }
        );
    });
    if (refused != TENON_OK) {  // the pool is full: the next request tries again
        flight->status = refused;
        end_flight(tier_key.text, flight);
        cache.refreshing.leave();
        return false;
    }
    return true;
}

std::string Stack::prefetch_stats() const {
    const Ahead* const ahead = ahead_now_.load();
    if (ahead == nullptr) {
        return "{}";
    }
    const auto one = [](std::string_view name, const Predictor& predictor) {
        const Predictor::Numbers n = predictor.numbers();
        return "\"" + std::string{name} + "\":{\"on\":" + (n.on ? "true" : "false") +
               ",\"right_percent\":" + std::to_string(n.percent) +
               ",\"predicted\":" + std::to_string(n.predicted) +
               ",\"right\":" + std::to_string(n.right) +
               ",\"fetched\":" + std::to_string(n.fetched) +
               ",\"in_vain\":" + std::to_string(n.in_vain) + "}";
    };
    return "{" + one("by_key", ahead->by_key) + "," + one("by_thread", ahead->by_thread) + "}";
}

void Stack::want_warm(std::uint32_t id) {
    const Cache& cache = cache_at(id);
    std::vector<std::string> keys = settings_.read()->times_of(cache.name).warm;
    {
        const std::lock_guard lock{warm_mutex_};
        for (std::string& key : keys) {
            warm_.emplace_back(id, std::move(key));
        }
    }
    if (settings_->warm_hottest == 0 || cache.locked.load()) {
        return;
    }
    (void)later([this, id, &cache] {
        std::vector<std::string> hottest = remembered(cache);
        const std::lock_guard lock{warm_mutex_};
        for (std::string& key : hottest) {
            warm_.emplace_back(id, std::move(key));
        }
    });
}

void Stack::warm_some(std::uint32_t count) {
    for (; count > 0 && !closed_.load() && settings_->warming; --count) {
        std::pair<std::uint32_t, std::string> next;
        {
            const std::lock_guard lock{warm_mutex_};
            if (warm_.empty()) {
                return;
            }
            next = std::move(warm_.front());
            warm_.pop_front();
        }
        Cache& cache = cache_at(next.first);
        if (next.second.empty() || next.second.size() > TENON_CACHE_KEY_MAX ||
            look(cache, next.second, TierKey{cache.name, next.second}, false)) {
            continue;
        }
        if (refresh_later(next.first, next.second, Reason::ahead)) {
            cache.counters.warmed.fetch_add(1, std::memory_order_relaxed);
        }
    }
}

// The hottest keys are an entry in the tiers that block: those outlive this process.
void Stack::remember_hottest() {
    const std::uint32_t most = settings_->warm_hottest;
    for (std::uint32_t i = 0; most != 0 && i < cache_count_.load(); ++i) {
        const std::vector<std::string> keys = caches_[i]->hot.hottest(most);
        if (keys.empty() || caches_[i]->locked.load()) {
            continue;
        }
        std::string data;
        ByteWriter writer{data};
        for (const std::string& key : keys) {
            writer.put_text(key);
        }
        for (const auto& tier : tiers_) {
            if (tier->blocking()) {
                tier->put(
                    std::string{k_hot_prefix} + caches_[i]->name, data, now_ns(), k_hot_ttl_ns
                );
            }
        }
    }
}

std::vector<std::string> Stack::remembered(const Cache& cache) {
    std::vector<std::string> keys;
    for (const auto& tier : tiers_) {
        const auto found = tier->blocking()
                               ? tier->get(std::string{k_hot_prefix} + cache.name, now_ns())
                               : std::nullopt;
        if (!found) {
            continue;
        }
        ByteReader reader{found->data};
        while (reader.ok() && reader.offset() < found->data.size() &&
               keys.size() < HotKeys::k_keys_max) {
            keys.emplace_back(reader.get_text(TENON_CACHE_KEY_MAX));
        }
        if (!reader.ok()) {
            keys.clear();  // somebody else's: nothing is warmed
        }
        break;
    }
    return keys;
}

void Stack::refuse() noexcept {
    if (!closed_.exchange(true)) {
        (void)guard(nullptr, [this] { remember_hottest(); });
    }
}

}  // namespace tenon::cache_stack
