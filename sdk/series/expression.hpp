// SPDX-License-Identifier: Apache-2.0
// What a rule watches: a value, or one per set of labels, computed from samples here and by
// Prometheus there, alike.
//
// In JSON, with E an expression:
//   {"metric": NAME, "where": {LABEL: VALUE or [VALUE…]}}    its newest values
//   {"rate": NAME, "where": …, "over_s": S}                  growth a second of a counter
//   {"quantile": 0..1, "of": NAME, "where": …, "over_s": S, "by": [LABEL…]}   of a histogram
//   {"sum": E, "by": [LABEL…]}  {"max": E, "by": [LABEL…]}   `by` may be absent: one value
//   {"ratio": [E, E]}  {"add": [E, E]}                       of values with equal labels
//   {"one_minus": E}
//   {"age_of": NAME, "where": …}                             seconds since the time that a gauge
//   holds
// All is of one server; what Prometheus is told keeps apart the servers that it scrapes
// (`instance`). Rates extrapolate to the window's ends and quantiles interpolate within a bucket as
// Prometheus does (https://prometheus.io/docs/prometheus/latest/querying/functions/#rate,
// #histogram_quantile).
#pragma once

#include "sdk/series/samples.hpp"

#include <tenon/settings.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace tenon::series {

// Longest window of a rate: three days.
inline constexpr std::int64_t k_over_max_s = 259'200;

// Throws Error (TENON_INVALID) for a member that is not known.
void refuse_unknown(const Settings& json, const std::vector<std::string>& known);

struct Value {
    Labels labels;
    double value;
};

class Expression {
public:
    // Throws Error (TENON_INVALID) that names the place.
    explicit Expression(const Settings& json);

    // Tells the samples what it will look at.
    void want(Samples& samples) const;
    [[nodiscard]] std::vector<Value> evaluate(const Samples& samples) const;
    [[nodiscard]] std::string promql() const;
    // Of all metrics that it names, histograms without "_bucket".
    void collect_names(std::set<std::string>& names) const;

private:
    enum class Kind { metric, rate, quantile, sum, max, ratio, add, one_minus, age_of };

    struct Where {
        std::string label;
        std::vector<std::string> values;  // one of them
    };

    void read_where(const Settings& json);
    [[nodiscard]] bool takes(const Series& series) const;
    [[nodiscard]] std::vector<Value> rates(const Samples& samples, const std::string& name) const;
    [[nodiscard]] std::vector<Value> quantiles(const Samples& samples) const;
    [[nodiscard]] std::vector<Value> grouped(const std::vector<Value>& values) const;
    [[nodiscard]] std::vector<Value>
    paired(const std::vector<Value>& left, const std::vector<Value>& right) const;
    [[nodiscard]] std::string selector(const std::string& name) const;
    [[nodiscard]] std::string by_text() const;

    Kind kind_ = Kind::metric;
    std::string name_;
    std::vector<Where> where_;
    std::vector<std::string> by_;
    std::int64_t over_s_ = 0;
    double quantile_ = 0;
    std::vector<Expression> of_;
};

}  // namespace tenon::series
