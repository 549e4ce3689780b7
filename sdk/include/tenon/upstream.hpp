// SPDX-License-Identifier: Apache-2.0
// All that goes to one upstream (an exchange's address, a data or AI provider) through one place:
// queue, budget, breaker. What it adds up to: no request above the upstream's limits, cancels never
// behind data, no client at the cost of another, and nothing waits that cannot be in time.
//
//   tenon::Upstream up{options};
//   auto told = up.submit({.id = 7, .lane = tenon::Lane::order, .client = account,
//                          .account = account, .cost = {1, 1}, .deadline_ns = now + 1s}, now);
//   if (!told.accepted) { … come again after told.retry_after_ns … }
//   for (auto step = up.next(now); ; step = up.next(now)) {
//       send:   put request step.id on a connection, then call exactly one of
//               answered(id, answer, now)  the upstream answered, whatever it said
//               lost(id, now)              sent, or perhaps sent, and no answer
//               not_sent(id, now)          for certain nothing left
//       refuse: tell the caller of step.id; it waits no longer
//       wait:   come again at step.at_ns, or when something is submitted or ends
//       idle:   come again when something is submitted or ends
//   }
//
// What it does not do: it keeps no request's bytes, sends nothing twice (ask retry_after() for
// requests that may be repeated and submit them anew), and does not watch over answers' deadlines:
// who sends does, and calls lost(). It has no clock, thread or lock: not thread-safe, times are
// passed in, so that a reactor and a test in virtual time drive it alike.
#pragma once

#include <tenon/outbound_queue.hpp>
#include <tenon/rate_breaker.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon {

// A further budget, such as the bound throttle's; see upstream_gate.hpp. Not owned.
class UpstreamGate {
public:
    // 0: taken. Else, taking nothing, the nanoseconds after which it might be.
    [[nodiscard]] virtual std::int64_t
    take(const OutboundRequest& request, std::int64_t now_ns) = 0;
    virtual void give_back(const OutboundRequest& request, std::int64_t now_ns) = 0;

protected:
    ~UpstreamGate() = default;
};

struct UpstreamOptions {
    // Limits in orders are each account's, the others the address's. At most four of a kind.
    std::vector<PublishedLimit> limits;
    std::size_t queue_max = 1000;
    std::size_t in_flight_max = 64;  // the last eighth, at least one, is for urgent ones
    std::size_t accounts_max =
        256;                    // with requests here, or with orders in a window that is not over
    std::int64_t reserve = 40;  // weight of each window for urgent ones; and as much for orders
    std::int64_t share = 1000;  // per mille; see share_of_level
    UpstreamClock clock;
    RateBreakerOptions breaker;
    std::uint64_t seed = 1;        // of the waits after failures
    UpstreamGate* gate = nullptr;  // outlives this
};

// How one request ended.
struct UpstreamAnswer {
    enum class Outcome : std::uint8_t {
        ok,              // whatever was said, the upstream works
        failed,          // its own error: 5xx and its like
        limited,         // 429: the address
        limited_orders,  // 429: the account's orders
        banned           // 418
    };

    Outcome outcome = Outcome::ok;
    std::int64_t retry_after_ns = 0;  // 0: it did not say
    // Its own counts, in the order of the limits of the address, and of those of orders.
    UpstreamLedger::Used used = UpstreamLedger::k_not_said;
    UpstreamLedger::Used used_orders = UpstreamLedger::k_not_said;
};

class Upstream {
public:
    enum class Refusal : std::uint8_t {
        none,
        never,      // no window is large enough, too many accounts, or an id that is in use
        full,       // and nothing worse waits
        too_late,   // it would wait longer than its deadline
        pushed_out  // by one of a better lane, or of a client that had less
    };

    struct Told {
        bool accepted = false;
        Refusal why = Refusal::none;
        std::int64_t retry_after_ns = 0;  // when it makes sense to come again; never: 0
    };

    struct Step {
        enum class Kind : std::uint8_t { idle, send, refuse, wait };

        Kind kind = Kind::idle;
        std::uint64_t id = 0;
        std::int64_t at_ns = 0;           // wait
        Refusal why = Refusal::none;      // refuse
        std::int64_t retry_after_ns = 0;  // refuse
    };

