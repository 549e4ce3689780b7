// SPDX-License-Identifier: Apache-2.0
// Who is told what, and how often: alerts of one rule make one notice.
//
// A first alert waits `wait_ms` for others of its rule; what changes afterwards is told every
// `interval_ms` at most, but a new critical one after `wait_ms`; what goes on firing is told again
// every `repeat_ms`. An alert that flaps is told once and taken for firing until it has been calm
// for `calm_ms`. What a silence hides is neither told nor told to have ended, and told anew when
// the silence ends before it.
//
// Sans clock, not thread-safe. Bounded by the alerts that there are.
#pragma once

#include "plugins/monitor/alerts/alert_book.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace tenon::alerts {

struct Notice {
    std::string id;  // the same for each attempt to deliver it, unlike any other's
    std::string rule, summary, runbook, server;
    Severity severity = Severity::warning;  // the worst of those below
    bool is_repeat = false;
    std::int64_t at_ms = 0;
    std::vector<Alert> firing, resolved;
};

// {"version":1,"id","server","rule","status":"firing|resolved","severity","repeat","at_ms","summary",
// "runbook","firing":[{"severity","labels","value","fired_ms","flapping"}],"resolved":[…],"left_out":N}
// The lists hold the first 50; what is beyond is counted in left_out.
[[nodiscard]] std::string json_of(const Notice& notice);
// For people: one line, and the whole.
[[nodiscard]] std::string subject_of(const Notice& notice);
[[nodiscard]] std::string text_of(const Notice& notice);

struct GroupingOptions {
    std::int64_t wait_ms = 15'000;
    std::int64_t interval_ms = 60'000;
    std::int64_t repeat_ms = 14'400'000;
    std::int64_t calm_ms = 900'000;
};

class Grouping {
public:
    void set_options(const GroupingOptions& options) noexcept { options_ = options; }

    // What is to be told now, of all alerts that fire. The notices have rule, severity, lists,
    // time.
    [[nodiscard]] std::vector<Notice> step(
        const std::vector<Alert>& alerts,
        const std::function<bool(const Alert&)>& is_silenced,
        std::int64_t now_ms
    );

private:
    using Key = std::tuple<std::string, Severity, Labels>;
    using Alerts = std::map<Key, Alert>;

    struct Group {
        Alerts told;
        std::int64_t told_ms = 0;     // the last notice
        std::int64_t changed_ms = 0;  // since when something is untold; 0: nothing is
    };

    struct Held {
        Alert alert;
        std::int64_t seen_ms = 0;  // firing
    };

    [[nodiscard]] std::map<std::string, Alerts>
    firing_now(const std::vector<Alert>& alerts, std::int64_t now_ms);
    [[nodiscard]] bool is_due(Group& group, const Alerts& now, std::int64_t now_ms) const;

    GroupingOptions options_;
    std::map<std::string, Group> groups_;
    std::map<Key, Held> held_;  // those that flap
};

}  // namespace tenon::alerts
