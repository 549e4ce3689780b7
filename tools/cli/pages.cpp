// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/pages.hpp"

#include <cstdio>

namespace tenon::cli {

void print_pages(AdminClient& client, const std::string& command, boost::json::object options) {
    while (true) {
        const boost::json::value page = client.run(command, options);
        const boost::json::string& text = page.at("text").as_string();
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
            std::fflush(stdout) != 0) {
            throw CommandFailed{"UNAVAILABLE", "the output cannot be written"};
        }
        if (page.at("cursor").is_null()) {
            return;
        }
        options["cursor"] = page.at("cursor");
    }
}

}  // namespace tenon::cli
