// SPDX-License-Identifier: Apache-2.0
// Answers for people: lists of objects as tables, objects as lines of name and value. A long cell
// of a table is cut, and ends in …; lists within are set apart by commas.
#pragma once

#include <boost/json/value.hpp>

#include <string>

namespace tenon::cli {

[[nodiscard]] std::string readable(const boost::json::value& value);

}  // namespace tenon::cli