    explicit Upstream(UpstreamOptions options)
        : options_{std::move(options)},
          address_{of_unit(options_.limits, false), options_.reserve},
          order_limits_{of_unit(options_.limits, true)},
          queue_{options_.queue_max},
          breaker_{options_.breaker, options_.seed},
          backoff_{k_upstream_backoff, options_.seed} {
        address_.set_clock(options_.clock);
        address_.set_share(options_.share);
    }

    [[nodiscard]] Told submit(const OutboundRequest& request, std::int64_t now_ns) {
        Account* const account = account_for(request.account, now_ns);
        if (account == nullptr || in_flight_.contains(request.id) ||
            !address_.grants(request.cost, request.lane) ||
            !account->ledger.grants(request.cost, request.lane)) {
            return {false, Refusal::never, 0};
        }
        const std::int64_t at_ns = predicted_ns(request, *account, now_ns);
        if (at_ns > request.deadline_ns) {
            return {false, Refusal::too_late, at_ns - now_ns};
        }
        auto pushed = queue_.push(request);
        if (!pushed.accepted) {
            return {false, Refusal::full, std::max<std::int64_t>(at_ns - now_ns, k_least_wait_ns)};
        }
        if (pushed.evicted) {
            evicted_.push_back(pushed.evicted->id);
            leave(*pushed.evicted);
        }
        ++account->requests;
        if (!request.repeated) {
            retries_.first_attempt();
        }
        return {true, Refusal::none, 0};
    }

    [[nodiscard]] Step next(std::int64_t now_ns) {
        if (!evicted_.empty()) {
            const std::uint64_t id = evicted_.front();
            evicted_.pop_front();
            return refuse(id, Refusal::pushed_out, now_ns, now_ns + k_least_wait_ns);
        }
        const std::int64_t shut_ns = shut_until_ns(now_ns);
        // Who cannot be in time is told now, not when it is too late to do something else.
        if (const auto late = queue_.expired(shut_ns)) {
            leave(*late);
            return refuse(late->id, Refusal::too_late, now_ns, shut_ns);
        }
        if (queue_.size() == 0) {
            return {};
        }
        if (shut_ns > now_ns) {
            return wait(shut_ns);
        }
        // When the first of them is late.
        std::int64_t retry_ns = std::min(queue_.first_deadline_ns(), INT64_MAX - 1) + 1;
        const auto ready = queue_.pop([&](const OutboundRequest& request) {
            const auto [may, at_ns] = ask(request, now_ns);
            retry_ns = std::min(retry_ns, std::max(at_ns, now_ns + 1));
            return may;
        });
        if (ready) {
            begin(*ready, now_ns);
            return {Step::Kind::send, ready->id, 0, Refusal::none, 0};
        }
        return retry_ns == INT64_MAX ? Step{} : wait(retry_ns);
    }

    // The caller no longer wants it. True: it waited, and does no more; false: it is under way, or
    // over.
    bool withdraw(std::uint64_t id) {
        if (std::erase(evicted_, id) != 0) {
            return true;
        }
        const auto removed = queue_.remove(id);
        if (removed) {
            leave(*removed);
        }
        return removed.has_value();
    }

    void answered(std::uint64_t id, const UpstreamAnswer& answer, std::int64_t now_ns) {
        const auto sent = take_out(id);
        if (!sent) {
            return;
        }
        using Outcome = UpstreamAnswer::Outcome;
        Account& account = accounts_.at(sent->request.account);
        address_.answered(sent->address, answer.used, now_ns);
        account.ledger.answered(sent->orders, answer.used_orders, now_ns);
        if (answer.outcome == Outcome::limited) {
            address_.refused(answer.retry_after_ns, now_ns);
        } else if (answer.outcome == Outcome::banned) {
            address_.banned(answer.retry_after_ns, now_ns);
        } else if (answer.outcome == Outcome::limited_orders) {
            account.ledger.refused(answer.retry_after_ns, now_ns);
        }
        --account.requests;
        const bool works = answer.outcome != Outcome::failed;
        breaker_.ended(sent->epoch, works, now_ns);
        if (works) {
            backoff_.reset();
        }
    }

