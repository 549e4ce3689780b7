// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/rule.hpp"

#include <algorithm>
#include <array>

namespace tenon::alerts {
namespace {

constexpr std::array k_severities{Severity::warning, Severity::critical};

std::string number(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text + "0" : text;
}

std::string labels_text(const std::vector<std::string>& by) {
    std::string out{"instance"};
    for (const std::string& label : by) {
        out.append(", ").append(label);
    }
    return out;
}

// In single quotes YAML knows no escape but the doubled quote.
std::string yaml(std::string_view text) {
    std::string out{"'"};
    for (const char c : text) {
        out.append(c == '\'' ? std::string_view{"''"} : std::string_view{&c, 1});
    }
    return out.append("'");
}

bool is_name(std::string_view text) {
    return !text.empty() && text[0] >= 'A' && text[0] <= 'Z' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
           });
}

}  // namespace

std::string_view to_text(Severity severity) noexcept {
    return severity == Severity::warning ? "warning" : "critical";
}

Level::Level(const Settings& json)
    : above{json.has("above")},
      enter{json.get<double>(above ? "above" : "below")},
      clear{json.get<double>("clear", enter)},
      adjusts_to{json.get<std::optional<double>>("adjusts_to")},
      for_s{json.get<std::int64_t>("for_s", 0)},
      keep_s{json.get<std::int64_t>("keep_s", 0)} {
    refuse_unknown(json, {above ? "above" : "below", "clear", "for_s", "keep_s", "adjusts_to"});
    if (above ? clear > enter : clear < enter) {
        json.refuse("clear: expected a value on the good side of the threshold");
    }
    if (adjusts_to && (above ? *adjusts_to > enter : *adjusts_to < enter)) {
        json.refuse("adjusts_to: expected a value on the good side of the threshold");
    }
    if (for_s < 0 || for_s > 86'400 || keep_s < 0 || keep_s > 86'400) {
        json.refuse("for_s and keep_s: expected 0 to 86400");
    }
}

Level::Thresholds Level::thresholds(const std::optional<Baseline::Usual>& usual, double deviations)
    const noexcept {
    if (!usual || !adjusts_to) {
        return {enter, clear};
    }
    const double far = deviations * usual->deviation;
    const double adjusted = above ? std::clamp(usual->median + far, *adjusts_to, enter)
                                  : std::clamp(usual->median - far, enter, *adjusts_to);
    return {adjusted, enter == 0 ? adjusted : adjusted * (clear / enter)};
}

BaselineOptions::BaselineOptions(const Settings& json)
    : deviations{json.get<double>("deviations")}, over_s{json.get<std::int64_t>("over_s")} {
    refuse_unknown(json, {"deviations", "over_s"});
    if (!(deviations > 0 && deviations <= 100)) {
        json.refuse("deviations: expected more than 0, 100 at most");
    }
    if (over_s < 1'440 || over_s > 604'800) {
        json.refuse("over_s: expected 1440 to 604800");
    }
}

Minimum::Minimum(const Settings& json)
    : value{json.get<Expression>("value")}, is{json.get<double>("is")} {
    refuse_unknown(json, {"value", "is"});
}

Rule::Rule(const Settings& json)
    : name{json.get<std::string>("name")},
      summary{json.get<std::string>("summary")},
      runbook{json.get<std::string>("runbook")},
      by{json.get<std::vector<std::string>>("by", {})},
      min{json.get<std::optional<Minimum>>("min")},
      baseline{json.get<std::optional<BaselineOptions>>("baseline")},
      warning{json.get<std::optional<Level>>("warning")},
      critical{json.get<std::optional<Level>>("critical")} {
    refuse_unknown(
        json,
        {"name",
         "summary",
         "runbook",
         "value",
         "and",
         "by",
         "min",
         "baseline",
         "warning",
         "critical"}
    );
    if (!is_name(name)) {
        json.refuse("name: found \"" + name + "\", expected letters and digits, a capital first");
    }
    values.push_back(json.get<Expression>("value"));
    for (Expression& other : json.get<std::vector<Expression>>("and", {})) {
        values.push_back(std::move(other));
    }
    if (!warning && !critical) {
        json.refuse("expected warning, critical or both");
    }
    const bool adjusts = (warning && warning->adjusts_to) || (critical && critical->adjusts_to);
    if (adjusts != baseline.has_value()) {
        json.refuse("baseline and adjusts_to: expected both or none");
    }
    if (warning && critical && warning->above != critical->above) {
        json.refuse("warning and critical lie on different sides");
    }
}

const Level* Rule::level(Severity severity) const noexcept {
    const auto& found = severity == Severity::warning ? warning : critical;
    return found ? &*found : nullptr;
}

void Rule::want(Samples& samples) const {
    for (const Expression& value : values) {
        value.want(samples);
    }
    if (min) {
        min->value.want(samples);
    }
}

void Rule::collect_names(std::set<std::string>& names) const {
    for (const Expression& value : values) {
        value.collect_names(names);
    }
    if (min) {
        min->value.collect_names(names);
    }
}

std::string Rule::promql(Severity severity) const {
    const Level& level = *this->level(severity);
    const std::string labels = labels_text(by);
    const std::string worst = std::string{level.above ? "max" : "min"} + " by (" + labels + ") (";
    const auto beyond = [&](double threshold) {
        std::string out;
        for (const Expression& value : values) {
            out.append(out.empty() ? "" : " and ").append(worst).append(value.promql());
            out.append(level.above ? ") > " : ") < ").append(number(threshold));
        }
        return out;
    };
    std::string out = beyond(level.enter);
    if (level.clear != level.enter) {
        out.insert(0, "(");
        out.append(" or (").append(beyond(level.clear)).append(" and on (").append(labels);
        out.append(") ALERTS{alertname=\"Tenon").append(name).append("\",alertstate=\"firing\"");
        out.append(",severity=\"").append(to_text(severity)).append("\"}))");
    }
    if (min) {
        out.append(" and on (instance) max by (instance) (").append(min->value.promql());
        out.append(") >= ").append(number(min->is));
    }
    return out;
}

RuleFile::RuleFile(const Settings& json) : rules{json.get<std::vector<Rule>>("rules")} {
    refuse_unknown(json, {"rules"});
    std::set<std::string> names;
    for (const Rule& rule : rules) {
        if (!names.insert(rule.name).second) {
            json.refuse("two rules have the name " + rule.name);
        }
    }
}

std::string RuleFile::prometheus() const {
    std::string out{"groups:\n  - name: tenon\n    rules:\n"};
    const auto line = [&](std::string_view indent, std::string_view key, const std::string& value) {
        out.append(indent).append(key).append(": ").append(value).append("\n");
    };
    for (const Rule& rule : rules) {
        if (rule.baseline) {
            out.append("      # ").append(rule.name);
            out.append(" adjusts itself to its past, which only the server does.\n");
            continue;
        }
        for (const Severity severity : k_severities) {
            const Level* level = rule.level(severity);
            if (level == nullptr) {
                continue;
            }
            line("      - ", "alert", "Tenon" + rule.name);
            line("        ", "expr", yaml(rule.promql(severity)));
            line("        ", "for", std::to_string(level->for_s) + "s");
            line("        ", "keep_firing_for", std::to_string(level->keep_s) + "s");
            out.append("        labels:\n");
            line("          ", "severity", std::string{to_text(severity)});
            out.append("        annotations:\n");
            line("          ", "summary", yaml(rule.summary));
            line("          ", "runbook", yaml(std::string{k_runbooks} + rule.runbook));
        }
    }
    return out;
}

}  // namespace tenon::alerts
