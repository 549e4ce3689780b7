// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.throttle/1 for those who are limited: the rate-limited call.
//
//   limit_ = std::make_unique<tenon::Limit>(host(), "exchange_weight");   // in start
//   auto book = tenon::limited(*limit_, "", 5, 2s, [&] { return fetch_book(); });
//
// The plugin's manifest asks for it: {"interface": "tenon.throttle/1", "optional": true}. With no
// throttle bound the call simply goes. Over the limit a call waits, in order among those of its key
// and at most as long as it says; else, and when too many wait already, it throws LimitExceeded
// with the time after which to come again. The outcome is reported to the throttle: its duration,
// whether it threw, and the upstream's own "too many requests" when the body throws LimitExceeded.
#pragma once

#include <tenon/abi/throttle.h>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tenon {

// Refused by a limit. code() is TENON_UNAVAILABLE.
class LimitExceeded : public Error {
public:
    explicit LimitExceeded(std::chrono::nanoseconds retry_after, std::string message = {})
        : Error{
              TENON_UNAVAILABLE,
              (message.empty() ? std::string{"rate limit"} : std::move(message)) +
                  ", retry after " + std::to_string(retry_after.count() / 1'000'000 + 1) + " ms"},
          retry_after_{retry_after} {}

    [[nodiscard]] std::chrono::nanoseconds retry_after() const noexcept { return retry_after_; }

private:
    std::chrono::nanoseconds retry_after_;
};

// One named limit of the bound throttle. Thread-safe but for the constructor, close and ~Limit,
// which are [control].
class Limit {
public:
    static constexpr std::size_t k_waiting_max = 64;

    // waiting_max: calls that may wait at a time. Throws Error TENON_NOT_FOUND when the throttle
    // has no such limit.
    Limit(const Host& host, std::string_view name, std::size_t waiting_max = k_waiting_max)
        : service_{host.find<tenon_throttle_1>("tenon.throttle/1")},
          clock_{host.service<tenon_clock_1>("tenon.clock/1")},
          exec_{host.service<tenon_exec_1>("tenon.exec/1")},
          name_{name},
          waiting_max_{waiting_max} {
        if (service_ && service_->find(service_.self, str(name), &id_) != TENON_OK) {
            throw Error{TENON_NOT_FOUND, "the throttle has no limit " + name_};
        }
    }

    ~Limit() { close(); }

    Limit(const Limit&) = delete;
    Limit& operator=(const Limit&) = delete;

