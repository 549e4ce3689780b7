// SPDX-License-Identifier: Apache-2.0
// Alert rules, read from JSON, judged here and written down for Prometheus so that both fire alike.
//
//   {"rules": [{"name": "CpuHigh", "summary": TEXT, "runbook": PAGE, "value": E, "and": [E…],
//     "by": [LABEL…], "min": {"value": E, "is": N}, "baseline": {"deviations": K, "over_s": S},
//     "warning":  {"above": N or "below": N, "clear": N, "for_s": S, "keep_s": S, "adjusts_to": N},
//     "critical": {…}}]}
//
// A level is entered when every value is beyond its threshold, and left when one is no longer
// beyond `clear`. It fires when it has been so for `for_s`, and goes on for `keep_s` after it was
// left. `min`: judged only while there is enough to judge by. `by`: one alert for each set of these
// labels, of the worst value.
//
// `baseline`: thresholds adjust themselves to what the (first) value was over the last S seconds,
// for each set of labels: the median plus K deviations (minus, of `below`), not beyond `above`, nor
// below `adjusts_to`, and `clear` in proportion. What is pending or fires teaches nothing: the
// threshold stands still meanwhile. A level without `adjusts_to` keeps its own. The past is in
// memory and begins with the server; until an hour of a day is known, `above` holds. Prometheus is
// not told such a rule. E: see sdk/series/expression.hpp.
#pragma once

#include "plugins/monitor/alerts/baseline.hpp"
#include "sdk/series/expression.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::alerts {

using series::Expression;
using series::Labels;
using series::refuse_unknown;
using series::Samples;
using series::Value;

// Where a rule's page of runbook is.
inline constexpr std::string_view k_runbooks = "etc/runbooks.md#";

struct Level {
    explicit Level(const Settings& json);

    struct Thresholds {
        double enter, clear;
    };

    [[nodiscard]] bool beyond(double value, double threshold) const noexcept {
        return above ? value > threshold : value < threshold;
    }

    // Where they are when this is usual; nothing is: where the rule puts them.
    [[nodiscard]] Thresholds
    thresholds(const std::optional<Baseline::Usual>& usual, double deviations) const noexcept;

    bool above;
    double enter, clear;
    std::optional<double> adjusts_to;
    std::int64_t for_s, keep_s;
};

enum class Severity { warning, critical };
[[nodiscard]] std::string_view to_text(Severity severity) noexcept;

struct Minimum {
    explicit Minimum(const Settings& json);

    Expression value;
    double is;
};

struct BaselineOptions {
    explicit BaselineOptions(const Settings& json);

    double deviations;
    std::int64_t over_s;
};

struct Rule {
    explicit Rule(const Settings& json);

    // Null: the rule has no such level.
    [[nodiscard]] const Level* level(Severity severity) const noexcept;
    // Tells the samples what it will look at.
    void want(Samples& samples) const;
    // Of all metrics that it looks at.
    void collect_names(std::set<std::string>& names) const;
    // What Prometheus evaluates.
    [[nodiscard]] std::string promql(Severity severity) const;

    std::string name, summary, runbook;
    std::vector<Expression> values;  // the first is the one that is told
    std::vector<std::string> by;
    std::optional<Minimum> min;
    std::optional<BaselineOptions> baseline;
    std::optional<Level> warning, critical;
};

// The rules that ship (etc/alerts.json), in JSON.
[[nodiscard]] std::string_view builtin_rules() noexcept;

struct RuleFile {
    explicit RuleFile(const Settings& json);

    // A file of Prometheus's alerting rules (YAML).
    [[nodiscard]] std::string prometheus() const;

    std::vector<Rule> rules;
};

}  // namespace tenon::alerts
