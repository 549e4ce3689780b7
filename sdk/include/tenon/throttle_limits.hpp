// SPDX-License-Identifier: Apache-2.0
// What every provider of tenon.throttle/1 has around its arithmetic: named limits whose ids stay
// the same, levels that change while they are in use, claims on the same budget made one,
// statistics. How a budget is reckoned is the provider's: ThrottleLimits<Limit> asks this of its
// Limit:
//
//   struct Settings : ThrottleLimitSettings {…};  or ThrottleLimitSettings itself
//   using Terms = …;                              what a rate means to it; has ==
//   static Terms terms_of(const Settings&, const ThrottleRate&);   throws Error TENON_INVALID
//   static std::uint64_t key_of(std::string_view key) noexcept;
//   Limit(const Settings&, const Terms&);
//   const std::string& name() const noexcept;
//   Terms terms() const noexcept;
//   void set_terms(const Terms&);                 one thread at a time, while others take
//   std::int64_t most() const noexcept;           the largest cost that is ever granted
//   std::int64_t rate_per_second(), burst() const noexcept;
//   std::uint64_t keys(), taken(), limited() const noexcept;
//
// tenon/throttle_plugin.hpp makes a plugin of the result. Thread-safe unless said.
#pragma once

#include <tenon/abi/throttle.h>
#include <tenon/json_text.hpp>
#include <tenon/settings.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

// `count` units come back in each period; at most `burst` are there at once.
struct ThrottleRate {
    std::int64_t count = 0, period_ns = 0, burst = 0;
};

// What a limit is set to.
struct ThrottleLimitSettings {
    std::string name;
    std::string level;  // "conservative", "moderate", "aggressive", "unlimited", "custom"
    std::int64_t custom_count = 0, custom_period_ns = 0, custom_burst = 0;  // 0: no custom level
    std::uint32_t keys_max = 0;
};

struct ThrottleLevel {
    std::string_view name;
    std::int64_t per_second, burst;
};

inline constexpr std::array<ThrottleLevel, 4> k_throttle_levels{{
    {"conservative", 5, 10},
    {"moderate", 20, 40},
    {"aggressive", 50, 100},
    {"unlimited", 1000, 2000},
}};