    // What it cost stays charged: the upstream may have counted it.
    void lost(std::uint64_t id, std::int64_t now_ns) {
        const auto sent = take_out(id);
        if (!sent) {
            return;
        }
        address_.lost(sent->address);
        accounts_.at(sent->request.account).ledger.lost(sent->orders);
        leave(sent->request);
        breaker_.ended(sent->epoch, false, now_ns);
    }

    // upstream_failed: it did not go because the upstream could not be reached.
    void not_sent(std::uint64_t id, std::int64_t now_ns, bool upstream_failed = false) {
        const auto sent = take_out(id);
        if (!sent) {
            return;
        }
        address_.give_back(sent->address);
        accounts_.at(sent->request.account).ledger.give_back(sent->orders);
        leave(sent->request);
        if (sent->gated) {
            options_.gate->give_back(sent->request, now_ns);
        }
        if (upstream_failed) {
            breaker_.ended(sent->epoch, false, now_ns);
        } else {
            breaker_.abandoned(sent->epoch);
        }
    }

    // After a failure of something that may be repeated: how long to wait before it is submitted
    // again; nothing: not at all, repetitions are more than a tenth of all already.
    [[nodiscard]] std::optional<std::int64_t> retry_after() {
        if (!retries_.take()) {
            return std::nullopt;
        }
        return backoff_.next();
    }

    void set_clock(const UpstreamClock& clock) {
        options_.clock = clock;
        address_.set_clock(clock);
        for (auto& [id, account] : accounts_) {
            account.ledger.set_clock(clock);
        }
    }

    void set_share(std::int64_t per_mille) {
        options_.share = per_mille;
        address_.set_share(per_mille);
        for (auto& [id, account] : accounts_) {
            account.ledger.set_share(per_mille);
        }
    }

    struct Stats {
        std::size_t queued = 0, in_flight = 0;
        std::int64_t share = 0;             // per mille, in force
        std::int64_t blocked_until_ns = 0;  // 0: it is not
        RateBreaker::State breaker = RateBreaker::State::closed;
    };

    [[nodiscard]] Stats stats(std::int64_t now_ns) {
        const std::int64_t blocked_ns = address_.blocked_until_ns();
        return {
            queue_.size(),
            in_flight_.size(),
            address_.share(now_ns),
            blocked_ns > now_ns ? blocked_ns : 0,
            breaker_.state(now_ns)};
    }

    // Of the address's i-th limit, in its present window.
    [[nodiscard]] std::int64_t used(std::size_t i, std::int64_t now_ns) {
        return address_.used(i, now_ns);
    }

private:
    struct Account {
        UpstreamLedger ledger;     // of its orders
        std::size_t requests = 0;  // that wait or are under way
    };

    struct Sent {
        OutboundRequest request;
        UpstreamLedger::Charges address, orders;
        std::uint64_t epoch = 0;
        bool gated = false;
    };

    static constexpr std::int64_t k_least_wait_ns = 100'000'000;

    [[nodiscard]] static std::vector<PublishedLimit>
    of_unit(const std::vector<PublishedLimit>& limits, bool orders) {
        std::vector<PublishedLimit> out;
        std::copy_if(limits.begin(), limits.end(), std::back_inserter(out), [&](const auto& each) {
            return (each.unit == LimitUnit::orders) == orders;
        });
        return out;
    }

    [[nodiscard]] static Step wait(std::int64_t at_ns) {
        return {Step::Kind::wait, 0, at_ns, Refusal::none, 0};
    }

    [[nodiscard]] static Step
    refuse(std::uint64_t id, Refusal why, std::int64_t now_ns, std::int64_t again_ns) {
        return {Step::Kind::refuse, id, 0, why, std::max(again_ns - now_ns, k_least_wait_ns)};
    }

