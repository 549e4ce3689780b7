// SPDX-License-Identifier: Apache-2.0
// Commands that answer page by page, {"text","cursor"}: their text goes out while it comes.
#pragma once

#include "tools/cli/admin_client.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace tenon::cli {

// Asks for page after page, with the cursor of the one before. Throws CommandFailed.
void print_pages(AdminClient& client, const std::string& command, boost::json::object options);

}  // namespace tenon::cli
