// SPDX-License-Identifier: Apache-2.0
// The kit on plugins that are broken on purpose: folders named after the check that must fail.
//
//   CHECK/         a plugin that fails this check, and no other
//   CHECK@TEXT/    the same; a message of the result contains the text
//   SUITE.none/    a plugin that passes everything
// "x-also" in a manifest lists expressions of checks that cannot but fail with it. Every check that
// can fail must have a folder.
#pragma once

#include "sdk/conformance/options.hpp"

namespace tenon::conformance {

// Runs it, prints what is wrong and a summary; gives the exit code.
[[nodiscard]] int run_self_test(const Options& options);

}  // namespace tenon::conformance
