// SPDX-License-Identifier: Apache-2.0
// Named limits, and requests that spend of several at once. Thread-safe; no clock of its own.
#pragma once

#include "plugins/throttle/token-bucket/limit.hpp"

#include <tenon/throttle_limits.hpp>

#include <cstdint>
#include <string_view>

namespace tenon::token_bucket {

using LimitSettings = ThrottleLimitSettings;

class TokenBuckets : public ThrottleLimits<Limit, 256> {
public:
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

private:
    struct Cost {
        Limit* limit;
        std::uint64_t key;
        std::int64_t cost;
        std::int64_t now = 0;  // in the limit's ticks
    };

    [[nodiscard]] tenon_status
    take_all(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept;
};

}  // namespace tenon::token_bucket
