// SPDX-License-Identifier: Apache-2.0
// Who provides what to whom (M11, M12, and M01 for wrong `bind` keys), and the order of the start
// (M13).
#pragma once

#include "sdk/manifest/plan.hpp"

namespace tenon::manifest {

// Fills the providers of each plugin and sorts the plugins so that providers come first; among
// equals the order of the deployment stays.
void bind_and_order(Plan& plan, Report& report);

}  // namespace tenon::manifest
