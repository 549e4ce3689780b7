// SPDX-License-Identifier: Apache-2.0
// How a suite's checks become checks of the kit: a file's table names checked<&function>.
#pragma once

#include "sdk/conformance/suites/all.hpp"
#include "sdk/conformance/suites/bench.hpp"

#include <span>

namespace tenon::suites {

using conformance::Check;

// Runs `body` on a bench over the kit's context; a Breach is a failure, NotApplicable skips.
void run_on_bench(conformance::Context& context, void (*body)(Bench&));

template <void (*body)(Bench&)>
void checked(conformance::Context& context) {
    run_on_bench(context, body);
}

}  // namespace tenon::suites
