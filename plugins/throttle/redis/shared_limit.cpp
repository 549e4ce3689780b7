// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/redis/shared_limit.hpp"

#include <bit>

namespace tenon::redis_throttle {
namespace {

constexpr std::int64_t k_least_wait_ns = 1'000'000;  // for an answer of Redis

// Of a key that is being freed: who found its place before that has time to finish.
constexpr std::uint64_t k_leaving = 1;

constexpr std::int64_t k_span_max_ns = std::int64_t{100} * 86'400 * k_second_ns;
constexpr std::int64_t k_per_second_max = 10'000'000;  // an interval is whole ns: 1 % at most

}  // namespace

std::uint64_t SharedLimit::key_of(std::string_view key) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a, its high bits mixed into the low ones
    for (const char c : key) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    hash ^= hash >> 32;
    return hash * 0x9e3779b97f4a7c15U;
}

Plan SharedLimit::terms_of(const LimitSettings& limit, const ThrottleRate& rate) {
    if (limit.servers < 1 || limit.servers > 64 || limit.keys_max < 1) {
        throw Error{TENON_INVALID, "1 to 64 servers and at least one key are wanted"};
    }
    if (rate.count > rate.period_ns / (k_second_ns / k_per_second_max)) {
        throw Error{TENON_INVALID, "limit " + limit.name + ": more than 10 million in a second"};
    }
    const std::int64_t interval_ns = rate.period_ns / rate.count + 1;
    if (rate.burst > k_span_max_ns / interval_ns / limit.servers) {
        throw Error{
            TENON_INVALID, "limit " + limit.name + ": its burst takes over 100 days to come back"};
    }
    return make_plan(rate.count, rate.period_ns, rate.burst, limit.servers);
}

SharedLimit::SharedLimit(const LimitSettings& settings, const Plan& plan)
    : name_{settings.name},
      mask_{std::bit_ceil(std::size_t{settings.keys_max}) - 1},
      places_(mask_ + 2),
      marks_(mask_ / 64 + 2) {
    plans_.push_back(std::make_unique<const Plan>(plan));
    plan_.store(plans_.back().get());
    for (Place& place : places_) {
        place.tokens.store(plan.own);
    }
    places_.back().key.store(k_leaving);
}

std::int64_t SharedLimit::advance(std::int64_t now_ns) noexcept {
    std::int64_t base = base_ns_.load(std::memory_order_relaxed);
    if (base == INT64_MIN && base_ns_.compare_exchange_strong(base, now_ns)) {
        base = now_ns;
    }
    const std::int64_t now = now_ns - base;
    std::int64_t latest = latest_ns_.load(std::memory_order_relaxed);
    while (now > latest && !latest_ns_.compare_exchange_weak(latest, now)) {}
    return std::max(now, latest);
}

Place* SharedLimit::find(std::uint64_t key) noexcept {
    for (std::size_t i = 0; i < k_window; ++i) {
        Place& place = places_[(key + i) & mask_];
        if (place.key.load(std::memory_order_acquire) == stored(key)) {
            return &place;
        }
    }
    return nullptr;
}

Place& SharedLimit::place(std::uint64_t key) noexcept {
    if (Place* const known = find(key)) {
        return *known;
    }
    for (std::size_t i = 0; i < k_window; ++i) {
        Place& place = places_[(key + i) & mask_];
        std::uint64_t free = 0;
        if (place.key.compare_exchange_strong(free, stored(key))) {
            keys_.fetch_add(1, std::memory_order_relaxed);
            return place;
        }
        if (free == stored(key)) {
            return place;
        }
    }
    return places_.back();
}

std::int64_t SharedLimit::tat(Place& place, std::int64_t now, Mode mode) noexcept {
    // What was let through before Redis was lost is not known here: the budget begins empty.
    std::uint32_t cut = place.cut.load(std::memory_order_acquire);
    if (cut != mode.cut && place.cut.compare_exchange_strong(cut, mode.cut)) {
        place.tat_ns.store(now + alone().span_ns());
    }
    return std::max(place.tat_ns.load(), now);
}

