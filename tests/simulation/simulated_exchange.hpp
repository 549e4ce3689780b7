// SPDX-License-Identifier: Apache-2.0
// An exchange that counts as Binance does, with the counters of our own gateway: weight by address,
// orders by account, fixed windows of its clock, 429 and then bans. And time that only events move.
#pragma once

#include "plugins/gateway/binance/limits.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <utility>
#include <vector>

namespace tenon::test {

// Events in the order of their times; those of one time in the order they were set.
class VirtualTime {
public:
    [[nodiscard]] std::int64_t now_ns() const noexcept { return now_ns_; }

    void at(std::int64_t when_ns, std::function<void()> what) {
        events_.push({std::max(when_ns, now_ns_), ++sequence_, std::move(what)});
    }

    void run_until(std::int64_t end_ns) {
        while (!events_.empty() && events_.top().when_ns <= end_ns) {
            const Event next = events_.top();
            events_.pop();
            now_ns_ = next.when_ns;
            next.what();
        }
        now_ns_ = end_ns;
    }

private:
    struct Event {
        std::int64_t when_ns;
        std::uint64_t sequence;
        std::function<void()> what;

        bool operator<(const Event& other) const noexcept {
            return std::pair{when_ns, sequence} > std::pair{other.when_ns, other.sequence};
        }
    };

    std::int64_t now_ns_ = 0;
    std::uint64_t sequence_ = 0;
    std::priority_queue<Event> events_;
};

class SimulatedExchange {
public:
    struct Call {
        std::int64_t weight = 1;
        bool order = false;    // placing one
        bool trading = false;  // an order or cancel: free when it succeeds
        bool wrong = false;    // the exchange will refuse it for what it says
    };

    struct Reply {
        unsigned status = 200;  // 200, 400, 429 (address), 1015 (orders), 418
        std::int64_t used_weight = 0, used_ten_seconds = 0, used_day = 0;
        std::int64_t retry_after_s = 0;
    };

    struct Counts {
        std::uint64_t answered = 0, limited = 0, banned = 0;
        std::int64_t weight_max = 0;
        std::map<std::int64_t, std::int64_t> weight;  // admitted, by minute
        std::map<std::int64_t, std::int64_t> orders;  // admitted, by ten seconds
    };

    // now_ns: by the exchange's clock.
    Reply handle(const Call& call, std::int64_t now_ns) {
        const auto weight = static_cast<std::uint32_t>(call.weight);
        const auto admission = addresses_.admit(k_address, weight, !call.trading, now_ns);
        Reply out;
        out.retry_after_s = admission.retry_after_s;
        using Verdict = binance::Admission::Verdict;
        if (admission.verdict != Verdict::admitted) {
            const bool banned = admission.verdict == Verdict::banned;
            ++(banned ? counts_.banned : counts_.limited);
            out.status = banned ? 418 : 429;
        } else {
            std::int64_t paid = call.trading ? 0 : call.weight;
            if (call.order) {
                if (const auto refusal = orders_.admit(k_account, now_ns)) {
                    ++counts_.limited;
                    out.status = 1015;
                    out.retry_after_s = refusal->retry_after_s;
                }
            }
            if (call.wrong && out.status == 200) {
                out.status = 400;
                if (call.order) {
                    orders_.release(k_account, now_ns);
                }
            }
            if (call.trading && out.status != 200) {
                (void)addresses_.charge(k_address, weight, now_ns);
                paid = call.weight;
            }
            ++counts_.answered;
            counts_.weight[now_ns / k_minute_ns] += paid;
            counts_.orders[now_ns / k_ten_seconds_ns] += call.order && out.status == 200 ? 1 : 0;
        }
        out.used_weight = addresses_.used(k_address, now_ns);
        counts_.weight_max = std::max(counts_.weight_max, out.used_weight);
        const auto orders = orders_.counts(k_account, now_ns);
        out.used_ten_seconds = orders.ten_seconds;
        out.used_day = orders.day;
        return out;
    }

    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

    static constexpr std::int64_t k_minute_ns = 60'000'000'000;
    static constexpr std::int64_t k_ten_seconds_ns = 10'000'000'000;

private:
    static constexpr std::string_view k_address = "203.0.113.7";
    static constexpr std::uint64_t k_account = 1;

    binance::AddressLimits addresses_{binance::LimitSettings{}};
    binance::OrderLimits orders_{binance::LimitSettings{}};
    Counts counts_;
};

// The part of what the limit allows that was used in the whole windows of that time, which begins
// and ends with one.
[[nodiscard]] inline double used_part(
    const std::map<std::int64_t, std::int64_t>& by_window,
    std::int64_t first,
    std::int64_t last,
    std::int64_t limit
) {
    std::int64_t sum = 0;
    for (std::int64_t i = first; i < last; ++i) {
        const auto found = by_window.find(i);
        sum += found == by_window.end() ? 0 : found->second;
    }
    return static_cast<double>(sum) / static_cast<double>(limit * (last - first));
}

}  // namespace tenon::test
