// SPDX-License-Identifier: Apache-2.0
// What the server's metrics said at one time, and what a stretch between two such times shows: the
// figures that recommendations promise, and that guard an experiment.
//
// Metrics are no money: values are double, as in Prometheus. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::advisor {

// Of one page. `sum` adds the series of a family up; with a label, those that have that value.
struct Snapshot {
    struct Value {
        std::map<std::string, std::string, std::less<>> labels;
        double value;
    };

    struct Label {
        std::string_view name, value;
    };

    std::int64_t at_ms = 0;
    std::map<std::string, std::vector<Value>, std::less<>> families;

    [[nodiscard]] bool has(std::string_view family) const;
    [[nodiscard]] double sum(std::string_view family, Label only = {}) const;
    // The values of a label in a family, each once.
    [[nodiscard]] std::vector<std::string>
    values_of(std::string_view family, std::string_view label) const;
};

// Families that the rules and the measures below look at.
[[nodiscard]] const std::vector<std::string>& wanted_families();

// Growth of a counter; none when it shrank (its plugin was replaced).
[[nodiscard]] std::optional<double> increase(
    const Snapshot& from,
    const Snapshot& to,
    std::string_view family,
    Snapshot::Label only = {}
);

// Of a classic histogram's growth, interpolated within the bucket as Prometheus does
// (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile); none with
// fewer than `least` observations.
[[nodiscard]] std::optional<double> quantile(
    const Snapshot& from,
    const Snapshot& to,
    std::string_view histogram,
    double q,
    double least
);

// One figure of a stretch of time. Lower is better in all of them.
struct Measure {
    std::string name;   // of measure_names()
    std::string label;  // a cache's, a limit's name; empty: of all

    friend bool operator==(const Measure&, const Measure&) = default;
};

[[nodiscard]] const std::vector<std::string>& measure_names();

// None where too little happened to tell, or nobody knows the name.
[[nodiscard]] std::optional<double>
take(const Measure& measure, const Snapshot& from, const Snapshot& to);

// "31.2 %", "4.2 ms", as the measure is.
[[nodiscard]] std::string readable(const Measure& measure, double value);

}  // namespace tenon::advisor
