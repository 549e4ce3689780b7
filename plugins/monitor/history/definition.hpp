// SPDX-License-Identifier: Apache-2.0
// What is kept: a list of series, read from JSON.
//
//   {"series": [{"name": "cpu", "title": TEXT, "unit": UNIT, "value": E}]}
//
// UNIT: ops (a second), seconds, bytes, bytes/s, ratio or count. E: see sdk/series/expression.hpp;
// each set of labels that it gives is a series of its own, named as Prometheus would:
// cache_hits{cache="orders"}.
#pragma once

#include "sdk/series/expression.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::history {

inline constexpr std::size_t k_definitions_max = 128;

struct Definition {
    // Throws Error (TENON_INVALID) that names the place.
    explicit Definition(const Settings& json);

    std::string name, title, unit;
    series::Expression value;
};

struct SeriesFile {
    explicit SeriesFile(const Settings& json);

    std::vector<Definition> definitions;
};

// The list that ships (etc/history.json), in JSON.
[[nodiscard]] std::string_view builtin_series() noexcept;

[[nodiscard]] std::string series_of(std::string_view name, const series::Labels& labels);
// The other way round; what is no such text is a name without labels.
[[nodiscard]] std::pair<std::string, series::Labels> parts_of(std::string_view series);

}  // namespace tenon::history
