// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/redis/shared_limits.hpp"

#include <algorithm>

namespace tenon::redis_throttle {
namespace {

constexpr std::int64_t k_block_max_ns = std::int64_t{100} * 86'400 * k_second_ns;

}  // namespace

tenon_status
SharedLimits::take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept {
    Costs costs;
    const auto count = gather(claims, costs);
    if (!count) {
        return TENON_INVALID;
    }
    const Mode mode = this->mode();
    retry_after_ns = 0;
    std::size_t taken = 0;
    for (; taken < *count; ++taken) {
        Cost& one = costs[taken];
        one.now = one.limit->advance(now_ns);
        one.place = &one.limit->place(one.key);
        if (!one.limit->take(*one.place, one.cost, one.now, mode)) {
            break;
        }
    }
    if (taken == *count) {
        for (std::size_t i = 0; i < *count; ++i) {
            costs[i].limit->count(true);
        }
        return TENON_OK;
    }
    for (std::size_t i = 0; i < taken; ++i) {
        costs[i].limit->put_back(*costs[i].place, costs[i].cost, costs[i].now, mode);
    }
    for (std::size_t i = 0; i < *count; ++i) {
        Cost& one = costs[i];
        one.now = one.limit->advance(now_ns);
        one.place = &one.limit->place(one.key);
        const std::int64_t wait = one.limit->wait(*one.place, one.cost, one.now, mode);
        one.limit->count(false);
        if (wait > 0) {
            retry_after_ns = std::max(retry_after_ns, wait + one.limit->lag(now_ns));
        }
    }
    retry_after_ns = std::max<std::int64_t>(retry_after_ns, 1);
    return TENON_LIMITED;
}

void SharedLimits::refund(Claims claims, std::int64_t now_ns) noexcept {
    Costs costs;
    const auto count = gather(claims, costs);
    const Mode mode = this->mode();
    for (std::size_t i = 0; count && i < *count; ++i) {
        Cost& one = costs[i];
        if (Place* const place = one.limit->find(one.key)) {
            one.limit->give(*place, one.cost, one.limit->advance(now_ns), mode);
        }
    }
}

void SharedLimits::observe(
    std::uint32_t limit,
    std::string_view key,
    const tenon_throttle_feedback& feedback,
    std::int64_t now_ns
) noexcept {
    SharedLimit* const known = at(limit);
    if (known == nullptr || feedback.retry_after_ns <= 0 ||
        (feedback.outcome != TENON_UPSTREAM_LIMITED && feedback.outcome != TENON_UPSTREAM_BANNED)) {
        return;
    }
    known->block(
        SharedLimit::key_of(key),
        known->advance(now_ns) + std::min(feedback.retry_after_ns, k_block_max_ns),
        true
    );
}

bool SharedLimits::state(
    std::uint32_t limit,
    std::string_view key,
    std::int64_t now_ns,
    tenon_throttle_state& out
) noexcept {
    SharedLimit* const known = at(limit);
    if (known == nullptr) {
        return false;
    }
    const Mode mode = this->mode();
    const Plan& plan = known->plan();
    const std::int64_t now = known->advance(now_ns);
    out.burst = mode.leased ? plan.most : known->alone().burst;
    out.rate_per_second = plan.per_second;
    Place* const place = known->find(SharedLimit::key_of(key));
    if (place == nullptr) {
        out.available = mode.leased ? plan.own : mode.cut == 0 ? known->alone().burst : 0;
        return true;
    }
    out.available = known->available(*place, now, mode);
    out.blocked_ns = std::max<std::int64_t>(place->blocked_ns.load() - now, 0);
    out.full_after_ns = std::max(
        out.blocked_ns,
        mode.leased ? (plan.own - std::min(out.available, plan.own)) * plan.rate.interval_ns
                    : std::max<std::int64_t>(place->tat_ns.load() - now, 0)
    );
    return true;
}

}  // namespace tenon::redis_throttle
