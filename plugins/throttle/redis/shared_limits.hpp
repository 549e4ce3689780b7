// SPDX-License-Identifier: Apache-2.0
// Named limits that several servers share, and requests that spend of several at once. Thread-safe.
#pragma once

#include "plugins/throttle/redis/leases.hpp"
#include "plugins/throttle/redis/shared_limit.hpp"

#include <tenon/abi/throttle.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::redis_throttle {

// What a limit is set to.
struct LimitSettings {
    std::string name;
    std::string level;  // "conservative", "moderate", "aggressive", "unlimited", "custom"
    std::int64_t custom_count = 0, custom_period_ns = 0, custom_burst = 0;  // 0: no custom level
    std::uint32_t keys_max = 0;
    std::int64_t servers = 1;
};

// Throws Error TENON_INVALID with the levels that there are, or why it cannot be.
[[nodiscard]] Plan plan_of_level(const LimitSettings& limit, std::string_view level);

class SharedLimits {
public:
    using Claims = std::span<const tenon_throttle_claim>;

    static constexpr std::size_t k_limits_max = 64;

    // Adds limits that are new and changes the others; one that is missing stays as it is, since
    // its id must stay. All or nothing: throws Error TENON_INVALID.
    void apply(const std::vector<LimitSettings>& limits);

    // Before take. nullptr: as without Redis, from the beginning.
    void lease(const Leases* leases) noexcept { leases_.store(leases); }

    [[nodiscard]] SharedLimit* at(std::size_t i) const noexcept {
        return i < count_.load(std::memory_order_acquire) ? limits_[i].get() : nullptr;
    }

    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const noexcept;

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

    // Throw Error TENON_NOT_FOUND (limit), TENON_INVALID (level). An empty limit is all of them;
    // asked for the level of all, the answer is theirs, or "mixed".
    [[nodiscard]] std::string level(std::string_view limit) const;
    void set_level(std::string_view limit, std::string_view level);
    [[nodiscard]] std::string stats() const;

private:
    struct Cost {
        SharedLimit* limit;
        std::uint64_t key;
        Place* place;
        std::int64_t cost;
        std::int64_t now;
    };

    using Costs = std::array<Cost, TENON_THROTTLE_CLAIMS_MAX>;

    // Claims on the same budget made one. Nothing when one of them makes no sense.
    [[nodiscard]] std::optional<std::size_t> gather(Claims claims, Costs& costs) const noexcept;
    void change_level(std::size_t index, std::string_view level);

    [[nodiscard]] Mode mode() const noexcept {
        const Leases* const leases = leases_.load(std::memory_order_acquire);
        return leases != nullptr ? leases->mode() : Mode{false, 0};
    }

    // Appended to under the mutex, read without it.
    std::array<std::unique_ptr<SharedLimit>, k_limits_max> limits_;
    std::atomic<std::uint32_t> count_{0};
    std::atomic<const Leases*> leases_{nullptr};
    mutable std::mutex mutex_;  // of settings_
    std::vector<LimitSettings> settings_;
};

}  // namespace tenon::redis_throttle
