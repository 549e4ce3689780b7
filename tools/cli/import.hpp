// SPDX-License-Identifier: Apache-2.0
// `tenon migrate import`: has the server take rows of another system over, and shows how far it is
// until it ends.
#pragma once

#include "tools/cli/admin_client.hpp"
#include "tools/cli/arguments.hpp"

namespace tenon::cli {

// One line of progress: "importing 42 %, 1200 of 2850 rows, 3 bad".
[[nodiscard]] std::string import_progress(const boost::json::value& status);

// What goes to the server for these words: the mapping's text, the source as the server finds it.
// Throws UsageError; reads the mapping's file.
[[nodiscard]] boost::json::object import_request(const Arguments& arguments);

// The server's last answer. Progress and problems go to standard error; with --report FILE each row
// that was refused goes there, a JSON object a line.
[[nodiscard]] boost::json::value run_import(AdminClient& client, const Arguments& arguments);

}  // namespace tenon::cli
