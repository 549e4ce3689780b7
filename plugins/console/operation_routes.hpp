// SPDX-License-Identifier: Apache-2.0
// /api/console/operations/NAME: what operations.hpp lists, asked of this server's admin socket.
#pragma once

#include "plugins/console/desk.hpp"
#include "sdk/admin/admin_line.hpp"

namespace tenon::console {

// [control] `line` is called on reactor 0.
void mount_operation_routes(Desk& desk, AdminLine& line);

}  // namespace tenon::console
