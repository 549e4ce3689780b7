// SPDX-License-Identifier: Apache-2.0
// The part of a Pool that says whose turn it is: what is idle, who waits, who may connect, and what
// somebody is told who gets nothing. See pool.hpp; not for use by itself.
//
// Guarded by mutex_: all that follows it. Functions *_locked want it held, and call nothing of the
// backend but name() and now_ns().
#pragma once

#include <tenon/assert.hpp>
#include <tenon/pool_types.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace tenon::detail {

template <PoolBackend Backend>
class PoolQueue {
public:
    PoolQueue(const PoolQueue&) = delete;
    PoolQueue& operator=(const PoolQueue&) = delete;

protected:
    using Node = PoolNode<typename Backend::Connection>;
    using Waiter = PoolWaiter<Node>;
    using Lock = std::unique_lock<std::mutex>;

    struct Grant {
        Node* node = nullptr;  // null: the right to open one
        bool stale = false;    // of an earlier epoch
        std::uint64_t epoch = 0;
    };

    PoolQueue(Backend backend, const PoolOptions& options)
        : options_{options}, backend_{std::move(backend)}, breaker_{options.breaker, options.seed} {
        TENON_ASSERT(options_.size_max > 0 && options_.size_min <= options_.size_max);
        all_.reserve(options_.size_max);
        idle_.reserve(options_.size_max);
    }

    ~PoolQueue() = default;

    // A connection, or the right to open one. `again`: the caller's turn comes first, it had one.
    [[nodiscard]] Grant
    take_turn(std::int64_t now_ns, std::int64_t deadline_ns, const LeaseOwner& who, bool again) {
        Lock lock{mutex_};
        if (!closed_ && waiters_.empty() && !idle_.empty()) [[likely]] {
            Node& node = *idle_.back();
            idle_.pop_back();
            lend_locked(node, now_ns, who);
            return {&node, node.epoch != epoch_, epoch_};
        }
        if (closed_ || (!again && waiters_.size() >= options_.waiting_max)) {
            ++stats_.refusals;
            throw refusal_locked(now_ns);
        }
        Waiter me{who};
        waiters_.insert(again ? waiters_.begin() : waiters_.end(), &me);
        pass_on_locked(now_ns);
        if (!me.is_served()) {
            await(lock, me, now_ns, deadline_ns);
            const std::int64_t waited_ns = backend_.now_ns() - now_ns;
            stats_.wait_total_ns += waited_ns;
            stats_.wait_max_ns = std::max(stats_.wait_max_ns, waited_ns);
        }
        if (me.refused) {
            ++stats_.refusals;
            throw refusal_locked(backend_.now_ns());
        }
        if (!me.is_served()) {
            std::erase(waiters_, &me);
            ++stats_.timeouts;
            const std::int64_t late_ns = backend_.now_ns();
            pass_on_locked(late_ns);
            throw timeout_locked(late_ns);
        }
        return {me.node, me.node != nullptr && me.node->epoch != epoch_, epoch_};
    }

    // For one who has no time left.
    [[nodiscard]] StorageError late() {
        const std::lock_guard lock{mutex_};
        ++stats_.timeouts;
        return timeout_locked(backend_.now_ns());
    }

    // Until served or the deadline.
    void await(Lock& lock, Waiter& me, std::int64_t now_ns, std::int64_t deadline_ns) {
        while (!me.is_served()) {
            const std::int64_t until_ns = std::min(deadline_ns, me.retry_ns);
            const std::int64_t left_ns = until_ns <= now_ns ? 0 : until_ns - now_ns;
            const bool in_full = left_ns <= k_longest_wait_ns;
            const bool late =
                me.wake.wait_for(
                    lock, std::chrono::nanoseconds{std::min(left_ns, k_longest_wait_ns)}
                ) == std::cv_status::timeout;
            if (me.is_served()) {
                return;
            }
            now_ns = backend_.now_ns();
            if (now_ns >= deadline_ns || (late && in_full && until_ns == deadline_ns)) {
                return;
            }
            if (now_ns >= me.retry_ns || (late && in_full)) {
                me.retry_ns = INT64_MAX;
                pass_on_locked(now_ns);
            }
        }
    }

