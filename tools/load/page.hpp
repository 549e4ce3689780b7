// SPDX-License-Identifier: Apache-2.0
// A result as one HTML page with plots, which loads nothing from anywhere.
#pragma once

#include <boost/json/object.hpp>

#include <string>

namespace tenon::load {

// `comparison` may be null.
[[nodiscard]] std::string
to_page(const boost::json::object& result, const boost::json::object* comparison);

}  // namespace tenon::load
