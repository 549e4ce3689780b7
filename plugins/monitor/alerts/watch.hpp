// SPDX-License-Identifier: Apache-2.0
// Rules, samples and alerts together: what the plugin's job, its page and its commands share.
// Thread-safe.
#pragma once

#include "plugins/monitor/alerts/grouping.hpp"
#include "plugins/monitor/alerts/silences.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::alerts {

class Watch {
public:
    // Samples of metrics that the rules look at no more are forgotten, those of others are kept
    // only from now on: a rate over an hour of a new rule needs its time.
    void set_rules(RuleFile rules);

    // One evaluation of a page (Prometheus text format 0.0.4) at that time, later than the last
    // one's.
    std::vector<AlertEvent> step(std::string_view page, std::int64_t at_ms);

    // Whom to tell what after the last step, without their ids and server.
    std::vector<Notice> notices(const Silences& silences);
    // Of a rule; its name when it is no more.
    [[nodiscard]] std::string summary_of(std::string_view rule) const;
    void set_grouping(const GroupingOptions& options);

    // {"at_ms":T,"alerts":[{"rule","severity","state","labels","value","threshold","since_ms","fired_ms","ending",
    // "flapping","silenced","summary","runbook"}]}; times since the epoch, 0: not yet.
    [[nodiscard]] std::string json(const Silences& silences) const;
    // The rules for Prometheus.
    [[nodiscard]] std::string prometheus() const;

    struct Counts {
        std::int64_t warning = 0, critical = 0;  // firing
        std::uint64_t left_out = 0;              // alerts
        std::size_t series_left_out = 0;
    };

    [[nodiscard]] Counts counts() const;
    // "" or what is critical now, the first three by name.
    [[nodiscard]] std::string critical_reason() const;

private:
    [[nodiscard]] std::vector<Rule>::const_iterator rule_of(std::string_view name) const;

    mutable std::mutex mutex_;
    std::vector<Rule> rules_;
    Samples samples_;
    AlertBook book_;
    Grouping grouping_;
    std::string prometheus_;
};

}  // namespace tenon::alerts
