// SPDX-License-Identifier: Apache-2.0
// GET /api/console/news and /api/console/signals, for who sees accounts or how the server works:
// ?symbol= of one alone, ?before= milliseconds, for the next page.
#pragma once

#include "plugins/console/desk.hpp"

#include <tenon/storage.hpp>

namespace tenon::console {

// [control] Without storage both answer 404 "absent".
void mount_record_routes(Desk& desk, Storage storage, bool has_storage, std::int64_t timeout_ns);

}  // namespace tenon::console
