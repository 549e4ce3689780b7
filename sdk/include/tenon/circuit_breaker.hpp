// SPDX-License-Identifier: Apache-2.0
// Keeps callers from a host that does not answer.
//
// closed     everybody may try. After a failure one at a time, each after a wait that grows.
// open       so many failures in a row: nobody may until the wait is over; callers fail at once.
// half_open  the wait is over and one is trying. Success closes, failure opens for longer. One that
//            has not told within probe_timeout_ns no longer counts, and another may try.
//
// Decides only: it neither connects nor waits, and is told the time (monotonic nanoseconds). Not
// thread-safe: its owner has a lock. Pattern: M. Nygard, "Release It!", 2nd ed., ch. 5.
#pragma once

#include <tenon/backoff.hpp>

#include <algorithm>
#include <cstdint>

namespace tenon {

struct BreakerOptions {
    std::uint32_t failures_to_open = 3;
    std::int64_t probe_timeout_ns = 10'000'000'000;
    BackoffOptions backoff;
};

class CircuitBreaker {
public:
    enum class State : std::uint8_t { closed, open, half_open };
    enum class Answer : std::uint8_t {
        go,     // try now, after begin()
        later,  // wait until retry_at_ns(), or for the one who tries
        refuse  // fail at once
    };

    CircuitBreaker(const BreakerOptions& options, std::uint64_t seed) noexcept
        : options_{options}, backoff_{options.backoff, seed} {}

    [[nodiscard]] Answer ask(std::int64_t now_ns) const noexcept {
        if (failures_ == 0) {
            return Answer::go;
        }
        if (now_ns >= retry_at_ns()) {
            return Answer::go;
        }
        return state_ == State::closed ? Answer::later : Answer::refuse;
    }

    // Somebody tries, after ask() said go. One of the three below ends it.
    void begin(std::int64_t now_ns) noexcept {
        if (failures_ == 0) {
            return;
        }
        trial_until_ns_ = now_ns + options_.probe_timeout_ns;
        if (state_ == State::open) {
            state_ = State::half_open;
        }
    }

    // The host answers. True: the breaker was not closed before.
    bool succeeded() noexcept {
        const bool restored = state_ != State::closed;
        state_ = State::closed;
        failures_ = 0;
        retry_ns_ = 0;
        trial_until_ns_ = 0;
        failing_since_ns_ = 0;
        backoff_.reset();
        return restored;
    }

    // True: the breaker opened, having been closed.
    bool failed(std::int64_t now_ns) noexcept {
        trial_until_ns_ = 0;
        if (failures_ == 0) {
            failing_since_ns_ = now_ns;
        }
        // Those that tried together and fail together are one failure, not many.
        if (failures_ == 0 || now_ns >= retry_ns_) {
            ++failures_;
            retry_ns_ = now_ns + backoff_.next();
        }
        if (state_ == State::half_open) {
            state_ = State::open;
        } else if (state_ == State::closed && failures_ >= options_.failures_to_open) {
            state_ = State::open;
            return true;
        }
        return false;
    }

    // The try ended without a word about the host.
    void abandoned() noexcept {
        trial_until_ns_ = 0;
        if (state_ == State::half_open) {
            state_ = State::open;
        }
    }

    [[nodiscard]] State state() const noexcept { return state_; }

    [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }

    // When the first of the failures in a row was; 0: the last try succeeded.
    [[nodiscard]] std::int64_t failing_since_ns() const noexcept { return failing_since_ns_; }

    // When the next try may begin; in the past: now.
    [[nodiscard]] std::int64_t retry_at_ns() const noexcept {
        return std::max(retry_ns_, trial_until_ns_);
    }

private:
    BreakerOptions options_;
    Backoff backoff_;
    State state_ = State::closed;
    std::uint32_t failures_ = 0;  // in a row
    std::int64_t failing_since_ns_ = 0;
    std::int64_t retry_ns_ = 0;        // end of the wait
    std::int64_t trial_until_ns_ = 0;  // of the one who tries; 0: nobody does
};

}  // namespace tenon
