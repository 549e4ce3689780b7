// SPDX-License-Identifier: Apache-2.0
// Carries out what the healer decides: asks this server's admin socket to restart a plugin, and
// puts every step into health, log, metrics and the audit log.
//
// A restart may take the health monitor along: then the answer never comes, and the next round
// tells what came of it.
#pragma once

#include "plugins/monitor/health/healer.hpp"
#include "sdk/admin/admin_line.hpp"

#include <tenon/in_flight.hpp>
#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

namespace tenon::monitor {

class Healing {
public:
    explicit Healing(const Host& host);

    // [control] [io] The rounds that follow go by it.
    void configure(HealSettings settings);
    // [control] At the start and the stop of the plugin; what was attempted is known beyond them.
    void open();
    void close() noexcept;

    // [io] After each round of checks.
    void round();

private:
    void ask_whether(const Healer::Attempt& attempt);
    void answered_list(const Healer::Attempt& attempt, const AdminLine::Answer& answer);
    void answered_restart(const std::string& plugin, const AdminLine::Answer& answer);
    void settle(const std::string& plugin, Healer::State state, const std::string& reason);
    void tell();
    void tell(const Healer::News& news);

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    Host host_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    std::string own_;
    std::atomic<bool> closing_{false};
    std::mutex mutex_;  // of what is below, up to the line
    std::shared_ptr<const HealSettings> settings_;
    Healer healer_;
    std::unique_ptr<AdminLine> line_;  // reactor 0's
    InFlight in_flight_;
};

}  // namespace tenon::monitor
