// SPDX-License-Identifier: Apache-2.0
// Risk limits as arguments: by name, amounts as decimal text.
#pragma once

#include "plugins/trading/engine/core/core.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string_view>

namespace tenon::engine {

// Of whom and of what the limits of `args` are ("account", "symbol"), none of them named.
// `account_id` throws for a name that there is not. Throws Error TENON_INVALID, TENON_NOT_FOUND.
[[nodiscard]] trading::RiskLimitsCommand risk_scope(
    const boost::json::object& args,
    const Service<tenon_instruments_1>& instruments,
    const std::function<std::uint64_t(std::string_view)>& account_id
);

// Puts the limits that `args` name into `command`, which has its scope. Throws Error TENON_INVALID
// when none is named, and for a value that is none.
void read_risk_limits(
    const boost::json::object& args,
    const Service<tenon_instruments_1>& instruments,
    trading::RiskLimitsCommand& command
);

// The limits that are set, rows as risk.show has them: "account" and "symbol" (null: each), then
// the limits by name. `account`: those that bind this one; 0: all.
[[nodiscard]] boost::json::array risk_rows(
    const trading::Core& core,
    const Service<tenon_instruments_1>& instruments,
    std::uint64_t account
);

}  // namespace tenon::engine
