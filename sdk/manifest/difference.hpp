// SPDX-License-Identifier: Apache-2.0
// Where two values of one schema differ, which of the differences may be taken live
// ("x-reload": "live", of the setting or of an object around it), and values without their secrets.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::manifest {

// One difference, as people may see it: secrets are hidden. What is absent is null.
struct Difference {
    std::string pointer;
    boost::json::value before;
    boost::json::value after;
    bool live = false;
};

// Objects with `properties` on both sides are gone through, anything else is compared whole. What
// the schema does not declare is not looked at.
[[nodiscard]] std::vector<Difference> differences(
    const boost::json::object& schema,
    const boost::json::value& before,
    const boost::json::value& after,
    const std::string& pointer = {}
);

// [{"pointer","live","old","new"}]
[[nodiscard]] boost::json::array to_json(const std::vector<Difference>& differences);

// True when a value of this schema is a secret or may have one in it.
[[nodiscard]] bool holds_secret(const boost::json::object& schema);

// A copy with "(secret)" wherever the schema says x-secret, and without what it does not declare.
[[nodiscard]] boost::json::value
without_secrets(const boost::json::object& schema, const boost::json::value& value);

}  // namespace tenon::manifest