    // [control] Who waits is refused, and so is who comes later. Returns when nobody waits.
    void close() noexcept {
        std::unique_lock lock{mutex_};
        closed_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return waiting_.empty(); });
        lock.unlock();
        (void)guard(nullptr, [this] { cancel_timers(); });
    }

    // [nonblock] True: taken. False: not before retry_after. Throws Error TENON_INVALID when the
    // cost is never granted.
    bool try_take(std::string_view key, std::uint32_t cost, std::chrono::nanoseconds& retry_after)
        const {
        if (!service_) {
            return true;
        }
        const tenon_throttle_claim claim{id_, cost, str(key)};
        std::int64_t retry_ns = 0;
        const tenon_status status = service_->take(service_.self, &claim, 1, now_ns(), &retry_ns);
        retry_after = std::chrono::nanoseconds{retry_ns};
        if (status == TENON_INVALID) {
            throw Error{TENON_INVALID, name_ + " never grants a cost of " + std::to_string(cost)};
        }
        return status == TENON_OK;
    }

    // [io] Takes, waiting until the deadline. Throws LimitExceeded.
    void take(std::string_view key, std::uint32_t cost, std::int64_t deadline_ns) {
        if (!service_) {
            return;
        }
        std::unique_lock lock{mutex_};
        check_open();
        std::chrono::nanoseconds retry{0};
        if (!waits_for(key, waiting_.end()) && try_take(key, cost, retry)) {
            return;
        }
        if (waiting_.size() >= waiting_max_) {
            throw LimitExceeded{retry, name_ + ": too many wait"};
        }
        if (now_ns() + retry.count() > deadline_ns) {
            throw LimitExceeded{retry, name_};
        }
        const auto mine = waiting_.insert(waiting_.end(), std::string{key});
        const Leave leave{*this, mine};
        while (true) {
            check_open();
            const bool first = !waits_for(key, mine);
            if (first && try_take(key, cost, retry)) {
                return;
            }
            const std::int64_t left_ns = deadline_ns - now_ns();
            if (left_ns <= 0 || (first && retry.count() > left_ns)) {
                throw LimitExceeded{retry, name_};
            }
            // In slices: the host's clock need not be the one that this wait goes by.
            const std::int64_t wait_ns = first ? std::min(retry.count(), left_ns) : left_ns;
            changed_.wait_for(
                lock, std::chrono::nanoseconds{std::clamp<std::int64_t>(wait_ns, 1'000, k_slice_ns)}
            );
        }
    }

    // [reactor 0] Calls `go` on this reactor, inline when nothing has to be waited for, else later
    // by a timer; or `refused`. Exactly one of them, unless the limit is closed first: then none.
    void when_allowed(
        std::string_view key,
        std::uint32_t cost,
        std::int64_t deadline_ns,
        std::function<void()> go,
        std::function<void(const LimitExceeded&)> refused
    ) {
        std::chrono::nanoseconds retry{0};
        const bool first = std::none_of(timers_.begin(), timers_.end(), [&](const Waiter& waiter) {
            return waiter.key == key;
        });
        if (first && try_take(key, cost, retry)) {
            go();
            return;
        }
        if (timers_.size() >= waiting_max_ || now_ns() + retry.count() > deadline_ns) {
            refused(LimitExceeded{retry, name_});
            return;
        }
        timers_.push_back(Waiter{
            this, {}, std::string{key}, cost, deadline_ns, std::move(go), std::move(refused), 0});
        timers_.back().at = std::prev(timers_.end());
        arm(timers_.back(), retry.count());
    }

    // What the upstream said of a request. Does nothing when the throttle does not listen.
    void observe(std::string_view key, const tenon_throttle_feedback& feedback) const noexcept {
        if (service_ && TENON_HAS(service_.table, tenon_throttle_1, observe)) {
            service_->observe(service_.self, id_, str(key), &feedback, now_ns());
        }
    }

    [[nodiscard]] std::int64_t now_ns() const noexcept { return clock_->now_ns(clock_.self); }

    [[nodiscard]] bool bound() const noexcept { return static_cast<bool>(service_); }

private:
    using Waiting = std::list<std::string>;
    static constexpr std::int64_t k_slice_ns = 20'000'000;

    struct Leave {
        Limit& limit;
        Waiting::iterator mine;

        Leave(Limit& of, Waiting::iterator at) noexcept : limit{of}, mine{at} {}

        Leave(const Leave&) = delete;
        Leave& operator=(const Leave&) = delete;

        ~Leave() {
            limit.waiting_.erase(mine);
            limit.changed_.notify_all();
        }
    };

    // A call of when_allowed that waits.
    struct Waiter {
        Limit* limit;
        std::list<Waiter>::iterator at;
        std::string key;
        std::uint32_t cost;
        std::int64_t deadline_ns;
        std::function<void()> go;
        std::function<void(const LimitExceeded&)> refused;
        std::uint64_t timer;
    };

    void check_open() const {
        if (closed_) {
            throw LimitExceeded{std::chrono::nanoseconds{0}, name_ + " is closed"};
        }
    }

    // True when a call of this key came before `end`.
    [[nodiscard]] bool waits_for(std::string_view key, Waiting::const_iterator end) const {
        return std::find(waiting_.begin(), end, key) != end;
    }

    void arm(Waiter& waiter, std::int64_t wait_ns) {
        waiter.timer = exec_->timer(
            exec_.self,
            now_ns() + std::max<std::int64_t>(wait_ns, 1),
            [](void* ctx) noexcept {
                auto& mine = *static_cast<Waiter*>(ctx);
                (void)guard(nullptr, [&] { mine.limit->wake(mine); });
            },
            &waiter
        );
    }

    void wake(Waiter& waiter) {
        const auto earliest = std::find_if(timers_.begin(), timers_.end(), [&](const Waiter& have) {
            return have.key == waiter.key;
        });
        std::chrono::nanoseconds retry{k_slice_ns};
        bool taken = false;
        // A level may have been set under which this cost is never granted.
        const bool never =
            guard(nullptr, [&] {
                taken = earliest == waiter.at && try_take(waiter.key, waiter.cost, retry);
            }) != TENON_OK;
        if (!taken && !never && now_ns() + retry.count() <= waiter.deadline_ns) {
            arm(waiter, retry.count());
            return;
        }
        std::list<Waiter> mine;
        mine.splice(mine.begin(), timers_, waiter.at);
        if (taken) {
            waiter.go();
        } else {
            waiter.refused(LimitExceeded{retry, name_});
        }
    }

    void cancel_timers() {
        call_on_reactor(exec_, 0, [this] {
            for (const Waiter& waiter : timers_) {
                exec_->cancel_timer(exec_.self, waiter.timer);
            }
            timers_.clear();
        });
    }

    Service<tenon_throttle_1> service_;
    Service<tenon_clock_1> clock_;
    Service<tenon_exec_1> exec_;
    std::string name_;
    std::size_t waiting_max_;
    std::uint32_t id_ = 0;
    std::mutex mutex_;  // of what is below
    std::condition_variable changed_;
    Waiting waiting_;  // keys of blocking calls, in the order they came
    bool closed_ = false;
    std::list<Waiter> timers_;  // reactor 0's
};

namespace detail {

// Reports how a limited call ended.
class LimitedCall {
public:
    LimitedCall(const Limit& limit, std::string_view key) noexcept
        : limit_{limit}, key_{key}, begin_ns_{limit.now_ns()} {}

    void ended(std::uint32_t outcome, std::int64_t retry_after_ns = 0) const noexcept {
        auto feedback = sized<tenon_throttle_feedback>();
        feedback.outcome = outcome;
        feedback.latency_ns = limit_.now_ns() - begin_ns_;
        feedback.retry_after_ns = retry_after_ns;
        limit_.observe(key_, feedback);
    }

private:
    const Limit& limit_;
    std::string_view key_;
    std::int64_t begin_ns_;
};

}  // namespace detail

// [io] Runs `body` when `key` may spend `cost`, waiting at most `wait` for it. Throws
// LimitExceeded, or what the body throws.
template <class Body>
std::invoke_result_t<Body&> limited(
    Limit& limit,
    std::string_view key,
    std::uint32_t cost,
    std::chrono::nanoseconds wait,
    Body&& body
) {
    limit.take(key, cost, limit.now_ns() + std::min<std::int64_t>(wait.count(), INT64_MAX / 4));
    const detail::LimitedCall call{limit, key};
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<Body&>>) {
            body();
            call.ended(TENON_UPSTREAM_OK);
        } else {
            decltype(auto) value = body();
            call.ended(TENON_UPSTREAM_OK);
            return static_cast<std::invoke_result_t<Body&>>(std::forward<decltype(value)>(value));
        }
    } catch (const LimitExceeded& e) {
        call.ended(TENON_UPSTREAM_LIMITED, e.retry_after().count());
        throw;
    } catch (...) {
        call.ended(TENON_UPSTREAM_FAILED);
        throw;
    }
}

}  // namespace tenon
