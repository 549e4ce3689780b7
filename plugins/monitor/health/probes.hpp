// SPDX-License-Identifier: Apache-2.0
// Active checks of other plugins (tenon.probe/1), and what they found last.
#pragma once

#include <tenon/abi/probe.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tenon::monitor {

struct Probe {
    std::string instance;
    Service<tenon_probe_1> service;
};

struct ProbeResult {
    std::string instance;
    bool passed = false;
    std::string reason;  // when it did not pass
};

// [io] One after the other, each until `timeout_ns` from its start by `clock`; `begins` is told
// before each.
[[nodiscard]] std::vector<ProbeResult> run_probes(
    const std::vector<Probe>& probes,
    bool deep,
    Service<tenon_clock_1> clock,
    std::int64_t timeout_ns,
    const std::function<void(const std::string& instance)>& begins = {}
);

}  // namespace tenon::monitor
