// SPDX-License-Identifier: Apache-2.0
// EXPLAIN (FORMAT JSON) of PostgreSQL in the shape that storage.h gives. Values are told nowhere.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tenon::postgres {

// Of the JSON: two for each node on the way down. Joins and views nest deeper than parsers allow
// unasked.
inline constexpr std::size_t k_plan_depth_max = 512;

[[nodiscard]] std::string plan_from_json(std::string_view explained);

}  // namespace tenon::postgres
