// SPDX-License-Identifier: Apache-2.0
// One coarse timer for many connections: buckets of a fixed width, passed by once each.
//
// An entry is never moved: who is still alive and not due when its bucket comes is put in again. So
// a connection that only pushes its deadline out pays nothing. Reads no clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tenon::http {

class TimerWheel {
public:
    static constexpr std::int64_t k_tick_ns = 250'000'000;

    explicit TimerWheel(std::int64_t now_ns) : tick_{now_ns / k_tick_ns} {}

    // Returns when the entry comes up: the deadline rounded up to a tick, or the wheel's end.
    std::int64_t add(std::uint64_t id, std::int64_t deadline_ns) {
        std::int64_t tick = (deadline_ns + k_tick_ns - 1) / k_tick_ns;
        tick = tick <= tick_ ? tick_ + 1 : tick;
        const auto horizon = tick_ + static_cast<std::int64_t>(k_buckets) - 1;
        tick = tick > horizon ? horizon : tick;
        bucket(tick).push_back(id);
        return tick * k_tick_ns;
    }

    // Calls due(id) for every entry whose bucket has passed. `due` may add.
    template <class Due>
    void advance(std::int64_t now_ns, Due due) {
        // A long sleep passes each bucket once: all of them are due then.
        const std::int64_t until = now_ns / k_tick_ns;
        if (until - tick_ > static_cast<std::int64_t>(k_buckets)) {
            tick_ = until - static_cast<std::int64_t>(k_buckets);
        }
        while (tick_ < until) {
            ++tick_;
            std::vector<std::uint64_t> ids;
            ids.swap(bucket(tick_));
            for (const std::uint64_t id : ids) {
                due(id);
            }
        }
    }

private:
    static constexpr std::size_t k_buckets = 512;  // about two minutes

    std::vector<std::uint64_t>& bucket(std::int64_t tick) {
        return buckets_[static_cast<std::size_t>(tick) % k_buckets];
    }

    std::int64_t tick_;
    std::array<std::vector<std::uint64_t>, k_buckets> buckets_;
};

}  // namespace tenon::http
