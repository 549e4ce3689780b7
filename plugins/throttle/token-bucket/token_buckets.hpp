// SPDX-License-Identifier: Apache-2.0
// Named limits, and requests that spend of several at once. Thread-safe; no clock of its own.
#pragma once

#include "plugins/throttle/token-bucket/limit.hpp"

#include <tenon/abi/throttle.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::token_bucket {

// What a limit is set to.
struct LimitSettings {
    std::string name;
    std::string level;  // "conservative", "moderate", "aggressive", "unlimited", "custom"
    std::int64_t custom_count = 0, custom_period_ns = 0, custom_burst = 0;  // 0: no custom level
    std::uint32_t keys_max = 0;
};

// The rate of a level. Throws Error TENON_INVALID with the levels that there are.
[[nodiscard]] Rate rate_of_level(const LimitSettings& limit, std::string_view level);

class TokenBuckets {
public:
    using Claims = std::span<const tenon_throttle_claim>;

    static constexpr std::size_t k_limits_max = 256;

    // Adds limits that are new and changes the others; one that is missing stays as it is, since
    // its id must stay. All or nothing: throws Error TENON_INVALID.
    void apply(const std::vector<LimitSettings>& limits);

    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const noexcept;

    // As tenon_throttle_1.take.
    [[nodiscard]] tenon_status
    take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept;
    void refund(Claims claims, std::int64_t now_ns) noexcept;
    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept;
    // False: no such limit.
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

    // Calls body(limit) for each.
    template <class Body>
    void each(Body body) const {
        for (std::uint32_t i = 0; i < count_.load(); ++i) {
            body(*limits_[i]);
        }
    }

private:
    struct Cost {
        Limit* limit;
        std::uint64_t key;
        std::int64_t cost;
        std::int64_t now;  // in the limit's ticks
    };

    // Claims on the same budget made one. Nothing when one of them makes no sense.
    [[nodiscard]] std::optional<std::size_t>
    gather(Claims claims, std::array<Cost, TENON_THROTTLE_CLAIMS_MAX>& costs) const noexcept;
    [[nodiscard]] Limit* limit_at(std::uint32_t id) const noexcept;
    void change_level(std::size_t index, std::string_view level);

    // Appended to under the mutex, read without it.
    std::array<std::unique_ptr<Limit>, k_limits_max> limits_;
    std::atomic<std::uint32_t> count_{0};
    mutable std::mutex mutex_;  // of settings_
    std::vector<LimitSettings> settings_;
};

}  // namespace tenon::token_bucket
