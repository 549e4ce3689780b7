// SPDX-License-Identifier: Apache-2.0
// What clients of several servers did, and whether it may have been so: a read that began after an
// order was acknowledged has that order in it, no read has what nobody had ordered yet, and what it
// says is what the account's orders come to.
//
// Order k of an account has version k, and the account's version counts its orders. Ticks are those
// of one counter for all clients, so an event that ended before another began has a smaller one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

enum class View : std::uint8_t { balance, position, orders };

inline constexpr std::array<const char*, 3> k_view_names{"balance", "position", "order"};

struct OrderDone {
    std::size_t account;
    std::uint64_t began, ended;
    std::int64_t version;
};

struct ReadDone {
    std::size_t account;
    View view;
    std::uint64_t began, ended;
    std::int64_t version, amount;
};

struct History {
    std::vector<OrderDone> orders;
    std::vector<ReadDone> reads;

    void append(History&& other) {
        orders.insert(orders.end(), other.orders.begin(), other.orders.end());
        reads.insert(reads.end(), other.reads.begin(), other.reads.end());
    }
};

inline constexpr std::int64_t k_funds = 1'000'000'000;
inline constexpr std::int64_t k_price = 3;

// Of order `version` of an account.
[[nodiscard]] constexpr std::int64_t quantity_of(std::size_t account, std::int64_t version) {
    return 1 + (static_cast<std::int64_t>(account) * 31 + version * 17) % 7;
}

struct Verdict {
    std::uint64_t stale = 0;    // an acknowledged order is missing
    std::uint64_t early = 0;    // an order that nobody had sent is there
    std::uint64_t torn = 0;     // the amount is not that of its version
    std::uint64_t doubled = 0;  // two orders have one version
    std::string first;          // in words
};

namespace detail {

// Of one account: for each tick, the versions that must be there and those that may be.
class Bounds {
public:
    Bounds(const std::vector<OrderDone>& orders, std::size_t account) {
        for (const OrderDone& order : orders) {
            if (order.account == account) {
                must_.emplace_back(order.ended, order.version);
                may_.emplace_back(order.began, 1);
                highest_ = std::max(highest_, order.version);
                versions_.push_back(order.version);
            }
        }
        std::sort(must_.begin(), must_.end());
        std::sort(may_.begin(), may_.end());
        for (std::size_t i = 1; i < must_.size(); ++i) {
            must_[i].second = std::max(must_[i].second, must_[i - 1].second);
            may_[i].second += may_[i - 1].second;
        }
    }

    [[nodiscard]] std::int64_t must(std::uint64_t tick) const { return before(must_, tick); }

    // Versions are given out one by one, so not more than there are orders.
    [[nodiscard]] std::int64_t may(std::uint64_t tick) const { return before(may_, tick); }

    [[nodiscard]] std::uint64_t doubled() const {
        auto sorted = versions_;
        std::sort(sorted.begin(), sorted.end());
        std::uint64_t out = 0;
        for (std::size_t i = 1; i < sorted.size(); ++i) {
            out += sorted[i] == sorted[i - 1] ? 1U : 0U;
        }
        return out;
    }

    [[nodiscard]] std::int64_t highest() const noexcept { return highest_; }

private:
    using Steps = std::vector<std::pair<std::uint64_t, std::int64_t>>;

    static std::int64_t before(const Steps& steps, std::uint64_t tick) {
        const auto at = std::lower_bound(steps.begin(), steps.end(), std::pair{tick, INT64_MIN});
        return at == steps.begin() ? 0 : std::prev(at)->second;
    }

    Steps must_, may_;
    std::vector<std::int64_t> versions_;
    std::int64_t highest_ = 0;
};

}  // namespace detail

[[nodiscard]] inline Verdict judge(const History& history, std::size_t accounts) {
    Verdict out;
    std::vector<detail::Bounds> bounds;
    std::vector<std::vector<std::int64_t>> sums;  // of quantities, by account and version
    for (std::size_t account = 0; account < accounts; ++account) {
        bounds.emplace_back(history.orders, account);
        out.doubled += bounds.back().doubled();
        auto& sum = sums.emplace_back(1, 0);
        for (std::int64_t i = 1; i <= bounds.back().highest(); ++i) {
            sum.push_back(sum.back() + quantity_of(account, i));
        }
    }
    for (const ReadDone& read : history.reads) {
        const auto& mine = bounds.at(read.account);
        const auto& sum = sums.at(read.account);
        const bool known =
            read.version >= 0 && read.version < static_cast<std::int64_t>(sum.size());
        const std::int64_t total = known ? sum[static_cast<std::size_t>(read.version)] : 0;
        const std::int64_t right = read.view == View::balance ? k_funds - k_price * total : total;
        const bool stale = read.version < mine.must(read.began);
        const bool early = read.version > mine.may(read.ended);
        const bool torn = !known || read.amount != right;
        out.stale += stale ? 1 : 0;
        out.early += early ? 1 : 0;
        out.torn += torn ? 1 : 0;
        if ((stale || early || torn) && out.first.empty()) {
            out.first = std::string{k_view_names.at(static_cast<std::size_t>(read.view))} +
                        " of account " + std::to_string(read.account) + " at tick " +
                        std::to_string(read.began) + ": version " + std::to_string(read.version) +
                        ", at least " + std::to_string(mine.must(read.began)) + ", at most " +
                        std::to_string(mine.may(read.ended)) + ", amount " +
                        std::to_string(read.amount);
        }
    }
    return out;
}

}  // namespace tenon::test
