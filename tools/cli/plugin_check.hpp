// SPDX-License-Identifier: Apache-2.0
// `tenon plugin check`: hands over to tenon-plugin-check, which is installed beside this program.
#pragma once

#include <string>
#include <vector>

namespace tenon::cli {

[[nodiscard]] bool is_plugin_check(const std::vector<std::string>& arguments);

// Becomes the other program; throws std::system_error when that is not there.
[[noreturn]] void run_plugin_check(const std::vector<std::string>& arguments);

}  // namespace tenon::cli
