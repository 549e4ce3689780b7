// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/alert_book.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace tenon::alerts {
namespace {

constexpr std::int64_t k_hour_ms = 3'600'000;

Labels only(const Labels& labels, const std::vector<std::string>& names) {
    Labels out;
    for (const std::string& name : names) {
        if (const auto found = labels.find(name); found != labels.end()) {
            out.insert(*found);
        }
    }
    return out;
}

// Of each group of labels the worst value of every expression; what has none is no number, which is
// beyond nothing.
std::map<Labels, std::vector<double>> worst_values(const Rule& rule, const Samples& samples) {
    const bool above = (rule.warning ? rule.warning : rule.critical)->above;
    std::map<Labels, std::vector<double>> groups;
    for (std::size_t i = 0; i < rule.values.size(); ++i) {
        for (const Value& value : rule.values[i].evaluate(samples)) {
            auto& worst = groups[only(value.labels, rule.by)];
            worst.resize(rule.values.size(), std::numeric_limits<double>::quiet_NaN());
            const bool is_worse = above ? value.value > worst[i] : value.value < worst[i];
            if (std::isnan(worst[i]) || is_worse) {
                worst[i] = value.value;
            }
        }
    }
    return groups;
}

std::string baseline_name(const Rule& rule) {
    return rule.name + " " + std::to_string(rule.baseline->over_s) + " " +
           rule.values.front().promql();
}

bool enough(const Rule& rule, const Samples& samples) {
    if (!rule.min) {
        return true;
    }
    const auto values = rule.min->value.evaluate(samples);
    return std::any_of(values.begin(), values.end(), [&](const Value& value) {
        return value.value >= rule.min->is;
    });
}

}  // namespace

std::vector<AlertEvent> AlertBook::step(const std::vector<Rule>& rules, const Samples& samples) {
    std::vector<AlertEvent> events;
    for (const Rule& rule : rules) {
        const auto values = enough(rule, samples) ? worst_values(rule, samples)
                                                  : std::map<Labels, std::vector<double>>{};
        for (const Severity severity : {Severity::warning, Severity::critical}) {
            if (rule.level(severity) != nullptr) {
                judge(rule, severity, values, samples.at_ms(), events);
            }
        }
        learn(rule, values, samples.at_ms());
    }
    return events;
}

void AlertBook::judge(
    const Rule& rule,
    Severity severity,
    const std::map<Labels, std::vector<double>>& values,
    std::int64_t now_ms,
    std::vector<AlertEvent>& events
) {
    const Level& level = *rule.level(severity);
    const auto beyond = [&](const std::vector<double>& all, double threshold) {
        return std::all_of(all.begin(), all.end(), [&](double value) {
            return level.beyond(value, threshold);
        });
    };
    const auto state_of = [&](const Labels& labels) -> std::optional<Alert::State> {
        const auto found = alerts_.find(Key{rule.name, severity, labels});
        return found == alerts_.end() ? std::nullopt : std::optional{found->second.state};
    };
    std::map<Labels, double> active;
    for (const auto& [labels, all] : values) {
        const bool fires = state_of(labels) == Alert::State::firing;
        const Level::Thresholds limits = thresholds(rule, level, labels);
        if (!beyond(all, fires ? limits.clear : limits.enter)) {
            continue;
        }
        if (!state_of(labels)) {
            if (alerts_.size() >= k_alerts_max) {
                ++left_out_;
                continue;
            }
            Alert& made = alerts_[Key{rule.name, severity, labels}];
            made = {rule.name, severity, labels};
            made.active_ms = now_ms;
            made.threshold = limits.enter;
        }
        active[labels] = all.front();
    }
    for (auto i = alerts_.lower_bound(Key{rule.name, severity, Labels{}});
         i != alerts_.end() && i->second.rule == rule.name && i->second.severity == severity;) {
        Alert& alert = i->second;
        if (const auto value = active.find(alert.labels); value != active.end()) {
            alert.value = value->second;
            alert.left_ms = 0;
            if (alert.state == Alert::State::pending &&
                now_ms - alert.active_ms >= level.for_s * 1000) {
                alert.state = Alert::State::firing;
                alert.fired_ms = now_ms;
                note_fired(i->first, alert);
                events.push_back({AlertEvent::Kind::fired, alert});
            }
            ++i;
            continue;
        }
        if (alert.state == Alert::State::firing) {
            alert.left_ms = alert.left_ms == 0 ? now_ms : alert.left_ms;
            if (now_ms - alert.left_ms < level.keep_s * 1000) {
                ++i;
                continue;
            }
            events.push_back({AlertEvent::Kind::resolved, alert});
        }
        i = alerts_.erase(i);
    }
}

Level::Thresholds AlertBook::thresholds(const Rule& rule, const Level& level, const Labels& labels)
    const {
    if (!rule.baseline) {
        return {level.enter, level.clear};
    }
    const auto known = baselines_.find({baseline_name(rule), labels});
    return level.thresholds(
        known == baselines_.end() ? std::nullopt : known->second.usual(), rule.baseline->deviations
    );
}

// After it was judged: what is unusual does not become usual by lasting.
void AlertBook::learn(
    const Rule& rule,
    const std::map<Labels, std::vector<double>>& values,
    std::int64_t now_ms
) {
    if (!rule.baseline) {
        return;
    }
    for (const auto& [labels, all] : values) {
        const bool is_active = alerts_.contains({rule.name, Severity::warning, labels}) ||
                               alerts_.contains({rule.name, Severity::critical, labels});
        auto known = baselines_.find({baseline_name(rule), labels});
        if (is_active || (known == baselines_.end() && baselines_.size() >= k_baselines_max)) {
            continue;
        }
        if (known == baselines_.end()) {
            known =
                baselines_.emplace(std::pair{baseline_name(rule), labels}, rule.baseline->over_s)
                    .first;
        }
        known->second.add(now_ms, all.front());
    }
}

void AlertBook::note_fired(const Key& key, Alert& alert) {
    auto& times = fired_[key];
    times.push_back(alert.fired_ms);
    for (auto i = fired_.begin(); i != fired_.end();) {
        while (!i->second.empty() && i->second.front() <= alert.fired_ms - k_hour_ms) {
            i->second.pop_front();
        }
        i = i->second.empty() ? fired_.erase(i) : std::next(i);
    }
    alert.flapping = times.size() >= k_flaps;
}

void AlertBook::keep_only(const std::vector<Rule>& rules) {
    const auto is_gone = [&](const Key& key) {
        return std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) {
            return rule.name == std::get<0>(key) && rule.level(std::get<1>(key)) != nullptr;
        });
    };
    std::erase_if(alerts_, [&](const auto& alert) { return is_gone(alert.first); });
    // A rule with another value learns anew.
    std::erase_if(baselines_, [&](const auto& baseline) {
        return std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) {
            return rule.baseline && baseline_name(rule) == baseline.first.first;
        });
    });
    std::erase_if(fired_, [&](const auto& fired) { return is_gone(fired.first); });
}

std::vector<Alert> AlertBook::alerts() const {
    std::vector<Alert> out;
    for (const auto& [key, alert] : alerts_) {
        out.push_back(alert);
    }
    return out;
}

}  // namespace tenon::alerts