std::int64_t
SharedLimit::wait(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept {
    const std::int64_t blocked = std::max<std::int64_t>(place.blocked_ns.load() - now, 0);
    if (mode.leased) {
        const bool there = place.tokens.load() >= cost;
        return std::max(blocked, there ? 0 : std::max(place.wait_ns.load(), k_least_wait_ns));
    }
    const Rate alone = this->alone();
    const std::int64_t after = tat(place, now, mode) + cost * alone.interval_ns;
    return std::max({blocked, after - now - alone.span_ns(), std::int64_t{0}});
}

bool SharedLimit::take(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept {
    if (place.blocked_ns.load(std::memory_order_relaxed) > now) {
        return false;
    }
    if (!place.used.load(std::memory_order_relaxed)) {
        place.used.store(true, std::memory_order_relaxed);
    }
    if (mode.leased) {
        std::int64_t have = place.tokens.load(std::memory_order_relaxed);
        while (have >= cost) {
            if (place.tokens.compare_exchange_weak(have, have - cost)) {
                if (have - cost <= plan().own / 2) {
                    mark(place);
                }
                return true;
            }
        }
        if (place.wanted.load(std::memory_order_relaxed) < cost) {
            place.wanted.store(cost, std::memory_order_relaxed);
        }
        mark(place);
        return false;
    }
    const Rate alone = this->alone();
    (void)tat(place, now, mode);
    std::int64_t seen = place.tat_ns.load();
    for (;;) {
        const std::int64_t after = std::max(seen, now) + cost * alone.interval_ns;
        if (after > now + alone.span_ns()) {
            return false;
        }
        if (place.tat_ns.compare_exchange_weak(seen, after)) {
            return true;
        }
    }
}

void SharedLimit::put_back(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept {
    if (mode.leased) {
        place.tokens.fetch_add(cost);
    } else {
        give(place, cost, now, mode);
    }
}

void SharedLimit::give(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept {
    if (mode.leased) {
        // More than it may hold is not kept.
        std::int64_t have = place.tokens.load();
        while (have < plan().own &&
               !place.tokens.compare_exchange_weak(have, std::min(have + cost, plan().own))) {}
        return;
    }
    const std::int64_t back = cost * alone().interval_ns;
    std::int64_t seen = place.tat_ns.load();
    while (seen > now && !place.tat_ns.compare_exchange_weak(seen, std::max(seen - back, now))) {}
}

std::int64_t SharedLimit::available(Place& place, std::int64_t now, Mode mode) noexcept {
    if (place.blocked_ns.load() > now) {
        return 0;
    }
    if (mode.leased) {
        return std::max<std::int64_t>(place.tokens.load(), 0);
    }
    const Rate alone = this->alone();
    return std::max<std::int64_t>(now + alone.span_ns() - tat(place, now, mode), 0) /
           alone.interval_ns;
}

void SharedLimit::block(std::uint64_t key, std::int64_t until, bool tell) noexcept {
    Place& at = place(key);
    std::int64_t seen = at.blocked_ns.load();
    while (seen < until && !at.blocked_ns.compare_exchange_weak(seen, until)) {}
    // Keys that found no place of their own are not known by name.
    if (tell && seen < until && &at != &places_.back()) {
        at.tell_block.store(true);
        mark(at);
    }
}

void SharedLimit::mark(const Place& place) noexcept {
    const auto at = static_cast<std::size_t>(&place - places_.data());
    std::atomic<std::uint64_t>& word = marks_[at / 64];
    const std::uint64_t bit = std::uint64_t{1} << (at % 64);
    if ((word.load(std::memory_order_relaxed) & bit) == 0) {
        word.fetch_or(bit, std::memory_order_relaxed);
    }
}

void SharedLimit::set_plan(const Plan& plan) {
    const std::lock_guard lock{mutex_};
    const Plan before = this->plan();
    plans_.push_back(std::make_unique<const Plan>(plan));
    plan_.store(plans_.back().get());
    const std::int64_t now = latest_ns_.load();
    for (Place& place : places_) {
        place.tokens.fetch_add(plan.own - before.own);
        std::int64_t seen = place.tat_ns.load();
        std::int64_t after = seen;
        do {
            const std::int64_t units = (std::max(seen, now) - now + before.alone.interval_ns - 1) /
                                       before.alone.interval_ns;
            after = now + units * plan.alone.interval_ns;
        } while (seen > now && !place.tat_ns.compare_exchange_weak(seen, after));
    }
}

void SharedLimit::drop_tokens() noexcept {
    for (Place& place : places_) {
        if (place.key.load() != 0) {
            place.tokens.store(0);
            mark(place);
        }
    }
}

void SharedLimit::sweep(bool leased) noexcept {
    const std::int64_t now = latest_ns_.load();
    const Plan& plan = this->plan();
    for (std::size_t i = 0; i <= mask_; ++i) {
        Place& place = places_[i];
        const std::uint64_t key = place.key.load();
        if (key == k_leaving) {
            place.tokens.store(plan.own);
            place.wanted.store(0);
            place.wait_ns.store(0);
            place.tat_ns.store(0);
            place.key.store(0, std::memory_order_release);
        } else if (key > k_leaving && !place.used.exchange(false) && !place.refilling &&
                   place.tat_ns.load() <= now && place.blocked_ns.load() <= now) {
            if (leased && place.tokens.load() < plan.own) {
                place.wanted.store(plan.own);  // filled up first: the next sweep frees it
                mark(place);
            } else {
                place.key.store(k_leaving);
                keys_.fetch_sub(1, std::memory_order_relaxed);
            }
        }
    }
}

}  // namespace tenon::redis_throttle
