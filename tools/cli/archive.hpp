// SPDX-License-Identifier: Apache-2.0
// `tenon archive …`: what it means before it goes to a server, and rows printed as they come.
//
//   run | list [NAME] | query NAME [--from T] [--to T] [--where column=value]... [--format
//   csv|json] restore ID|NAME [--from T] [--to T] | verify [ID] hold [NAME] --reason TEXT [--from
//   T] [--to T] | release ID
#pragma once

#include "tools/cli/admin_client.hpp"
#include "tools/cli/arguments.hpp"

#include <boost/json/value.hpp>

namespace tenon::cli {

// The words after `archive` as options. Throws UsageError.
[[nodiscard]] Arguments archive_arguments(Arguments arguments);

// A query prints its rows, a page at a time, and gives null; the other commands give the answer.
// Takes what archive_arguments gave. Throws CommandFailed.
[[nodiscard]] boost::json::value run_archive(AdminClient& client, const Arguments& arguments);

}  // namespace tenon::cli