    void lend_locked(Node& node, std::int64_t now_ns, const LeaseOwner& who) noexcept {
        node.lent = true;
        node.lent_ns = now_ns;
        node.owner = who;
        ++node.uses;
        ++lent_;
    }

    // Somebody may go on: the first who waits gets the newest idle connection, or the right to open
    // one, or the news that there is nothing to wait for.
    void pass_on_locked(std::int64_t now_ns) noexcept {
        while (!waiters_.empty()) {
            Waiter& first = *waiters_.front();
            if (!idle_.empty()) {
                first.node = idle_.back();
                idle_.pop_back();
                lend_locked(*first.node, now_ns, first.owner);
            } else if (all_.size() + opening_ >= options_.size_max) {
                return;
            } else {
                switch (breaker_.ask(now_ns)) {
                    case CircuitBreaker::Answer::go:
                        breaker_.begin(now_ns);
                        ++opening_;
                        first.may_open = true;
                        break;
                    case CircuitBreaker::Answer::refuse:
                        if (!all_.empty()) {  // what is lent comes back
                            first.retry_ns = breaker_.retry_at_ns();
                            first.wake.notify_one();
                            return;
                        }
                        first.refused = true;
                        break;
                    case CircuitBreaker::Answer::later:
                        first.retry_ns = breaker_.retry_at_ns();
                        first.wake.notify_one();
                        return;
                }
            }
            waiters_.pop_front();
            first.wake.notify_one();
        }
    }

    [[nodiscard]] std::string outage_locked(std::int64_t now_ns) const {
        return backend_.name() + " does not answer: " + std::to_string(breaker_.failures()) +
               " connects failed in a row, the next in " +
               seconds(breaker_.retry_at_ns() - now_ns) + "; the last: " + last_failure_;
    }

    const PoolOptions options_;
    mutable Backend backend_;

    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Node>> all_;
    std::vector<Node*> idle_;  // the back came last
    std::deque<Waiter*> waiters_;
    std::uint32_t opening_ = 0;  // rights to open one that are out
    std::uint32_t lent_ = 0;
    std::uint64_t epoch_ = 1;
    bool closed_ = false;
    CircuitBreaker breaker_;
    std::string last_failure_;
    PoolStats stats_;

private:
    [[nodiscard]] std::string usage_locked() const {
        return std::to_string(lent_) + " of " + std::to_string(options_.size_max) + " in use, " +
               std::to_string(waiters_.size()) + " waiting";
    }

    [[nodiscard]] StorageError refusal_locked(std::int64_t now_ns) const {
        const std::string name = backend_.name();
        if (closed_) {
            return {
                TENON_UNAVAILABLE,
                "the connections to " + name + " are closed",
                Failure::permanent};
        }
        if (waiters_.size() >= options_.waiting_max) {
            return {
                TENON_UNAVAILABLE,
                "too many wait for a connection to " + name + ": " + usage_locked(),
                Failure::retry_transaction};
        }
        return {TENON_UNAVAILABLE, outage_locked(now_ns), Failure::other_host};
    }

    [[nodiscard]] StorageError timeout_locked(std::int64_t now_ns) const {
        std::string text =
            "no connection to " + backend_.name() + " before the deadline: " + usage_locked();
        const Node* longest = nullptr;
        for (const auto& node : all_) {
            if (node->lent && (longest == nullptr || node->lent_ns < longest->lent_ns)) {
                longest = node.get();
            }
        }
        if (longest != nullptr) {
            text += ", the longest for " + seconds(now_ns - longest->lent_ns) + " by " +
                    longest->owner.text();
        }
        if (breaker_.failures() != 0) {
            text += "; the last connect failed: " + last_failure_;
        }
        return {TENON_TIMEOUT, std::move(text), Failure::timeout};
    }
};

}  // namespace tenon::detail
