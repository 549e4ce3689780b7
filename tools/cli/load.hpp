// SPDX-License-Identifier: Apache-2.0
// `tenon load …`: load tests and comparisons of their results (tools/load does the work).
#pragma once

#include "tools/cli/arguments.hpp"

#include <string>

namespace tenon::cli {

// Exit codes besides those of every command.
inline constexpr int k_exit_saturated = 5;  // the generator could not keep up
inline constexpr int k_exit_worse = 6;      // worse than what it was compared with

[[nodiscard]] std::string load_help();

// The whole command; the exit code. Throws UsageError, std::runtime_error.
[[nodiscard]] int run_load(const Arguments& arguments);

}  // namespace tenon::cli
