// SPDX-License-Identifier: Apache-2.0
// What is recommended, why, what it should bring and what it risks.
#pragma once

#include "plugins/monitor/advisor/experiment.hpp"
#include "plugins/monitor/advisor/knob.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::advisor {

struct Recommendation {
    std::string kind;  // cache_size, cache_ttl, throttle_level, pool_size, workers, indexes, …
    std::string title;
    std::optional<Knob> knob;     // none: there is nothing to turn while the server runs
    std::string target;           // without a knob: what it is about, for the id
    boost::json::value from, to;  // null without a knob
    std::string unit;
    std::optional<Promise> promise;
    std::string evidence;
    std::vector<std::pair<std::string, double>> numbers;
    std::string risk;
    double confidence = 0.5;  // 0 to 1
    std::string why_not;      // it cannot be applied from here; empty: it can

    // The same for the same knob and kind.
    [[nodiscard]] std::string id() const;

    [[nodiscard]] bool applicable() const { return why_not.empty(); }
};

// {"id","kind","title","knob":{"plugin","pointer","element","field"}|null,"from","to","unit",
// "promise":{"metric","label","direction":"lower","effect"}|null,"evidence","numbers":{…},"risk",
// "confidence","applicable","why_not"}; from and to as texts.
[[nodiscard]] boost::json::object to_json(const Recommendation& recommendation);

// A value as people write it: a text without its quotes.
[[nodiscard]] std::string plain(const boost::json::value& value);

}  // namespace tenon::advisor
