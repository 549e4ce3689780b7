// SPDX-License-Identifier: Apache-2.0
// `tenon migrate copy`: begins a copy on the server and shows how far it is until all tables are
// there.
#pragma once

#include "tools/cli/admin_client.hpp"
#include "tools/cli/arguments.hpp"

namespace tenon::cli {

// One line of progress: "copying 42 %, 1200000 of 2850000 rows, 151000 rows/s, 17 changes waiting".
[[nodiscard]] std::string copy_progress(const boost::json::value& status);

// The server's last answer. Without an option of its own the command returns when every table is
// copied and the changes that waited are over; the server goes on following the source. Progress
// goes to standard error.
[[nodiscard]] boost::json::value run_copy(AdminClient& client, const Arguments& arguments);

}  // namespace tenon::cli
