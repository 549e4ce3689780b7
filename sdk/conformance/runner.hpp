// SPDX-License-Identifier: Apache-2.0
// Runs checks, each in a child process with a time limit, several at once.
//
// The parent is one thread that never opens a plugin: it forks, reads the child's result from a
// pipe and kills the child's process group at the limit. A child that ends without a result has
// crashed; the end of what it wrote to standard error is told with it.
#pragma once

#include "sdk/conformance/context.hpp"

#include <functional>
#include <vector>

namespace tenon::conformance {

struct Job {
    const Subject* subject;
    const Check* check;
};

struct Finished {
    const Subject* subject;
    const Check* check;
    Result result;
    std::int64_t elapsed_ms = 0;
};

// The results in the order of the jobs.
[[nodiscard]] std::vector<Finished> run_all(const std::vector<Job>& jobs, const Options& options);

// One check in this process.
[[nodiscard]] Result
run_here(const Job& job, const Options& options, const std::filesystem::path& folder);

}  // namespace tenon::conformance
