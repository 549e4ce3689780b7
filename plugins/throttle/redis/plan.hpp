// SPDX-License-Identifier: Apache-2.0
// What a limit's rate means for one of several servers.
//
// A server holds up to `own` tokens of a key and spends them without asking. They are set aside
// from the burst: the bucket in Redis has `shared` = burst - servers * own for all. So over any
// span of t all servers together let through at most shared + rate * t of what Redis gives, and
// what they held at its begin, which is burst + rate * t, exactly. Without Redis each has its part
// of rate and burst.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tenon::redis_throttle {

inline constexpr std::int64_t k_second_ns = 1'000'000'000;
inline constexpr std::int64_t k_hold_ns = 50'000'000;  // how much of the rate a server may hold

// A bucket of the generic cell rate algorithm (ITU-T I.371, annex A) in ns.
struct Rate {
    std::int64_t interval_ns = 1;  // of one unit of cost
    std::int64_t burst = 1;

    [[nodiscard]] std::int64_t span_ns() const noexcept { return interval_ns * burst; }

    [[nodiscard]] bool operator==(const Rate&) const noexcept = default;
};

struct Plan {
    Rate rate;                    // of all servers
    std::int64_t per_second = 0;  // of it, rounded down
    std::int64_t own = 0;         // tokens that a server holds
    std::int64_t shared = 0;      // burst of the bucket in Redis
    std::int64_t most = 0;        // that one server can have at once, and so one request can cost
    Rate alone;                   // without Redis

    [[nodiscard]] bool operator==(const Plan&) const noexcept = default;
};

// What each of so many servers lets through when it knows nothing of the others.
[[nodiscard]] inline Rate part_of(const Rate& all, std::int64_t servers) noexcept {
    return {all.interval_ns * servers, std::max<std::int64_t>(all.burst / servers, 1)};
}

// `count` in each `period_ns`, for `servers` servers.
[[nodiscard]] inline Plan make_plan(
    std::int64_t count,
    std::int64_t period_ns,
    std::int64_t burst,
    std::int64_t servers
) noexcept {
    Plan plan;
    plan.rate = {(period_ns + count - 1) / count, burst};
    plan.per_second = count * k_second_ns / period_ns;
    const std::int64_t worth = std::max<std::int64_t>(k_hold_ns / plan.rate.interval_ns, 1);
    plan.own = std::min(burst / (2 * servers), worth);
    plan.shared = burst - servers * plan.own;
    plan.most = plan.shared + plan.own;
    plan.alone = part_of(plan.rate, servers);
    return plan;
}

}  // namespace tenon::redis_throttle
