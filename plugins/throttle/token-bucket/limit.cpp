// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/token-bucket/limit.hpp"

#include <bit>

namespace tenon::token_bucket {

Rate Limit::terms_of(const Settings& settings, const ThrottleRate& rate) {
    const Rate out = make_rate(rate.count, rate.period_ns, rate.burst);
    if (out.burst > k_burst_ticks_max / out.interval_ticks) {
        throw Error{
            TENON_INVALID,
            "limit " + settings.name + ": its burst takes over 100 days to come back"};
    }
    return out;
}

Limit::Limit(const Settings& settings, const Rate& rate)
    : name_{settings.name},
      mask_{std::bit_ceil(std::max<std::size_t>(settings.keys_max / 2, k_window)) - 1},
      lines_{std::make_unique<Line[]>(mask_ + 1)} {
    keep_rate(0, rate);
}

Rate Limit::rate_of(std::uint32_t generation) const noexcept {
    const AtomicRate& rate = rates_[generation & 0xff];
    return {
        rate.interval_ticks.load(std::memory_order_relaxed),
        rate.burst.load(std::memory_order_relaxed),
        rate.per_second.load(std::memory_order_relaxed)};
}

void Limit::keep_rate(std::uint32_t generation, const Rate& rate) noexcept {
    AtomicRate& kept = rates_[generation & 0xff];
    kept.interval_ticks = rate.interval_ticks;
    kept.burst = rate.burst;
    kept.per_second = rate.per_second;
}

Limit::Place* Limit::find(std::uint64_t key) const noexcept {
    for (std::size_t i = 0; i < k_window; ++i) {
        for (Place& place : lines_[(key + i) & mask_].places) {
            const std::uint64_t has = place.key.load(std::memory_order_acquire);
            if (has == key) {
                return &place;
            }
            if (has == k_free) {
                return nullptr;
            }
        }
    }
    return nullptr;
}

std::uint64_t Limit::owner(const Place& place) noexcept {
    std::uint64_t key = place.key.load();
    while (key == k_moving) {
        key = place.key.load();
    }
    return key;
}

std::int64_t Limit::tat_now(std::uint64_t word, std::uint32_t generation, std::int64_t now)
    const noexcept {
    const Budget budget = Budget::unpack(word);
    if (budget.generation == (generation & 0xff)) {
        return budget.tat;
    }
    return convert_tat(budget.tat, now, rate_of(budget.generation), rate_of(generation));
}

Limit::Place* Limit::hand_over(Place& place, std::uint64_t key, std::int64_t now) noexcept {
    const std::uint32_t generation = generation_.load();
    // What the shared budget owes may be this key's.
    const std::int64_t tat = std::max(now, tat_now(shared_.budget.load(), generation, now));
    const std::uint64_t fresh = Budget{tat, static_cast<std::uint8_t>(generation)}.pack();
    const std::uint64_t before = place.key.load();
    if (before == k_free) {
        place.budget.store(fresh);
        place.key.store(key);
        keys_.fetch_add(1);
        return &place;
    }
    std::uint64_t word = place.budget.load();
    if (tat_now(word, generation, now) > now) {
        return nullptr;
    }
    place.key.store(k_moving);
    const bool moved = place.budget.compare_exchange_strong(word, fresh);
    place.key.store(moved ? key : before);
    return moved ? &place : nullptr;
}

Limit::Place& Limit::find_or_make(std::uint64_t key, std::int64_t now) {
    if (Place* const found = find(key)) {
        return *found;
    }
    const std::lock_guard lock{mutex_};
    if (Place* const made = find(key)) {  // by somebody else, meanwhile
        return *made;
    }
    for (std::size_t i = 0; i < k_window; ++i) {
        for (Place& place : lines_[(key + i) & mask_].places) {
            if (Place* const made = hand_over(place, key, now)) {
                return *made;
            }
        }
    }
    return shared_;
}

template <class Change>
void Limit::update(Place& place, std::int64_t now, Change change) {
    std::uint64_t word = place.budget.load();
    while (true) {
        const std::uint32_t generation = generation_.load();
        const std::int64_t tat = tat_now(word, generation, now);
        const std::int64_t next = change(tat, rate_of(generation));
        if (next == tat) {
            return;
        }
        const Budget changed{next, static_cast<std::uint8_t>(generation)};
        if (place.budget.compare_exchange_weak(word, changed.pack())) {
            return;
        }
    }
}

template <class Change>
void Limit::update_key(std::uint64_t key, std::int64_t now, Change change) {
    while (true) {
        Place& place = find_or_make(key, now);
        if (&place == &shared_) {
            update(place, now, change);
            return;
        }
        std::int64_t added = 0;
        update(place, now, [&](std::int64_t tat, const Rate& rate) {
            const std::int64_t next = change(tat, rate);
            added = next == tat ? 0 : next - std::max(tat, now);
            return next;
        });
        if (owner(place) == key) {
            return;
        }
        // The place has gone to another key in between: that one's budget was charged.
        update(place, now, [&](std::int64_t tat, const Rate&) { return tat - added; });
    }
}

std::int64_t Limit::advance(std::int64_t now_ns) noexcept {
    std::int64_t base = base_ns_.load(std::memory_order_relaxed);
    if (base == INT64_MIN) {
        now_ns = std::max(now_ns, INT64_MIN + 1);
        base_ns_.compare_exchange_strong(base, now_ns);
    }
    std::int64_t latest = latest_ns_.load(std::memory_order_relaxed);
    while (now_ns > latest &&
           !latest_ns_.compare_exchange_weak(latest, now_ns, std::memory_order_relaxed)) {}
    return latest_ticks();
}

std::int64_t Limit::latest_ticks() const noexcept {
    const std::int64_t base = base_ns_.load(std::memory_order_relaxed);
    const std::int64_t latest = latest_ns_.load(std::memory_order_relaxed);
    return latest <= base ? 0 : (latest - base) >> k_tick_bits;
}

void Limit::set_rate(const Rate& rate) {
    const std::lock_guard lock{mutex_};
    const std::int64_t now = latest_ticks();
    const std::uint32_t next = generation_.load() + 1;
    keep_rate(next, rate);
    generation_.store(next);
    // All of them now, so that no word is older than one generation.
    const auto convert = [&](Place& place) {
        std::uint64_t word = place.budget.load();
        while (Budget::unpack(word).generation != (next & 0xff)) {
            const Budget changed{tat_now(word, next, now), static_cast<std::uint8_t>(next)};
            if (place.budget.compare_exchange_weak(word, changed.pack())) {
                break;
            }
        }
    };
    convert(shared_);
    for (std::size_t i = 0; i <= mask_; ++i) {
        for (Place& place : lines_[i].places) {
            if (place.key.load() != k_free) {
                convert(place);
            }
        }
    }
}

std::int64_t Limit::tat(std::uint64_t key, std::int64_t now) const noexcept {
    const Place* const place = find(key);
    return place == nullptr ? now : tat_now(place->budget.load(), generation_.load(), now);
}

std::int64_t Limit::wait(std::uint64_t key, std::int64_t cost, std::int64_t now) {
    const std::uint32_t generation = generation_.load();
    Place& place = find_or_make(key, now);
    return wait_ticks(
        tat_now(place.budget.load(), generation, now), now, cost, rate_of(generation)
    );
}

// Not in line with take_one, which is short without it.
bool Limit::take_back(
    Place& place,
    std::uint64_t key,
    std::int64_t added,
    std::int64_t now
) noexcept {
    if (owner(place) == key) {
        return false;
    }
    update(place, now, [&](std::int64_t charged, const Rate&) { return charged - added; });
    return true;
}

tenon_status Limit::take_one(
    std::uint64_t key,
    std::int64_t cost,
    std::int64_t now_ns,
    std::int64_t& retry_after_ns
) noexcept {
    const std::uint32_t generation = generation_.load(std::memory_order_acquire) & 0xff;
    const AtomicRate& rate = rates_[generation];
    const std::int64_t interval = rate.interval_ticks.load(std::memory_order_relaxed);
    const std::int64_t burst = rate.burst.load(std::memory_order_relaxed);
    if (cost > burst) {
        return TENON_INVALID;
    }
    const std::int64_t now = advance(now_ns);
    if (Place* const place = find(key)) {
        std::uint64_t word = place->budget.load(std::memory_order_acquire);
        const std::int64_t added = cost * interval;
        const std::int64_t tat = std::max(static_cast<std::int64_t>(word) >> 8, now) + added;
        const std::int64_t wait = tat - now - burst * interval;
        const std::uint64_t charged = static_cast<std::uint64_t>(tat) << 8 | generation;
        const bool known = (word & 0xff) == generation;
        if (known && wait > 0 && place->key.load() == key) {
            return refuse(wait, now, now_ns, retry_after_ns);
        }
        if (known && wait <= 0 && place->budget.compare_exchange_strong(word, charged) &&
            (place->key.load() == key || !take_back(*place, key, added, now))) {
            count(true);
            retry_after_ns = 0;
            return TENON_OK;
        }
    }
    // A new key, a new rate, or another thread was faster: the long way round.
    if (const std::int64_t wait = take(key, cost, now); wait != 0) {
        return refuse(wait, now, now_ns, retry_after_ns);
    }
    count(true);
    retry_after_ns = 0;
    return TENON_OK;
}

tenon_status Limit::refuse(
    std::int64_t wait,
    std::int64_t now,
    std::int64_t now_ns,
    std::int64_t& retry_after_ns
) noexcept {
    count(false);
    retry_after_ns = until_ns(now + wait, now_ns);
    return TENON_LIMITED;
}

std::int64_t Limit::take(std::uint64_t key, std::int64_t cost, std::int64_t now) {
    std::int64_t wait = 0;
    update_key(key, now, [&](std::int64_t tat, const Rate& rate) {
        wait = wait_ticks(tat, now, cost, rate);
        return wait == 0 ? std::max(tat, now) + cost * rate.interval_ticks : tat;
    });
    return wait;
}

void Limit::refund(std::uint64_t key, std::int64_t cost, std::int64_t now) {
    if (Place* const place = find(key)) {
        update(*place, now, [&](std::int64_t tat, const Rate& rate) {
            return tat <= now ? tat : std::max(tat - cost * rate.interval_ticks, now);
        });
    }
}

void Limit::restrict(std::uint64_t key, std::int64_t used, std::int64_t blocked, std::int64_t now) {
    update_key(key, now, [&](std::int64_t tat, const Rate& rate) {
        std::int64_t least = now + std::min(used, rate.burst) * rate.interval_ticks;
        if (blocked > 0) {
            // One unit comes back when the time is over: what follows begins slowly.
            least = std::max(least, now + blocked + rate.burst_ticks() - rate.interval_ticks);
        }
        return std::max(tat, least);
    });
}

}  // namespace tenon::token_bucket
