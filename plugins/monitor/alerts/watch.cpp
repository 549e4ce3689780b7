// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/watch.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace tenon::alerts {
namespace {

// JSON knows no infinity.
std::string number(double value) {
    if (!std::isfinite(value)) {
        return "null";
    }
    char text[32];
    (void)std::snprintf(text, sizeof(text), "%.6g", value);
    return text;
}

void member(std::string& out, std::string_view key, std::string_view text) {
    append_json(out, key);
    out.push_back(':');
    append_json(out, text);
}

void append(std::string& out, const Alert& alert, const Rule& rule, bool is_silenced) {
    out.push_back('{');
    member(out, "rule", alert.rule);
    out.push_back(',');
    member(out, "severity", to_text(alert.severity));
    out.push_back(',');
    member(out, "state", alert.state == Alert::State::firing ? "firing" : "pending");
    out.append(",\"labels\":{");
    for (const auto& [label, value] : alert.labels) {
        out.append(out.back() == '{' ? "" : ",");
        member(out, label, value);
    }
    out.append("},\"value\":").append(number(alert.value));
    out.append(",\"threshold\":").append(number(alert.threshold));
    out.append(",\"since_ms\":").append(std::to_string(alert.active_ms));
    out.append(",\"fired_ms\":").append(std::to_string(alert.fired_ms));
    out.append(",\"ending\":").append(alert.left_ms != 0 ? "true" : "false");
    out.append(",\"flapping\":").append(alert.flapping ? "true" : "false");
    out.append(",\"silenced\":").append(is_silenced ? "true" : "false");
    out.push_back(',');
    member(out, "summary", rule.summary);
    out.push_back(',');
    member(out, "runbook", std::string{k_runbooks} + rule.runbook);
    out.push_back('}');
}

std::string name_of(const Alert& alert) {
    std::string out = alert.rule;
    for (const auto& [label, value] : alert.labels) {
        out.append(" ").append(value);
    }
    return out;
}

}  // namespace

void Watch::set_rules(RuleFile rules) {
    const std::lock_guard lock{mutex_};
    prometheus_ = rules.prometheus();
    rules_ = std::move(rules.rules);
    samples_.forget_wants();
    for (const Rule& rule : rules_) {
        rule.want(samples_);
    }
    book_.keep_only(rules_);
}

std::vector<AlertEvent> Watch::step(std::string_view page, std::int64_t at_ms) {
    const std::lock_guard lock{mutex_};
    samples_.add(page, at_ms);
    return book_.step(rules_, samples_);
}

std::vector<Notice> Watch::notices(const Silences& silences) {
    const std::lock_guard lock{mutex_};
    const std::int64_t now_ms = samples_.at_ms();
    const auto is_silenced = [&](const Alert& alert) { return silences.hides(alert, now_ms); };
    std::vector<Notice> out = grouping_.step(book_.alerts(), is_silenced, now_ms);
    for (Notice& notice : out) {
        const auto rule = rule_of(notice.rule);  // none: it was taken out meanwhile
        notice.summary = rule == rules_.end() ? notice.rule : rule->summary;
        notice.runbook = rule == rules_.end() ? "" : std::string{k_runbooks} + rule->runbook;
    }
    return out;
}

void Watch::set_grouping(const GroupingOptions& options) {
    const std::lock_guard lock{mutex_};
    grouping_.set_options(options);
}

std::string Watch::summary_of(std::string_view name) const {
    const std::lock_guard lock{mutex_};
    const auto rule = rule_of(name);
    return rule == rules_.end() ? std::string{name} : rule->summary;
}

std::vector<Rule>::const_iterator Watch::rule_of(std::string_view name) const {
    return std::find_if(rules_.begin(), rules_.end(), [&](const Rule& rule) {
        return rule.name == name;
    });
}

std::string Watch::json(const Silences& silences) const {
    const std::lock_guard lock{mutex_};
    const std::int64_t now_ms = samples_.at_ms();
    std::string out{"{\"at_ms\":"};
    out.append(std::to_string(now_ms)).append(",\"alerts\":[");
    for (const Alert& alert : book_.alerts()) {
        out.append(out.back() == '[' ? "" : ",");
        append(out, alert, *rule_of(alert.rule), silences.hides(alert, now_ms));
    }
    return out.append("]}");
}

std::string Watch::prometheus() const {
    const std::lock_guard lock{mutex_};
    return prometheus_;
}

Watch::Counts Watch::counts() const {
    const std::lock_guard lock{mutex_};
    Counts counts;
    for (const Alert& alert : book_.alerts()) {
        if (alert.state == Alert::State::firing) {
            ++(alert.severity == Severity::warning ? counts.warning : counts.critical);
        }
    }
    counts.left_out = book_.left_out();
    counts.series_left_out = samples_.left_out();
    return counts;
}

std::string Watch::critical_reason() const {
    const std::lock_guard lock{mutex_};
    std::string out;
    std::size_t count = 0;
    for (const Alert& alert : book_.alerts()) {
        if (alert.state == Alert::State::firing && alert.severity == Severity::critical &&
            ++count <= 3) {
            out.append(out.empty() ? "" : ", ").append(name_of(alert));
        }
    }
    return count <= 3 ? out : out + " and " + std::to_string(count - 3) + " more";
}

}  // namespace tenon::alerts
