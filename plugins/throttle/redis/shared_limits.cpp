// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/redis/shared_limits.hpp"

#include <tenon/json.hpp>

#include <algorithm>

namespace tenon::redis_throttle {
namespace {

struct Level {
    std::string_view name;
    std::int64_t per_second, burst;
};

constexpr std::array<Level, 4> k_levels{{
    {"conservative", 5, 10},
    {"moderate", 20, 40},
    {"aggressive", 50, 100},
    {"unlimited", 1000, 2000},
}};

constexpr std::int64_t k_span_max_ns = std::int64_t{100} * 86'400 * k_second_ns;
constexpr std::int64_t k_per_second_max = 10'000'000;  // an interval is whole ns: 1 % at most

}  // namespace

Plan plan_of_level(const LimitSettings& limit, std::string_view level) {
    if (limit.servers < 1 || limit.servers > 64 || limit.keys_max < 1) {
        throw Error{TENON_INVALID, "1 to 64 servers and at least one key are wanted"};
    }
    for (const Level& known : k_levels) {
        if (known.name == level) {
            return make_plan(known.per_second, k_second_ns, known.burst, limit.servers);
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
    if (limit.custom_count > limit.custom_period_ns / (k_second_ns / k_per_second_max)) {
        throw Error{TENON_INVALID, "limit " + limit.name + ": more than 10 million in a second"};
    }
    const std::int64_t interval_ns = limit.custom_period_ns / limit.custom_count + 1;
    if (limit.custom_burst > k_span_max_ns / interval_ns / limit.servers) {
        throw Error{
            TENON_INVALID, "limit " + limit.name + ": its burst takes over 100 days to come back"};
    }
    return make_plan(limit.custom_count, limit.custom_period_ns, limit.custom_burst, limit.servers);
}

void SharedLimits::apply(const std::vector<LimitSettings>& limits) {
    for (const LimitSettings& limit : limits) {
        (void)plan_of_level(limit, limit.level);
        const auto same = [&](const LimitSettings& other) { return other.name == limit.name; };
        if (std::count_if(limits.begin(), limits.end(), same) != 1) {
            throw Error{TENON_INVALID, "limit " + limit.name + " is there twice"};
        }
    }
    const std::lock_guard lock{mutex_};
    const auto is_new = [&](const LimitSettings& limit) { return !find(limit.name); };
    if (count_.load() +
            static_cast<std::size_t>(std::count_if(limits.begin(), limits.end(), is_new)) >
        k_limits_max) {
        throw Error{TENON_INVALID, "at most 64 limits"};
    }
    for (const LimitSettings& wanted : limits) {
        const auto found = find(wanted.name);
        if (found) {
            settings_[*found] = wanted;
            change_level(*found, wanted.level);
            continue;
        }
        const std::uint32_t id = count_.load();
        limits_[id] = std::make_unique<SharedLimit>(
            wanted.name, wanted.keys_max, plan_of_level(wanted, wanted.level)
        );
        settings_.push_back(wanted);
        count_.store(id + 1, std::memory_order_release);
    }
}

void SharedLimits::change_level(std::size_t index, std::string_view level) {
    const Plan plan = plan_of_level(settings_[index], level);
    settings_[index].level = level;
    const Plan& now = limits_[index]->plan();
    if (plan.rate.interval_ns != now.rate.interval_ns || plan.rate.burst != now.rate.burst ||
        plan.alone.interval_ns != now.alone.interval_ns) {
        limits_[index]->set_plan(plan);
    }
}

std::optional<std::uint32_t> SharedLimits::find(std::string_view name) const noexcept {
    for (std::uint32_t i = 0; i < count_.load(std::memory_order_acquire); ++i) {
        if (limits_[i]->name() == name) {
            return i;
        }
    }
    return std::nullopt;
}

std::optional<std::size_t> SharedLimits::gather(Claims claims, Costs& costs) const noexcept {
    std::size_t count = 0;
    if (claims.empty() || claims.size() > costs.size()) {
        return std::nullopt;
    }
    for (const tenon_throttle_claim& claim : claims) {
        SharedLimit* const limit = at(claim.limit);
        if (limit == nullptr || claim.cost == 0 || claim.key.n > TENON_THROTTLE_KEY_MAX) {
            return std::nullopt;
        }
        const std::uint64_t key = hash_of({claim.key.n == 0 ? "" : claim.key.p, claim.key.n});
        const auto end = costs.begin() + static_cast<std::ptrdiff_t>(count);
        const auto same = std::find_if(costs.begin(), end, [&](const Cost& have) {
            return have.limit == limit && have.key == key;
        });
        if (same == end) {
            costs[count++] = {limit, key, nullptr, claim.cost, 0};
        } else {
            same->cost += claim.cost;
        }
        if ((same == end ? claim.cost : same->cost) > limit->plan().most) {
            return std::nullopt;
        }
    }
    return count;
}

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
        costs[i].limit->give(*costs[i].place, costs[i].cost, costs[i].now, mode);
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
    const std::int64_t until =
        known->advance(now_ns) + std::min(feedback.retry_after_ns, k_span_max_ns);
    std::atomic<std::int64_t>& blocked = known->place(hash_of(key)).blocked_ns;
    std::int64_t seen = blocked.load();
    while (seen < until && !blocked.compare_exchange_weak(seen, until)) {}
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
    out.burst = mode.leased ? plan.most : plan.alone.burst;
    out.rate_per_second = plan.per_second;
    Place* const place = known->find(hash_of(key));
    if (place == nullptr) {
        out.available = mode.leased ? plan.own : mode.cut == 0 ? plan.alone.burst : 0;
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

std::string SharedLimits::level(std::string_view limit) const {
    const std::lock_guard lock{mutex_};
    if (const auto found = find(limit)) {
        return settings_[*found].level;
    }
    if (!limit.empty() || settings_.empty()) {
        throw Error{TENON_NOT_FOUND, "no limit " + std::string{limit}};
    }
    const auto other = [&](const LimitSettings& one) {
        return one.level != settings_.front().level;
    };
    return std::any_of(settings_.begin(), settings_.end(), other) ? "mixed"
                                                                  : settings_.front().level;
}

void SharedLimits::set_level(std::string_view limit, std::string_view level) {
    const std::lock_guard lock{mutex_};
    const auto found = find(limit);
    if (!found && !limit.empty()) {
        throw Error{TENON_NOT_FOUND, "no limit " + std::string{limit}};
    }
    const auto each = [&](const auto& body) {
        for (std::size_t i = 0; i < settings_.size(); ++i) {
            if (!found || *found == i) {
                body(i);
            }
        }
    };
    each([&](std::size_t i) { (void)plan_of_level(settings_[i], level); });
    each([&](std::size_t i) { change_level(i, level); });
}

std::string SharedLimits::stats() const {
    std::string out{"{"};
    const std::lock_guard lock{mutex_};
    for (std::size_t i = 0; i < settings_.size(); ++i) {
        const SharedLimit& limit = *limits_[i];
        const auto number = [&out](std::string_view name, std::uint64_t value) {
            out.append(",\"").append(name).append("\":").append(std::to_string(value));
        };
        out.append(i == 0 ? "" : ",");
        append_json(out, limit.name());
        out.append(":{\"level\":");
        append_json(out, settings_[i].level);
        number("rate_per_second", static_cast<std::uint64_t>(limit.plan().per_second));
        number("burst", static_cast<std::uint64_t>(limit.plan().rate.burst));
        number("keys", limit.keys());
        number("taken", limit.taken());
        number("limited", limit.limited());
        out.append("}");
    }
    return out.append("}");
}

}  // namespace tenon::redis_throttle
