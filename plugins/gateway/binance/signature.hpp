// SPDX-License-Identifier: Apache-2.0
// What a client signed, and whether it signed it in time (rest-api.md, "Signed endpoint security").
// Knows no secret: the bytes go to tenon.auth/1.
#pragma once

#include <tenon/abi/base.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace tenon::binance {

// The received bytes in order, query string then body with nothing between them, without
// "signature=…" and one of the ampersands beside it.
struct SignedParts {
    std::array<tenon_bytes, 4> parts{};
    std::uint32_t count = 0;
};

[[nodiscard]] SignedParts signed_parts(std::string_view query, std::string_view body) noexcept;

inline constexpr std::int64_t k_default_window_us = 5'000'000;
inline constexpr std::int64_t k_max_window_us = 60'000'000;

// `timestamp` is in milliseconds or, from 10^14 on, microseconds; the rest in microseconds.
// Throws ApiError -1021 unless timestamp < now + 1 s and now - timestamp <= window.
void check_timestamp(std::int64_t timestamp, std::int64_t window_us, std::int64_t now_us);

// "5000" or "5000.346": milliseconds with at most three decimals, at most 60000, as microseconds.
[[nodiscard]] std::int64_t parse_window_us(std::string_view text);

}  // namespace tenon::binance
