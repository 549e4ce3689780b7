// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/grouping.hpp"

#include <algorithm>
#include <utility>

namespace tenon::alerts {
namespace {

[[nodiscard]] bool same_keys(const auto& left, const auto& right) {
    return std::equal(
        left.begin(),
        left.end(),
        right.begin(),
        right.end(),
        [](const auto& a, const auto& b) { return a.first == b.first; }
    );
}

[[nodiscard]] Severity worst_of(const Notice& notice) {
    const auto is_critical = [](const Alert& alert) {
        return alert.severity == Severity::critical;
    };
    const bool any = std::any_of(notice.firing.begin(), notice.firing.end(), is_critical) ||
                     std::any_of(notice.resolved.begin(), notice.resolved.end(), is_critical);
    return any ? Severity::critical : Severity::warning;
}

}  // namespace

std::map<std::string, Grouping::Alerts>
Grouping::firing_now(const std::vector<Alert>& alerts, std::int64_t now_ms) {
    std::map<std::string, Alerts> out;
    for (const Alert& alert : alerts) {
        if (alert.state != Alert::State::firing) {
            continue;
        }
        const Key key{alert.rule, alert.severity, alert.labels};
        if (alert.flapping || held_.contains(key)) {
            held_[key] = {alert, now_ms};
        }
        out[alert.rule].emplace(key, alert);
    }
    std::erase_if(held_, [&](const auto& held) {
        return now_ms - held.second.seen_ms >= options_.calm_ms;
    });
    for (const auto& [key, held] : held_) {
        out[held.alert.rule].emplace(key, held.alert);
    }
    return out;
}

bool Grouping::is_due(Group& group, const Alerts& now, std::int64_t now_ms) const {
    if (same_keys(now, group.told)) {
        group.changed_ms = 0;
        return !now.empty() && now_ms - group.told_ms >= options_.repeat_ms;
    }
    if (group.changed_ms == 0) {
        group.changed_ms = now_ms;
    }
    const bool is_urgent = std::any_of(now.begin(), now.end(), [&](const auto& one) {
        return one.second.severity == Severity::critical && !group.told.contains(one.first);
    });
    return group.told.empty() || is_urgent ? now_ms - group.changed_ms >= options_.wait_ms
                                           : now_ms - group.told_ms >= options_.interval_ms;
}

std::vector<Notice> Grouping::step(
    const std::vector<Alert>& alerts,
    const std::function<bool(const Alert&)>& is_silenced,
    std::int64_t now_ms
) {
    std::map<std::string, Alerts> firing = firing_now(alerts, now_ms);
    for (auto& [rule, group] : groups_) {
        firing.try_emplace(rule);
        std::erase_if(group.told, [&](const auto& one) { return is_silenced(one.second); });
    }
    std::vector<Notice> notices;
    for (auto& [rule, now] : firing) {
        std::erase_if(now, [&](const auto& one) { return is_silenced(one.second); });
        const auto at = groups_.try_emplace(rule).first;
        Group& group = at->second;
        if (is_due(group, now, now_ms)) {
            Notice notice;
            notice.rule = rule;
            notice.at_ms = now_ms;
            notice.is_repeat = same_keys(now, group.told);
            for (const auto& [key, alert] : now) {
                notice.firing.push_back(alert);
            }
            for (const auto& [key, alert] : group.told) {
                if (!now.contains(key)) {
                    notice.resolved.push_back(alert);
                }
            }
            notice.severity = worst_of(notice);
            notices.push_back(std::move(notice));
            group = {now, now_ms, 0};
        }
        if (group.told.empty() && now.empty()) {
            groups_.erase(at);
        }
    }
    return notices;
}

}  // namespace tenon::alerts
