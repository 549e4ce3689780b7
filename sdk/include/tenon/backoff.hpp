// SPDX-License-Identifier: Apache-2.0
// Waits between attempts that fail: growing from a first to a longest wait, each one spread so that
// callers that failed together do not come back together; and how many may be made again at all.
//
// Neither sleeps nor reads a clock: it only says how long. Not thread-safe. Times in nanoseconds.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tenon {

// Random numbers for spreading, the same for the same seed; not for secrets. Sebastiano Vigna's
// splitmix64 (public domain, https://prng.di.unimi.it/splitmix64.c).
class Jitter {
public:
    explicit Jitter(std::uint64_t seed) noexcept : state_{seed} {}

    // 0 .. 2^64 - 1.
    [[nodiscard]] std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }

    // `value` or up to `percent` per cent (1 .. 100) less or more; `value` below 2^56.
    [[nodiscard]] std::int64_t spread(std::int64_t value, std::int64_t percent) noexcept {
        const std::int64_t reach = value / 100 * percent;
        if (reach <= 0) {
            return value;
        }
        const auto width = static_cast<std::uint64_t>(2 * reach + 1);
        return value - reach + static_cast<std::int64_t>(next() % width);
    }

private:
    std::uint64_t state_;
};

enum class Spread : std::uint8_t {
    quarter,  // by a quarter to either side, first_ns .. longest_ns
    full      // 1 ns .. the wait: M. Brooker, "Exponential Backoff And Jitter", AWS, 2015
};

struct BackoffOptions {
    std::int64_t first_ns = 50'000'000;
    std::int64_t longest_ns = 5'000'000'000;  // at most 2^55
    std::int64_t factor_percent = 200;        // 100 .. 1000
    Spread spread = Spread::quarter;
};

// Towards other people's servers.
inline constexpr BackoffOptions k_upstream_backoff{200'000'000, 60'000'000'000, 150, Spread::full};

class Backoff {
public:
    Backoff(BackoffOptions options, std::uint64_t seed) noexcept
        : options_{options}, jitter_{seed}, next_ns_{options.first_ns} {}

    // The wait before the next attempt.
    [[nodiscard]] std::int64_t next() noexcept {
        const std::int64_t base = std::max<std::int64_t>(next_ns_, 1);
        next_ns_ = base > options_.longest_ns / options_.factor_percent * 100
                       ? options_.longest_ns
                       : std::min(
                             base / 100 * options_.factor_percent +
                                 base % 100 * options_.factor_percent / 100,
                             options_.longest_ns
                         );
        if (options_.spread == Spread::full) {
            return 1 + static_cast<std::int64_t>(jitter_.next() % static_cast<std::uint64_t>(base));
        }
        return std::clamp(jitter_.spread(base, 25), options_.first_ns, options_.longest_ns);
    }

    // An attempt succeeded: the next wait is a first one.
    void reset() noexcept { next_ns_ = options_.first_ns; }

private:
    BackoffOptions options_;
    Jitter jitter_;
    std::int64_t next_ns_;
};

// Keeps repeated attempts a small part of all, so that they never make an overload worse: every
// first attempt earns a tenth of a repetition, up to ten of them. Not thread-safe.
class RetryBudget {
public:
    void first_attempt() noexcept { tenths_ = std::min(tenths_ + 1, k_most); }

    // True: one more attempt may be made, and is counted.
    [[nodiscard]] bool take() noexcept {
        if (tenths_ < 10) {
            return false;
        }
        tenths_ -= 10;
        return true;
    }

private:
    static constexpr std::int32_t k_most = 100;
    std::int32_t tenths_ = 10;
};

}  // namespace tenon
