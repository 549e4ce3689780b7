// SPDX-License-Identifier: Apache-2.0
// One function for each interface that has a suite; all.cpp lists them.
#pragma once

#include "sdk/conformance/check.hpp"

namespace tenon::conformance {

[[nodiscard]] std::span<const Check> backup_checks();
[[nodiscard]] std::span<const Check> cache_tier_checks();
[[nodiscard]] std::span<const Check> feed_checks();
[[nodiscard]] std::span<const Check> gateway_checks();
[[nodiscard]] std::span<const Check> migrations_checks();
[[nodiscard]] std::span<const Check> monitor_checks();
[[nodiscard]] std::span<const Check> storage_checks();
[[nodiscard]] std::span<const Check> storage_value_checks();
[[nodiscard]] std::span<const Check> throttle_checks();
[[nodiscard]] std::span<const Check> throttle_state_checks();
[[nodiscard]] std::span<const Check> venue_checks();

}  // namespace tenon::conformance
