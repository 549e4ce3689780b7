// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/json.hpp>

#include <algorithm>

namespace tenon::token_bucket {
namespace {

struct Level {
    std::string_view name;
    std::int64_t per_second, burst;
};

constexpr Level k_levels[] = {
    {"conservative", 5, 10},
    {"moderate", 20, 40},
    {"aggressive", 50, 100},
    {"unlimited", 1000, 2000},
};

}  // namespace

Rate rate_of_level(const LimitSettings& limit, std::string_view level) {
    for (const Level& known : k_levels) {
        if (known.name == level) {
            return make_rate(known.per_second, k_second_ns, known.burst);
        }
    }
    if (level != "custom") {
        throw Error{
            TENON_INVALID,
            "level " + std::string{level} +
                ": expected conservative, moderate, aggressive, unlimited or custom"};
    }
    if (limit.custom_count <= 0 || limit.custom_period_ns <= 0 || limit.custom_burst <= 0) {
        throw Error{
            TENON_INVALID,
            "limit " + limit.name + ": the level custom needs rate, period_ms and burst"};
    }
    const Rate rate = make_rate(limit.custom_count, limit.custom_period_ns, limit.custom_burst);
    if (rate.burst > k_burst_ticks_max / rate.interval_ticks) {
        throw Error{
            TENON_INVALID, "limit " + limit.name + ": its burst takes over 100 days to come back"};
    }
    return rate;
}

void TokenBuckets::apply(const std::vector<LimitSettings>& limits) {
    for (std::size_t i = 0; i < limits.size(); ++i) {
        (void)rate_of_level(limits[i], limits[i].level);
        const auto same = [&](const LimitSettings& other) { return other.name == limits[i].name; };
        if (std::count_if(limits.begin(), limits.end(), same) != 1) {
            throw Error{TENON_INVALID, "limit " + limits[i].name + " is there twice"};
        }
    }
    const std::lock_guard lock{mutex_};
    for (const LimitSettings& wanted : limits) {
        const auto found = find(wanted.name);
        if (found) {
            settings_[*found] = wanted;
            change_level(*found, wanted.level);
            continue;
        }
        const std::uint32_t id = count_.load();
        if (id == k_limits_max) {
            throw Error{TENON_UNAVAILABLE, "at most 256 limits"};
        }
        limits_[id] = std::make_unique<Limit>(
            wanted.name, wanted.keys_max, rate_of_level(wanted, wanted.level)
        );
        settings_.push_back(wanted);
        count_.store(id + 1);
    }
}

void TokenBuckets::change_level(std::size_t index, std::string_view level) {
    const Rate rate = rate_of_level(settings_[index], level);
    settings_[index].level = level;
    const Rate now = limits_[index]->rate();
    if (rate.interval_ticks != now.interval_ticks || rate.burst != now.burst) {
        limits_[index]->set_rate(rate);
    }
}

std::optional<std::uint32_t> TokenBuckets::find(std::string_view name) const noexcept {
    for (std::uint32_t i = 0; i < count_.load(); ++i) {
        if (limits_[i]->name() == name) {
            return i;
        }
    }
    return std::nullopt;
}

Limit* TokenBuckets::limit_at(std::uint32_t id) const noexcept {
    return id < count_.load(std::memory_order_acquire) ? limits_[id].get() : nullptr;
}

std::optional<std::size_t> TokenBuckets::gather(
    Claims claims,
    std::array<Cost, TENON_THROTTLE_CLAIMS_MAX>& costs
) const noexcept {
    std::size_t count = 0;
    if (claims.empty() || claims.size() > costs.size()) {
        return std::nullopt;
    }
    for (const tenon_throttle_claim& claim : claims) {
        Limit* const limit = limit_at(claim.limit);
        if (limit == nullptr || claim.cost == 0 || claim.key.n > TENON_THROTTLE_KEY_MAX) {
            return std::nullopt;
        }
        const std::uint64_t key = hash_of({claim.key.n == 0 ? "" : claim.key.p, claim.key.n});
        const auto end = costs.begin() + static_cast<std::ptrdiff_t>(count);
        const auto same = std::find_if(costs.begin(), end, [&](const Cost& have) {
            return have.limit == limit && have.key == key;
        });
        if (same == end) {
            costs[count++] = {limit, key, claim.cost, 0};
        } else {
            same->cost += claim.cost;
        }
        if ((same == end ? claim.cost : same->cost) > limit->rate().burst) {
            return std::nullopt;
        }
    }
    return count;
}

tenon_status
TokenBuckets::take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept {
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
    Limit* const found = limit_at(limit);
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
    found->restrict(hash_of(key), used, blocked, found->advance(now_ns));
}

bool TokenBuckets::state(
    std::uint32_t limit,
    std::string_view key,
    std::int64_t now_ns,
    tenon_throttle_state& out
) noexcept {
    Limit* const found = limit_at(limit);
    if (found == nullptr) {
        return false;
    }
    const std::int64_t now = found->advance(now_ns);
    const Rate rate = found->rate();
    const std::int64_t owed = std::max<std::int64_t>(found->tat(hash_of(key), now) - now, 0);
    out.burst = rate.burst;
    out.rate_per_second = rate.per_second;
    out.available = std::max<std::int64_t>(rate.burst_ticks() - owed, 0) / rate.interval_ticks;
    out.full_after_ns = owed << k_tick_bits;
    out.blocked_ns = std::max<std::int64_t>(owed - rate.burst_ticks(), 0) << k_tick_bits;
    return true;
}

std::string TokenBuckets::level(std::string_view limit) const {
    const std::lock_guard lock{mutex_};
    if (limit.empty() && !settings_.empty()) {
        const std::string& first = settings_.front().level;
        const bool same = std::all_of(settings_.begin(), settings_.end(), [&](const auto& s) {
            return s.level == first;
        });
        return same ? first : "mixed";
    }
    const auto found = find(limit);
    if (!found) {
        throw Error{TENON_NOT_FOUND, "there is no limit " + std::string{limit}};
    }
    return settings_[*found].level;
}

void TokenBuckets::set_level(std::string_view limit, std::string_view level) {
    const std::lock_guard lock{mutex_};
    if (!limit.empty()) {
        const auto found = find(limit);
        if (!found) {
            throw Error{TENON_NOT_FOUND, "there is no limit " + std::string{limit}};
        }
        change_level(*found, level);
        return;
    }
    for (const LimitSettings& each : settings_) {
        (void)rate_of_level(each, level);
    }
    for (std::size_t i = 0; i < settings_.size(); ++i) {
        change_level(i, level);
    }
}

std::string TokenBuckets::stats() const {
    const std::lock_guard lock{mutex_};
    std::string out{"{"};
    for (std::size_t i = 0; i < settings_.size(); ++i) {
        const Limit& limit = *limits_[i];
        const Rate rate = limit.rate();
        out.append(i == 0 ? "" : ",");
        append_json(out, limit.name());
        out.append(":{\"level\":");
        append_json(out, settings_[i].level);
        const auto number = [&out](std::string_view name, auto value) {
            out.append(",\"").append(name).append("\":").append(std::to_string(value));
        };
        number("rate_per_second", rate.per_second);
        number("burst", rate.burst);
        number("keys", limit.keys());
        number("taken", limit.taken());
        number("limited", limit.limited());
        out.append("}");
    }
    return out.append("}");
}

}  // namespace tenon::token_bucket
