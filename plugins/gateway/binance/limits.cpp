// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/limits.hpp"

#include <tenon/address_key.hpp>

#include <algorithm>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_minute_ns = 60 * k_second_ns;
constexpr std::int64_t k_five_minutes_ns = 5 * k_minute_ns;
constexpr std::int64_t k_day_ns = 24 * 60 * k_minute_ns;
constexpr std::int64_t k_first_ban_ns = 2 * k_minute_ns;
constexpr std::int64_t k_longest_ban_ns = 3 * k_day_ns;

[[nodiscard]] std::int64_t seconds_left(std::int64_t until_ns, std::int64_t now_ns) noexcept {
    return std::max<std::int64_t>(1, (until_ns - now_ns + k_second_ns - 1) / k_second_ns);
}

[[nodiscard]] std::int64_t window_end(std::int64_t now_ns, std::int64_t length_ns) noexcept {
    return (now_ns / length_ns + 1) * length_ns;
}

}  // namespace

AddressLimits::Entry& AddressLimits::entry(std::string_view remote, std::int64_t now_real_ns) {
    const AddressKey key{remote};
    const std::string_view address = key.view();
    auto found = entries_.find(address);
    Entry* at = nullptr;
    if (found != entries_.end()) {
        at = &found->second;
    } else {
        if (entries_.size() >= settings_.addresses_max) {
            sweep(now_real_ns);
        }
        at = entries_.size() >= settings_.addresses_max
                 ? &shared_
                 : &entries_.try_emplace(std::string{address}).first->second;
    }
    if (const std::int64_t minute = now_real_ns / k_minute_ns; at->minute != minute) {
        at->minute = minute;
        at->weight = 0;
        at->refusals = 0;
    }
    if (const std::int64_t window = now_real_ns / k_five_minutes_ns; at->five_minutes != window) {
        at->five_minutes = window;
        at->requests = 0;
        at->connections = 0;
    }
    return *at;
}

void AddressLimits::sweep(std::int64_t now_real_ns) {
    // At most once a second: a flood of addresses must not make every request a sweep.
    if (now_real_ns - swept_ns_ < k_second_ns && now_real_ns >= swept_ns_) {
        return;
    }
    swept_ns_ = now_real_ns;
    const std::int64_t minute = now_real_ns / k_minute_ns;
    std::erase_if(entries_, [&](const auto& item) {
        return item.second.minute != minute && item.second.banned_until_ns <= now_real_ns;
    });
}

Admission AddressLimits::refuse(Entry& entry, Admission::Verdict why, std::int64_t now_real_ns) {
    Admission out{why, entry.weight, 0, 0};
    if (++entry.refusals > settings_.refusals_before_ban) {
        if (now_real_ns - entry.banned_until_ns > k_longest_ban_ns) {
            entry.bans = 0;
        }
        const std::uint32_t doublings = std::min<std::uint32_t>(entry.bans++, 12);
        entry.banned_until_ns =
            now_real_ns + std::min(k_first_ban_ns << doublings, k_longest_ban_ns);
        out.verdict = Admission::Verdict::banned;
        out.until_real_ns = entry.banned_until_ns;
    } else {
        out.until_real_ns = window_end(
            now_real_ns,
            why == Admission::Verdict::too_many_requests ? k_five_minutes_ns : k_minute_ns
        );
    }
    out.retry_after_s = seconds_left(out.until_real_ns, now_real_ns);
    return out;
}

Admission AddressLimits::admit(
    std::string_view address,
    std::uint32_t weight,
    bool take,
    std::int64_t now_real_ns
) {
    Entry& at = entry(address, now_real_ns);
    if (now_real_ns < at.banned_until_ns) {
        return {
            Admission::Verdict::banned,
            at.weight,
            seconds_left(at.banned_until_ns, now_real_ns),
            at.banned_until_ns};
    }
    if (at.requests >= settings_.requests_per_5_minutes) {
        return refuse(at, Admission::Verdict::too_many_requests, now_real_ns);
    }
    ++at.requests;
    if (std::uint64_t{at.weight} + weight > settings_.weight_per_minute) {
        return refuse(at, Admission::Verdict::too_much_weight, now_real_ns);
    }
    if (take) {
        at.weight += weight;
    }
    return {Admission::Verdict::admitted, at.weight, 0, 0};
}

std::uint32_t
AddressLimits::charge(std::string_view address, std::uint32_t weight, std::int64_t now_real_ns) {
    Entry& at = entry(address, now_real_ns);
    at.weight += weight;
    return at.weight;
}

std::uint32_t AddressLimits::used(std::string_view address, std::int64_t now_real_ns) {
    return entry(address, now_real_ns).weight;
}

bool AddressLimits::banned(std::string_view address, std::int64_t now_real_ns) const {
    const auto found = entries_.find(address);
    return found != entries_.end() && found->second.banned_until_ns > now_real_ns;
}

bool AddressLimits::admit_connection(std::string_view address, std::int64_t now_real_ns) {
    Entry& at = entry(address, now_real_ns);
    if (now_real_ns < at.banned_until_ns || at.connections >= settings_.connections_per_5_minutes) {
        return false;
    }
    ++at.connections;
    return true;
}

std::string AddressLimits::connection_refusal(std::string_view address, std::int64_t now_real_ns)
    const {
    return banned(address, now_real_ns)
               ? "the address is banned"
               : "this address has opened its " +
                     std::to_string(settings_.connections_per_5_minutes) +
                     " connections of five minutes (connections_per_5_minutes)";
}

void OrderLimits::roll(Entry& entry, std::int64_t now_real_ns) noexcept {
    if (const std::int64_t window = now_real_ns / (10 * k_second_ns); entry.ten_seconds != window) {
        entry.ten_seconds = window;
        entry.counts.ten_seconds = 0;
    }
    if (const std::int64_t day = now_real_ns / k_day_ns; entry.day != day) {
        entry.day = day;
        entry.counts.day = 0;
    }
}

std::optional<OrderLimits::Refusal>
OrderLimits::admit(std::uint64_t account, std::int64_t now_real_ns, std::uint32_t orders) {
    Entry& at = entries_[account];
    roll(at, now_real_ns);
    if (at.counts.day + orders > settings_.orders_per_day) {
        return Refusal{
            settings_.orders_per_day,
            "1 DAY",
            seconds_left(window_end(now_real_ns, k_day_ns), now_real_ns)};
    }
    if (at.counts.ten_seconds + orders > settings_.orders_per_10_seconds) {
        return Refusal{
            settings_.orders_per_10_seconds,
            "10 SECOND",
            seconds_left(window_end(now_real_ns, 10 * k_second_ns), now_real_ns)};
    }
    at.counts.ten_seconds += orders;
    at.counts.day += orders;
    return std::nullopt;
}

void OrderLimits::release(std::uint64_t account, std::int64_t now_real_ns, std::uint32_t orders) {
    const auto found = entries_.find(account);
    if (found == entries_.end()) {
        return;
    }
    Entry& at = found->second;
    roll(at, now_real_ns);
    at.counts.ten_seconds -= std::min(at.counts.ten_seconds, orders);
    at.counts.day -= std::min(at.counts.day, orders);
}

OrderLimits::Counts OrderLimits::counts(std::uint64_t account, std::int64_t now_real_ns) const {
    const auto found = entries_.find(account);
    if (found == entries_.end()) {
        return {};
    }
    Entry copy = found->second;
    roll(copy, now_real_ns);
    return copy.counts;
}

}  // namespace tenon::binance
