// SPDX-License-Identifier: Apache-2.0
// The whole of tenon-plugin-check.
#pragma once

#include "sdk/conformance/runner.hpp"

#include <string>
#include <vector>

namespace tenon::conformance {

// Reads the manifest beside FILE and those of possible providers. Throws UsageError.
[[nodiscard]] Subject subject_of(const std::filesystem::path& file, const Options& options);

// The checks that apply to the plugin and that the options select. Throws UsageError for a bad
// expression.
[[nodiscard]] std::vector<Job> jobs_for(const Subject& subject, const Options& options);

// Gives the exit code.
[[nodiscard]] int run_program(const std::vector<std::string>& arguments);

}  // namespace tenon::conformance
