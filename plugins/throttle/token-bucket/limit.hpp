// SPDX-License-Identifier: Apache-2.0
// One limit: its rate, which may change while it is in use, and the budgets of its keys.
//
// Keys are known by a 64-bit hash (two that collide share a budget) in a table of fixed size. A
// known key is found in one cache line, as a rule, and charged by one compare-and-swap, without a
// lock. A new one takes a lock, and the place of a key whose budget is full when there is no free
// one: such a key has nothing to remember. When all places that a key may have are in use, it is
// charged to a budget that all such keys share, so that a flood of keys neither grows the memory
// nor gets around the limit.
//
// A place that changes hands is first marked as moving. Who has charged a place looks at its key
// once more: either the charge came before the hand-over, which then does not happen, or the key is
// another one by then, and the charge is taken back and made where it belongs.
#pragma once

#include "plugins/throttle/token-bucket/rate.hpp"
#include "plugins/throttle/token-bucket/striped_counts.hpp"

#include <tenon/key_hash.hpp>
#include <tenon/throttle_limits.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace tenon::token_bucket {

class Limit {
public:
    // As ThrottleLimits (tenon/throttle_limits.hpp) has them.
    using Settings = ThrottleLimitSettings;
    using Terms = Rate;

    Limit(const Settings& settings, const Rate& rate);

    [[nodiscard]] static Rate terms_of(const Settings& settings, const ThrottleRate& rate);

    [[nodiscard]] static std::uint64_t key_of(std::string_view key) noexcept {
        const std::uint64_t hash = key_hash(key);
        return hash <= k_moving ? hash + 2 : hash;
    }

    [[nodiscard]] Rate terms() const noexcept { return rate(); }

    void set_terms(const Rate& rate) { set_rate(rate); }

    [[nodiscard]] std::int64_t most() const noexcept { return rate().burst; }

    [[nodiscard]] std::int64_t burst() const noexcept { return rate().burst; }

    [[nodiscard]] std::int64_t rate_per_second() const noexcept { return rate().per_second; }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    [[nodiscard]] Rate rate() const noexcept { return rate_of(generation_.load()); }

    // [nonblock] The latest time of all calls, in ticks since the first: time does not go back.
    [[nodiscard]] std::int64_t advance(std::int64_t now_ns) noexcept;

    // From the caller's time until that tick; at least 1.
    [[nodiscard]] std::int64_t until_ns(std::int64_t tick, std::int64_t now_ns) const noexcept {
        return std::max<std::int64_t>((tick << k_tick_bits) + base_ns_.load() - now_ns, 1);
    }

    // [control] Counts from the latest time on; budgets keep what was taken.
    void set_rate(const Rate& rate);

    // [nonblock] for known keys, as tenon_throttle_1.take of this limit alone; counted.
    [[nodiscard]] tenon_status take_one(
        std::uint64_t key,
        std::int64_t cost,
        std::int64_t now_ns,
        std::int64_t& retry_after_ns
    ) noexcept;

    // [nonblock] for known keys. Ticks to wait before `cost` could be taken; 0: now.
    [[nodiscard]] std::int64_t wait(std::uint64_t key, std::int64_t cost, std::int64_t now);
    // Takes and gives 0, or changes nothing and gives the ticks to wait.
    [[nodiscard]] std::int64_t take(std::uint64_t key, std::int64_t cost, std::int64_t now);
    void refund(std::uint64_t key, std::int64_t cost, std::int64_t now);
    // The budget is at most what is left after `used`, and empty before `blocked` ticks are over.
    void restrict(std::uint64_t key, std::int64_t used, std::int64_t blocked, std::int64_t now);
    // The TAT under the rate in force; `now` when the key is not known.
    [[nodiscard]] std::int64_t tat(std::uint64_t key, std::int64_t now) const noexcept;

    [[nodiscard]] std::uint64_t keys() const noexcept { return keys_.load(); }

    void count(bool taken) noexcept { counts_.add(taken); }

    [[nodiscard]] std::uint64_t taken() const noexcept { return counts_.taken(); }

    [[nodiscard]] std::uint64_t limited() const noexcept { return counts_.limited(); }

private:
    struct Place {
        std::atomic<std::uint64_t> key{0};  // k_free, k_moving, or whose it is
        std::atomic<std::uint64_t> budget{0};
    };

    struct alignas(64) Line {
        std::array<Place, 4> places;
    };

    struct AtomicRate {
        std::atomic<std::int64_t> interval_ticks{1}, burst{1}, per_second{0};
    };

    static constexpr std::uint64_t k_free = 0, k_moving = 1;
    static constexpr std::size_t k_window = 4;  // lines that a key may have its place in

    [[nodiscard]] Rate rate_of(std::uint32_t generation) const noexcept;
    void keep_rate(std::uint32_t generation, const Rate& rate) noexcept;
    // Whose it is, when that is decided.
    [[nodiscard]] static std::uint64_t owner(const Place& place) noexcept;
    // nullptr: it is somebody else's.
    [[nodiscard]] Place* hand_over(Place& place, std::uint64_t key, std::int64_t now) noexcept;
    [[nodiscard]] Place* find(std::uint64_t key) const noexcept;
    [[nodiscard]] Place& find_or_make(std::uint64_t key, std::int64_t now);
    [[nodiscard]] std::int64_t
    tat_now(std::uint64_t word, std::uint32_t generation, std::int64_t now) const noexcept;

    [[nodiscard]] tenon_status refuse(
        std::int64_t wait,
        std::int64_t now,
        std::int64_t now_ns,
        std::int64_t& retry_after_ns
    ) noexcept;

    // What was charged to a place that was not the key's any more. False: it was the key's.
    [[nodiscard]] bool
    take_back(Place& place, std::uint64_t key, std::int64_t added, std::int64_t now) noexcept;

    // Changes a budget until nobody was faster. `change` gives the new TAT, or the old one to leave
    // it.
    template <class Change>
    void update(Place& place, std::int64_t now, Change change);
    // The same for a key, wherever it is by then.
    template <class Change>
    void update_key(std::uint64_t key, std::int64_t now, Change change);

    [[nodiscard]] std::int64_t latest_ticks() const noexcept;

    // Read by every take, changed hardly ever.
    std::string name_;
    std::size_t mask_;  // of the lines
    std::unique_ptr<Line[]> lines_;
    std::atomic<std::uint32_t> generation_{0};
    std::atomic<std::int64_t> base_ns_{INT64_MIN};  // INT64_MIN: no call yet
    std::array<AtomicRate, 256> rates_;
    // Changed by those who take.
    alignas(64) std::atomic<std::int64_t> latest_ns_{INT64_MIN};
    alignas(64) mutable Place shared_;
    std::mutex mutex_;  // of new keys and new rates
    std::atomic<std::uint64_t> keys_{0};
    StripedCounts counts_;
};

}  // namespace tenon::token_bucket
