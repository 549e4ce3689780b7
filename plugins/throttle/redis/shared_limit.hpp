// SPDX-License-Identifier: Apache-2.0
// One limit on this server: tokens that were taken from Redis ahead of need, by key, and the budget
// that stands in for them without Redis.
//
// Keys are known by a 64-bit hash (two that collide share a budget) in a table of fixed size. When
// all places that a key may have are in use, it is charged to a budget that all such keys share.
// take, give, wait and block make no system call, take no lock and do not allocate.
#pragma once

#include "plugins/throttle/redis/plan.hpp"

#include <tenon/throttle_limits.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::redis_throttle {

// What a limit is set to.
struct LimitSettings : ThrottleLimitSettings {
    std::int64_t servers = 1;
};

// The budget of a key.
struct Place {
    std::atomic<std::uint64_t> key{0};        // 0: free
    std::atomic<std::int64_t> tokens{0};      // held; below 0 after the limit was lowered
    std::atomic<std::int64_t> wanted{0};      // a request that was refused asked for so many
    std::atomic<std::int64_t> wait_ns{0};     // until more tokens come, as last known
    std::atomic<std::int64_t> tat_ns{0};      // without Redis: when the budget is full again
    std::atomic<std::uint32_t> cut{0};        // the loss of Redis that tat_ns knows of
    std::atomic<std::int64_t> blocked_ns{0};  // the upstream said not to come before that
    std::atomic<bool> used{false};            // since the last sweep
    std::atomic<bool> tell_block{false};      // the other servers do not know of blocked_ns
    bool refilling = false;                   // the leases' thread's
};

// How take decides, the same for all claims of a request.
struct Mode {
    bool leased;        // Redis is there
    std::uint32_t cut;  // how often it was lost
};

class SharedLimit {
public:
    // As ThrottleLimits (tenon/throttle_limits.hpp) has them.
    using Settings = LimitSettings;
    using Terms = Plan;

    SharedLimit(const LimitSettings& settings, const Plan& plan);

    [[nodiscard]] static Plan terms_of(const LimitSettings& settings, const ThrottleRate& rate);
    // The same on every server: it is part of the key in Redis.
    [[nodiscard]] static std::uint64_t key_of(std::string_view key) noexcept;

    [[nodiscard]] Plan terms() const noexcept { return plan(); }

    void set_terms(const Plan& plan) { set_plan(plan); }

    [[nodiscard]] std::int64_t most() const noexcept { return plan().most; }

    [[nodiscard]] std::int64_t burst() const noexcept { return plan().rate.burst; }

    [[nodiscard]] std::int64_t rate_per_second() const noexcept { return plan().per_second; }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    [[nodiscard]] const Plan& plan() const noexcept { return *plan_.load(); }

    // [any] The part of one server, without Redis: of as many as there were when it was lost.
    [[nodiscard]] Rate alone() const noexcept {
        const Plan& plan = this->plan();
        const std::int64_t servers = servers_.load(std::memory_order_relaxed);
        return servers == 0 ? plan.alone : part_of(plan.rate, servers);
    }

    // How many servers share the limit.
    void set_servers(std::int64_t servers) noexcept { servers_.store(servers); }

    // [nonblock] `tell`: the other servers are to be told.
    void block(std::uint64_t key, std::int64_t until, bool tell) noexcept;

    // [any, one at a time] What was taken stays taken.
    void set_plan(const Plan& plan);

    // The latest time of all calls, from the first one on: it does not go back.
    [[nodiscard]] std::int64_t advance(std::int64_t now_ns) noexcept;

    // How far the caller's time is behind it.
    [[nodiscard]] std::int64_t lag(std::int64_t now_ns) const noexcept {
        return std::max<std::int64_t>(latest_ns_.load() - (now_ns - base_ns_.load()), 0);
    }

    [[nodiscard]] Place& place(std::uint64_t key) noexcept;
    // nullptr: nothing was ever taken for it.
    [[nodiscard]] Place* find(std::uint64_t key) noexcept;

    // ns until `cost` may be taken, as far as is known; 0: now.
    [[nodiscard]] std::int64_t
    wait(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept;
    [[nodiscard]] bool take(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept;
    void give(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept;
    // As give, of a take just before, whole: what a dear request has waited for is not lost because
    // another of its limits was not there yet.
    void put_back(Place& place, std::int64_t cost, std::int64_t now, Mode mode) noexcept;
    [[nodiscard]] std::int64_t available(Place& place, std::int64_t now, Mode mode) noexcept;

    // Marks a key that needs tokens; the leases' thread takes the marks away.
    void mark(const Place& place) noexcept;

    // Calls body(place) for each key that was marked since the last call.
    template <class Body>
    void each_marked(Body body) {
        for (std::size_t i = 0; i < marks_.size(); ++i) {
            std::uint64_t bits = marks_[i].load(std::memory_order_relaxed);
            bits = bits == 0 ? 0 : marks_[i].exchange(0);
            for (; bits != 0; bits &= bits - 1) {
                body(places_[i * 64 + static_cast<std::size_t>(__builtin_ctzll(bits))]);
            }
        }
    }

    // What was held before Redis came (back) is not known there.
    void drop_tokens() noexcept;
    // [leases' thread] Frees keys that nobody used since the last call and whose budget is full;
    // while tokens are leased, the others are marked to be filled.
    void sweep(bool leased) noexcept;

    [[nodiscard]] std::uint64_t keys() const noexcept { return keys_.load(); }

    void count(bool taken) noexcept {
        (taken ? taken_ : limited_).fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_.load(); }

    [[nodiscard]] std::uint64_t limited() const noexcept { return limited_.load(); }

private:
    static constexpr std::size_t k_window = 16;  // places that a key may have

    [[nodiscard]] std::int64_t tat(Place& place, std::int64_t now, Mode mode) noexcept;

    [[nodiscard]] static std::uint64_t stored(std::uint64_t key) noexcept {
        return key < 2 ? key + 2 : key;
    }

    std::string name_;
    std::size_t mask_;
    // One more than there are keys: the last is of those that found no place.
    std::vector<Place> places_;
    std::vector<std::atomic<std::uint64_t>> marks_;
    std::mutex mutex_;                                // of the plans
    std::vector<std::unique_ptr<const Plan>> plans_;  // all there were: readers hold no lock
    std::atomic<const Plan*> plan_;
    std::atomic<std::int64_t> servers_{0};  // 0: not known
    std::atomic<std::int64_t> base_ns_{INT64_MIN}, latest_ns_{0};
    std::atomic<std::uint64_t> keys_{0}, taken_{0}, limited_{0};
};

}  // namespace tenon::redis_throttle
