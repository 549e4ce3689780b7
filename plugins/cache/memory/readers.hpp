// SPDX-License-Identifier: Apache-2.0
// Who reads without a lock, and what may be freed when. Thread-safe where it says so.
//
// There is an epoch, a number that writers count up. A reader announces itself in the counter of
// the epoch that it found (of its parity) and looks whether it is still that one. What is taken out
// in epoch e is freed in e + 2: the step to e + 1 lets nobody in who could find it, the step to e +
// 2 is taken only when the counter of e's parity is zero. The counters are spread over lines of the
// processor's cache by thread; they also count hits, so that a hit costs two atomic operations.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <pthread.h>

namespace tenon::memory_cache {

class Readers {
    struct alignas(64) Stripe {
        // By parity of the epoch: who is inside in the low 24 bits, hits above.
        std::array<std::atomic<std::uint64_t>, 2> inside{};
        std::atomic<std::uint64_t> misses{0};
        std::atomic<std::int64_t> latest_ns{INT64_MIN};
    };

public:
    // [any] From construction to destruction nothing that can be found is freed.
    class Inside {
    public:
        explicit Inside(Readers& readers) noexcept
            : stripe_{readers.stripes_[stripe_of(static_cast<std::uint64_t>(pthread_self()))]} {
            for (;;) {
                const std::uint64_t epoch = readers.epoch_.load();
                word_ = &stripe_.inside[epoch & 1];
                word_->fetch_add(1);
                if (readers.epoch_.load() == epoch) {
                    return;
                }
                word_->fetch_sub(1, std::memory_order_release);
            }
        }

        ~Inside() { word_->fetch_add(leave_, std::memory_order_release); }

        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;

        void hit() noexcept { leave_ += k_hit; }

        void miss() noexcept { stripe_.misses.fetch_add(1, std::memory_order_relaxed); }

        void at(std::int64_t now_ns) noexcept {
            if (stripe_.latest_ns.load(std::memory_order_relaxed) < now_ns) {
                stripe_.latest_ns.store(now_ns, std::memory_order_relaxed);
            }
        }

    private:
        Stripe& stripe_;
        std::atomic<std::uint64_t>* word_ = nullptr;
        std::uint64_t leave_ = ~std::uint64_t{0};  // minus one
    };

    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_.load(); }

    // One caller at a time, the one that takes entries out. False: somebody of the epoch before is
    // still inside.
    bool step() noexcept {
        const std::uint64_t epoch = epoch_.load();
        for (const Stripe& stripe : stripes_) {
            if ((stripe.inside[(epoch + 1) & 1].load() & (k_hit - 1)) != 0) {
                return false;
            }
        }
        epoch_.store(epoch + 1);
        return true;
    }

    [[nodiscard]] std::uint64_t hits() const noexcept {
        std::uint64_t sum = 0;
        for (const Stripe& stripe : stripes_) {
            for (const auto& word : stripe.inside) {
                sum += word.load(std::memory_order_relaxed) / k_hit;
            }
        }
        return sum;
    }

    [[nodiscard]] std::uint64_t misses() const noexcept {
        std::uint64_t sum = 0;
        for (const Stripe& stripe : stripes_) {
            sum += stripe.misses.load(std::memory_order_relaxed);
        }
        return sum;
    }

    // The latest time that a reader has named.
    [[nodiscard]] std::int64_t latest_ns() const noexcept {
        std::int64_t latest = INT64_MIN;
        for (const Stripe& stripe : stripes_) {
            latest = std::max(latest, stripe.latest_ns.load(std::memory_order_relaxed));
        }
        return latest;
    }

private:
    static constexpr std::size_t k_stripes = 8;

    // Of a thread; the ids are addresses.
    [[nodiscard]] static std::size_t stripe_of(std::uint64_t thread) noexcept {
        return ((thread >> 12) * 0x9e3779b97f4a7c15U) >> 61;
    }

    static constexpr std::uint64_t k_hit = 1U << 24;

    alignas(64) std::atomic<std::uint64_t> epoch_{2};
    std::array<Stripe, k_stripes> stripes_;
};

}  // namespace tenon::memory_cache
