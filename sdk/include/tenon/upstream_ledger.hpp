// SPDX-License-Identifier: Apache-2.0
// The budget that an upstream gives one address or one account: all its published limits together,
// how much of them each lane may use, and what to do when it refuses all the same.
//
// lane      may use of each window
// urgent    the whole published limit: nothing but the limit itself stops a cancel
// order     the share in force, without the reserve that is kept for urgent ones
// query,    the same without another such reserve for orders, and not faster than it lasts: the
// backfill  allowance grows from a burst to the whole over nearly all of the window
//
// share     of the published limits, by level: conservative 0.5, moderate 0.75, aggressive 0.95,
//           unlimited 1. A refusal (429) halves it and waits as long as it says; a tenth of the
//           whole comes back with every minute without one. A ban (418) is waited out.
//
// Decides only: no clock and no lock; times are monotonic nanoseconds, and the upstream's clock is
// theirs plus an offset. Not thread-safe.
#pragma once

#include <tenon/exchange_window.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace tenon {

// Whose turn comes first; see outbound_queue.hpp.
enum class Lane : std::uint8_t { urgent, order, query, backfill };
inline constexpr std::size_t k_lanes = 4;

// What a limit counts.
enum class LimitUnit : std::uint8_t { weight, orders, requests };

struct PublishedLimit {
    LimitUnit unit = LimitUnit::weight;
    std::int64_t limit = 0;
    std::int64_t period_ns = 0;
};

// Of one request; it is one request whatever it costs.
struct RequestCost {
    std::int64_t weight = 1;
    std::int64_t orders = 0;

    [[nodiscard]] std::int64_t of(LimitUnit unit) const noexcept {
        return unit == LimitUnit::weight ? weight : unit == LimitUnit::orders ? orders : 1;
    }
};

// Where the upstream's clock stands: its time is the monotonic one plus offset_ns, give or take the
// error. An error that is too small loses the promise; one that is too large only costs time near
// the windows' ends.
struct UpstreamClock {
    std::int64_t offset_ns = 0;
    std::int64_t error_ns = 1'000'000'000;
};

// Per mille of the published limits; none: no such level.
[[nodiscard]] inline std::optional<std::int64_t> share_of_level(std::string_view level) noexcept {
    constexpr std::pair<std::string_view, std::int64_t> k_shares[] = {
        {"conservative", 500}, {"moderate", 750}, {"aggressive", 950}, {"unlimited", 1000}};
    for (const auto& [name, share] : k_shares) {
        if (name == level) {
            return share;
        }
    }
    return std::nullopt;
}

class UpstreamLedger {
public:
    static constexpr std::size_t k_limits_max = 4;
    using Charges = std::array<ExchangeWindow::Charge, k_limits_max>;
    // The upstream's own count of each limit, in the order they were given; -1: it did not say.
    using Used = std::array<std::int64_t, k_limits_max>;
    static constexpr Used k_not_said{-1, -1, -1, -1};

    // At most k_limits_max limits, the others are left out. reserve: units of weight and requests
    // in each window that only the urgent lane may use, and as many that it shares with orders.
    UpstreamLedger(std::span<const PublishedLimit> limits, std::int64_t reserve) {
        for (const PublishedLimit& each : limits.first(std::min(limits.size(), k_limits_max))) {
            limits_.push_back({each.unit, ExchangeWindow{each.limit, each.period_ns}});
        }
        reserve_ = reserve;
    }

    void set_clock(const UpstreamClock& clock) noexcept { clock_ = clock; }

    // 1 .. 1000.
    void set_share(std::int64_t per_mille) noexcept {
        share_ = std::clamp<std::int64_t>(per_mille, 1, 1000);
    }

