// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/health/probes.hpp"

namespace tenon::monitor {

std::vector<ProbeResult> run_probes(
    const std::vector<Probe>& probes,
    bool deep,
    Service<tenon_clock_1> clock,
    std::int64_t timeout_ns,
    const std::function<void(const std::string& instance)>& begins
) {
    std::vector<ProbeResult> results;
    results.reserve(probes.size());
    for (const Probe& probe : probes) {
        if (begins) {
            begins(probe.instance);
        }
        ErrorBuffer err;
        const std::int64_t deadline_ns = clock->now_ns(clock.self) + timeout_ns;
        const tenon_status status =
            probe.service->check(probe.service.self, deep ? 1 : 0, deadline_ns, &err);
        std::string reason;
        if (status != TENON_OK) {
            reason = err.len != 0 ? std::string{err.message()} : "status " + std::to_string(status);
        }
        results.push_back({probe.instance, status == TENON_OK, std::move(reason)});
    }
    return results;
}

}  // namespace tenon::monitor
