// SPDX-License-Identifier: Apache-2.0
// Named limits that several servers share, and requests that spend of several at once. Thread-safe.
#pragma once

#include "plugins/throttle/redis/leases.hpp"
#include "plugins/throttle/redis/shared_limit.hpp"

#include <tenon/throttle_limits.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace tenon::redis_throttle {

class SharedLimits : public ThrottleLimits<SharedLimit, 64> {
public:
    // Before take. nullptr: as without Redis, from the beginning.
    void lease(const Leases* leases) noexcept { leases_.store(leases); }

    // As tenon_throttle_1.
    [[nodiscard]] tenon_status
    take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept;
    void refund(Claims claims, std::int64_t now_ns) noexcept;
    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept;
    [[nodiscard]] bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept;

private:
    struct Cost {
        SharedLimit* limit;
        std::uint64_t key;
        std::int64_t cost;
        Place* place = nullptr;
        std::int64_t now = 0;
    };

    using Costs = std::array<Cost, TENON_THROTTLE_CLAIMS_MAX>;

    [[nodiscard]] Mode mode() const noexcept {
        const Leases* const leases = leases_.load(std::memory_order_acquire);
        return leases != nullptr ? leases->mode() : Mode{false, 0};
    }

    std::atomic<const Leases*> leases_{nullptr};
};

}  // namespace tenon::redis_throttle
