// SPDX-License-Identifier: Apache-2.0
// /api/console/{balances,orders,trades,positions}: of an account that is bound to who asks, through
// tenon.trading/1. Placing and cancelling go the same way, once the audit log has them.
#pragma once

#include "plugins/console/desk.hpp"

namespace tenon::console {

// [control] Needs trading, instruments and auth bound.
void mount_account_routes(Desk& desk);

}  // namespace tenon::console
