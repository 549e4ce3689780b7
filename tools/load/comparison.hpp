// SPDX-License-Identifier: Apache-2.0
// Two results side by side: effect size and significance of each figure, and a verdict.
#pragma once

#include "sdk/statistics/significance.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace tenon::load {

// "" when the two results asked the same on the same machine; else the first difference.
[[nodiscard]] std::string
not_comparable(const boost::json::object& a, const boost::json::object& b);

// What b is beside a. `metric` decides: one of the samples' names, or "auto": the server's CPU a
// request where both know it (it hangs least on what else the machine does), else the median
// latency; of a closed loop the rate. Throws std::invalid_argument on another name.
//   {"metric","verdict":"worse|better|no difference|too few measurements","ratio","p","bars",
//    "figures":[{"name","a","b","ratio","p","z","u","verdict"}],"comparable","note"}
[[nodiscard]] boost::json::object compare_results(
    const boost::json::object& a,
    const boost::json::object& b,
    std::string_view metric,
    const statistics::Bars& bars
);

[[nodiscard]] std::string comparison_text(const boost::json::object& comparison);

}  // namespace tenon::load
