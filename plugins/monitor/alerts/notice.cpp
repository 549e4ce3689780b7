// SPDX-License-Identifier: Apache-2.0
// How a notice looks to a program and to people.
#include "plugins/monitor/alerts/grouping.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tenon::alerts {
namespace {

constexpr std::size_t k_told_max = 50;

std::string number(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof(text), "%.6g", value);
    return text;
}

void append(std::string& out, const std::vector<Alert>& alerts) {
    out.push_back('[');
    for (std::size_t i = 0; i < std::min(alerts.size(), k_told_max); ++i) {
        const Alert& alert = alerts[i];
        out.append(i == 0 ? "{\"severity\":" : ",{\"severity\":");
        append_json(out, to_text(alert.severity));
        out.append(",\"labels\":{");
        for (const auto& [label, value] : alert.labels) {
            out.append(out.back() == '{' ? "" : ",");
            append_json(out, label);
            out.push_back(':');
            append_json(out, value);
        }
        out.append("},\"value\":");
        out.append(std::isfinite(alert.value) ? number(alert.value) : "null");
        out.append(",\"fired_ms\":").append(std::to_string(alert.fired_ms));
        out.append(",\"flapping\":").append(alert.flapping ? "true}" : "false}");
    }
    out.push_back(']');
}

void append_lines(std::string& out, std::string_view title, const std::vector<Alert>& alerts) {
    if (alerts.empty()) {
        return;
    }
    out.append("\n").append(title).append("\n");
    for (std::size_t i = 0; i < std::min(alerts.size(), k_told_max); ++i) {
        const Alert& alert = alerts[i];
        out.append("  ").append(to_text(alert.severity));
        for (const auto& [label, value] : alert.labels) {
            out.append(" ").append(label).append("=").append(value);
        }
        out.append(" value ").append(number(alert.value));
        out.append(alert.flapping ? " (flapping)\n" : "\n");
    }
    if (alerts.size() > k_told_max) {
        out.append("  and ").append(std::to_string(alerts.size() - k_told_max)).append(" more\n");
    }
}

std::size_t beyond(const std::vector<Alert>& alerts) {
    return alerts.size() - std::min(alerts.size(), k_told_max);
}

}  // namespace

std::string json_of(const Notice& notice) {
    std::string out{"{\"version\":1"};
    const auto member = [&](std::string_view key, std::string_view text) {
        out.append(",\"").append(key).append("\":");
        append_json(out, text);
    };
    member("id", notice.id);
    member("server", notice.server);
    member("rule", notice.rule);
    member("status", notice.firing.empty() ? "resolved" : "firing");
    member("severity", to_text(notice.severity));
    out.append(",\"repeat\":").append(notice.is_repeat ? "true" : "false");
    out.append(",\"at_ms\":").append(std::to_string(notice.at_ms));
    member("summary", notice.summary);
    member("runbook", notice.runbook);
    out.append(",\"firing\":");
    append(out, notice.firing);
    out.append(",\"resolved\":");
    append(out, notice.resolved);
    out.append(",\"left_out\":");
    return out.append(std::to_string(beyond(notice.firing) + beyond(notice.resolved))).append("}");
}

std::string subject_of(const Notice& notice) {
    std::string out{"["};
    out.append(notice.firing.empty() ? "resolved" : to_text(notice.severity)).append("] ");
    out.append(notice.rule).append(" on ").append(notice.server);
    return out;
}

std::string text_of(const Notice& notice) {
    std::string out = notice.summary + "\n";
    append_lines(out, notice.is_repeat ? "Still firing:" : "Firing:", notice.firing);
    append_lines(out, "Ended:", notice.resolved);
    out.append("\nServer: ").append(notice.server);
    out.append("\nRunbook: ").append(notice.runbook).append("\n");
    return out;
}

}  // namespace tenon::alerts
