// SPDX-License-Identifier: Apache-2.0
// The groups of checks that are for every plugin; all.cpp puts them in order.
#pragma once

#include "sdk/conformance/check.hpp"

namespace tenon::conformance {

[[nodiscard]] std::span<const Check> static_checks();
[[nodiscard]] std::span<const Check> load_checks();
[[nodiscard]] std::span<const Check> lifecycle_checks();
[[nodiscard]] std::span<const Check> query_checks();
[[nodiscard]] std::span<const Check> skew_checks();
[[nodiscard]] std::span<const Check> config_checks();
[[nodiscard]] std::span<const Check> errors_checks();
[[nodiscard]] std::span<const Check> memory_checks();
[[nodiscard]] std::span<const Check> fuzz_checks();

}  // namespace tenon::conformance