// The rate of a limit at a level. Throws Error TENON_INVALID: an unknown level with those that
// there are, or a custom one of a limit that is set to none.
[[nodiscard]] inline ThrottleRate
throttle_rate(const ThrottleLimitSettings& limit, std::string_view level) {
    for (const ThrottleLevel& known : k_throttle_levels) {
        if (known.name == level) {
            return {known.per_second, 1'000'000'000, known.burst};
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
    return {limit.custom_count, limit.custom_period_ns, limit.custom_burst};
}

// Reads the settings `limits` (of "name", "level", "rate", "period_ms", "burst"), `level` and
// `keys_max`, as the throttles of this repository have them in their manifests.
[[nodiscard]] inline std::vector<ThrottleLimitSettings> read_throttle_limits(
    const Settings& settings
) {
    std::vector<ThrottleLimitSettings> out;
    for (const auto& s : settings.get<std::vector<Settings>>("limits")) {
        ThrottleLimitSettings limit;
        limit.name = s.get<std::string>("name");
        limit.custom_count = s.get<std::int64_t>("rate", 0);
        limit.custom_period_ns = s.get<std::int64_t>("period_ms", 1000) * 1'000'000;
        limit.custom_burst = s.get<std::int64_t>("burst", 0);
        limit.keys_max = settings.get<std::uint32_t>("keys_max");
        limit.level = s.get<std::string>(
            "level", limit.custom_count != 0 ? "custom" : settings.get<std::string>("level")
        );
        out.push_back(std::move(limit));
    }
    return out;
}

// Throws Error TENON_INVALID when two have one name.
template <class Limits>
void require_different_names(const Limits& limits) {
    for (std::size_t i = 0; i < limits.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (limits[i].name == limits[j].name) {
                throw Error{TENON_INVALID, "limit " + limits[i].name + " is there twice"};
            }
        }
    }
}

// Limits by name and by id, an id being the place in the order of adding. None is ever taken out.
// Looking up takes no lock.
template <class Limit, std::size_t Max>
class ThrottleTable {
public:
    static constexpr std::size_t k_limits_max = Max;

    ThrottleTable() = default;
    ThrottleTable(const ThrottleTable&) = delete;
    ThrottleTable& operator=(const ThrottleTable&) = delete;

    ~ThrottleTable() {
        each([](Limit& limit) { delete &limit; });
    }

    [[nodiscard]] std::optional<std::uint32_t> index_of(std::string_view name) const noexcept {
        for (std::uint32_t i = 0; const Limit* const limit = at(i); ++i) {
            if (limit->name() == name) {
                return i;
            }
        }
        return std::nullopt;
    }

    // nullptr: there is none.
    [[nodiscard]] Limit* at(std::size_t i) const noexcept {
        return i < Max ? limits_[i].load(std::memory_order_acquire) : nullptr;
    }

    template <class Body>
    void each(Body body) const {
        for (std::size_t i = 0; Limit* const limit = at(i); ++i) {
            body(*limit);
        }
    }

    [[nodiscard]] std::size_t size() const noexcept {
        std::size_t count = 0;
        each([&](const Limit&) { ++count; });
        return count;
    }

    // One thread at a time. Throws Error TENON_INVALID when the new ones of `wanted` find no room.
    template <class Wanted>
    void require_room(const Wanted& wanted) const {
        const auto added = std::count_if(wanted.begin(), wanted.end(), [&](const auto& each) {
            return !index_of(each.name);
        });
        if (size() + static_cast<std::size_t>(added) > Max) {
            throw Error{TENON_INVALID, "at most " + std::to_string(Max) + " limits"};
        }
    }

    // One thread at a time, with room for it.
    void append(std::unique_ptr<Limit> limit) noexcept {
        limits_[size()].store(limit.release(), std::memory_order_release);
    }

private:
    std::array<std::atomic<Limit*>, Max> limits_{};
};

template <class Limit, std::size_t Max>
class ThrottleLimits {
public:
    using Claims = std::span<const tenon_throttle_claim>;
    using LimitSettings = typename Limit::Settings;

    static constexpr std::size_t k_limits_max = Max;

    // Adds limits that are new and changes the others; one that is missing stays as it is, since
    // its id must stay. All or nothing: throws Error TENON_INVALID.
    void apply(const std::vector<LimitSettings>& limits) {
        require_different_names(limits);
        for (const LimitSettings& limit : limits) {
            (void)terms_at(limit, limit.level);
        }
        const std::lock_guard lock{mutex_};
        table_.require_room(limits);
        for (const LimitSettings& wanted : limits) {
            if (const auto found = table_.index_of(wanted.name)) {
                settings_[*found] = wanted;
                change_level(*found, wanted.level);
                continue;
            }
            settings_.reserve(settings_.size() + 1);
            auto made = std::make_unique<Limit>(wanted, terms_at(wanted, wanted.level));
            settings_.push_back(wanted);
            table_.append(std::move(made));
        }
    }

    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const noexcept {
        return table_.index_of(name);
    }

    // [nonblock] nullptr: there is none.
    [[nodiscard]] Limit* at(std::size_t i) const noexcept { return table_.at(i); }

    // Calls body(limit) for each.
    template <class Body>
    void each(Body body) const {
        table_.each(body);
    }

    // Throw Error TENON_NOT_FOUND (limit), TENON_INVALID (level). An empty limit is all of them;
    // asked for the level of all, the answer is theirs, or "mixed".
    [[nodiscard]] std::string level(std::string_view limit) const {
        const std::lock_guard lock{mutex_};
        if (!limit.empty() || settings_.empty()) {
            return settings_[required(limit)].level;
        }
        const auto other = [&](const LimitSettings& one) {
            return one.level != settings_.front().level;
        };
        return std::any_of(settings_.begin(), settings_.end(), other) ? "mixed"
                                                                      : settings_.front().level;
    }

    void set_level(std::string_view limit, std::string_view level) {
        const std::lock_guard lock{mutex_};
        if (!limit.empty()) {
            change_level(required(limit), level);
            return;
        }
        for (const LimitSettings& each : settings_) {
            (void)terms_at(each, level);
        }
        for (std::size_t i = 0; i < settings_.size(); ++i) {
            change_level(i, level);
        }
    }

    // As tenon_throttle_1.stats.
    [[nodiscard]] std::string stats() const {
        const std::lock_guard lock{mutex_};
        std::string out{"{"};
        for (std::size_t i = 0; i < settings_.size(); ++i) {
            const Limit& limit = *table_.at(i);
            out.append(i == 0 ? "" : ",");
            append_json(out, limit.name());
            out.append(":{\"level\":");
            append_json(out, settings_[i].level);
            const auto number = [&out](std::string_view name, auto value) {
                out.append(",\"").append(name).append("\":").append(std::to_string(value));
            };
            number("rate_per_second", limit.rate_per_second());
            number("burst", limit.burst());
            number("keys", limit.keys());
            number("taken", limit.taken());
            number("limited", limit.limited());
            out.append("}");
        }
        return out.append("}");
    }

protected:
    // [nonblock] Claims on the same budget made one: `costs` has members limit, key, cost. Nothing
    // when one of them makes no sense or would never be granted.
    template <class Cost>
    [[nodiscard]] std::optional<std::size_t>
    gather(Claims claims, std::array<Cost, TENON_THROTTLE_CLAIMS_MAX>& costs) const noexcept {
        std::size_t count = 0;
        if (claims.empty() || claims.size() > costs.size()) {
            return std::nullopt;
        }
        for (const tenon_throttle_claim& claim : claims) {
            Limit* const limit = at(claim.limit);
            if (limit == nullptr || claim.cost == 0 || claim.key.n > TENON_THROTTLE_KEY_MAX) {
                return std::nullopt;
            }
            const std::uint64_t key = key_of(claim);
            std::size_t i = 0;
            while (i < count && (costs[i].limit != limit || costs[i].key != key)) {
                ++i;
            }
            if (i == count) {
                costs[count++] = Cost{limit, key, 0};
            }
            costs[i].cost += claim.cost;
            if (costs[i].cost > limit->most()) {
                return std::nullopt;
            }
        }
        return count;
    }

    [[nodiscard]] static std::uint64_t key_of(const tenon_throttle_claim& claim) noexcept {
        return Limit::key_of({claim.key.n == 0 ? "" : claim.key.p, claim.key.n});
    }

private:
    [[nodiscard]] static auto terms_at(const LimitSettings& limit, std::string_view level) {
        return Limit::terms_of(limit, throttle_rate(limit, level));
    }

    [[nodiscard]] std::size_t required(std::string_view limit) const {
        const auto found = table_.index_of(limit);
        if (!found) {
            throw Error{TENON_NOT_FOUND, "there is no limit " + std::string{limit}};
        }
        return *found;
    }

    void change_level(std::size_t index, std::string_view level) {
        const typename Limit::Terms terms = terms_at(settings_[index], level);
        settings_[index].level = level;
        Limit& limit = *table_.at(index);
        if (!(terms == limit.terms())) {
            limit.set_terms(terms);
        }
    }

    ThrottleTable<Limit, Max> table_;
    mutable std::mutex mutex_;  // of settings_, and of changes
    std::vector<LimitSettings> settings_;
};

}  // namespace tenon