    // The share in force: what was set, less what a refusal has taken of it.
    [[nodiscard]] std::int64_t share(std::int64_t now_ns) const noexcept {
        if (cut_ == 1000) {
            return share_;
        }
        const std::int64_t minutes_tenths =
            std::max<std::int64_t>(now_ns - cut_ns_, 0) / k_restore_ns;
        return share_ * std::min<std::int64_t>(1000, cut_ + minutes_tenths) / 1000;
    }

    // False: no window is large enough for it, ever.
    [[nodiscard]] bool grants(const RequestCost& cost, Lane lane) const noexcept {
        return std::all_of(limits_.begin(), limits_.end(), [&](const Limit& each) {
            const std::int64_t need = cost.of(each.unit);
            return need <= cap_of(each, lane, share_) && need >= 0;
        });
    }

    // When `cost` may be taken if nobody else takes any; now_ns: at once.
    [[nodiscard]] std::int64_t
    when(const RequestCost& cost, Lane lane, std::int64_t now_ns) noexcept {
        std::int64_t free_ns = std::max(now_ns, blocked_ns_);
        const UpstreamTime at = upstream_time(now_ns);
        const std::int64_t share_now = share(now_ns);
        for (Limit& each : limits_) {
            const std::int64_t need = cost.of(each.unit);
            if (need == 0) {
                continue;
            }
            const std::int64_t cap = cap_of(each, lane, share_now);
            const std::int64_t window_ns =
                each.window.when(at, need, cap, pace_of(each, lane, cap));
            free_ns = std::max(free_ns, now_ns + (window_ns - at.latest_ns));
        }
        return free_ns;
    }

    // When `units` before a request of this cost are gone and it is allowed itself: an estimate.
    [[nodiscard]] std::int64_t after(
        const RequestCost& ahead,
        const RequestCost& cost,
        Lane lane,
        std::int64_t now_ns
    ) noexcept {
        std::int64_t free_ns = when(cost, lane, now_ns);
        const UpstreamTime at = upstream_time(now_ns);
        const std::int64_t share_now = share(now_ns);
        for (Limit& each : limits_) {
            const std::int64_t need = cost.of(each.unit);
            const std::int64_t before = ahead.of(each.unit);
            if (need == 0) {
                continue;
            }
            const std::int64_t cap = std::max<std::int64_t>(cap_of(each, lane, share_now), 1);
            const std::int64_t room = std::max<std::int64_t>(cap - each.window.used(at), 0);
            const std::int64_t beyond = need + before - room;
            if (beyond > 0) {
                const std::int64_t windows = (beyond - 1) / cap;
                const std::int64_t then_ns =
                    each.window.end_ns(at) + windows * each.window.period_ns();
                free_ns = std::max(free_ns, now_ns + (then_ns - at.latest_ns));
            } else if (pace_of(each, lane, cap) > 0) {
                const std::int64_t then_ns = each.window.when(
                    at, std::min(need + before, cap), cap, pace_of(each, lane, cap)
                );
                free_ns = std::max(free_ns, now_ns + (then_ns - at.latest_ns));
            }
        }
        return free_ns;
    }

    // Takes of every limit; ask when() first.
    [[nodiscard]] Charges take(const RequestCost& cost, std::int64_t now_ns) noexcept {
        Charges out{};
        for (std::size_t i = 0; i < limits_.size(); ++i) {
            if (const std::int64_t need = cost.of(limits_[i].unit); need > 0) {
                out.at(i) = limits_[i].window.take(upstream_time(now_ns), need);
            }
        }
        return out;
    }

    void give_back(const Charges& charges) noexcept {
        for (std::size_t i = 0; i < limits_.size(); ++i) {
            limits_[i].window.give_back(charges.at(i));
        }
    }

    void lost(const Charges& charges) noexcept {
        for (std::size_t i = 0; i < limits_.size(); ++i) {
            limits_[i].window.lost(charges.at(i));
        }
    }

    void answered(const Charges& charges, const Used& used, std::int64_t now_ns) noexcept {
        for (std::size_t i = 0; i < limits_.size(); ++i) {
            limits_[i].window.answered(charges.at(i), upstream_time(now_ns), used.at(i));
        }
    }

