// SPDX-License-Identifier: Apache-2.0
// Arguments and answers of admin commands: JSON objects, amounts as decimal text.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tenon::engine {

// Throws Error (TENON_INVALID) when it is no object, or has a key that is not among these.
[[nodiscard]] boost::json::object
parse_args(std::string_view args, std::initializer_list<std::string_view> known);

// The text of an argument that has to be there. Throws Error (TENON_INVALID).
[[nodiscard]] std::string text(const boost::json::object& args, std::string_view key);

[[nodiscard]] std::string decimal(std::int64_t value, int scale);

}  // namespace tenon::engine
