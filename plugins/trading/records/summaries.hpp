// SPDX-License-Identifier: Apache-2.0
// Lists of daily sums (migrations/0003_views): a user's results, what news say. Averages are made
// here, exactly, and cut off: a sum over its count.
#pragma once

#include "plugins/trading/records/request.hpp"
#include "plugins/trading/records/store.hpp"

#include <string>

namespace tenon::records {

// {"data":[…],"next_cursor":"…"|null}, newest day first. Parameters: limit, cursor, from_us and
// to_us (of the day's beginning), the resource's filters, and user_id for administrators where rows
// have an owner. Throws ApiFailure.
[[nodiscard]] std::string
list_summary(Session& session, const Resource& resource, const User& user, Parameters& parameters);

}  // namespace tenon::records