    // 429 and its like. Several that come together, of requests under way, halve once.
    void refused(std::int64_t retry_after_ns, std::int64_t now_ns) noexcept {
        if (now_ns >= blocked_ns_) {
            cut_ = std::max<std::int64_t>(share(now_ns) * 1000 / share_ / 2, k_cut_min);
            cut_ns_ = now_ns;
        }
        const UpstreamTime at = upstream_time(now_ns);
        std::int64_t until_ns = now_ns + retry_after_ns;
        for (Limit& each : limits_) {
            if (retry_after_ns <= 0 && each.window.period_ns() <= k_day_ns / 2) {
                until_ns = std::max(until_ns, now_ns + each.window.end_ns(at) - at.latest_ns);
            }
        }
        blocked_ns_ = std::max(blocked_ns_, until_ns);
    }

    // 418 and its like. Without a time: k_ban_ns.
    void banned(std::int64_t retry_after_ns, std::int64_t now_ns) noexcept {
        refused(retry_after_ns > 0 ? retry_after_ns : k_ban_ns, now_ns);
    }

    // The upstream wants nothing before that; 0 or past: it does.
    [[nodiscard]] std::int64_t blocked_until_ns() const noexcept { return blocked_ns_; }

    // Nothing is taken of any window that is now, and no refusal is remembered.
    [[nodiscard]] bool is_unused(std::int64_t now_ns) noexcept {
        return blocked_ns_ <= now_ns && share(now_ns) == share_ &&
               std::all_of(limits_.begin(), limits_.end(), [&](Limit& each) {
                   return each.window.used(upstream_time(now_ns)) == 0;
               });
    }

    // Of the i-th limit in the window that is now.
    [[nodiscard]] std::int64_t used(std::size_t i, std::int64_t now_ns) noexcept {
        return i < limits_.size() ? limits_[i].window.used(upstream_time(now_ns)) : 0;
    }

private:
    struct Limit {
        LimitUnit unit;
        ExchangeWindow window;
    };

    static constexpr std::int64_t k_restore_ns = 600'000'000;  // for each thousandth of the whole
    static constexpr std::int64_t k_cut_min = 50;
    static constexpr std::int64_t k_ban_ns = 120'000'000'000;
    static constexpr std::int64_t k_day_ns = 86'400'000'000'000;

    [[nodiscard]] UpstreamTime upstream_time(std::int64_t now_ns) const noexcept {
        const std::int64_t at_ns = now_ns + clock_.offset_ns;
        return {at_ns - clock_.error_ns, at_ns + clock_.error_ns};
    }

    [[nodiscard]] std::int64_t cap_of(const Limit& limit, Lane lane, std::int64_t share_now)
        const noexcept {
        if (lane == Lane::urgent) {
            return limit.window.limit();
        }
        const std::int64_t part =
            std::max<std::int64_t>(limit.window.limit() * share_now / 1000, 1);
        if (limit.unit == LimitUnit::orders) {
            return part;
        }
        return std::max<std::int64_t>(part - (lane == Lane::order ? 1 : 2) * reserve_, 1);
    }

    // Enough at a window's begin for one costly request.
    [[nodiscard]] static std::int64_t
    pace_of(const Limit& limit, Lane lane, std::int64_t cap) noexcept {
        const bool paced = lane >= Lane::query && limit.unit != LimitUnit::orders;
        return paced ? std::max<std::int64_t>(cap / 50, 1) : 0;
    }

    std::vector<Limit> limits_;
    std::int64_t reserve_ = 0;
    UpstreamClock clock_;
    std::int64_t share_ = 1000;  // as set
    std::int64_t cut_ = 1000;    // of it, at cut_ns_
    std::int64_t cut_ns_ = 0;
    std::int64_t blocked_ns_ = INT64_MIN;
};

}  // namespace tenon
