// SPDX-License-Identifier: Apache-2.0
// What the kernel answers to its own commands, and what it tells of itself as metrics. Values go
// in, JSON comes out; the daemon says when. Failures throw Error.
#pragma once

#include "kernel/loader/safe_mode.hpp"
#include "kernel/registry/admin_commands.hpp"
#include "kernel/registry/bus.hpp"
#include "kernel/registry/health.hpp"
#include "kernel/runtime/exec.hpp"
#include "kernel/runtime/log.hpp"
#include "kernel/runtime/metrics.hpp"
#include "sdk/manifest/plan.hpp"
#include "sdk/sealing/secret_box.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::kernel {

// {"plugin","level"}: sets one, "*" when no plugin is named; without a level: all of them.
[[nodiscard]] std::string
set_log_level(runtime::LogRouter& router, runtime::LogSource& source, std::string_view args_json);

// {"plugin"}: lets one that safe mode holds back start again.
[[nodiscard]] std::string
release(loader::SafeMode& safe_mode, runtime::LogSource& source, std::string_view args_json);

// In the order of their start.
[[nodiscard]] std::string list_plugins(const manifest::Plan& plan, const registry::Health& health);

// Only when every plugin that may seal says that it has nothing left under the old key: it is the
// last that could open it.
[[nodiscard]] std::string finish_rotation(
    const manifest::Plan& plan,
    registry::AdminCommands& commands,
    sealing::SecretBox& secret
);

// Brings the kernel's own gauges and counters up to date. `generation` is the configuration's.
void publish(
    runtime::Metrics& metrics,
    const registry::Health& health,
    const runtime::LogRouter& log,
    runtime::Exec& exec,
    const registry::Bus& bus,
    std::uint64_t generation
);

}  // namespace tenon::kernel
