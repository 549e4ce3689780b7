// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <algorithm>

namespace tenon::token_bucket {

tenon_status
TokenBuckets::take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept {
    if (claims.size() == 1) {
        const tenon_throttle_claim& claim = claims.front();
        Limit* const limit = at(claim.limit);
        return limit == nullptr || claim.cost == 0 || claim.key.n > TENON_THROTTLE_KEY_MAX
                   ? TENON_INVALID
                   : limit->take_one(key_of(claim), claim.cost, now_ns, retry_after_ns);
    }
    return take_all(claims, now_ns, retry_after_ns);
}

tenon_status
TokenBuckets::take_all(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept {
    std::array<Cost, TENON_THROTTLE_CLAIMS_MAX> costs;
    const auto count = gather(claims, costs);
    if (!count) {
        return TENON_INVALID;
    }
    retry_after_ns = 0;
    for (std::size_t i = 0; i < *count; ++i) {
        costs[i].now = costs[i].limit->advance(now_ns);
    }
    const auto refused = [&](const Cost& cost, std::int64_t wait) {
        if (wait != 0) {
            const std::int64_t until = cost.limit->until_ns(cost.now + wait, now_ns);
            retry_after_ns = std::max(retry_after_ns, until);
        }
        return wait != 0;
    };
    bool limited = false;
    for (std::size_t i = 0; *count > 1 && i < *count; ++i) {  // so that none is taken for nothing
        const Cost& cost = costs[i];
        limited = refused(cost, cost.limit->wait(cost.key, cost.cost, cost.now)) || limited;
    }
    std::size_t taken = 0;
    while (!limited && taken < *count) {
        const Cost& cost = costs[taken];
        limited = refused(cost, cost.limit->take(cost.key, cost.cost, cost.now));
        taken += limited ? 0U : 1U;
    }
    for (std::size_t i = 0; i < *count; ++i) {
        if (limited && i < taken) {  // another thread was faster at a later one
            costs[i].limit->refund(costs[i].key, costs[i].cost, costs[i].now);
        }
        costs[i].limit->count(!limited);
    }
    return limited ? TENON_LIMITED : TENON_OK;
}

void TokenBuckets::refund(Claims claims, std::int64_t now_ns) noexcept {
    std::array<Cost, TENON_THROTTLE_CLAIMS_MAX> costs;
    if (const auto count = gather(claims, costs)) {
        for (std::size_t i = 0; i < *count; ++i) {
            Limit& limit = *costs[i].limit;
            limit.refund(costs[i].key, costs[i].cost, limit.advance(now_ns));
        }
    }
}

void TokenBuckets::observe(
    std::uint32_t limit,
    std::string_view key,
    const tenon_throttle_feedback& feedback,
    std::int64_t now_ns
) noexcept {
    Limit* const found = at(limit);
    const bool refused =
        feedback.outcome == TENON_UPSTREAM_LIMITED || feedback.outcome == TENON_UPSTREAM_BANNED;
    if (found == nullptr || key.size() > TENON_THROTTLE_KEY_MAX ||
        (feedback.used <= 0 && feedback.retry_after_ns <= 0 && !refused)) {
        return;
    }
    // Refused without a time: the upstream counts more than we do, so the budget is used up.
    const std::int64_t used = refused ? INT64_MAX : std::max<std::int64_t>(feedback.used, 0);
    const std::int64_t blocked =
        feedback.retry_after_ns <= 0
            ? 0
            : std::min((feedback.retry_after_ns >> k_tick_bits) + 2, k_burst_ticks_max);
    found->restrict(Limit::key_of(key), used, blocked, found->advance(now_ns));
}

bool TokenBuckets::state(
    std::uint32_t limit,
    std::string_view key,
    std::int64_t now_ns,
    tenon_throttle_state& out
) noexcept {
    Limit* const found = at(limit);
    if (found == nullptr) {
        return false;
    }
    const std::int64_t now = found->advance(now_ns);
    const Rate rate = found->rate();
    const std::int64_t owed = std::max<std::int64_t>(found->tat(Limit::key_of(key), now) - now, 0);
    out.burst = rate.burst;
    out.rate_per_second = rate.per_second;
    out.available = std::max<std::int64_t>(rate.burst_ticks() - owed, 0) / rate.interval_ticks;
    out.full_after_ns = owed << k_tick_bits;
    out.blocked_ns = std::max<std::int64_t>(owed - rate.burst_ticks(), 0) << k_tick_bits;
    return true;
}

}  // namespace tenon::token_bucket
