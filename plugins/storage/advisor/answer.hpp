// SPDX-License-Identifier: Apache-2.0
// The advisor's answers as JSON.
#pragma once

#include "plugins/storage/advisor/advisor.hpp"

#include <string>

namespace tenon::advisor {

// `outcome`: of the proposals that were applied.
[[nodiscard]] std::string
json_of(const Advice& advice, bool applied, const std::vector<Applied>& outcome = {});
// From the JSON of the storage's slot `statements`.
[[nodiscard]] std::string slow_of(const std::string& statements);
[[nodiscard]] std::string plans_of(const std::string& statements);

}  // namespace tenon::advisor
