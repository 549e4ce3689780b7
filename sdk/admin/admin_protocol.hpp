// SPDX-License-Identifier: Apache-2.0
// The lines of DATA_DIR/admin.sock, the server's side: {"command":"NAME","args":{…}} in,
// {"ok":…} or {"error":{"code","message"}} out. See tenon.admin/1 in sdk/include/tenon/abi/host.h.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tenon {

// Runs a command with its arguments as JSON text and gives its answer as JSON; throws Error.
using AdminRun = std::function<std::string(std::string_view command, std::string_view args_json)>;

// The answer line for one request line, without its end.
[[nodiscard]] std::string run_admin_line(const AdminRun& run, std::string_view line) noexcept;

}  // namespace tenon