    [[nodiscard]] Account* account_for(std::uint64_t id, std::int64_t now_ns) {
        if (const auto found = accounts_.find(id); found != accounts_.end()) {
            return &found->second;
        }
        if (accounts_.size() >= options_.accounts_max) {
            forget_idle(now_ns);
        }
        if (accounts_.size() >= options_.accounts_max) {
            return nullptr;
        }
        Account& made =
            accounts_.try_emplace(id, Account{UpstreamLedger{order_limits_, 0}, 0}).first->second;
        made.ledger.set_clock(options_.clock);
        made.ledger.set_share(options_.share);
        return &made;
    }

    // An account of which nothing is here and nothing counts begins anew when it comes back.
    void forget_idle(std::int64_t now_ns) {
        for (auto at = accounts_.begin(); at != accounts_.end();) {
            Account& each = at->second;
            at = each.requests == 0 && each.ledger.is_unused(now_ns) ? accounts_.erase(at)
                                                                     : std::next(at);
        }
    }

    // It neither waits nor is under way any more.
    void leave(const OutboundRequest& request) { --accounts_.at(request.account).requests; }

    [[nodiscard]] std::int64_t
    predicted_ns(const OutboundRequest& request, Account& account, std::int64_t now_ns) {
        const RequestCost ahead = queue_.ahead(request);
        return std::max(
            {shut_until_ns(now_ns),
             address_.after(ahead, request.cost, request.lane, now_ns),
             account.ledger.after(ahead, request.cost, request.lane, now_ns)}
        );
    }

    // Nothing goes before that; at least now_ns.
    [[nodiscard]] std::int64_t shut_until_ns(std::int64_t now_ns) {
        const bool open = breaker_.state(now_ns) == RateBreaker::State::open;
        return std::max({now_ns, address_.blocked_until_ns(), open ? breaker_.when(now_ns) : now_ns}
        );
    }

    // Whether it may go, and if not, when to ask again.
    [[nodiscard]] std::pair<OutboundQueue::May, std::int64_t>
    ask(const OutboundRequest& request, std::int64_t now_ns) {
        using May = OutboundQueue::May;
        const bool urgent = request.lane == Lane::urgent;
        const std::size_t kept = std::max<std::size_t>(options_.in_flight_max / 8, 1);
        if (in_flight_.size() + (urgent ? 0 : kept) >= std::max(options_.in_flight_max, kept + 1)) {
            return {May::wait, INT64_MAX};
        }
        if (const std::int64_t at = breaker_.when(now_ns); at > now_ns) {
            return {May::wait, at};
        }
        if (const std::int64_t at = address_.when(request.cost, request.lane, now_ns);
            at > now_ns) {
            return {May::wait, at};
        }
        Account& account = accounts_.at(request.account);
        if (const std::int64_t at = account.ledger.when(request.cost, request.lane, now_ns);
            at > now_ns) {
            return {May::others, at};
        }
        gated_ = false;
        if (options_.gate != nullptr) {
            const std::int64_t more_ns = options_.gate->take(request, now_ns);
            gated_ = more_ns == 0;
            if (more_ns > 0 && !urgent) {
                return {May::wait, now_ns + more_ns};
            }
        }
        return {May::go, now_ns};
    }

    void begin(const OutboundRequest& request, std::int64_t now_ns) {
        Account& account = accounts_.at(request.account);
        in_flight_.emplace(
            request.id,
            Sent{
                request,
                address_.take(request.cost, now_ns),
                account.ledger.take(request.cost, now_ns),
                breaker_.begin(now_ns),
                gated_}
        );
    }

    [[nodiscard]] std::optional<Sent> take_out(std::uint64_t id) {
        auto node = in_flight_.extract(id);
        return node.empty() ? std::nullopt : std::optional<Sent>{std::move(node.mapped())};
    }

    UpstreamOptions options_;
    UpstreamLedger address_;
    std::vector<PublishedLimit> order_limits_;
    std::unordered_map<std::uint64_t, Account> accounts_;
    OutboundQueue queue_;
    RateBreaker breaker_;
    Backoff backoff_;
    RetryBudget retries_;
    std::deque<std::uint64_t> evicted_;  // that have not been told yet
    std::unordered_map<std::uint64_t, Sent> in_flight_;
    bool gated_ = false;  // of the one that ask() let go
};

}  // namespace tenon
