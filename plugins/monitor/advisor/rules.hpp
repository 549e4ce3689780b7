// SPDX-License-Identifier: Apache-2.0
// What the measurements of some minutes recommend. Each rule needs a clear picture: with too little
// traffic to tell, or with what is already as far as it may go, it says nothing. Pure.
#pragma once

#include "plugins/monitor/advisor/recommendation.hpp"

#include <deque>
#include <vector>

namespace tenon::advisor {

// The snapshots lie some seconds apart, the oldest first.
[[nodiscard]] std::vector<Recommendation>
recommend(const std::deque<Snapshot>& snapshots, const SettingsView& settings);

}  // namespace tenon::advisor
