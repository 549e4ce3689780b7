// SPDX-License-Identifier: Apache-2.0
// Results for people, programs and build servers.
#pragma once

#include "sdk/conformance/runner.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace tenon::conformance {

struct Counts {
    std::size_t pass = 0, warn = 0, fail = 0, skip = 0, crash = 0, timeout = 0;

    [[nodiscard]] bool good() const { return fail + crash + timeout == 0; }
};

[[nodiscard]] Counts count(const std::vector<Finished>& results);

// One line a check that did not pass, all with `verbose`; then the sums and the seed.
[[nodiscard]] std::string
human_report(const std::vector<Finished>& results, const Options& options);

// {"seed":…,"plugins":[{"file","id","version","results":[{"check","outcome","messages","notes",
// "elapsed_ms"}],"summary":{"pass":…}}]}
[[nodiscard]] std::string json_report(const std::vector<Finished>& results, const Options& options);

// JUnit XML: a suite a plugin, a case a check; crash and timeout are errors, warnings are told in
// system-out.
[[nodiscard]] std::string
junit_report(const std::vector<Finished>& results, const Options& options);

// Every check with its meaning.
[[nodiscard]] std::string check_list(bool json);

}  // namespace tenon::conformance
