// SPDX-License-Identifier: Apache-2.0
// Which alerts are pending and firing, one evaluation after another. The states and their times
// follow Prometheus's alerting rules
// (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/). Not thread-safe.
#pragma once

#include "plugins/monitor/alerts/rule.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tenon::alerts {

struct Alert {
    enum class State { pending, firing };

    std::string rule;
    Severity severity;
    Labels labels;
    State state = State::pending;
    double value = 0;            // when it was last beyond
    double threshold = 0;        // which it was beyond to become active
    std::int64_t active_ms = 0;  // since when
    std::int64_t fired_ms = 0;   // 0: not yet
    std::int64_t left_ms = 0;    // not beyond any more since then, and kept firing; 0: it is beyond
    bool flapping = false;       // it fired more often within an hour than it should
};

struct AlertEvent {
    enum class Kind { fired, resolved };

    Kind kind;
    Alert alert;
};

class AlertBook {
public:
    // More alerts at a time are not kept; they are counted.
    static constexpr std::size_t k_alerts_max = 1'000;
    // Series whose usual values are known; of more the thresholds stand still.
    static constexpr std::size_t k_baselines_max = 200;
    // Fired so often within an hour, an alert flaps.
    static constexpr std::size_t k_flaps = 5;

    // One evaluation, at the samples' time. What began to fire and what ended, in the rules' order.
    std::vector<AlertEvent> step(const std::vector<Rule>& rules, const Samples& samples);
    // Those of rules that are no more are forgotten, as if they had never been.
    void keep_only(const std::vector<Rule>& rules);

    [[nodiscard]] std::vector<Alert> alerts() const;

    [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

private:
    using Key = std::tuple<std::string, Severity, Labels>;

    void judge(
        const Rule& rule,
        Severity severity,
        const std::map<Labels, std::vector<double>>& values,
        std::int64_t now_ms,
        std::vector<AlertEvent>& events
    );
    void learn(
        const Rule& rule,
        const std::map<Labels, std::vector<double>>& values,
        std::int64_t now_ms
    );
    [[nodiscard]] Level::Thresholds
    thresholds(const Rule& rule, const Level& level, const Labels& labels) const;
    void note_fired(const Key& key, Alert& alert);

    std::map<Key, Alert> alerts_;
    std::map<std::pair<std::string, Labels>, Baseline> baselines_;  // by baseline_name()
    std::map<Key, std::deque<std::int64_t>> fired_;                 // within the last hour
    std::uint64_t left_out_ = 0;
};

}  // namespace tenon::alerts
