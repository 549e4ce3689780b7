// SPDX-License-Identifier: Apache-2.0
// A circuit breaker for an upstream that answers many calls at a time, by the part of them that
// fails; circuit_breaker.hpp is for a host that is connected to, by failures in a row.
//
// closed     every call may go. Outcomes are counted over the last window_ns in a ring of parts.
//            When at least calls_min ended in it and failures_percent of them failed, it opens.
// open       none may go until a wait is over, which grows with every opening in a row.
// half_open  a few probes may go. When all of them succeed it closes and the counts begin anew; one
//            failure opens it for longer. A probe that has not ended probe_timeout_ns after it
//            began counts as failed, so that a lost one cannot hold the breaker half-open.
//
// Calls that began before the state changed last do not count: they speak of the time before. Each
// call is known by the epoch that begin() gave it.
//
// Decides only: no clock, no lock; times are monotonic nanoseconds. Not thread-safe.
#pragma once

#include <tenon/backoff.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace tenon {

struct RateBreakerOptions {
    std::int64_t window_ns = 10'000'000'000;
    std::uint32_t calls_min = 10;
    std::uint32_t failures_percent = 50;
    std::uint32_t probes = 3;
    std::int64_t probe_timeout_ns = 10'000'000'000;
    BackoffOptions backoff{1'000'000'000, 60'000'000'000, 150, Spread::full};
};

class RateBreaker {
public:
    enum class State : std::uint8_t { closed, open, half_open };

    RateBreaker(const RateBreakerOptions& options, std::uint64_t seed) noexcept
        : options_{options}, backoff_{options.backoff, seed} {
        options_.probes = std::max<std::uint32_t>(options_.probes, 1);
        options_.window_ns = std::max<std::int64_t>(options_.window_ns, k_parts);
    }

    // At most now_ns: a call may go. Else when to ask again at the latest; while half-open and all
    // probes are under way it may be earlier.
    [[nodiscard]] std::int64_t when(std::int64_t now_ns) noexcept {
        settle(now_ns);
        if (state_ == State::open) {
            return until_ns_;
        }
        if (state_ == State::half_open && begun_ >= options_.probes) {
            return until_ns_;
        }
        return now_ns;
    }

    // A call goes, after when() said so. The epoch is for ended().
    [[nodiscard]] std::uint64_t begin(std::int64_t now_ns) noexcept {
        settle(now_ns);
        if (state_ == State::half_open) {
            ++begun_;
            until_ns_ = now_ns + options_.probe_timeout_ns;
        }
        return epoch_;
    }

    void ended(std::uint64_t epoch, bool succeeded, std::int64_t now_ns) noexcept {
        settle(now_ns);
        if (epoch != epoch_ || state_ == State::open) {
            return;
        }
        if (state_ == State::half_open) {
            if (!succeeded) {
                open(now_ns);
            } else if (++succeeded_ >= options_.probes) {
                change(State::closed);
                backoff_.reset();
            }
            return;
        }
        Part& part = part_at(now_ns);
        ++(succeeded ? part.succeeded : part.failed);
        if (!succeeded && too_many(now_ns)) {
            open(now_ns);
        }
    }

    // It never went, or ended without a word about the upstream.
    void abandoned(std::uint64_t epoch) noexcept {
        if (epoch == epoch_ && state_ == State::half_open && begun_ > succeeded_) {
            --begun_;
        }
    }

    [[nodiscard]] State state(std::int64_t now_ns) noexcept {
        settle(now_ns);
        return state_;
    }

    [[nodiscard]] std::uint64_t openings() const noexcept { return openings_; }

private:
    static constexpr std::int64_t k_parts = 10;

    struct Part {
        std::int64_t index = -1;
        std::uint32_t succeeded = 0, failed = 0;
    };

    // What time alone brings about.
    void settle(std::int64_t now_ns) noexcept {
        if (state_ == State::open && now_ns >= until_ns_) {
            change(State::half_open);
        } else if (state_ == State::half_open && begun_ > succeeded_ && now_ns >= until_ns_) {
            open(now_ns);
        }
    }

    void change(State to) noexcept {
        state_ = to;
        ++epoch_;
        begun_ = 0;
        succeeded_ = 0;
        parts_ = {};
    }

    void open(std::int64_t now_ns) noexcept {
        change(State::open);
        until_ns_ = now_ns + backoff_.next();
        ++openings_;
    }

    [[nodiscard]] std::int64_t part_of(std::int64_t now_ns) const noexcept {
        return std::max<std::int64_t>(now_ns, 0) / (options_.window_ns / k_parts);
    }

    [[nodiscard]] Part& part_at(std::int64_t now_ns) noexcept {
        const std::int64_t index = part_of(now_ns);
        Part& out = parts_.at(static_cast<std::size_t>(index % k_parts));
        if (out.index != index) {
            out = Part{index, 0, 0};
        }
        return out;
    }

    [[nodiscard]] bool too_many(std::int64_t now_ns) const noexcept {
        const std::int64_t now = part_of(now_ns);
        std::uint64_t all = 0;
        std::uint64_t failed = 0;
        for (const Part& part : parts_) {
            if (part.index >= 0 && part.index > now - k_parts) {
                all += part.succeeded + part.failed;
                failed += part.failed;
            }
        }
        return all >= options_.calls_min && failed * 100 >= all * options_.failures_percent;
    }

    RateBreakerOptions options_;
    Backoff backoff_;
    State state_ = State::closed;
    std::uint64_t epoch_ = 0;
    std::uint64_t openings_ = 0;
    std::int64_t until_ns_ = 0;  // open: the end of it; half_open: of the last probe's time
    std::uint32_t begun_ = 0, succeeded_ = 0;  // probes
    std::array<Part, 10> parts_{};
};

}  // namespace tenon
