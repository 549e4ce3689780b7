// SPDX-License-Identifier: Apache-2.0
// What `tenon` does with its arguments. Answers go to standard output, errors to standard error.
#pragma once

#include <string>
#include <vector>

namespace tenon::cli {

// The whole program; gives the exit code.
[[nodiscard]] int run(const std::vector<std::string>& arguments);

[[nodiscard]] std::string help_text();

}  // namespace tenon::cli
