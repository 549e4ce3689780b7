// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/retention.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

namespace tenon::vault {
namespace {

using Days = std::chrono::sys_days;
using Period = std::function<std::int64_t(std::int64_t)>;

std::int64_t floor_div(std::int64_t value, std::int64_t by) noexcept {
    return value / by - (value % by < 0 ? 1 : 0);
}

constexpr std::int64_t k_hour_ns = 3'600'000'000'000;

std::int64_t day_of(std::int64_t real_ns) noexcept {
    return floor_div(real_ns, 24 * k_hour_ns);
}

// 1970-01-01 was a Thursday.
std::int64_t week_of(std::int64_t real_ns) noexcept {
    return floor_div(day_of(real_ns) + 3, 7);
}

std::int64_t month_of(std::int64_t real_ns) {
    const std::chrono::year_month_day date{Days{std::chrono::days{day_of(real_ns)}}};
    return std::int64_t{static_cast<int>(date.year())} * 12 + static_cast<unsigned>(date.month());
}

}  // namespace

std::vector<std::string> given_up(std::vector<Generation> generations, const Retention& policy) {
    std::sort(generations.begin(), generations.end(), [](const Generation& a, const Generation& b) {
        return a.real_ns > b.real_ns || (a.real_ns == b.real_ns && a.id > b.id);
    });
    std::set<std::string> stays;
    const auto keep = [&](std::size_t count, const Period& period) {
        std::set<std::int64_t> seen;
        for (const Generation& one : generations) {
            const std::int64_t at = period(one.real_ns);
            if (seen.count(at) == 0 && seen.size() < count) {
                seen.insert(at);
                stays.insert(one.id);
            }
        }
    };
    for (std::size_t i = 0; i < std::min(std::max<std::size_t>(policy.last, 1), generations.size());
         ++i) {
        stays.insert(generations[i].id);
    }
    keep(policy.hourly, [](std::int64_t at) { return floor_div(at, k_hour_ns); });
    keep(policy.daily, day_of);
    keep(policy.weekly, week_of);
    keep(policy.monthly, month_of);
    std::vector<std::string> gone;
    bool is_covered = false;  // by a newer one that is proven; the newest of those stays
    for (const Generation& one : generations) {
        if (is_covered && stays.count(one.id) == 0) {
            gone.push_back(one.id);
        }
        is_covered = is_covered || one.is_proven;
    }
    std::reverse(gone.begin(), gone.end());
    return gone;
}

}  // namespace tenon::vault
