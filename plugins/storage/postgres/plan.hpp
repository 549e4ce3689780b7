// SPDX-License-Identifier: Apache-2.0
// EXPLAIN (FORMAT JSON) of PostgreSQL in the shape that storage.h gives. Values are told nowhere.
#pragma once

#include <string>
#include <string_view>

namespace tenon::postgres {

[[nodiscard]] std::string plan_from_json(std::string_view explained);

}  // namespace tenon::postgres
