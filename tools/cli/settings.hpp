// SPDX-License-Identifier: Apache-2.0
// tenon settings list|set|unset: live settings of the server, over its deployment.
#pragma once

#include "tools/cli/arguments.hpp"

#include <boost/json/object.hpp>

namespace tenon::cli {

// What was typed as the server takes it: `settings set PLUGIN POINTER VALUE` as the words settings,
// set and options with one change; `by` is who runs this program, when not given. Throws
// UsageError.
[[nodiscard]] Arguments settings_arguments(const Arguments& typed);

// Prints the answer for people: one line for each setting, change and problem. Gives the exit code.
[[nodiscard]] int tell_settings(const boost::json::value& answer);

}  // namespace tenon::cli
