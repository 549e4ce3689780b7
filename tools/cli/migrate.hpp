// SPDX-License-Identifier: Apache-2.0
// `tenon migrate …`: what it means before it goes to a server, and what needs none.
//
//   migrate up|down|to N      N may stand without --to
//   migrate new NAME          files of the next version in --dir (default ./migrations), no server
//
// Everything else is sent as it is. A server that is started for the length of the command only
// neither migrates nor compares by itself (TENON_MIGRATE_BY_COMMAND=1 in its environment).
#pragma once

#include "tools/cli/arguments.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace tenon::cli {

[[nodiscard]] std::string migrate_help();

// The words after `migrate` as options. Throws UsageError.
[[nodiscard]] Arguments migrate_arguments(Arguments arguments);

// {"version":N,"files":["…"]}; `told`: for people. Throws UsageError, std::runtime_error.
[[nodiscard]] boost::json::object migrate_new(const Arguments& arguments, std::string& told);

}  // namespace tenon::cli
